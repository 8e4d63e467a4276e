"""What a terminal shows after the painter's bytes: a terminal of a few lines (ECMA-48) is the judge."""

import io
import re

import blessed
import numpy as np
import pytest

from vpcore.display.paint import CP437, Painter
from vpcore.display.wire import PICTURE, TEXT, Frame

TOKEN = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])|\x1b([78])|(.)", re.DOTALL)


class Terminal:
    """Characters with their style, and the cursor."""

    def __init__(self, rows, columns):
        self.lines = [[(" ", "")] * columns for _ in range(rows)]
        self.at, self.saved, self.style, self.cursor = (0, 0), (0, 0), "", None
        self.written = 0

    def feed(self, text):
        for private, numbers, end, saved, character in TOKEN.findall(text):
            if character:
                row, column = self.at
                self.lines[row][column] = (character, self.style)
                self.at = (row, column + 1)
                self.written += 1
            elif saved:
                self.saved, self.at = (self.at, self.at) if saved == "7" else (self.saved, self.saved)
            elif private:
                self.cursor = self.at if end == "h" else None
            elif end == "H":
                row, column = map(int, (numbers or "1;1").split(";"))
                self.at = (row - 1, column - 1)
            elif end == "J":
                self.lines = [[(" ", "")] * len(line) for line in self.lines]
            elif end == "m":
                self.style = f"{self.style};{numbers}".strip(";") if numbers else ""

    @property
    def text(self):
        return ["".join(character for character, _ in line).rstrip() for line in self.lines]


def terminal_of(colors):
    term = blessed.Terminal(kind="xterm-256color", stream=io.StringIO(), force_styling=True)
    term.number_of_colors = colors
    return term


def screen(*lines, attribute=7, cursor=None, rows=25, columns=80):
    cells = np.full((rows, columns, 2), (32, attribute), np.uint8)
    for row, line in enumerate(lines):
        for column, character in enumerate(line):
            cells[row, column, 0] = CP437.index(character)
    return Frame(TEXT, cells, cursor)


def test_text_appears_where_it_is_with_the_cursor():
    terminal, painter = Terminal(30, 100), Painter(30, 100, terminal_of(256))

    terminal.feed(painter.paint(screen("hello", " box ─┼", cursor=(1, 7))))

    assert terminal.text[:2] == ["hello", " box ─┼"]
    assert terminal.cursor == (1, 7)


def test_a_frame_without_cursor_hides_it():
    terminal, painter = Terminal(25, 80), Painter(25, 80, terminal_of(256))
    terminal.feed(painter.paint(screen("x", cursor=(0, 0))))

    terminal.feed(painter.paint(screen("x")))

    assert terminal.cursor is None


def test_only_what_changed_is_sent():
    terminal, painter = Terminal(25, 80), Painter(25, 80, terminal_of(256))
    terminal.feed(painter.paint(screen("hello")))
    terminal.written = 0

    terminal.feed(painter.paint(screen("hallo")))

    assert terminal.text[0] == "hallo"
    assert terminal.written == 1


@pytest.mark.parametrize(
    ("attribute", "colors", "style"),
    [
        (0x07, 256, "37;40"),
        (0x1F, 256, "97;44"),
        (0x4E, 16, "93;41"),
        (0x1F, 8, "1;37;44"),
        (0x02, 8, "32;40"),
    ],
)
def test_attributes_are_colours_in_the_terminals_order(attribute, colors, style):
    terminal, painter = Terminal(25, 80), Painter(25, 80, terminal_of(colors))

    terminal.feed(painter.paint(screen("x", attribute=attribute)))

    assert terminal.lines[0][0] == ("x", style)


def test_a_small_terminal_shows_the_lines_with_the_cursor():
    lines = [f"line {number}" for number in range(25)]
    terminal, painter = Terminal(10, 6), Painter(10, 6, terminal_of(256))

    terminal.feed(painter.paint(screen(*lines, cursor=(24, 3))))

    assert terminal.text == [f"line {number}"[:6] for number in range(15, 25)]
    assert terminal.cursor == (9, 3)


def test_a_small_terminal_follows_the_cursor_back_up():
    lines = [f"line {number}" for number in range(25)]
    terminal, painter = Terminal(10, 80), Painter(10, 80, terminal_of(256))
    terminal.feed(painter.paint(screen(*lines, cursor=(24, 0))))

    terminal.feed(painter.paint(screen(*lines, cursor=(2, 0))))

    assert terminal.text == lines[2:12]
    assert terminal.cursor == (0, 0)


def test_a_resized_terminal_is_painted_as_a_whole():
    painter = Painter(25, 80, terminal_of(256))
    painter.paint(screen("hello", cursor=(0, 5)))
    terminal = Terminal(40, 120)

    painter.resize(40, 120)
    terminal.feed(painter.paint(screen("hello", cursor=(0, 5))))

    assert terminal.text[0] == "hello"


def test_the_status_is_below_the_screen_and_leaves_the_cursor():
    terminal, painter = Terminal(27, 80), Painter(27, 80, terminal_of(256))
    terminal.feed(painter.paint(screen("x", cursor=(3, 4))))

    terminal.feed(painter.paint(Frame.status("pc99: \x1b[2JCtrl-] leaves")))

    assert terminal.text[26] == "pc99:  [2JCtrl-] leaves"
    assert terminal.cursor == (3, 4)
    assert terminal.at == (3, 4)


def test_the_status_of_a_full_terminal_is_not_shown():
    terminal, painter = Terminal(25, 80), Painter(25, 80, terminal_of(256))
    terminal.feed(painter.paint(Frame.status("status")))

    terminal.feed(painter.paint(screen("x")))

    assert "status" not in terminal.text


def test_a_picture_is_half_blocks_of_two_pixels():
    pixels = np.zeros((4, 2, 3), np.uint8)
    pixels[0, 0], pixels[1, 0] = (255, 0, 0), (0, 0, 255)
    terminal, painter = Terminal(25, 80), Painter(25, 80, terminal_of(1 << 24))

    terminal.feed(painter.paint(Frame(PICTURE, pixels)))

    assert terminal.text[:3] == ["▀▀", "▀▀", ""]
    assert terminal.lines[0][0] == ("▀", "38;2;255;0;0;48;2;0;0;255")


@pytest.mark.parametrize(("colors", "style"), [(256, "38;5;196;48;5;21"), (8, "31;44")])
def test_a_picture_on_fewer_colours_takes_the_nearest(colors, style):
    pixels = np.array([[[250, 3, 9]], [[0, 0, 255]]], np.uint8)
    terminal, painter = Terminal(25, 80), Painter(25, 80, terminal_of(colors))

    terminal.feed(painter.paint(Frame(PICTURE, pixels)))

    assert terminal.lines[0][0] == ("▀", style)


def test_between_text_and_picture_nothing_of_the_other_stays():
    terminal, painter = Terminal(25, 80), Painter(25, 80, terminal_of(256))
    terminal.feed(painter.paint(screen(*["x" * 80] * 25)))

    terminal.feed(painter.paint(Frame(PICTURE, np.zeros((4, 4, 3), np.uint8))))
    assert terminal.text == ["▀▀▀▀"] * 2 + [""] * 23

    terminal.feed(painter.paint(screen("back")))
    assert terminal.text == ["back"] + [""] * 24


def test_random_frames_leave_the_terminal_as_the_last_one():
    random = np.random.default_rng(1)
    terminal, painter = Terminal(25, 40), Painter(25, 40, terminal_of(256))
    for _ in range(20):
        cells = random.integers(0, 256, (25, 40, 2)).astype(np.uint8)
        cells[:, 5:] = 32
        terminal.feed(painter.paint(Frame(TEXT, cells)))

    assert ["".join(CP437[code] for code in row) for row in cells[:, :5, 0]] == [
        "".join(character for character, _ in line[:5]) for line in terminal.lines
    ]
