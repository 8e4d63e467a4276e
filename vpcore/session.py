"""One `vpcore run`: from a machine file to a running machine and back to the shell, whatever ends it."""

from __future__ import annotations

import collections
import contextlib
import importlib.util
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from vpcore import config as configs
from vpcore.config import MachineConfig
from vpcore.errors import ConfigError, VpcoreError
from vpcore.log import TRACE
from vpcore.machine import Machine
from vpcore.wires import Screen

if TYPE_CHECKING:
    from vpcore.profile import Profile

LEVELS: Final = (logging.WARNING, logging.INFO, logging.DEBUG)
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE_S: Final = 5
"""Seconds that a machine has to stop when asked."""
MOST_HELD: Final = 1000
FORMAT: Final = "%(name)s: %(message)s"
STDIN, STDOUT, STDERR = 0, 1, 2


def start_logging(verbose: int, *, tracing: bool) -> None:
    """Messages go to standard error; *verbose* is how often -v was given."""
    level = LEVELS[min(verbose, len(LEVELS) - 1)]
    logging.basicConfig(level=TRACE if tracing else level, format=FORMAT, stream=sys.stderr)
    if tracing:
        logging.getLogger("vpcore").setLevel(level)


class Held(logging.Handler):
    """Keeps messages while the screen has the terminal, and prints the last ones at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter(FORMAT))
        self._show: Callable[[str], object] = bool
        self._others: list[logging.Handler] = []
        self._lines: collections.deque[str] = collections.deque(maxlen=MOST_HELD)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one message."""
        line = self.format(record)
        self._lines.append(line)
        self._show(line)

    def follow(self, show: Callable[[str], object]) -> None:
        """Have *show* called with the latest message, and with each that comes."""
        self._show = show
        if self._lines:
            show(self._lines[-1])

    def __enter__(self) -> Self:
        root = logging.getLogger()
        self._others = root.handlers[:]
        root.handlers[:] = [self]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        logging.getLogger().handlers[:] = self._others
        for line in self._lines:
            print(line, file=sys.stderr)  # noqa: T201


class Leaving:
    """Lets SIGINT, SIGTERM and SIGHUP stop the machine.

    One that does not stop within a few seconds (its serial port's reader is stuck, say) is left by force: its disks are
    flushed all the same.  Before the machine is there, a signal ends its making.
    """

    def __init__(self) -> None:
        self.wanted = self._closing = False
        self._stop: Callable[[], None] | None = None
        self._before: dict[int, Any] = {}

    def running(self, stop: Callable[[], None]) -> None:
        """The machine is there and is stopped by *stop*."""
        self._stop = stop

    def stopped(self) -> None:
        """The machine no longer runs: let it be closed in peace."""
        self._closing = True
        self._disarm()

    def __enter__(self) -> Self:
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
                self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._disarm()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if kind is KeyboardInterrupt:
            late = f"did not stop within {PATIENCE_S} s and was left by force" if self.wanted else "was not started"
            raise VpcoreError(f"interrupted: the machine {late}") from None

    def _take(self, _number: int, _frame: FrameType | None) -> None:
        if self._stop is None:
            raise KeyboardInterrupt
        if not (self.wanted or self._closing):
            self.wanted = True
            self._before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._force)
            signal.alarm(PATIENCE_S)
            self._stop()

    def _force(self, _number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    def _disarm(self) -> None:
        if signal.SIGALRM in self._before:
            signal.alarm(0)


def run(path: Path, overrides: dict[str, Any], display: str | None, trace: tuple[str, ...]) -> None:
    """Run a machine file until the guest is off or the user leaves."""
    with Leaving() as leaving, contextlib.ExitStack() as stack:
        config = configs.load(path, overrides)
        shown = choose_display(config, display, terminal=os.isatty(STDIN) and os.isatty(STDOUT))
        held = stack.enter_context(Held()) if shown == "terminal" and os.isatty(STDERR) else None
        vm = stack.enter_context(Machine(config))
        if shown == "terminal" and display is None and not vm.board.services(Screen):  # type: ignore[type-abstract]
            stack.close()  # nothing to show: begin again without
            run(path, overrides, "none", trace)
            return
        for name in trace:
            vm.trace(name)
        leaving.running(vm.stop)
        try:
            if shown == "terminal":
                _show(vm, held, lambda: leaving.wanted)
            else:
                vm.run(lambda: leaving.wanted, rarely=True)
        finally:
            leaving.stopped()


def profile(path: Path, overrides: dict[str, Any], seconds: float | None) -> Profile:
    """Run a machine file without its screen, for *seconds* at most, and tell where the time went."""
    from vpcore.profile import Profiler  # noqa: PLC0415 - only where wanted

    with Leaving() as leaving:
        config = configs.load(path, overrides)
        choose_display(config, "none", terminal=False)
        with Machine(config) as vm, Profiler(vm) as profiler:
            leaving.running(vm.stop)
            end = None if seconds is None else time.monotonic() + seconds
            try:
                vm.run(lambda: leaving.wanted or (end is not None and time.monotonic() >= end))
            finally:
                leaving.stopped()
    assert profiler.result is not None
    return profiler.result


def _show(vm: Machine, held: Held | None, until: Callable[[], bool]) -> None:
    from vpcore.display.terminal import TerminalDisplay  # noqa: PLC0415 - an extra, only where wanted

    display = TerminalDisplay(vm)
    if held is not None:
        held.follow(display.say)
    display.run(until)


def choose_display(config: MachineConfig, wanted: str | None, *, terminal: bool) -> str:
    """Where the screen goes: to the terminal, if there is one and no serial port has it.

    Without a screen, the first serial port is put on standard input and output, if the machine file and the flags leave
    it open.
    """
    on_stdio = next((device.name for device in config.devices if "stdio" in device.keys.values()), None)
    if wanted == "terminal" and not terminal:
        raise ConfigError("--display terminal needs a terminal as standard input and output: use --display none")
    if wanted == "terminal" and on_stdio is not None:
        raise ConfigError(
            f"the terminal cannot show both the screen and device {on_stdio!r}: use --display none, or --serial pty"
        )
    able = importlib.util.find_spec("blessed") is not None
    if wanted == "terminal" and not able:
        raise ConfigError("--display terminal needs blessed: pip install 'vpcore[terminal]', or use --display none")
    if wanted == "none" or not terminal or not able or on_stdio is not None:
        if on_stdio is None:
            _serial_on_stdio(config)
        return "none"
    return "terminal"


def _serial_on_stdio(config: MachineConfig) -> None:
    name, _, key = config.media.get("serial", "").partition(".")
    for device in config.devices:
        if device.name == name:
            device.keys.setdefault(key, "stdio")
