"""Build recipe of the C engine: cffi API mode over csrc/**/*.c, with csrc/vp.h itself as the cdef.

setup.py takes `ffi` from here.  Run as a script it builds in place and compiles only what changed:

    python vpcore/engine/build.py                       module _vp
    VPCORE_SANITIZE=1 python vpcore/engine/build.py     module _vp_san, under AddressSanitizer and UBSan
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

try:
    HERE = Path(__file__).resolve().parent
except NameError:  # setuptools executes the text of this file, in the directory of setup.py
    HERE = Path("vpcore/engine").resolve()
ROOT = HERE.parents[1]
CSRC = HERE / "csrc"

SANITIZE = os.environ.get("VPCORE_SANITIZE") == "1"
NAME = "_vp_san" if SANITIZE else "_vp"
FLAGS = ["-std=gnu11", "-O2", "-g", "-fno-plt", "-fno-strict-aliasing", "-fvisibility=hidden", "-pthread"]
WARNINGS = ["-Wall", "-Wextra", "-Werror"]
SAN_FLAGS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer"]
if SANITIZE:
    FLAGS += SAN_FLAGS
MACRO = ("_CFFI_NO_LIMITED_API", None)
"""glue.c uses more of CPython's interface than its stable part."""
LINK_FLAGS = ["-shared", "-pthread", *(SAN_FLAGS if SANITIZE else [])]

GLUE = HERE / "glue.c"
GLUE_CDEF = """
enum vp_py_call { VP_PY_IN, VP_PY_OUT, VP_PY_IN_BLOCK, VP_PY_OUT_BLOCK, VP_PY_MMIO_READ, VP_PY_MMIO_WRITE, VP_PY_INTA,
                  VP_PY_WARN, VP_PY_FERR, VP_PY_KEEP,
                  VP_PY_READS1, VP_PY_READS2, VP_PY_READS4, VP_PY_WRITES1, VP_PY_WRITES2, VP_PY_WRITES4, VP_PY_CALLS };
void vp_py_calls(vp_calls *calls);
int vp_py_run(vp_vm *vm, uint64_t max_insns);
int vp_sleep(vp_vm *vm, int fd, int64_t until, int64_t most);
"""


def cdef() -> str:
    """vp.h as cffi reads it: no preprocessor lines but `#define NAME number`."""
    kept = [
        line
        for line in (CSRC / "vp.h").read_text().splitlines()
        if not line.startswith("#") or re.match(r"#define \w+ (0x)?[0-9a-fA-F]+\b", line)
    ]
    return "\n".join(re.sub(r"(#define \w+ \w+).*", r"\1", line) for line in kept) + GLUE_CDEF


def _glue() -> str:
    """glue.c, with the enum that Python sees."""
    enum = GLUE_CDEF[: GLUE_CDEF.index(";") + 1]
    return f'{enum}\n#line 1 "{os.path.relpath(GLUE, ROOT)}"\n{GLUE.read_text()}'


def generate() -> None:
    """Write csrc/gen/ from the opcode table."""
    sys.path.insert(0, str(HERE))
    try:
        from isa import gen  # type: ignore[import-not-found]  # noqa: PLC0415 - vpcore.engine itself needs the build
    finally:
        sys.path.remove(str(HERE))
    gen.generate()


def sources() -> list[Path]:
    """Every C file of the engine."""
    return sorted(CSRC.rglob("*.c"))


def _make_ffi() -> cffi.FFI:
    builder = cffi.FFI()
    builder.cdef(cdef())
    builder.set_source(
        f"vpcore.engine.{NAME}",
        _glue(),
        sources=[os.path.relpath(path, ROOT) for path in sources()],
        include_dirs=[os.path.relpath(CSRC, ROOT)],
        depends=[os.path.relpath(path, ROOT) for path in CSRC.rglob("*.h")],
        extra_compile_args=FLAGS,
        extra_link_args=LINK_FLAGS[1:],
        define_macros=[MACRO],
        py_limited_api=False,
    )
    return builder


generate()
ffi = _make_ffi()


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
    command = [*_compiler(), *flags, "-fPIC", "-I", str(CSRC), "-MMD", "-MF", str(listing), "-c", str(source)]
    print("cc", os.path.relpath(source, ROOT), flush=True)  # noqa: T201 - progress
    fresh = target.with_suffix(".new")
    subprocess.run([*command, "-o", str(fresh)], check=True)
    fresh.replace(target)
    return True


def _compiler() -> list[str]:
    return shlex.split(os.environ.get("CC", "cc"))


def build() -> Path:
    """Bring the extension module in this directory up to date; its path."""
    work = ROOT / "build" / "engine" / NAME
    work.mkdir(parents=True, exist_ok=True)
    with (work / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _build_in(work)


def _build_in(work: Path) -> Path:
    module = work / f"{NAME}.c"
    with contextlib.redirect_stdout(io.StringIO()):
        ffi.emit_c_code(str(module))  # leaves the file alone where nothing changed
    jobs = [(path, work / path.relative_to(CSRC).with_suffix(".o"), FLAGS + WARNINGS) for path in sources()]
    jobs.append((module, work / "module.o", [*FLAGS, f"-D{MACRO[0]}", "-I", sysconfig.get_path("include")]))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        made = list(pool.map(lambda job: _compile(*job), jobs))
    target = HERE / f"{NAME}{sysconfig.get_config_var('EXT_SUFFIX')}"
    objects = [str(out) for _, out, _ in jobs]
    listing = work / "objects"
    if any(made) or not target.exists() or not listing.exists() or listing.read_text() != "\n".join(objects):
        fresh = target.with_suffix(".new")
        subprocess.run([*_compiler(), *LINK_FLAGS, *objects, "-lm", "-o", str(fresh)], check=True)
        fresh.replace(target)
        listing.write_text("\n".join(objects))
    return target


if __name__ == "__main__":
    try:
        print(build())  # noqa: T201 - the result
    except subprocess.CalledProcessError as failure:
        sys.exit(f"engine build failed: {shlex.join(failure.cmd)}")
