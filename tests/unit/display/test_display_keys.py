"""Keys of a terminal, by what xterm sends for them (ctlseqs, "PC-Style Function Keys"; "Alt and Meta Keys")."""

import os
import pty
import tty

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vpcore.display.keys import UserTerminal, read


@pytest.fixture(scope="module")
def typed():
    """A function that has bytes typed in a terminal, and gives the messages."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    with (
        open(ours, "wb", 0) as keyboard,
        open(theirs, encoding="utf-8") as stdin,
        open(os.dup(theirs), "w", encoding="utf-8") as stdout,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("TERM", "xterm-256color")
        patch.setattr("sys.__stdin__", stdin)
        patch.setattr("sys.__stdout__", stdout)
        term = UserTerminal()

        def type_in(data):
            keyboard.write(data)
            return read(term, 0.01)

        with term.raw():
            yield type_in


def test_text_is_one_message(typed):
    assert typed(b"dir c:") == [["text", "dir c:"]]


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b"\r", ["enter"]),
        (b"\t", ["tab"]),
        (b"\x1b", ["esc"]),
        (b"\x1b[A", ["up"]),
        (b"\x1bOD", ["left"]),
        (b"\x1b[H", ["home"]),
        (b"\x1b[4~", ["end"]),
        (b"\x1b[3~", ["delete"]),
        (b"\x1b[6~", ["page-down"]),
        (b"\x1bOP", ["f1"]),
        (b"\x1b[15~", ["f5"]),
        (b"\x1b[24~", ["f12"]),
        (b"\x1b[Z", ["left-shift", "tab"]),
        (b"\x7f", ["backspace"]),
        (b"\x1c", ["left-ctrl", "\\"]),
        (b"\x1e", ["left-ctrl", "6"]),
        (b"\x00", ["left-ctrl", "space"]),
        (b"\x03", ["left-ctrl", "c"]),
    ],
)
def test_a_key_without_character_is_a_chord(typed, data, keys):
    assert typed(data) == [["chord", *keys]]


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b"\x1b[1;5C", ["left-ctrl", "right"]),
        (b"\x1b[1;3P", ["left-alt", "f1"]),
        (b"\x1b[15;2~", ["left-shift", "f5"]),
        (b"\x1b[3;7~", ["left-ctrl", "left-alt", "delete"]),
        (b"\x1bx", ["left-alt", "x"]),
    ],
)
def test_modifiers_are_pressed_with_the_key(typed, data, keys):
    assert typed(data) == [["chord", *keys]]


def test_ctrl_bracket_leaves_also_between_others(typed):
    assert typed(b"ab\x1dcd") == [["text", "ab"], ["quit"], ["text", "cd"]]


def test_characters_of_several_bytes_stay_whole(typed):
    assert typed("aé漢".encode()) == [["text", "aé漢"]]


def test_bytes_that_are_no_character_are_left_out(typed):
    assert typed(b"a\xff\xc3b") == [["text", "ab"]]
    assert typed(b"c") == [["text", "c"]]


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60))
def test_any_bytes_give_only_messages(typed, data):
    for each in typed(data):
        assert each[0] in {"text", "chord", "quit"}
        assert all(each[1:])
