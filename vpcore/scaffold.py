"""`vpcore new-device`: a device to start from, and its test."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from vpcore.errors import BackendError, ConfigError

DEVICE: Final = '''\
from vpcore import PortMap, SimpleDevice, option, saved


class {title}(SimpleDevice):
    """Keeps the last byte written to its port."""

    ports = PortMap(size=1)
    base: int = option(0x300, "first port")
    value: int = saved(0)

    @ports.read(0)
    def _read(self) -> int:
        return self.value

    @ports.write(0)
    def _write(self, value: int) -> None:
        self.value = value
        self.log.info("written", value=value)
'''
TEST: Final = """\
from {name} import {title}

from vpcore.testing import FakeBoard


def test_the_port_reads_back_what_was_written():
    board = FakeBoard()
    device = board.build({title}.device_type("{name}"), base=0x310)

    board.out(0x310, 0x5A)

    assert board.inp(0x310) == 0x5A
    assert device.save().value == 0x5A
"""


def write(name: str, folder: Path) -> tuple[Path, Path]:
    """Write `NAME.py` and `test_NAME.py`; the paths.  Raises where the name is none, or a file is there already."""
    module = name.replace("-", "_")
    if not module.isidentifier() or not module.isascii():
        raise ConfigError(f"a device's name must be letters, digits and hyphens (got {name!r})")
    title = "".join(word.capitalize() for word in module.split("_"))
    paths = folder / f"{module}.py", folder / f"test_{module}.py"
    for path in paths:
        if path.exists():
            raise BackendError(f"{path}: is there already: choose another name or folder")
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in zip(paths, (DEVICE, TEST), strict=True):
        path.write_text(text.format(name=module, title=title), encoding="utf-8")
    return paths
