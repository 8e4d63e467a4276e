"""The shape of the code: numbers have names, files are of a size to read."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEVICE_CODE = sorted(path for path in (ROOT / "plugins").rglob("*.py") if not path.name.startswith("regs"))
OBVIOUS = {*range(-1, 9), 10, 16, 32, 100, 256, 0xF, 0xFF, 0xFFFF, 0xFFFFFFFF}
"""Counts, widths in bits and bytes, and masks of a whole nibble, byte, word or double word."""
BYTE_BITS = 8
EXCUSED = {
    "ide/mmc.py": (15, "packets and replies of the MMC command set, each field in the order of its table"),
    "firmware/smbios.py": (7, "structures of DSP0134, each field in the order of its table"),
}
"""File to the numbers it may have without a name, and why; fewer must be written down here as well."""
LIMITS = {".py": 700, ".c": 900, ".h": 900}
GENERATED = ("gen", "build", "_vp")


def label(path):
    return str(path.relative_to(ROOT))


def is_naming(node):
    """An assignment to names in capitals, or an attrs field with its default."""
    if isinstance(node, ast.AnnAssign):
        return isinstance(node.target, ast.Name)
    return isinstance(node, ast.Assign) and all(
        isinstance(name, ast.Name) and name.id.isupper() for name in node.targets
    )


def explained(tree):
    """Nodes whose place says what they are: names, `width=` and `size=`, and shifts by whole bytes."""
    for node in ast.walk(tree):
        if is_naming(node):
            yield from ast.walk(node)
        elif isinstance(node, ast.Call):
            yield from (keyword.value for keyword in node.keywords if keyword.arg in ("width", "size"))
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.LShift | ast.RShift):
            right = node.right
            if isinstance(right, ast.Constant) and right.value % BYTE_BITS == 0:
                yield right


def unnamed(source):
    """Numbers that nothing explains, with their lines."""
    tree = ast.parse(source)
    fine = {id(node) for node in explained(tree)}
    return [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and type(node.value) is int
        and node.value not in OBVIOUS
        and id(node) not in fine
    ]


@pytest.mark.parametrize("path", DEVICE_CODE, ids=label)
def test_numbers_in_device_code_have_names(path):
    count, _reason = EXCUSED.get(str(path.relative_to(ROOT / "plugins")), (0, ""))
    found = unnamed(path.read_text())

    assert len(found) == count, found


def test_a_number_without_a_name_is_found_and_a_named_one_is_not():
    source = "PORT: Final = 0x3F8\nMASK = 0x1C\nx: int = 99\ny = value & 0x1C\nz = a << 24 | b[12]\nf(width=64, n=77)\n"

    assert [(4, 0x1C), (5, 12), (6, 77)] == sorted(unnamed(source))


def test_files_are_of_a_size_to_read():
    folders = ("vpcore", "plugins", "tests", "bench", "scripts")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.*") if path.suffix in LIMITS]
    ours = [path for path in files if not any(part.startswith(GENERATED) for part in path.relative_to(ROOT).parts)]

    assert len(ours) > 200
    lines = {label(path): (len(path.read_text().splitlines()), LIMITS[path.suffix]) for path in ours}
    assert {name: size for name, (size, limit) in lines.items() if size > limit} == {}
