"""Build recipe of the C engine: cffi API mode over csrc/**/*.c, with csrc/vp.h itself as the cdef.

setup.py takes `ffi` from here.  Run as a script it builds in place and compiles only what changed:

    python vpcore/engine/build.py                       module _vp
    VPCORE_SANITIZE=1 python vpcore/engine/build.py     module _vp_san, under AddressSanitizer and UBSan
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

try:
    HERE = Path(__file__).resolve().parent
except NameError:  # setuptools executes the text of this file, in the directory of setup.py
    HERE = Path("vpcore/engine").resolve()
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "vpcore"), str(HERE)]  # vpcore itself needs the build
try:
    import cbuild  # type: ignore[import-not-found]
    from isa import gen  # type: ignore[import-not-found]
finally:
    del sys.path[:2]

CSRC = HERE / "csrc"
NAME = "_vp"
GLUE = HERE / "glue.c"
GLUE_CDEF = """
enum vp_py_call { VP_PY_IN, VP_PY_OUT, VP_PY_IN_BLOCK, VP_PY_OUT_BLOCK, VP_PY_MMIO_READ, VP_PY_MMIO_WRITE, VP_PY_INTA,
                  VP_PY_WARN, VP_PY_FERR, VP_PY_KEEP, VP_PY_UNLOCKED,
                  VP_PY_READS1, VP_PY_READS2, VP_PY_READS4, VP_PY_WRITES1, VP_PY_WRITES2, VP_PY_WRITES4, VP_PY_CALLS };
#define VP_WOKEN 16
void vp_py_calls(vp_calls *calls);
int vp_py_run(vp_vm *vm, uint64_t max_insns);
int vp_sleep(vp_vm *vm, int epoll, int64_t until);
int vp_live(vp_vm *vm, int epoll, int64_t until, int64_t slice);
extern "Python" {
    void vp_py_set(void *target, uint32_t which, uint32_t level);
    int64_t vp_py_now(void *target);
    void vp_py_at(void *target, int64_t ns);
}
"""


def cdef() -> str:
    """What Python sees."""
    declared: str = cbuild.declarations(CSRC / "native.h", CSRC / "vp.h")
    return declared + GLUE_CDEF


def _glue() -> str:
    """glue.c, with the constants that Python sees."""
    enum = GLUE_CDEF[: GLUE_CDEF.index(";") + 1]
    defines = "\n".join(re.findall("^#define.*", GLUE_CDEF, re.MULTILINE))
    return f'{enum}\n{defines}\n#line 1 "{os.path.relpath(GLUE, ROOT)}"\n{GLUE.read_text()}'


gen.generate()  # csrc/gen/, from the opcode table
ffi = cbuild.extension("vpcore.engine", NAME, cdef(), _glue(), CSRC, ROOT)

if __name__ == "__main__":
    cbuild.run(ffi, NAME, CSRC, HERE, ROOT)
