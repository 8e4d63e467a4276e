"""C parts by cffi: the engine's and those of device models in C (docs/native.md), by setuptools or in place.

Imports nothing of vpcore, so that a build recipe can use it before anything is built.  `declarations` reads headers as
cffi's cdef; `extension` is the recipe that setuptools takes, `build` makes the same module in its own folder and compiles
only what changed.  VPCORE_SANITIZE=1 makes modules under AddressSanitizer and UBSan, whose names end in `_san`.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import re
import shlex
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cffi

SANITIZE = os.environ.get("VPCORE_SANITIZE") == "1"
FLAGS = ["-std=gnu11", "-O2", "-g", "-fno-plt", "-fno-strict-aliasing", "-fvisibility=hidden", "-pthread"]
WARNINGS = ["-Wall", "-Wextra", "-Werror"]
SAN_FLAGS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer"]
if SANITIZE:
    FLAGS += SAN_FLAGS
MACRO = ("_CFFI_NO_LIMITED_API", None)
"""The engine's glue uses more of CPython's interface than its stable part."""
LINK_FLAGS = ["-shared", "-pthread", *(SAN_FLAGS if SANITIZE else [])]
INCLUDE = Path(__file__).resolve().parent / "engine" / "csrc"
"""Where `native.h` is."""


def module_name(name: str) -> str:
    """The name of a module in the kind of build that is asked for."""
    return f"{name}_san" if SANITIZE else name


def declarations(*headers: Path) -> str:
    """Headers as cffi reads them: no preprocessor lines but `#define NAME number`."""
    kept = [
        line
        for header in headers
        for line in header.read_text().splitlines()
        if not line.startswith("#") or re.match(r"#define \w+ (0x)?[0-9a-fA-F]+\b", line)
    ]
    return "\n".join(re.sub(r"(#define \w+ \w+).*", r"\1", line) for line in kept)


def sources(csrc: Path) -> list[Path]:
    """Every C file below a folder."""
    return sorted(csrc.rglob("*.c"))


def extension(package: str, name: str, cdef: str, code: str, csrc: Path, root: Path) -> cffi.FFI:
    """The recipe of the module *name* of *package*: *code*, and all of *csrc*; paths go by *root*, as setuptools wants."""
    builder = cffi.FFI()
    builder.cdef(cdef)
    builder.set_source(
        f"{package}.{module_name(name)}",
        code,
        sources=[os.path.relpath(path, root) for path in sources(csrc)],
        include_dirs=[os.path.relpath(path, root) for path in (csrc, INCLUDE)],
        depends=[os.path.relpath(path, root) for path in csrc.rglob("*.h")],
        extra_compile_args=FLAGS,
        extra_link_args=LINK_FLAGS[1:],
        define_macros=[MACRO],
        py_limited_api=False,
    )
    return builder


# -- in place, incrementally --


def _is_current(source: Path, target: Path, listing: Path) -> bool:
    """Whether *target* is newer than every file in the compiler's dependency *listing*, made from this very *source*."""
    if not target.exists() or not listing.exists():
        return False
    built = target.stat().st_mtime
    names = listing.read_text().replace("\\\n", " ").split(":", 1)[1].split()
    if str(source) not in names:  # the folder was copied from another tree
        return False
    return all(os.path.exists(name) and os.path.getmtime(name) <= built for name in names)


def _compile(source: Path, target: Path, flags: list[str]) -> bool:
    """Make *target* from *source* unless it is current; whether it was made."""
    listing = target.with_suffix(".d")
    if _is_current(source, target, listing):
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    command = [*_compiler(), *flags, "-fPIC", "-MMD", "-MF", str(listing), "-c", str(source)]
    print("cc", os.path.relpath(source), flush=True)  # noqa: T201 - progress
    fresh = target.with_suffix(".new")
    subprocess.run([*command, "-o", str(fresh)], check=True)
    fresh.replace(target)
    return True


def _compiler() -> list[str]:
    return shlex.split(os.environ.get("CC", "cc"))


def build(ffi: cffi.FFI, name: str, csrc: Path, folder: Path, work: Path) -> Path:
    """Bring the module *name* in *folder* up to date, with object files below *work*; its path."""
    work = work / module_name(name)
    work.mkdir(parents=True, exist_ok=True)
    with (work / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _build_in(work, ffi, csrc, folder / f"{module_name(name)}{sysconfig.get_config_var('EXT_SUFFIX')}")


def _build_in(work: Path, ffi: cffi.FFI, csrc: Path, target: Path) -> Path:
    module = work / f"{work.name}.c"
    with contextlib.redirect_stdout(io.StringIO()):
        ffi.emit_c_code(str(module))  # leaves the file alone where nothing changed
    flags = [*FLAGS, "-I", str(csrc), "-I", str(INCLUDE)]
    jobs = [(path, work / path.relative_to(csrc).with_suffix(".o"), flags + WARNINGS) for path in sources(csrc)]
    jobs.append((module, work / "module.o", [*flags, f"-D{MACRO[0]}", "-I", sysconfig.get_path("include")]))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        made = list(pool.map(lambda job: _compile(*job), jobs))
    objects = [str(out) for _, out, _ in jobs]
    listing = work / "objects"
    if any(made) or not target.exists() or not listing.exists() or listing.read_text() != "\n".join(objects):
        fresh = target.with_suffix(".new")
        subprocess.run([*_compiler(), *LINK_FLAGS, *objects, "-lm", "-o", str(fresh)], check=True)
        fresh.replace(target)
        listing.write_text("\n".join(objects))
    return target


def run(ffi: cffi.FFI, name: str, csrc: Path, folder: Path, root: Path) -> None:
    """What a recipe does when it is run as a script: `build` below *root*/build, and print the path."""
    try:
        print(build(ffi, name, csrc, folder, root / "build" / folder.name))  # noqa: T201 - the result
    except subprocess.CalledProcessError as failure:
        sys.exit(f"build of C code failed: {shlex.join(failure.cmd)}")
