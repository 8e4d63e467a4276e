"""Frames through a pipe, and pictures made small."""

import numpy as np
import pytest

from vpcore.display.wire import PICTURE, STATUS, TEXT, Frame, shrink, unpack


@pytest.mark.parametrize(
    "frame",
    [
        Frame(TEXT, np.arange(8, dtype=np.uint8).reshape(2, 2, 2), (1, 0)),
        Frame(PICTURE, np.arange(24, dtype=np.uint8).reshape(2, 4, 3)),
        Frame.status("a line: ä"),
    ],
)
def test_a_frame_comes_out_as_it_went_in(frame):
    got, rest = unpack(frame.pack() + b"next")

    assert got.kind == frame.kind
    assert got.cursor == frame.cursor
    assert (got.pixels == frame.pixels).all()
    assert rest == b"next"


def test_a_frame_in_pieces_waits_for_all_of_them():
    data = Frame(TEXT, np.zeros((25, 80, 2), np.uint8)).pack()

    for end in (0, 3, 9, 100, len(data) - 1):
        assert unpack(data[:end]) == (None, data[:end])


def test_a_status_of_any_length_fits():
    frame, _ = unpack(Frame.status("ä" * 5000).pack())

    assert frame.kind == STATUS
    assert frame.pixels.tobytes().decode() == "ä" * 1000


@pytest.mark.parametrize(("height", "width"), [(48, 80), (2, 1), (1, 1), (0, 0), (4000, 4000)])
def test_a_shrunk_picture_fits_and_has_an_even_number_of_lines(height, width):
    picture = np.zeros((480, 640, 3), np.uint8)

    lines, dots, _ = shrink(picture, height, width).shape

    assert lines <= max(height, 2)
    assert dots <= max(width, 1)
    assert lines % 2 == 0


def test_a_shrunk_picture_keeps_its_proportion_and_its_corners():
    picture = np.zeros((400, 640, 3), np.uint8)
    picture[:200, :320] = 255

    small = shrink(picture, 100, 80)

    assert small.shape == (50, 80, 3)
    assert (small[:25, :40] == 255).all()
    assert not small[25:].any()
    assert not small[:, 40:].any()
