"""The instruction set: one table (opcodes.py), read by table.py, from which gen.py writes what the C engine needs."""

from .table import ESCAPES, FEATURES, FLAG_BITS, OPERAND_SIZED, PREFIXES, REGISTERS, Encoding, Flags, Row, rows

__all__ = [
    "ESCAPES", "FEATURES", "FLAG_BITS", "OPERAND_SIZED", "PREFIXES", "REGISTERS", "Encoding", "Flags", "Row", "rows",
]  # fmt: skip
