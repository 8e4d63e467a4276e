"""An ATA disk: the commands of ATA/ATAPI-6 that drivers use, over a block device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from vpcore_plugins.ide import identify
from vpcore_plugins.ide.drive import Dma, Drive
from vpcore_plugins.ide.regs import (
    BYTE,
    COUNT_ALL,
    COUNT_ALL_48,
    MAX_LBA28_SECTORS,
    MAX_MULTIPLE,
    POWER_ACTIVE,
    SECTOR,
    Cmd,
    Error,
    Select,
    Signature,
)

from vpcore.errors import BackendError
from vpcore.host.ends import BlockDevice
from vpcore.log import DeviceLog

DMA_CHUNK: Final = 128
"""Sectors moved at once by the bus master."""

EXTENDED: Final = frozenset(
    {
        Cmd.READ_EXT,
        Cmd.READ_DMA_EXT,
        Cmd.READ_MULTIPLE_EXT,
        Cmd.WRITE_EXT,
        Cmd.WRITE_DMA_EXT,
        Cmd.WRITE_MULTIPLE_EXT,
        Cmd.VERIFY_EXT,
        Cmd.NATIVE_MAX_EXT,
    }
)


class AtaDisk(Drive):
    """A hard disk."""

    signature = Signature.ATA

    def __init__(self, disk: BlockDevice, *, model: str, serial: str, log: DeviceLog) -> None:
        super().__init__(log)
        self._disk = disk
        self._model, self._serial = model, serial
        self.sectors = -(-disk.size // SECTOR)

    def command(self, code: int) -> None:
        """Execute a command (ATA-6 section 8)."""
        handler = COMMANDS.get(code)
        if handler is None:
            self.log.debug("unknown ATA command", code=code)
            self.abort()
        else:
            handler(self, code)

    def close(self) -> None:
        """Flush and close the image."""
        self._disk.close()

    # -- addressing --

    def _locate(self, code: int) -> bool:
        """Take address and count from the task file; answer the host with IDNF where they lie outside."""
        state = self.state
        if code in EXTENDED:
            state.left = (state.count_hob << 8 | state.count) or COUNT_ALL_48
            address: int | None = self._lba48()
        else:
            state.left = state.count or COUNT_ALL
            address = self._lba28() if self.lba_mode else self._chs()
        if address is not None and address + state.left <= self.sectors:
            state.lba = address
            return True
        self.fail(Error.IDNF)
        return False

    def _lba28(self) -> int:
        state = self.state
        return (state.device & Select.HEAD) << 24 | state.lba_high << 16 | state.lba_mid << 8 | state.lba_low

    def _lba48(self) -> int:
        state = self.state
        high = state.lba_high_hob << 16 | state.lba_mid_hob << 8 | state.lba_low_hob
        return high << 24 | state.lba_high << 16 | state.lba_mid << 8 | state.lba_low

    def _chs(self) -> int | None:
        """The address by cylinder, head and sector in the geometry that INITIALIZE DEVICE PARAMETERS chose."""
        state = self.state
        head, sector = state.device & Select.HEAD, state.lba_low
        if head >= state.heads or not 1 <= sector <= state.sectors:
            return None
        return ((state.lba_high << 8 | state.lba_mid) * state.heads + head) * state.sectors + sector - 1

    def _show(self, lba: int) -> None:
        """Put the address of a sector that failed where the host finds it (ATA-6 8.25.6)."""
        state = self.state
        state.lba_low_hob, state.lba_mid_hob, state.lba_high_hob = lba >> 24 & BYTE, lba >> 32 & BYTE, lba >> 40
        high, low = lba >> 24, lba
        if not self.lba_mode:
            track, sector = divmod(lba, state.sectors)
            cylinder, high = divmod(track, state.heads)
            low = cylinder << 8 | sector + 1
        state.lba_low, state.lba_mid, state.lba_high = low & BYTE, low >> 8 & BYTE, low >> 16 & BYTE
        state.device = state.device & ~Select.HEAD | high & Select.HEAD

    # -- moving sectors --

    def _load(self, count: int) -> bytearray | None:
        """Read the next *count* sectors, or answer with an error."""
        state = self.state
        data = bytearray(count * SECTOR)
        try:
            self._disk.read(state.lba * SECTOR, memoryview(data))
        except BackendError as error:
            self.log.warning("read error", reason=str(error))
            self._show(state.lba)
            self.fail(Error.UNC)
            return None
        state.lba += count
        state.left -= count
        return data

    def _store(self, data: bytes | bytearray) -> bool:
        """Write the next sectors, or answer with an error."""
        state = self.state
        try:
            self._disk.write(state.lba * SECTOR, bytes(data))
            if not state.write_cache:
                self._disk.flush()
        except BackendError as error:
            self.log.warning("write error", reason=str(error))
            self._show(state.lba)
            self.fail(Error.ABRT)
            return False
        state.lba += len(data) // SECTOR
        state.left -= len(data) // SECTOR
        return True

    def _read(self, code: int) -> None:
        """READ SECTORS (EXT) (8.34)."""
        self.state.block = 1
        if self._locate(code):
            self._read_next()

    def _read_multiple(self, code: int) -> None:
        """READ MULTIPLE (EXT) (8.30)."""
        if not self.state.multiple:
            self.abort()
            return
        self.state.block = self.state.multiple
        if self._locate(code):
            self._read_next()

    def _read_next(self) -> None:
        state = self.state
        data = self._load(min(state.block, state.left))
        if data is not None:
            self.offer(data, "_read_next" if state.left else "")

    def _write(self, code: int) -> None:
        """WRITE SECTORS (EXT) (8.62)."""
        self.state.block = 1
        self._begin_write(code)

    def _write_multiple(self, code: int) -> None:
        """WRITE MULTIPLE (EXT) (8.60)."""
        if not self.state.multiple:
            self.abort()
            return
        self.state.block = self.state.multiple
        self._begin_write(code)

    def _begin_write(self, code: int) -> None:
        if self._disk.readonly:
            self.abort()
        elif self._locate(code):
            self.ask(min(self.state.block, self.state.left) * SECTOR, "_write_next", interrupt=False)

    def _write_next(self) -> None:
        state = self.state
        if not self._store(state.buffer):
            return
        if state.left:
            self.ask(min(state.block, state.left) * SECTOR, "_write_next", interrupt=True)
        else:
            self.done()

    def _read_dma(self, code: int) -> None:
        """READ DMA (EXT) (8.25)."""
        if self._locate(code):
            self.begin_dma("_run_read_dma")

    def _run_read_dma(self, dma: Dma) -> None:
        state = self.state
        while self.pour(dma):
            if not state.left:
                self.done()
                return
            data = self._load(min(DMA_CHUNK, state.left))
            if data is None:
                return
            state.buffer, state.position = data, 0
        self.wait_for_dma("_run_read_dma")

    def _write_dma(self, code: int) -> None:
        """WRITE DMA (EXT) (8.56)."""
        if self._disk.readonly:
            self.abort()
        elif self._locate(code):
            self.begin_dma("_run_write_dma", bytes(min(DMA_CHUNK, self.state.left) * SECTOR))

    def _run_write_dma(self, dma: Dma) -> None:
        state = self.state
        while self.fill(dma):
            if not self._store(state.buffer):
                return
            if not state.left:
                self.done()
                return
            state.buffer[:] = bytes(min(DMA_CHUNK, state.left) * SECTOR)
            state.position = 0
        self.wait_for_dma("_run_write_dma")

    def _verify(self, code: int) -> None:
        """READ VERIFY SECTOR(S) (EXT) (8.36)."""
        if self._locate(code):
            self.done()

    # -- the rest --

    def _identify(self, _code: int) -> None:
        self.offer(identify.disk(self.state, self.sectors, self._model, self._serial))

    def _set_multiple(self, _code: int) -> None:
        """SET MULTIPLE MODE (8.50): a power of two up to what IDENTIFY word 47 says, 0 turns it off."""
        count = self.state.count
        if count > MAX_MULTIPLE or count & (count - 1):
            self.abort()
            return
        self.state.multiple = count
        self.done()

    def _set_features(self, _code: int) -> None:
        """SET FEATURES (8.46)."""
        if self.set_feature():
            self.done()
        else:
            self.abort()

    def _init_parameters(self, _code: int) -> None:
        """INITIALIZE DEVICE PARAMETERS (ATA-5 8.16): the geometry that CHS addresses count in."""
        state = self.state
        if not state.count:
            self.abort()
            return
        state.heads, state.sectors = (state.device & Select.HEAD) + 1, state.count
        self.done()

    def _flush(self, _code: int) -> None:
        """FLUSH CACHE (EXT) (8.12)."""
        try:
            self._disk.flush()
        except (BackendError, OSError) as error:
            self.log.warning("flush failed", reason=str(error))
            self.fail(Error.ABRT)
        else:
            self.done()

    def _native_max(self, code: int) -> None:
        """READ NATIVE MAX ADDRESS (EXT) (8.32)."""
        if not self.lba_mode:
            self.abort()
            return
        self._show(self.sectors - 1 if code in EXTENDED else min(self.sectors, MAX_LBA28_SECTORS) - 1)
        self.done()

    def _check_power(self, _code: int) -> None:
        self.state.count = POWER_ACTIVE
        self.done()

    def _read_buffer(self, _code: int) -> None:
        self.offer(self.state.sector_buffer)

    def _write_buffer(self, _code: int) -> None:
        self.ask(SECTOR, "_buffer_written", interrupt=False)

    def _buffer_written(self) -> None:
        self.state.sector_buffer = bytes(self.state.buffer)
        self.done()

    def _ok(self, _code: int) -> None:
        self.done()


COMMANDS: Final[dict[int, Callable[[AtaDisk, int], None]]] = {
    Cmd.READ: AtaDisk._read,  # noqa: SLF001 - the class's own table
    Cmd.READ_NO_RETRY: AtaDisk._read,  # noqa: SLF001
    Cmd.READ_EXT: AtaDisk._read,  # noqa: SLF001
    Cmd.READ_MULTIPLE: AtaDisk._read_multiple,  # noqa: SLF001
    Cmd.READ_MULTIPLE_EXT: AtaDisk._read_multiple,  # noqa: SLF001
    Cmd.READ_DMA: AtaDisk._read_dma,  # noqa: SLF001
    Cmd.READ_DMA_NO_RETRY: AtaDisk._read_dma,  # noqa: SLF001
    Cmd.READ_DMA_EXT: AtaDisk._read_dma,  # noqa: SLF001
    Cmd.WRITE: AtaDisk._write,  # noqa: SLF001
    Cmd.WRITE_NO_RETRY: AtaDisk._write,  # noqa: SLF001
    Cmd.WRITE_EXT: AtaDisk._write,  # noqa: SLF001
    Cmd.WRITE_MULTIPLE: AtaDisk._write_multiple,  # noqa: SLF001
    Cmd.WRITE_MULTIPLE_EXT: AtaDisk._write_multiple,  # noqa: SLF001
    Cmd.WRITE_DMA: AtaDisk._write_dma,  # noqa: SLF001
    Cmd.WRITE_DMA_NO_RETRY: AtaDisk._write_dma,  # noqa: SLF001
    Cmd.WRITE_DMA_EXT: AtaDisk._write_dma,  # noqa: SLF001
    Cmd.VERIFY: AtaDisk._verify,  # noqa: SLF001
    Cmd.VERIFY_NO_RETRY: AtaDisk._verify,  # noqa: SLF001
    Cmd.VERIFY_EXT: AtaDisk._verify,  # noqa: SLF001
    Cmd.IDENTIFY: AtaDisk._identify,  # noqa: SLF001
    Cmd.SET_MULTIPLE: AtaDisk._set_multiple,  # noqa: SLF001
    Cmd.SET_FEATURES: AtaDisk._set_features,  # noqa: SLF001
    Cmd.INIT_PARAMETERS: AtaDisk._init_parameters,  # noqa: SLF001
    Cmd.FLUSH: AtaDisk._flush,  # noqa: SLF001
    Cmd.FLUSH_EXT: AtaDisk._flush,  # noqa: SLF001
    Cmd.NATIVE_MAX: AtaDisk._native_max,  # noqa: SLF001
    Cmd.NATIVE_MAX_EXT: AtaDisk._native_max,  # noqa: SLF001
    Cmd.CHECK_POWER: AtaDisk._check_power,  # noqa: SLF001
    Cmd.READ_BUFFER: AtaDisk._read_buffer,  # noqa: SLF001
    Cmd.WRITE_BUFFER: AtaDisk._write_buffer,  # noqa: SLF001
    **dict.fromkeys(Cmd.NOTHING_TO_DO, AtaDisk._ok),  # noqa: SLF001
}
