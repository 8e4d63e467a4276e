"""C parts of the CPU tests: compiled with the host's compiler when a source changed, loaded by cffi in ABI mode."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import cffi
import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CSRC = ROOT / "vpcore" / "engine" / "csrc"
CACHE = ROOT / "build" / "tests"
FLAGS = ("-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC")


def library(source: Path, cdef: str, depends: list[Path]) -> tuple[cffi.FFI, Any]:
    """The cffi handle and the library made of *source*; *depends* are the files that it includes."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler (install gcc)")
    ffi = cffi.FFI()
    ffi.cdef(cdef)
    content = b"".join(path.read_bytes() for path in [source, *sorted(depends)])
    path = CACHE / f"{source.stem}-{hashlib.sha256(repr(FLAGS).encode() + content).hexdigest()[:16]}.so"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{os.getpid()}")  # parallel test runs build side by side
        subprocess.run([compiler, *FLAGS, "-I", str(CSRC), str(source), "-o", str(fresh)], check=True)
        fresh.replace(path)
    return ffi, ffi.dlopen(str(path))
