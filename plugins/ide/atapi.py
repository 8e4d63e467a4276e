"""An ATAPI CD-ROM drive: packet commands of SFF-8020i and MMC-3 over an ISO image, with eject and media change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from vpcore_plugins.ide import identify, mmc
from vpcore_plugins.ide.drive import Dma, Drive, DriveState
from vpcore_plugins.ide.regs import CD_BLOCK, Cmd, Error, Interrupt, Packet, Sense, Signature

from vpcore.errors import BackendError
from vpcore.host.ends import BlockDevice
from vpcore.log import DeviceLog

DMA_FEATURE: Final = 1 << 0
CHUNK: Final = 32
"""Blocks read from the image at once."""
BIG: Final = 0xFFFE
MSF_BIT: Final = 1 << 1
USER_DATA: Final = 0x10
WHOLE_SECTOR: Final = 0xF8
LOAD_EJECT: Final = 0x03
START: Final = 0x01
EJECT: Final = 0x02
LOAD: Final = 0x03
POLLED: Final = 1
NEW_MEDIA: Final = 2
MEDIA_REMOVAL: Final = 3
QUIET: Final = frozenset({Packet.INQUIRY, Packet.REQUEST_SENSE, Packet.GET_EVENT, Packet.GET_CONFIGURATION})
"""Commands that a unit attention does not hold up (MMC-3 4.1.6.1)."""


class CdRom(Drive):
    """A CD-ROM drive, with or without a disc."""

    signature = Signature.ATAPI

    def __init__(self, *, model: str, serial: str, log: DeviceLog) -> None:
        super().__init__(log)
        self._model, self._serial = model, serial
        self._disc: BlockDevice | None = None
        self.blocks = 0

    # -- media --

    def insert(self, disc: BlockDevice | None) -> None:
        """Put a disc in, or take it out; the guest learns of it by a unit attention."""
        if self._disc is not None:
            self._disc.close()
        self._disc = disc
        self.blocks = 0 if disc is None else -(-disc.size // CD_BLOCK)
        self.state.attention = disc is not None
        self.state.event = MEDIA_REMOVAL if disc is None else NEW_MEDIA
        self.state.tray_open = False

    def close(self) -> None:
        """Close the disc's image."""
        if self._disc is not None:
            self._disc.close()
            self._disc = None

    @property
    def _ready(self) -> bool:
        return self._disc is not None and not self.state.tray_open

    # -- ATA commands of a packet device (SFF-8020i 6) --

    def command(self, code: int) -> None:
        """Execute an ATA command."""
        state = self.state
        if code == Cmd.PACKET:
            self._packet()
        elif code == Cmd.IDENTIFY_PACKET:
            state.count = Interrupt.TO_HOST
            self.offer(identify.cdrom(state, self._model, self._serial))
        elif code == Cmd.DEVICE_RESET:
            self.reset()
        elif code in (Cmd.IDENTIFY, Cmd.READ):
            self.set_signature()  # how drivers tell a packet device (ATA-6 8.15.5)
            self.abort()
        elif (code == Cmd.SET_FEATURES and self.set_feature()) or code in Cmd.POWER or code == Cmd.FLUSH:
            self.done()
        else:
            self.abort()

    def power_on(self) -> DriveState:
        """A packet device is not DRDY until the first command (SFF-8020i 5.2.1); a disc is news, the tray stays."""
        there = self._ready
        event = NEW_MEDIA if there else 0
        return DriveState(status=0, tray_open=self.state.tray_open, attention=there, event=event)

    def _packet(self) -> None:
        """PACKET (SFF-8020i 6.2): ask for the 12 bytes of the packet, without an interrupt."""
        state = self.state
        state.byte_limit = state.lba_mid | state.lba_high << 8
        self.ask(Packet.SIZE, "_packet_received", interrupt=False)
        state.count = Interrupt.COMMAND

    def _packet_received(self) -> None:
        state = self.state
        packet = bytes(state.buffer)
        code = packet[0]
        handler = PACKETS.get(code)
        if handler is None:
            self.log.debug("unknown packet command", code=code)
            self._check(Sense.BAD_COMMAND)
            return
        if state.attention and code not in QUIET:
            state.attention = False
            self._check(Sense.MEDIUM_CHANGED)
            return
        handler(self, packet)

    # -- answers --

    def _check(self, sense: tuple[int, int, int]) -> None:
        """End with CHECK CONDITION."""
        self.state.sense = sense
        self.state.count = Interrupt.COMMAND | Interrupt.TO_HOST
        self.fail(sense[0] << Error.SENSE_SHIFT | Error.ABRT)

    def _good(self) -> None:
        """End well."""
        self.state.sense = Sense.NONE
        self.state.count = Interrupt.COMMAND | Interrupt.TO_HOST
        self.done()

    def _reply(self, data: bytes | bytearray, limit: int) -> None:
        """Send up to *limit* bytes, then end well."""
        data = data[:limit]
        state = self.state
        state.sense = Sense.NONE
        state.left = 0
        if not data:
            self._good()
        elif state.features & DMA_FEATURE:
            self.begin_dma("_run_reply_dma", data)
        else:
            self._send(data, "_good")

    def _run_reply_dma(self, dma: Dma) -> None:
        if self.pour(dma):
            self._good()
        else:
            self.wait_for_dma("_run_reply_dma")

    def _send(self, data: bytes | bytearray, after: str) -> None:
        """Offer data in pieces of the byte count limit (SFF-8020i 5.6), then go on with the method *after*."""
        state = self.state
        piece = data[: self._piece(len(data))]
        state.rest, state.after_rest = bytes(data[len(piece) :]), after
        self._announce(len(piece), Interrupt.TO_HOST)
        self.offer(piece.ljust(len(piece) + len(piece) % 2, b"\0"), "_send_rest" if state.rest else after)

    def _send_rest(self) -> None:
        self._send(self.state.rest, self.state.after_rest)

    def _piece(self, size: int) -> int:
        """How much of *size* bytes the host takes at once: an odd limit counts for the last piece only."""
        limit = self.state.byte_limit or BIG
        return size if size <= min(limit, BIG) else max(limit & ~1, 2)

    def _announce(self, size: int, reason: int) -> None:
        """Interrupt reason and byte count of the piece that comes (SFF-8020i 5.6, 5.7)."""
        state = self.state
        state.lba_mid, state.lba_high, state.count = size & 0xFF, size >> 8, reason

    # -- reading --

    def _read_10(self, packet: bytes) -> None:
        self._read(*mmc.extent_10(packet))

    def _read_12(self, packet: bytes) -> None:
        self._read(*mmc.extent_12(packet))

    def _read(self, block: int, count: int, *, raw: bool = False) -> None:
        """READ(10), READ(12) (MMC-3 5.14), READ CD."""
        if not self._check_range(block, count):
            return
        state = self.state
        state.lba, state.left, state.raw = block, count, raw
        if not count:
            self._good()
        elif state.features & DMA_FEATURE:
            self.begin_dma("_run_read_dma")
        else:
            self._read_next()

    def _check_range(self, block: int, count: int) -> bool:
        if not self._ready:
            self._check(Sense.NO_MEDIUM)
            return False
        if block + count > self.blocks:
            self._check(Sense.OUT_OF_RANGE)
            return False
        return True

    def _blocks(self, count: int) -> bytearray | None:
        """Read the next *count* blocks, or answer with an error."""
        state = self.state
        if self._disc is None or not self._ready:
            self._check(Sense.NO_MEDIUM)
            return None
        data = bytearray(count * CD_BLOCK)
        try:
            self._disc.read(state.lba * CD_BLOCK, memoryview(data))
        except BackendError as error:
            self.log.warning("read error", reason=str(error))
            self._check(Sense.READ_ERROR)
            return None
        if state.raw:
            data = mmc.raw_sectors(data, state.lba)
        state.lba += count
        state.left -= count
        return data

    def _read_next(self) -> None:
        state = self.state
        size = mmc.RAW if state.raw else CD_BLOCK
        fit = max(1, (state.byte_limit or BIG) // size)
        data = self._blocks(min(state.left, fit, CHUNK))
        if data is not None:
            self._send(data, "_read_next" if state.left else "_good")

    def _run_read_dma(self, dma: Dma) -> None:
        state = self.state
        while self.pour(dma):
            if not state.left:
                self._good()
                return
            data = self._blocks(min(CHUNK, state.left))
            if data is None:
                return
            state.buffer, state.position = data, 0
        self.wait_for_dma("_run_read_dma")

    def _read_cd(self, packet: bytes) -> None:
        """READ CD (MMC-3 5.19): user data, or whole sectors made up around it (mode 1)."""
        block, count = mmc.extent_cd(packet)
        wanted = packet[Packet.CD_FIELDS] & WHOLE_SECTOR
        if not wanted:
            self._read(block, 0)
        elif wanted in (USER_DATA, WHOLE_SECTOR):
            self._read(block, count, raw=wanted == WHOLE_SECTOR)
        else:
            self._check(Sense.BAD_FIELD)

    # -- information --

    def _test_unit_ready(self, _packet: bytes) -> None:
        if self._ready:
            self._good()
        else:
            self._check(Sense.NO_MEDIUM)

    def _request_sense(self, packet: bytes) -> None:
        """REQUEST SENSE (SPC-2 7.20); a unit attention is told here too."""
        state = self.state
        if state.attention:
            state.attention = False
            state.sense = Sense.MEDIUM_CHANGED
        self._reply(mmc.sense(*state.sense), packet[Packet.SHORT_ALLOCATION])

    def _inquiry(self, packet: bytes) -> None:
        self._reply(mmc.inquiry(self._model), packet[Packet.SHORT_ALLOCATION])

    def _capacity(self, _packet: bytes) -> None:
        if self._has_disc():
            self._reply(mmc.capacity(self.blocks), BIG)

    def _has_disc(self) -> bool:
        """Whether a disc can be read; if not, the command is over."""
        if not self._ready:
            self._check(Sense.NO_MEDIUM)
        return self._ready

    def _reply_or_refuse(self, data: bytes | None, limit: int) -> None:
        if data is None:
            self._check(Sense.BAD_FIELD)
        else:
            self._reply(data, limit)

    def _toc(self, packet: bytes) -> None:
        if self._has_disc():
            place = mmc.msf if packet[1] & MSF_BIT else mmc.lba
            data = mmc.toc(mmc.toc_format(packet), packet[Packet.TOC_START], self.blocks, place)
            self._reply_or_refuse(data, mmc.allocation(packet))

    def _subchannel(self, packet: bytes) -> None:
        self._reply(mmc.subchannel(), mmc.allocation(packet))

    def _configuration(self, packet: bytes) -> None:
        self._reply(mmc.configuration(ready=self._ready), mmc.allocation(packet))

    def _event(self, packet: bytes) -> None:
        """GET EVENT STATUS NOTIFICATION (MMC-3 5.7), polled: the media class only."""
        state = self.state
        if not packet[1] & POLLED:
            self._check(Sense.BAD_FIELD)
        elif not packet[Packet.EVENT_CLASSES] & mmc.MEDIA_CLASS_BIT:
            self._reply(mmc.no_event(), mmc.allocation(packet))
        else:
            happened, state.event = state.event, 0
            data = mmc.media_event(happened, tray_open=state.tray_open, present=self._disc is not None)
            self._reply(data, mmc.allocation(packet))

    def _disc_info(self, packet: bytes) -> None:
        if self._has_disc():
            self._reply(mmc.disc_info(), mmc.allocation(packet))

    def _track_info(self, packet: bytes) -> None:
        if self._has_disc():
            self._reply(mmc.track_info(self.blocks), mmc.allocation(packet))

    def _mode_sense(self, packet: bytes) -> None:
        data = mmc.mode_sense(packet[Packet.MODE_PAGE] & mmc.PAGE_ALL, ready=self._ready)
        self._reply_or_refuse(data, mmc.allocation(packet))

    def _mode_select(self, packet: bytes) -> None:
        """MODE SELECT(10): taken and ignored."""
        state = self.state
        state.left = mmc.allocation(packet)
        if state.left and state.features & DMA_FEATURE:
            self.begin_dma("_run_take_dma", bytes(state.left))
        else:
            self._take_next()

    def _take_next(self) -> None:
        """Ask for the next piece of what the host has to send."""
        state = self.state
        size = self._piece(state.left)
        if not size:
            self._good()
            return
        state.left -= size
        self._announce(size, 0)
        self.ask(size + size % 2, "_take_next", interrupt=True)

    def _run_take_dma(self, dma: Dma) -> None:
        if self.fill(dma):
            self._good()
        else:
            self.wait_for_dma("_run_take_dma")

    def _mechanism(self, packet: bytes) -> None:
        self._reply(mmc.mechanism(), mmc.mechanism_allocation(packet))

    def _start_stop(self, packet: bytes) -> None:
        """START STOP UNIT (MMC-3 5.42): eject and load."""
        action, state = packet[Packet.ACTION] & LOAD_EJECT, self.state
        if action == EJECT:
            if state.locked:
                self._check(Sense.LOCKED)
                return
            if not state.tray_open:
                state.tray_open, state.attention, state.event = True, False, MEDIA_REMOVAL
        elif action == LOAD and state.tray_open:
            there = self._disc is not None
            state.tray_open, state.attention, state.event = False, there, NEW_MEDIA if there else 0
        elif action == START and not self._ready:
            self._check(Sense.NO_MEDIUM)
            return
        self._good()

    def _prevent(self, packet: bytes) -> None:
        self.state.locked = bool(packet[Packet.ACTION] & 1)
        self._good()

    def _seek(self, packet: bytes) -> None:
        if self._check_range(mmc.extent_10(packet)[0], 1):
            self._good()

    def _ok(self, _packet: bytes) -> None:
        self._good()


PACKETS: Final[dict[int, Callable[[CdRom, bytes], None]]] = {
    Packet.TEST_UNIT_READY: CdRom._test_unit_ready,  # noqa: SLF001 - the class's own table
    Packet.REQUEST_SENSE: CdRom._request_sense,  # noqa: SLF001
    Packet.INQUIRY: CdRom._inquiry,  # noqa: SLF001
    Packet.START_STOP: CdRom._start_stop,  # noqa: SLF001
    Packet.PREVENT_REMOVAL: CdRom._prevent,  # noqa: SLF001
    Packet.READ_CAPACITY: CdRom._capacity,  # noqa: SLF001
    Packet.READ_10: CdRom._read_10,  # noqa: SLF001
    Packet.SEEK: CdRom._seek,  # noqa: SLF001
    Packet.READ_SUBCHANNEL: CdRom._subchannel,  # noqa: SLF001
    Packet.READ_TOC: CdRom._toc,  # noqa: SLF001
    Packet.GET_CONFIGURATION: CdRom._configuration,  # noqa: SLF001
    Packet.GET_EVENT: CdRom._event,  # noqa: SLF001
    Packet.READ_DISC_INFO: CdRom._disc_info,  # noqa: SLF001
    Packet.READ_TRACK_INFO: CdRom._track_info,  # noqa: SLF001
    Packet.MODE_SELECT_10: CdRom._mode_select,  # noqa: SLF001
    Packet.MODE_SENSE_10: CdRom._mode_sense,  # noqa: SLF001
    Packet.READ_12: CdRom._read_12,  # noqa: SLF001
    Packet.SET_SPEED: CdRom._ok,  # noqa: SLF001
    Packet.MECHANISM_STATUS: CdRom._mechanism,  # noqa: SLF001
    Packet.READ_CD: CdRom._read_cd,  # noqa: SLF001
}
