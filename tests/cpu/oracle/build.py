"""Builds the oracle program with the host's C compiler, once for each version of its source."""

import hashlib
import os
import platform
import shutil
import subprocess
from pathlib import Path

from .layout import HEADER

_HERE = Path(__file__).parent
_UNITS = (_HERE / "oracle.c", _HERE / "enter.S")
_SOURCES = (*_UNITS, _HERE / "context.h", HEADER)
_FLAGS = (
    *("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror"),
    *("-fPIE", "-pie", "-Wl,-z,now"),  # all of it above 4 GB, out of the cases' reach; no lazy binding in a handler
    *("-fcf-protection=none", "-fno-stack-protector"),  # the stack protector reads thread-local storage
)
CACHE = _HERE.parents[2] / "build" / "oracle"


class OracleUnavailableError(Exception):
    """The host cannot run the oracle; the text says why."""


def program() -> Path:
    """The path of the up-to-date program, built now if need be."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise OracleUnavailableError("the oracle needs an x86-64 Linux host")
    digest = hashlib.sha256(repr(_FLAGS).encode() + b"".join(path.read_bytes() for path in _SOURCES)).hexdigest()
    path = CACHE / f"oracle-{digest[:16]}"
    if not path.exists():
        _compile(path)
    return path


def _compile(path: Path) -> None:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise OracleUnavailableError("the oracle needs a C compiler (install gcc)")
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}")  # parallel test runs build side by side
    subprocess.run([compiler, *_FLAGS, *map(str, _UNITS), "-o", str(fresh)], check=True)
    fresh.replace(path)
