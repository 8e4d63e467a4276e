"""Build recipe of the chipset's device models in C: module _chips, over csrc/.

setup.py takes `ffi` from here.  Run as a script it builds in place: python plugins/chipset/build.py
"""

from __future__ import annotations

import sys
from pathlib import Path

try:
    HERE = Path(__file__).resolve().parent
except NameError:  # setuptools executes the text of this file, in the directory of setup.py
    HERE = Path("plugins/chipset").resolve()
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "vpcore"))  # vpcore itself needs the engine's build
try:
    import cbuild  # type: ignore[import-not-found]
finally:
    del sys.path[0]

CSRC = HERE / "csrc"
NAME = "_chips"
HEADERS = ("i8259.h", "i8254.h")

ffi = cbuild.extension(
    "vpcore_plugins.chipset",
    NAME,
    cbuild.declarations(cbuild.INCLUDE / "native.h", *(CSRC / header for header in HEADERS)),
    "".join(f'#include "{header}"\n' for header in HEADERS),
    CSRC,
    ROOT,
)

if __name__ == "__main__":
    cbuild.run(ffi, NAME, CSRC, HERE, ROOT)
