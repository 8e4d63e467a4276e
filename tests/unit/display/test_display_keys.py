"""Keys of a terminal: sequences of xterm (ctlseqs, "PC-Style Function Keys"; "Alt and Meta Keys"), console_codes(4)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpcore.display.keys import decode


def typed(data, **how):
    messages, rest = decode(data, **how)
    assert rest == b""
    return messages


def test_text_is_one_message():
    assert typed(b"dir c:\r") == [["text", "dir c:\r"]]


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b"\x1b[A", ["up"]),
        (b"\x1bOD", ["left"]),
        (b"\x1b[H", ["home"]),
        (b"\x1b[4~", ["end"]),
        (b"\x1b[3~", ["delete"]),
        (b"\x1b[6~", ["page-down"]),
        (b"\x1bOP", ["f1"]),
        (b"\x1b[15~", ["f5"]),
        (b"\x1b[24~", ["f12"]),
        (b"\x1b[[C", ["f3"]),
        (b"\x1b[Z", ["left-shift", "tab"]),
        (b"\x7f", ["backspace"]),
        (b"\x1c", ["left-ctrl", "\\"]),
        (b"\x00", ["left-ctrl", "space"]),
    ],
)
def test_a_key_without_character_is_a_chord(data, keys):
    assert typed(data) == [["chord", *keys]]


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b"\x1b[1;5C", ["left-ctrl", "right"]),
        (b"\x1b[1;3P", ["left-alt", "f1"]),
        (b"\x1b[15;2~", ["left-shift", "f5"]),
        (b"\x1b[3;7~", ["left-alt", "left-ctrl", "delete"]),
    ],
)
def test_modifiers_are_the_bits_of_the_second_number_less_one(data, keys):
    assert typed(data) == [["chord", *keys]]


def test_an_escape_before_a_character_is_alt():
    assert typed(b"\x1bx\x1bF") == [["chord", "left-alt", "x"], ["chord", "left-alt", "F"]]


def test_an_escape_before_a_sequence_is_alt_too():
    assert typed(b"\x1b\x1b[A") == [["chord", "left-alt", "up"]]


def test_control_letters_are_text_that_a_keyboard_types_with_ctrl():
    assert typed(b"\x03\x18") == [["text", "\x03\x18"]]


def test_a_sequence_in_two_pieces_waits_for_its_end():
    messages, rest = decode(b"a\x1b[1;5")

    assert messages == [["text", "a"]]
    assert typed(rest + b"A") == [["chord", "left-ctrl", "up"]]


def test_a_lone_escape_is_the_escape_key_when_nothing_follows():
    assert decode(b"\x1b") == ([], b"\x1b")
    assert typed(b"\x1b", final=True) == [["chord", "esc"]]


def test_ctrl_bracket_leaves_also_between_others():
    assert typed(b"ab\x1dcd") == [["text", "ab"], ["quit"], ["text", "cd"]]
    assert typed(b"\x1b\x1d") == [["quit"]]


def test_an_unknown_sequence_is_left_out():
    assert typed(b"\x1b[99~\x1b[200~x\x1b[>0c") == [["text", "x"], ["chord", "left-alt", "["], ["text", ">0c"]]


def test_characters_of_several_bytes_stay_whole():
    assert typed("aé漢".encode()) == [["text", "aé漢"]]


@given(st.binary(max_size=60))
def test_any_bytes_are_consumed_and_give_only_messages(data):
    for message in typed(data, final=True):
        assert message[0] in {"text", "chord", "quit"}


@given(st.binary(max_size=30), st.integers(0, 30))
def test_where_a_read_ends_makes_no_difference_to_keys(data, at):
    data = data.replace(b"\x1d", b"")
    whole, rest = decode(data)
    first, left = decode(data[:at])
    second, tail = decode(left + data[at:])

    if data[:at].isascii() and data[at:].isascii():
        assert joined(first + second) == joined(whole)
        assert tail == rest


def joined(messages):
    """Messages with neighbouring texts in one."""
    out = []
    for message in messages:
        if out and message[0] == out[-1][0] == "text":
            out[-1] = ["text", out[-1][1] + message[1]]
        else:
            out.append(message)
    return out
