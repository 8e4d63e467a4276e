"""The opcode table's reader and generator (vpcore/engine/isa)."""

import pytest

from vpcore.engine.isa import FLAG_BITS, gen, rows, table


def row_of(name):
    return next(row for row in rows() if row.id == name)


def test_a_row_gathers_all_its_encodings():
    """SDM 2 appendix A.4: group 1 has opcode 82 as an alias of 80."""
    assert [0x80, 0x82] == [encoding.opcode for encoding in row_of("ADD_Eb_Ib").encodings]


def test_a_set_stands_for_one_line_a_member():
    """Conditions are in the order of their encoding (SDM 1 appendix B)."""
    conditions = [row_of(f"J{cc}_Jb").encodings[0].opcode for cc in ("O", "NO", "B", "AE", "LE", "G")]
    assert [0x70, 0x71, 0x72, 0x73, 0x7E, 0x7F] == conditions


def test_flags_of_adc():
    """SDM 2, "ADC": reads CF, writes all six."""
    flags = row_of("ADC_Ev_Gv").flags
    assert (FLAG_BITS["c"], 0x8D5, 0, False) == (flags.read, flags.written, flags.undefined, flags.maybe)


def test_flags_of_a_shift_may_stay():
    """SDM 2, "SAL/SAR/SHL/SHR": a count of zero changes no flag; AF is undefined."""
    flags = row_of("SHL_Ev_CL").flags
    assert (FLAG_BITS["a"], True) == (flags.undefined, flags.maybe)


def test_lock_needs_a_destination_that_is_read_and_written():
    """SDM 2, "LOCK": CMP has none, ADD has."""
    locked = {name for name in ("CMP_Ev_Gv", "ADD_Ev_Gv", "ADD_Gv_Ev") if "lock" in row_of(name).traits}
    assert {"ADD_Ev_Gv"} == locked


@pytest.mark.parametrize(
    ("name", "suffixes"),
    [
        ("ADD_Ev_Gv", {"_16r", "_16m", "_32r", "_32m"}),
        ("ADD_Eb_Gb", {"_r", "_m"}),
        ("LEA_Gv_M", {"_16", "_32"}),
        ("RET", {"_16", "_32"}),
        ("CLD", {""}),
    ],
)
def test_handlers_are_named_by_size_and_form(name, suffixes):
    """As interp.h says."""
    row = row_of(name)
    assert suffixes == {row.suffix(os32=os32, mem=mem) for os32 in (False, True) for mem in (False, True)}


def test_two_lines_of_one_row_must_agree(monkeypatch):
    lines = "feature I386\n90 NOP - - - -\n91 NOP - - >c -\n"
    monkeypatch.setattr(table, "TABLE", lines)
    with pytest.raises(ValueError, match="two different lines for row NOP"):
        rows.__wrapped__()


@pytest.mark.parametrize("line", ["9 NOP - - - -", "XY.90 NOP - - - -", "90 NOP -"])
def test_a_bad_line_is_named(monkeypatch, line):
    monkeypatch.setattr(table, "TABLE", f"feature I386\n{line}\n")
    with pytest.raises(ValueError, match=r"opcodes\.py: bad"):
        rows.__wrapped__()


def test_generated_files_are_left_alone_where_nothing_changed(tmp_path):
    """So that a build compiles nothing in vain."""
    gen.generate(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    gen.generate(tmp_path)
    assert set(gen.FILES) == {path.name for path in before}
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}


def test_every_trait_is_known():
    """A misspelt trait would be lost silently."""
    known = {*gen.TRAITS, "os"}
    assert set() == {trait for row in rows() for trait in row.traits} - known
