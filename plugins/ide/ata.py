"""An ATA disk: the commands of ATA/ATAPI-6 that drivers use, over a block device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from vpcore_plugins.ide import identify
from vpcore_plugins.ide.drive import Dma, Drive
from vpcore_plugins.ide.regs import (
    COUNT_ALL,
    COUNT_ALL_48,
    MAX_MULTIPLE,
    POWER_ACTIVE,
    SECTOR,
    Cmd,
    Error,
    Feature,
    Mode,
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
        _, self.state.heads, self.state.sectors = identify.geometry(self.sectors)

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
        low, mid, high = state.lba_low, state.lba_mid, state.lba_high
        if code in EXTENDED:
            state.left = (state.count_hob << 8 | state.count) or COUNT_ALL_48
            state.lba = (
                state.lba_high_hob << 40
                | state.lba_mid_hob << 32
                | state.lba_low_hob << 24
                | high << 16
                | mid << 8
                | low
            )
        else:
            state.left = state.count or COUNT_ALL
            if self.lba_mode:
                state.lba = (state.device & Select.HEAD) << 24 | high << 16 | mid << 8 | low
            else:
                track = (high << 8 | mid) * state.heads + (state.device & Select.HEAD)
                state.lba = track * state.sectors + low - 1
        if state.lba >= 0 and state.lba + state.left <= self.sectors:
            return True
        self.fail(Error.IDNF | Error.ABRT)
        return False

    # -- moving sectors --

    def _load(self, count: int) -> bytearray | None:
        """Read the next *count* sectors, or answer with an error."""
        state = self.state
        data = bytearray(count * SECTOR)
        try:
            self._disk.read(state.lba * SECTOR, memoryview(data))
        except BackendError as error:
            self.log.warning("read error", reason=str(error))
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
        except BackendError as error:
            self.log.warning("write error", reason=str(error))
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
            self.wait_for_dma("_run_read_dma")

    def _run_read_dma(self, dma: Dma) -> None:
        while self.state.left:
            data = self._load(min(DMA_CHUNK, self.state.left))
            if data is None:
                return
            if dma.to_memory(data) < len(data):
                break  # the list is too short: the controller shows it (PIIX3 2.7.3)
        self.done()

    def _write_dma(self, code: int) -> None:
        """WRITE DMA (EXT) (8.56)."""
        if self._disk.readonly:
            self.abort()
        elif self._locate(code):
            self.wait_for_dma("_run_write_dma")

    def _run_write_dma(self, dma: Dma) -> None:
        while self.state.left:
            wanted = min(DMA_CHUNK, self.state.left) * SECTOR
            data = dma.from_memory(wanted)
            whole = len(data) // SECTOR * SECTOR
            if whole and not self._store(data[:whole]):
                return
            if len(data) < wanted:
                break
        self.done()

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
        state = self.state
        if state.features in Feature.ACCEPTED:
            self.done()
        elif state.features == Feature.TRANSFER_MODE and mode_known(state.count):
            state.transfer_mode = state.count
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
        state = self.state
        last = self.sectors - 1
        if code in EXTENDED:
            state.lba_low_hob, state.lba_mid_hob, state.lba_high_hob = last >> 24 & 0xFF, last >> 32 & 0xFF, last >> 40
        else:
            last = min(last, (1 << 28) - 1)
            state.device = state.device & ~Select.HEAD | last >> 24
        state.lba_low, state.lba_mid, state.lba_high = last & 0xFF, last >> 8 & 0xFF, last >> 16 & 0xFF
        self.done()

    def _check_power(self, _code: int) -> None:
        self.state.count = POWER_ACTIVE
        self.done()

    def _read_buffer(self, _code: int) -> None:
        self.offer(bytes(SECTOR))

    def _write_buffer(self, _code: int) -> None:
        self.ask(SECTOR, "done", interrupt=False)

    def _ok(self, _code: int) -> None:
        self.done()

    def _diagnostic(self, _code: int) -> None:
        """EXECUTE DEVICE DIAGNOSTIC (8.11)."""
        self.set_signature()
        self.done()
        self.state.error = Error.DIAG_PASSED


def mode_known(value: int) -> bool:
    """A transfer mode that the drive announces."""
    kind, number = value & Mode.TYPE, value & Mode.NUMBER
    if kind == Mode.MULTIWORD:
        return number <= Mode.BEST_MULTIWORD
    if kind == Mode.UDMA:
        return number <= Mode.BEST_UDMA
    return kind in (Mode.PIO_DEFAULT, Mode.PIO)


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
    Cmd.DIAGNOSTIC: AtaDisk._diagnostic,  # noqa: SLF001
    **{
        code: AtaDisk._ok  # noqa: SLF001
        for code in (
            *Cmd.RECALIBRATE,
            *Cmd.SEEK,
            *Cmd.POWER_OLD,
            Cmd.STANDBY_NOW,
            Cmd.IDLE_NOW,
            Cmd.STANDBY,
            Cmd.IDLE,
            Cmd.SLEEP,
        )
    },
}
