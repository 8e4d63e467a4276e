"""Checkpoint: states as plain data and back, strictly."""

import json

import attrs
import pytest

from vpcore.checkpoint import copy_of, from_data, to_data
from vpcore.errors import CheckpointError


@attrs.define
class Part:
    """A part of a state."""

    number: int = 1
    text: str = "x"


@attrs.define
class State:
    """Every kind of field."""

    data: bytearray = attrs.field(factory=lambda: bytearray(b"ab"))
    raw: bytes = b"\0\xff"
    maybe: int | None = None
    flag: bool = False
    gain: float = 1.5
    place: tuple[int, int, int] = (1, 2, 3)
    row: tuple[int, ...] = (4, 5)
    numbers: list[int] = attrs.field(factory=lambda: [1 << 80, -1])
    parts: list[Part | None] = attrs.field(factory=lambda: [Part(), None, Part(2, "y")])
    by_number: dict[int, bytes] = attrs.field(factory=lambda: {3: b"three"})
    _hidden: int = 9


def test_every_kind_of_field_comes_back_as_it_was():
    state = State(maybe=5)
    again = from_data(to_data(state), State)

    assert state == again
    assert type(again.data) is bytearray
    assert type(again.place) is tuple


def test_plain_data_are_plain():
    """Nothing but what JSON knows, and bytes."""
    json.dumps(to_data(State()), default=lambda value: value.hex() if type(value) is bytes else None)


def test_a_copy_shares_nothing():
    state = State()
    copy = copy_of(state)
    state.data += b"c"
    state.parts[0].number = 5
    state.numbers.append(7)

    assert copy == State()


def broken(change):
    data = to_data(State())
    change(data)
    return data


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.pop("flag"), "State: field 'flag' is missing: the checkpoint is of another version"),
        (lambda data: data.update(more=1), "State: field 'more' is not known: the checkpoint is of another version"),
        (lambda data: data.update(flag=1), "State.flag: must be bool (got 1)"),
        (lambda data: data.update(gain="x"), "State.gain: must be float (got 'x')"),
        (lambda data: data.update(raw="x"), "State.raw: must be bytes (got 'x')"),
        (lambda data: data.update(data=[1]), "State.data: must be bytes (got [1])"),
        (lambda data: data.update(numbers=[True]), "State.numbers: must be int (got True)"),
        (lambda data: data.update(numbers=5), "State.numbers: 'int' object is not iterable"),
        (lambda data: data.update(place=[1, 2]), "State.place: Not enough values"),
        (lambda data: data["parts"][0].pop("text"), "State.parts: Part: field 'text' is missing"),
        (lambda data: data.update(parts=[3]), "State.parts: Part must be a table (got 3)"),
    ],
)
def test_damaged_data_name_the_field(change, message):
    with pytest.raises(CheckpointError) as error:
        from_data(broken(change), State)

    assert str(error.value).startswith(message)


def test_data_of_something_else_are_refused():
    with pytest.raises(CheckpointError, match="State must be a table"):
        from_data([1], State)
