"""Machine: assembles devices, engine, clock and host ends from a machine file, and runs them."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from vpcore import config as configs
from vpcore.api import KeyboardView, ScreenView, SerialView
from vpcore.blame import device_error, fault, refusal
from vpcore.board import Board, BuiltCallback, MachineInfo, Parts
from vpcore.bus import Bus
from vpcore.clock import NS_PER_SECOND, Clock
from vpcore.config import MachineConfig
from vpcore.device import Device
from vpcore.engine import Engine, EngineConfig, Exit
from vpcore.errors import (
    BackendError,
    DeviceError,
    DiskFullError,
    EngineError,
    GuestTimeoutError,
    PluginError,
    VpcoreError,
)
from vpcore.host.backends import HostBackends
from vpcore.host.loop import HostLoop
from vpcore.memory import Memory
from vpcore.plugins import device_types, load_file_type, make_plugin_manager
from vpcore.wires import InterruptController, Keyboard, Power, Processor, Screen

log = logging.getLogger("vpcore.machine")

SLICE_NS: Final = 10_000_000
"""Longest run of guest code between two looks whether the host's side has something."""
REST_NS: Final = NS_PER_SECOND
"""The longest in which Python runs nothing: each turn of its costs what it finds cold, and makes cold what the guest uses."""
FULL_RETRY_S: Final = 1.0
FPU_IRQ: Final = 13


class Machine:
    """One PC: `run()` executes it on the calling thread until it is off, stopped, or a condition holds."""

    def __init__(self, config: MachineConfig) -> None:
        self.config = config
        self.devices: dict[str, Device[Any]] = {}
        self.is_off = self._closed = False
        self._stopping = False
        self._reset_wanted = self._cpu_reset_wanted = False
        table = config.machine
        self.bus = Bus()
        try:
            self.engine = Engine(EngineConfig.of(table), self.bus, self._no_controller, self._fpu_error)
        except EngineError as error:
            raise EngineError(f"{config.path}: [machine]: {error}") from error
        if self.engine.lacks:
            log.warning("engine %s: %s", self.engine.name, self.engine.lacks)
        self._counts = table.clock == "icount"
        self.loop = HostLoop()
        self.backends = HostBackends(self.loop, config.path.parent, leave=self.stop, stall=self._wait_for_space)
        self.set_intr = self.engine.set_intr
        self.clock = Clock(self.engine.now, self.engine.sooner)
        self._rest = REST_NS
        self.parts = Parts(
            bus=self.bus,
            clock=self.clock,
            memory=Memory(self.engine.ram, self.engine),
            backends=self.backends,
            info=MachineInfo(table.name, table.boot, time.time_ns()),
            native=lambda: self.engine.ends,
        )
        self.bus.ports.native_kind = self.engine.ends.ports_kind
        self._ferr = self.parts.lines[FPU_IRQ].input("fpu")
        self.board = Board(self.parts, "machine")
        self.board.provide(Processor, self)  # type: ignore[type-abstract]
        self.board.provide(Power, self)  # type: ignore[type-abstract]
        try:
            self._build()
        except BaseException:
            self.close()
            raise

    @classmethod
    def load(cls, path: str | Path, *, set: dict[str, Any] | None = None, **flags: Any) -> Self:  # noqa: A002 - as the flag
        """Make a machine from a file; keywords are the command line's flags (memory, cdrom, hda, boot, ...)."""
        overrides = configs.flag_overrides(Path(path), flags)
        overrides.update(set or {})
        return cls(configs.load(Path(path), overrides))

    def _build(self) -> None:
        registered = device_types(make_plugin_manager())
        for table in self.config.devices:
            entry = registered.get(table.type)
            if entry is None and ":" in table.type:
                entry = load_file_type(table.type, table.source.parent)
            if entry is None:
                raise configs.unknown_type(table, registered)
            options = configs.device_config(table, entry.type.config)
            try:
                self.devices[table.name] = entry.type.build(options, self.board.named(table.name))
            except VpcoreError as error:
                raise type(error)(f"{table.source}: device {table.name!r}: {error}") from error
            except OSError as error:
                raise BackendError(f"{table.source}: device {table.name!r}: {refusal(error)}") from error
            except Exception as error:
                raise PluginError(f"{table.source}: device {table.name!r}: {fault(error)}") from error
        for callback in self.board.services(BuiltCallback):
            try:
                callback.call()
            except VpcoreError as error:
                raise type(error)(f"{self.config.path}: {error}") from error
        controllers = self.board.services(InterruptController)  # type: ignore[type-abstract]
        if controllers:
            self.engine.connect(controllers[0].acknowledge)

    # -- running --

    def run(
        self,
        until: Callable[[], bool] | None = None,
        timeout: float | None = None,
        *,
        rarely: bool = False,
    ) -> bool:
        """Run the guest until it is off or `stop()` is called, or *until()* holds (looked at every 10 ms or so).

        With *rarely* a halted guest makes it a second or so: what *until* waits for wakes the machine (`stop`, the host loop).

        Returns True where *until()* held or, without it, the guest turned itself off.  *timeout* is in host seconds;
        `GuestTimeoutError` when it passes, `DeviceError` where a device fails.
        """
        end = None if timeout is None else time.monotonic() + timeout
        self._stopping = False
        self._rest = REST_NS if timeout is None and (until is None or rarely) else SLICE_NS
        self.backends.begin()
        self.engine.pause(False)
        try:
            while not (self.is_off or self._stopping):
                if until is not None and until():
                    return True
                if end is not None and time.monotonic() > end:
                    raise GuestTimeoutError(f"machine {self.config.machine.name!r}: nothing within {timeout} s")
                self._guarded_slice()
        finally:
            self.engine.pause(True)
        return self.is_off if until is None else until()

    def stop(self) -> None:
        """Make `run` return soon; from any thread or signal handler."""
        self._stopping = True
        self.engine.stop()
        self.loop.wake()

    def _guarded_slice(self) -> None:
        try:
            self._slice()
        except VpcoreError:
            raise
        except Exception as error:
            port = self.engine.port_of(error)
            raise device_error(error, self.devices, self.bus.ports.owners, port) from error

    def _slice(self) -> None:
        """Run what is due, then guest code until something else is, or the host wants to be served."""
        self.clock.run_due()
        if self._reset_wanted or self._cpu_reset_wanted:
            self._do_reset()
        reason = self._count() if self._counts else self.engine.live(self.loop.fd, self._within(self._rest), SLICE_NS)
        if reason is Exit.SHUTDOWN:
            log.info("triple fault: the machine resets")
            self._reset_wanted = True
        self.loop.poll()

    def _within(self, most: int) -> int:
        """When the first timer is due, in *most* ns at the latest."""
        limit = self.engine.now() + most
        earliest = self.clock.next_deadline
        return limit if earliest is None or earliest > limit else earliest

    def _count(self) -> Exit:
        """Guest code up to the next deadline under a clock that counts; where the guest halts, time jumps there."""
        self.engine.set_deadline(self._within(SLICE_NS))
        reason = self.engine.run()
        if reason is Exit.HALT and not (self.is_off or self._stopping or self._reset_wanted or self._cpu_reset_wanted):
            due = [time for time in (self.clock.next_deadline, self.engine.next_alarm) if time is not None]
            if due:
                self.engine.set_now(max(min(due), self.engine.now()))
            else:
                self.loop.wait(SLICE_NS / NS_PER_SECOND)
        return reason

    def _no_controller(self) -> int:
        raise PluginError(f"{self.config.path}: an interrupt, but no device is an interrupt controller: add one")

    def _fpu_error(self, level: bool) -> None:
        """FERR# goes to IRQ 13, as on every AT."""
        self._ferr.set(bool(level))

    def _wait_for_space(self, error: DiskFullError) -> None:
        """The host's disk is full: stand still until there is space, or give up when asked to stop."""
        log.warning("%s", error)
        self.engine.pause(True)
        try:
            self.loop.wait(FULL_RETRY_S)
        finally:
            self.engine.pause(False)
        if self._stopping:
            raise error

    def trace(self, name: str) -> None:
        """Log each guest access of the device *name*."""
        self.config.device(name)
        self.bus.trace(name)

    # -- Power and Processor (vpcore.wires) --

    def nmi(self) -> None:
        """Give an edge on NMI."""
        self.engine.nmi()

    def set_ignne(self, level: bool) -> None:
        """Drive IGNNE#."""
        self.engine.set_ignne(level)

    def set_a20(self, open_: bool) -> None:
        """Open or close the A20 gate."""
        self.engine.set_a20(open_)

    def reset_cpu(self) -> None:
        """Start the processor over, at the next instruction boundary."""
        self._cpu_reset_wanted = True
        self.engine.stop()

    def reset(self) -> None:
        """Reset everything, at the next instruction boundary."""
        self._reset_wanted = True
        self.engine.stop()

    def off(self) -> None:
        """Turn the power off."""
        self.is_off = True
        self.engine.stop()

    def _do_reset(self) -> None:
        if self._reset_wanted:
            for device in self.devices.values():
                device.reset()
        self._reset_wanted = self._cpu_reset_wanted = False
        self.engine.reset()

    # -- what a test or a user talks to --

    @property
    def serial(self) -> list[SerialView]:
        """Serial ports with a `buffer` backend, in the order of the machine file."""
        return [SerialView(self, buffer) for buffer in self.backends.buffers.values()]

    @property
    def screen(self) -> ScreenView:
        """The first display adapter's screen."""
        return ScreenView(self, self.board.service(Screen))  # type: ignore[type-abstract]

    @property
    def keyboard(self) -> KeyboardView:
        """The first keyboard."""
        return KeyboardView(self.board.service(Keyboard))  # type: ignore[type-abstract]

    def close(self) -> None:
        """Flush and close everything on the host; once is enough."""
        if self._closed:
            return
        self._closed = True
        with contextlib.ExitStack() as stack:  # each is closed, whatever the others raise
            for close in (self.engine.close, self.loop.close, self.backends.close):
                stack.callback(close)
            for device in reversed(self.devices.values()):
                stack.callback(device.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


__all__ = ["DeviceError", "Machine"]
