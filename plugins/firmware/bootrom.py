"""The option ROM that starts a kernel: bootrom.asm, assembled (a test compares the two)."""

from typing import Final

SIZE: Final = 512
CHECKSUM: Final = 509
FLAT_POINTER: Final = 510
"""Offset of the word that says where the 32-bit part begins."""

CODE: Final = bytes.fromhex(
    "55aa01e9440000000000000000000000000000000000000000001c0024506e50010200000000000000003c0043000000"
    "0000000000004e00000000007670636f7265006b65726e656c00b82000cbfafcb800118ed88ec031c08ed0bc007c6631"
    "db66891e0000bf100066c745140100000066b820e8000066ba50414d5366b918000000cd15721d663d50414d53751583"
    "c71866ff06000066833e00007873056685db75c5faba1c05ee2e0f0116bf000f20c00c010f22c066ea001d010010001f"
    "00001c0100b8180000008ed88ec08ee08ee88ed0bc007c0000bd001e01008b45008b5d048b4d088b550c8b75108b7d14"
    "ff751c8b6d18c3"
)
FLAT: Final = 0xC5


def image() -> bytes:
    """The ROM as SeaBIOS wants it: 512 bytes whose sum is 0 modulo 256."""
    rom = bytearray(CODE.ljust(SIZE, b"\0"))
    rom[FLAT_POINTER : FLAT_POINTER + 2] = FLAT.to_bytes(2, "little")
    rom[CHECKSUM] = -sum(rom) & 0xFF
    return bytes(rom)


def flat_code() -> bytes:
    """The 32-bit part, position independent."""
    return CODE[FLAT:]
