"""The Python face of the silicon oracle: batches of cases in, what the host processor made of them out."""

import mmap
import os
import subprocess
from collections.abc import Mapping
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np

from .build import OracleUnavailableError, program
from .layout import (
    CASE,
    CHANGE,
    CODE_MAX,
    CRASHED,
    DONE,
    FX_IN,
    FX_OUT,
    FX_SIZE,
    PATCH,
    PATCH_MAX,
    REFUSED,
    RESULT,
    SHARED,
    TIMEOUT,
    TRAP,
    WINDOW_BASE,
    WINDOW_SIZE,
)
from .segments import CS, SEGMENTS, Sel

Records = np.ndarray[Any, np.dtype[Any]]

REGISTERS = ("eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi")
SEGMENT_REGISTERS = ("es", "cs", "ss", "ds", "fs", "gs")
STACK_TOP = 0x8000
"""Offset in the window of a blank case's stack pointer: pushes and pops both find room."""

_ESP = REGISTERS.index("esp")
_EFLAGS_FIXED = 0x002  # SDM 1, figure 3-8
_STATUS_NAMES = {DONE: "done", TRAP: "trap", TIMEOUT: "timeout", REFUSED: "refused", CRASHED: "crashed"}


class Run(NamedTuple):
    """What a batch came to."""

    results: Records
    """One `RESULT` a case, in order."""
    changes: Records
    """`CHANGE` records of all cases; a result's `change_first` and `change_count` index it."""


class Outcome(NamedTuple):
    """One result, spelt out for tests written by hand."""

    status: str
    """done, trap, timeout, refused or crashed."""
    regs: dict[str, int]
    segs: dict[str, int]
    eflags: int
    eip: int
    """Relative to the first byte of the code."""
    signal: int
    trapno: int | None
    """The exception's vector if status is "trap"."""
    error: int
    cr2: int
    changes: dict[int, int]
    """Window offset -> new byte, of the bytes that changed."""
    fx: bytes
    """The FXSAVE image afterwards."""

    def bytes_at(self, offset: int, size: int) -> bytes:
        """The changed bytes of a piece of the window; KeyError if one did not change."""
        return bytes(self.changes[offset + i] for i in range(size))


def blank_cases(count: int, mode: int = 32) -> Records:
    """*count* cases of 16- or 32-bit code, empty but for selectors, stack pointer and EFLAGS bit 1."""
    if mode not in (16, 32):
        raise ValueError(f"mode must be 16 or 32 (got {mode})")
    cases = np.zeros(count, CASE)
    cases["eflags"] = _EFLAGS_FIXED
    cases["seg"][:] = Sel.DATA16 if mode == 16 else Sel.DATA32
    cases["seg"][:, CS] = Sel.CODE16 if mode == 16 else Sel.CODE32
    cases["gpr"][:, _ESP] = STACK_TOP if mode == 16 else WINDOW_BASE + STACK_TOP
    return cases


def set_code(case: Any, code: bytes) -> None:
    """Put *code* in one case (an element of an array of dtype `CASE`)."""
    if len(code) > CODE_MAX:
        raise ValueError(f"code must be at most {CODE_MAX} bytes (got {len(code)})")
    case["code_len"] = len(code)
    case["code"][: len(code)] = np.frombuffer(code, np.uint8)


def patches_of(window: Mapping[int, bytes]) -> Records:
    """Patches that write the given bytes at the given window offsets."""
    pieces = [
        (offset + i, len(data[i : i + PATCH_MAX]), np.frombuffer(data[i : i + PATCH_MAX].ljust(PATCH_MAX, b"\0"), "u1"))
        for offset, data in window.items()
        for i in range(0, len(data), PATCH_MAX)
    ]
    return np.array(pieces, PATCH)


class Oracle:
    """A child process that runs cases on the host processor; a context manager.

    Raises OracleUnavailableError on entry where the host cannot do it.
    """

    def __init__(self) -> None:
        self._fd = -1
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        path = str(program())
        self._fd = os.memfd_create("oracle-shared")
        try:
            os.ftruncate(self._fd, SHARED.itemsize)
            # np.frombuffer keeps the map alive; closing it is left to the reference count
            self._shared = np.frombuffer(mmap.mmap(self._fd, SHARED.itemsize), SHARED)[0]
            self._shared["segments"] = SEGMENTS
            self._command = [path, str(self._fd)]
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The process that runs the cases now (another one after a crash)."""
        assert self._process is not None, "the oracle is not open"
        return self._process.pid

    def close(self) -> None:
        """End the process and give back the shared memory; the oracle may be entered again."""
        self._stop()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def run(self, cases: Records, patches: Records | None = None, windows: Records | None = None) -> Run:
        """Run all *cases* (dtype `CASE`).

        *patches* (dtype `PATCH`) and *windows* (uint8, one row of `WINDOW_SIZE` bytes an image; one image of zeros if
        not given) are what the cases' `patch_first` and `window` index.
        """
        self._fill("patches", "patch_count", np.zeros(0, PATCH) if patches is None else patches)
        self._fill("windows", "window_count", np.zeros((1, WINDOW_SIZE), np.uint8) if windows is None else windows)
        results = np.zeros(len(cases), RESULT)
        changes: list[Records] = []
        total = 0
        for start in range(0, len(cases), len(self._shared["cases"])):
            chunk = cases[start : start + len(self._shared["cases"])]
            self._shared["cases"][: len(chunk)] = chunk
            for first, end, found in self._rounds(len(chunk)):
                block = results[start + first : start + end]
                block[:] = self._shared["results"][first:end]
                block["change_first"] += np.uint32(total)
                changes.append(found)
                total += len(found)
        return Run(results, np.concatenate(changes) if changes else np.zeros(0, CHANGE))

    def run_one(
        self,
        code: bytes,
        mode: int = 32,
        *,
        regs: Mapping[str, int] | None = None,
        segs: Mapping[str, int] | None = None,
        flags: int = 0,
        window: Mapping[int, bytes] | None = None,
        fx: bytes | None = None,
    ) -> Outcome:
        """Run one piece of code: registers and selectors by name, *window* bytes by offset, *fx* an FXSAVE image."""
        case = blank_cases(1, mode)
        set_code(case[0], code)
        case["eflags"] = flags
        case["options"] = FX_OUT if fx is None else FX_IN | FX_OUT
        for name, value in (regs or {}).items():
            case["gpr"][0, REGISTERS.index(name)] = value
        for name, value in (segs or {}).items():
            case["seg"][0, SEGMENT_REGISTERS.index(name)] = value
        if fx is not None:
            case["fx"][0] = np.frombuffer(fx.ljust(FX_SIZE, b"\0"), np.uint8)
        patches = patches_of(window or {})
        case["patch_count"] = len(patches)
        return _outcome(self.run(case, patches))

    def _fill(self, member: str, counter: str, records: Records) -> None:
        """Copy a pool into shared memory."""
        capacity = len(self._shared[member])
        if len(records) > capacity:
            raise ValueError(f"{member} must be at most {capacity} a run (got {len(records)})")
        self._shared[member][: len(records)] = records
        self._shared[counter] = len(records)

    def _rounds(self, count: int) -> Any:
        """Have the process do all *count* cases in shared memory; yields (first, end, changes) of each part done."""
        first = 0
        while first < count:
            self._shared["first"], self._shared["count"], self._shared["done"] = first, count, first
            alive = self._exchange()
            end = int(self._shared["done"])
            if not alive:
                self._mark_crashed(end)
                end += 1
            yield first, end, self._shared["changes"][: int(self._shared["change_used"])].copy()
            first = end

    def _mark_crashed(self, index: int) -> None:
        """Blame the death of the process on the case it was running, and start another one."""
        self._shared["results"][index] = np.zeros((), RESULT)
        self._shared["results"][index]["status"] = CRASHED
        self._stop()
        self._start()

    def _start(self) -> None:
        """Spawn the process and wait until it is ready."""
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            pass_fds=[self._fd],
            env={key: value for key, value in os.environ.items() if key != "LD_PRELOAD"},  # a sanitizer maps below 4 GB
            start_new_session=True,  # Ctrl-C is Python's
        )
        if not self._answered():
            _, reason = self._process.communicate()
            raise OracleUnavailableError(f"the oracle cannot run here: {reason.decode().strip()}")

    def _answered(self) -> bool:
        assert self._process is not None
        assert self._process.stdout is not None
        return self._process.stdout.read(1) != b""

    def _exchange(self) -> bool:
        """Let the process work through the cases; False if it died meanwhile."""
        assert self._process is not None, "the oracle is not open"
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(b"\0")
            return self._answered()
        except BrokenPipeError:
            return False
        except BaseException:  # Ctrl-C, a test's time limit: the late answer must not meet the next batch
            self._stop()
            self._start()
            raise

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()  # it has nothing to save, and may be in a long batch
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()


def _outcome(run: Run) -> Outcome:
    result = run.results[0]
    trapped = result["status"] == TRAP
    return Outcome(
        status=_STATUS_NAMES[int(result["status"])],
        regs=dict(zip(REGISTERS, result["gpr"].tolist(), strict=True)),
        segs=dict(zip(SEGMENT_REGISTERS, result["seg"].tolist(), strict=True)),
        eflags=int(result["eflags"]),
        eip=int(result["eip"]),
        signal=int(result["signal"]),
        trapno=int(result["trapno"]) if trapped else None,
        error=int(result["error"]),
        cr2=int(result["cr2"]),
        changes=dict(zip(run.changes["offset"].tolist(), run.changes["after"].tolist(), strict=True)),
        fx=result["fx"].tobytes(),
    )
