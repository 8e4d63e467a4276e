"""The power management function of PIIX4: ACPI registers and timer, power-off, APM ports, SMBus."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from vpcore.board import Board
from vpcore.bus import Mapping as BusMapping
from vpcore.clock import Clock
from vpcore.device import DeviceType
from vpcore.errors import ConfigError
from vpcore.irq import Line, LineInput
from vpcore.log import DeviceLog
from vpcore.pci import PciFunction
from vpcore.ports import PortMap
from vpcore.wires import Power, PowerButton

from . import regs_piix4pm as regs
from .pcidevice import PciDevice
from .regs_piix4pm import Apm, Base, Devres, Gpe, Hotplug, Pm, Pmcntrl, Pmsts, Pmtmr, Reg, Smbhstcfg
from .smbus import SmbusHost, SmbusState

RTC_LINE: Final = 8


@attrs.define
class Piix4PmState:
    """Configuration space, the ACPI registers and the SMBus controller."""

    config: bytes = b""
    status: int = 0
    enable: int = 0
    control: int = 0
    overflows: int = 0
    """Changes of the timer's bit 23 that TMROF has shown."""
    gp_status: int = 0
    gp_enable: int = 0
    gpe: bytearray = attrs.field(factory=lambda: bytearray(Gpe.SIZE))
    apmc: int = 0
    apms: int = 0
    smbus: SmbusState = attrs.field(factory=SmbusState)


class Piix4Pm(PciDevice[Piix4PmState]):
    """The function, 00:01.3; it is also the machine's power button (`wires.PowerButton`)."""

    ports = PortMap(size=Pm.SIZE)
    apm_ports = PortMap(size=2)
    gpe_ports = PortMap(size=Gpe.SIZE)
    hotplug_ports = PortMap(size=Hotplug.SIZE)

    def __init__(
        self,
        *,
        fn: PciFunction,
        sci: LineInput,
        clock: Clock,
        log: DeviceLog,
        off: Callable[[], None],
        present: Callable[[int], bool],
    ) -> None:
        self._sci = sci
        self._clock = clock
        self._log = log
        self._off = off
        self._present = present
        self._timer = clock.timer(self._overflowed)
        self._pm_mapping: BusMapping | None = None
        self._smbus_mapping: BusMapping | None = None
        self.smbus = SmbusHost(self.drive_sci)
        self.plug(fn)
        self.load(Piix4PmState())

    def attach(self, pm: BusMapping, smbus: BusMapping) -> None:
        """Take the mappings that follow the base addresses."""
        self._pm_mapping, self._smbus_mapping = pm, smbus
        self.drive()

    def watch_rtc(self, line: Line) -> None:
        """Note alarms of the real-time clock."""
        line.listen(self._rtc_changed)

    def press(self) -> None:
        """Press the power button."""
        self.state.status |= Pmsts.PWRBTN
        self.drive_sci()

    # -- PciDevice --

    def defaults(self) -> Mapping[int, bytes]:
        """Registers after reset, with notes for the DSDT about the ports that are there."""
        parallel = Devres.PARALLEL if self._present(Devres.PARALLEL_PORT) else 0
        serial1 = Devres.SERIAL1 if self._present(Devres.SERIAL1_PORT) else 0
        serial2 = Devres.SERIAL2 if self._present(Devres.SERIAL2_PORT) else 0
        notes = {Reg.DEVRES_PARALLEL: bytes([parallel]), Reg.DEVRES_SERIAL: bytes([serial1 | serial2])}
        return regs.DEFAULTS | notes

    def writable(self) -> Mapping[int, bytes]:
        """Bits that the guest may write."""
        return regs.WRITABLE

    def load(self, state: Piix4PmState) -> None:
        """Become *state*; the SMBus controller has a part of it."""
        self.smbus.state = state.smbus
        super().load(state)

    def drive(self) -> None:
        """Decode where the base addresses say, and drive the interrupt."""
        fn = self.fn
        decoding = fn.get(Reg.PMREGMISC) & regs.PMIOSE
        self._move(self._pm_mapping, fn.get(Reg.PMBA, 2) & Base.PM_MASK if decoding else 0)
        decoding = fn.get(Reg.SMBHSTCFG) & Smbhstcfg.ENABLE
        self._move(self._smbus_mapping, fn.get(Reg.SMBBA, 2) & Base.SMBUS_MASK if decoding else 0)
        self.drive_sci()

    def drive_sci(self) -> None:
        """SCI is high while an enabled event is pending and SCI_EN set; the timer waits for an enabled overflow."""
        s = self.state
        gpe = s.gpe[0] & s.gpe[2] | s.gpe[1] & s.gpe[3]
        events = s.status & s.enable | s.gp_status & s.gp_enable | gpe
        smbus = self.smbus.interrupt and self.fn.get(Reg.SMBHSTCFG) & Smbhstcfg.INTERRUPT == Smbhstcfg.IRQ9
        self._sci.set(bool(events and s.control & Pmcntrl.SCI_EN) or smbus)
        waiting = s.enable & Pmsts.TMROF and not s.status & Pmsts.TMROF
        self._timer.at(self._overflow_at() if waiting else None)

    def _move(self, mapping: BusMapping | None, base: int) -> None:
        if mapping is None:
            return
        try:
            mapping.move(base or None)
        except ConfigError as error:
            self._log.warn_once(base, "registers not mapped", reason=str(error))

    def _rtc_changed(self, level: bool) -> None:
        """An interrupt of the clock sets RTC_STS (7.2.1)."""
        if level:
            self.state.status |= Pmsts.RTC
            self.drive_sci()

    # -- timer --

    def _ticks(self) -> int:
        return self._clock.now * Pmtmr.TICKS // Pmtmr.PER_NS

    def _overflow_at(self) -> int:
        tick = (self.state.overflows + 1) << Pmtmr.OVERFLOW_SHIFT
        return -(-tick * Pmtmr.PER_NS // Pmtmr.TICKS)

    def _overflowed(self) -> None:
        self._settle()
        self.drive_sci()

    def _settle(self) -> None:
        """Set TMROF if bit 23 has changed since the last look."""
        s = self.state
        overflows = self._ticks() >> Pmtmr.OVERFLOW_SHIFT
        if overflows != s.overflows:
            s.overflows = overflows
            s.status |= Pmsts.TMROF

    @ports.read(Pm.PMTMR, width=4)
    def _read_timer(self) -> int:
        return self._clock.now * Pmtmr.TICKS // Pmtmr.PER_NS & Pmtmr.MASK

    # -- ACPI registers --

    @ports.read(Pm.PMSTS, width=2)
    def _read_status(self) -> int:
        self._settle()
        return self.state.status

    @ports.write(Pm.PMSTS, width=2)
    def _write_status(self, value: int) -> None:
        self._settle()
        self.state.status &= ~(value & Pmsts.STATUS)
        self.drive_sci()

    @ports.read(Pm.PMEN, width=2)
    def _read_enable(self) -> int:
        return self.state.enable

    @ports.write(Pm.PMEN, width=2)
    def _write_enable(self, value: int) -> None:
        self._settle()
        self.state.enable = value & Pmsts.ENABLE
        self.drive_sci()

    @ports.read(Pm.PMCNTRL, width=2)
    def _read_control(self) -> int:
        return self.state.control

    @ports.write(Pm.PMCNTRL, width=2)
    def _write_control(self, value: int) -> None:
        self.state.control = value & Pmcntrl.WRITABLE
        if value & Pmcntrl.SUS_EN:
            self._suspend(value >> Pmcntrl.SUS_TYP_SHIFT & Pmcntrl.SUS_TYP)
        self.drive_sci()

    def _suspend(self, kind: int) -> None:
        """Soft off turns the machine off; from other sleeps it wakes at once, as a machine with an event pending."""
        if kind == Pmcntrl.SOFT_OFF:
            self._off()
        else:
            self._log.warn_once(("suspend", kind), "sleep state not modelled, waking at once", type=kind)
            self.state.status |= Pmsts.RSM

    @ports.read(Pm.GPSTS, width=2)
    def _read_gp_status(self) -> int:
        return self.state.gp_status

    @ports.write(Pm.GPSTS, width=2)
    def _write_gp_status(self, value: int) -> None:
        self.state.gp_status &= ~value
        self.drive_sci()

    @ports.read(Pm.GPEN, width=2)
    def _read_gp_enable(self) -> int:
        return self.state.gp_enable

    @ports.write(Pm.GPEN, width=2)
    def _write_gp_enable(self, value: int) -> None:
        self.state.gp_enable = value
        self.drive_sci()

    # -- what SeaBIOS's tables expect --

    @gpe_ports.read(range(Gpe.SIZE))
    def _read_gpe(self, offset: int) -> int:
        return self.state.gpe[offset]

    @gpe_ports.write(range(Gpe.SIZE))
    def _write_gpe(self, offset: int, value: int) -> None:
        """Status bytes are cleared by ones; nothing sets them, as no slot can be plugged at run time."""
        gpe = self.state.gpe
        gpe[offset] = gpe[offset] & ~value if offset < Gpe.SIZE // 2 else value
        self.drive_sci()

    @hotplug_ports.read(range(0, Hotplug.SIZE, 4), width=4)
    def _read_hotplug(self, offset: int) -> int:  # noqa: ARG002 - no slot came, went or can be removed
        return 0

    @hotplug_ports.write(range(0, Hotplug.SIZE, 4), width=4)
    def _write_hotplug(self, offset: int, value: int) -> None:
        """Eject requests find no slot that can be removed."""

    # -- APM ports --

    @apm_ports.read(Apm.APMC)
    def _read_apmc(self) -> int:
        return self.state.apmc

    @apm_ports.write(Apm.APMC)
    def _write_apmc(self, value: int) -> None:
        """What SeaBIOS's SMI handler would do."""
        s = self.state
        s.apmc = value
        if value == Apm.ACPI_ENABLE:
            s.control |= Pmcntrl.SCI_EN
        elif value == Apm.ACPI_DISABLE:
            s.control &= ~Pmcntrl.SCI_EN
        self.drive_sci()

    @apm_ports.read(Apm.APMS)
    def _read_apms(self) -> int:
        return self.state.apms

    @apm_ports.write(Apm.APMS)
    def _write_apms(self, value: int) -> None:
        self.state.apms = value


@attrs.frozen
class Piix4PmConfig:
    """The PIIX4 power management function (00:01.3): ACPI, power-off, PM timer, SMBus, APM ports B2h and B3h."""

    name: str


def build(config: Piix4PmConfig, board: Board) -> Piix4Pm:  # noqa: ARG001 - nothing to configure
    """Wire the function to SCI, the power supply and the clock's interrupt."""
    pm = Piix4Pm(
        fn=board.pci(regs.SLOT, regs.FUNCTION, regs.IDENT),
        sci=board.line(regs.SCI_IRQ, shared=True),
        clock=board.clock,
        log=board.log,
        off=lambda: board.service(Power).off(),  # type: ignore[type-abstract]
        present=board.port_claimed,
    )
    pm.attach(board.map_ports(None, pm), board.map_ports(None, pm.smbus))
    board.map_ports(Apm.PORT, pm, pm.apm_ports)
    board.map_ports(Gpe.PORT, pm, pm.gpe_ports)
    board.map_ports(Hotplug.PORT, pm, pm.hotplug_ports)
    pm.watch_rtc(board.lines[RTC_LINE])
    board.provide(PowerButton, pm)  # type: ignore[type-abstract]
    board.when_built(pm.reset)
    return pm


TYPE: Final[DeviceType[Any]] = DeviceType("piix4pm", Piix4PmConfig, build)
