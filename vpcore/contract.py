"""The contract that every device type must meet, as functions that a plugin's author runs on types of their own.

A `Recipe` says how to build the device; an `Access` is one thing that a guest or the host may do to it.  The check
functions raise `AssertionError` saying what does not hold.  With Hypothesis:

>>> recipe = Recipe(MY_TYPE, options={"base": 0x300})
>>> @given(accesses())
... def test_any_access_is_answered(story):
...     check_any_access_is_answered(recipe, story)
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs

from vpcore import bus, checkpoint, config
from vpcore.device import Device, DeviceType
from vpcore.errors import ConfigError
from vpcore.pci import Bar, Command, PciFunction, Reg
from vpcore.testing import FakeBoard, FakeCmos, FakeDma, FakeKeyboardController, MemoryDisk
from vpcore.wires import Cmos, DmaController, Keyboard, KeyboardController, Pointer, Screen

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

RAM: Final = 2 << 20
MOST_STATE: Final = 1 << 20
"""Bytes that a device's state may grow to, unless its recipe allows more."""
MOST_BLOCK: Final = 4096
MOST_NS: Final = 20_000_000
IO_BAR: Final = 0xC000
MEMORY_BAR: Final = 0xE000_0000
KEYS: Final = ("a", "left shift", "enter", "f1", "pause", "right ctrl", "left", "print screen")


@attrs.frozen
class Recipe:
    """How to build one device for the contract."""

    kind: DeviceType[Any]
    options: Mapping[str, Any] = attrs.field(factory=dict)
    disks: Mapping[str, bytes] = attrs.field(factory=dict)
    """Contents of the images that the options name."""
    most_state: int = MOST_STATE
    phrases: tuple[tuple[Access, ...], ...] = ()
    """Runs of accesses that make sense to the device: they take a story where random ones hardly get."""

    def make(self) -> Specimen:
        """Build it on a board of its own, with stand-ins for the other devices it needs."""
        board = FakeBoard(RAM)
        specimen = Specimen(board, self, [])
        board.backends.disks.update({path: MemoryDisk(data, name=path) for path, data in self.disks.items()})
        specimen.add(self.kind, **self.options)
        board.provide(DmaController, FakeDma())  # type: ignore[type-abstract]
        board.provide(Cmos, FakeCmos())  # type: ignore[type-abstract]
        board.provide(KeyboardController, FakeKeyboardController())  # type: ignore[type-abstract]
        board.built()
        return specimen


@attrs.frozen
class Specimen:
    """A device built for the contract, and its board."""

    board: FakeBoard
    recipe: Recipe
    devices: list[Device[Any]]

    def add(self, kind: DeviceType[Any], **options: Any) -> None:
        """Build one more device on the board."""
        self.devices.append(self.board.build(kind, **options))

    @property
    def device(self) -> Device[Any]:
        """The device under test."""
        return self.devices[0]

    def data(self) -> Any:
        """Its state as plain data."""
        return checkpoint.to_data(self.device.save())

    def outputs(self) -> dict[str, Any]:
        """Everything that `drive` must set: wires, processor pins and deadlines."""
        board = self.board
        lines = [*board.lines, *board.pci_bus.pirq]
        levels = [(line.name, each.owner, each.level) for line in lines for each in line.inputs]
        pins = board.processor
        return {"lines": levels, "intr": pins.intr, "a20": pins.a20, "deadlines": board.clock.deadlines()}

    def become(self, other: Specimen) -> None:
        """Be restored from a checkpoint of *other*: time, memory, media, then the device's state."""
        self.board.time = other.board.time
        self.board.memory.ram[:] = other.board.memory.ram
        for path, disk in other.board.backends.disks.items():
            mine = self.board.backends.disks[path]
            assert isinstance(disk, MemoryDisk)
            assert isinstance(mine, MemoryDisk)
            mine.data[:] = disk.data
        for name, end in other.board.backends.chars.items():
            self.board.backends.chars[name].become(end)
        kind = type(other.device.save())
        self.device.load(checkpoint.from_data(other.data(), kind))


# -- what a guest and the host do --


@attrs.frozen
class Access:
    """One thing done to a device; numbers are reduced to what the device has, so any are valid."""

    what: str
    where: int = 0
    width: int = 0
    value: int = 0

    def do(self, specimen: Specimen) -> Any:
        """Do it; the result is what the guest or host sees."""
        return ACTIONS[self.what](specimen, self)


def _port(specimen: Specimen, access: Access) -> int:
    ports = sorted(specimen.board.bus.ports.owners)
    return ports[access.where % len(ports)] if ports else access.where % bus.PORTS


def _width(access: Access, widths: Sequence[int] = (1, 2, 4)) -> int:
    return widths[access.width % len(widths)]


def _checked(value: int, width: int) -> int:
    assert 0 <= value < 1 << 8 * width, f"a read of {width} bytes gave {value:#x}"
    return value


def _in(specimen: Specimen, access: Access) -> int:
    width = _width(access)
    return _checked(specimen.board.inp(_port(specimen, access), width), width)


def _out(specimen: Specimen, access: Access) -> None:
    width = _width(access)
    specimen.board.out(_port(specimen, access), access.value & (1 << 8 * width) - 1, width)


def _in_at(specimen: Specimen, access: Access) -> int:
    return _checked(specimen.board.inp(access.where, access.width), access.width)


def _out_at(specimen: Specimen, access: Access) -> None:
    specimen.board.out(access.where, access.value, access.width)


def _block(specimen: Specimen, access: Access, move: Callable[[int, int, memoryview], int]) -> bytes:
    width = _width(access)
    buffer = bytearray(random.Random(access.value).randbytes((1 + access.value % MOST_BLOCK) * width))
    moved = move(_port(specimen, access), width, memoryview(buffer))
    assert 0 <= moved * width <= len(buffer), f"a block of {len(buffer)} bytes moved {moved} times {width}"
    return bytes(buffer[: moved * width])


def _in_block(specimen: Specimen, access: Access) -> bytes:
    return _block(specimen, access, specimen.board.bus.port_in_block)


def _out_block(specimen: Specimen, access: Access) -> None:
    _block(specimen, access, specimen.board.bus.port_out_block)


def _address(specimen: Specimen, access: Access, width: int) -> int | None:
    mappings = specimen.board.bus.mmio.mappings()
    if not mappings:
        return None
    mapping = mappings[access.where % len(mappings)]
    assert mapping.base is not None
    return mapping.base + access.where // len(mappings) % (mapping.ports.size - width + 1)


def _read_memory(specimen: Specimen, access: Access) -> int | None:
    width = _width(access, (1, 2, 4, 8))
    address = _address(specimen, access, width)
    return None if address is None else _checked(specimen.board.bus.mmio_read(address, width), width)


def _write_memory(specimen: Specimen, access: Access) -> None:
    width = _width(access, (1, 2, 4, 8))
    address = _address(specimen, access, width)
    if address is not None:
        specimen.board.bus.mmio_write(address, width, access.value & (1 << 8 * width) - 1)


def _functions(specimen: Specimen) -> list[PciFunction]:
    return list(specimen.board.pci_bus.functions.values())


def _write_config(specimen: Specimen, access: Access) -> None:
    width = _width(access)
    for function in _functions(specimen):
        function.guest_write(access.where % 256 & -width, width, access.value & (1 << 8 * width) - 1)


def _read_config(specimen: Specimen, access: Access) -> list[int]:
    width = _width(access)
    return [_checked(function.get(access.where % 256 & -width, width), width) for function in _functions(specimen)]


def _bar_address(bar: Bar) -> int:
    return IO_BAR if bar.io else -(-MEMORY_BAR // bar.size) * bar.size


def _map_bars(specimen: Specimen, access: Access) -> None:
    """What a BIOS does: addresses into the BARs, decoding and bus mastering on."""
    for function in _functions(specimen):
        for bar in function.bars:
            function.guest_write(bar.offset, 4, _bar_address(bar) | bar.rom)
        function.guest_write(Reg.COMMAND, 2, Command.MASK & ~(access.value & 1))


def _advance(specimen: Specimen, access: Access) -> None:
    specimen.board.advance(access.value % MOST_NS)


def _fill_ram(specimen: Specimen, access: Access) -> None:
    """Let bus masters find something: a page of random bytes, or of small numbers that may pass for a structure."""
    noise = random.Random(access.value)
    page = noise.randbytes(4096) if access.width & 1 else bytes(noise.choices((0, 0, 0, 1, 2, 16, 128, 255), k=4096))
    start = access.where % RAM & -4096
    specimen.board.memory.ram[start : start + len(page)] = page


def _host(specimen: Specimen, access: Access) -> Any:
    """The host's side: bytes come in, keys and mouse move, somebody looks at the screen."""
    board, value = specimen.board, access.value
    for end in board.backends.chars.values():
        end.feed(random.Random(value).randbytes(value % 40))
    for keyboard in board.services(Keyboard):  # type: ignore[type-abstract]
        key = KEYS[access.where % len(KEYS)]
        (keyboard.press if value & 1 else keyboard.release)(key)
        keyboard.type("Ab" if value & 2 else "")
    for pointer in board.services(Pointer):  # type: ignore[type-abstract]
        pointer.move(value % 701 - 350, access.where % 701 - 350, access.width % 5 - 2)
        pointer.button(value % 3, bool(access.where & 1))
    return [(screen.text(), screen.frame().tobytes()) for screen in board.services(Screen)]  # type: ignore[type-abstract]


def _reset(specimen: Specimen, _access: Access) -> None:
    specimen.device.reset()


ACTIONS: Final[dict[str, Callable[[Specimen, Access], Any]]] = {
    "in": _in,
    "out": _out,
    "in at": _in_at,
    "out at": _out_at,
    "in block": _in_block,
    "out block": _out_block,
    "read memory": _read_memory,
    "write memory": _write_memory,
    "read config": _read_config,
    "write config": _write_config,
    "map bars": _map_bars,
    "advance": _advance,
    "fill ram": _fill_ram,
    "host": _host,
    "reset": _reset,
}


def inp(port: int, width: int = 1) -> Access:
    """For phrases: read this very port."""
    return Access("in at", port, width)


def out(port: int, value: int, width: int = 1) -> Access:
    """For phrases: write this very port."""
    return Access("out at", port, width, value)


def wait(ns: int) -> Access:
    """For phrases: let virtual time pass."""
    return Access("advance", value=ns)


def accesses(most: int = 60, phrases: Sequence[Sequence[Access]] = ()) -> SearchStrategy[list[Access]]:
    """A Hypothesis strategy: up to *most* accesses (or phrases), many of them writes of bytes that mean something."""
    from hypothesis import strategies as st  # noqa: PLC0415 - an extra, for tests

    telling = st.sampled_from([0, 1, 2, 3, 4, 8, 0x10, 0x20, 0x40, 0x7F, 0x80, 0xA0, 0xFF, 0x8000, 0xFFFF, 0xFFFF_FFFF])
    value = st.one_of(telling, st.integers(0, 255), st.integers(0, (1 << 64) - 1))
    free = [name for name in ACTIONS if name not in ("reset", "in at", "out at")]
    what = st.sampled_from(["out", "out", "out", "out", "in", "in", *free])
    width = st.sampled_from([0, 0, 0, 1, 2, 3])
    access = st.builds(Access, what, st.integers(0, (1 << 32) - 1), width, value).map(lambda one: (one,))
    part = st.one_of(access, access, st.sampled_from(phrases)) if phrases else access
    return st.lists(part, max_size=most).map(lambda parts: [one for part in parts for one in part])


# -- the contract --


def play(specimen: Specimen, story: Iterable[Access]) -> list[Any]:
    """Do all of it; what was seen."""
    return [access.do(specimen) for access in story]


def check_any_access_is_answered(recipe: Recipe, story: Sequence[Access]) -> None:
    """No access raises, and the state stays within bounds."""
    specimen = recipe.make()
    play(specimen, story)
    size = size_of(specimen.data())
    assert size <= recipe.most_state, f"the state has grown to {size} bytes"


def check_reset(recipe: Recipe, story: Sequence[Access], kept: Sequence[str] = ()) -> None:
    """A reset undoes everything but the fields *kept* (dotted names) that its documentation names."""
    fresh, used = recipe.make(), recipe.make()
    fresh.device.reset()
    play(used, story)
    fresh.board.time = used.board.time
    used.device.reset()
    fresh.device.reset()
    _assert_equal(without(fresh.data(), kept), without(used.data(), kept), "after reset")


def check_built_as_reset(recipe: Recipe) -> None:
    """Construction leaves the device as a reset does: they are one path."""
    built, reset = recipe.make(), recipe.make()
    reset.device.reset()
    _assert_equal(built.data(), reset.data(), "a built device against one that was reset")


def check_save_and_load(recipe: Recipe, story: Sequence[Access], after: Sequence[Access]) -> None:
    """A restored device has the same state, drives the same lines and timers, and goes on as the original does."""
    original, restored = recipe.make(), recipe.make()
    play(original, story)
    restored.become(original)
    _assert_equal(original.data(), restored.data(), "the state after load")
    _assert_equal(original.outputs(), restored.outputs(), "lines and timers after load")
    for access in after:
        seen, seen_too = access.do(original), access.do(restored)
        assert seen == seen_too, f"{access} gives {seen!r:.80}, after load {seen_too!r:.80}"
    _assert_equal(original.data(), restored.data(), f"the state after load and {len(after)} accesses")
    _assert_equal(original.outputs(), restored.outputs(), f"lines and timers after load and {len(after)} accesses")


def check_load_overwrites(recipe: Recipe, story: Sequence[Access], before: Sequence[Access]) -> None:
    """Loading into a device that was in use gives the same as loading into a new one."""
    original, new, used = recipe.make(), recipe.make(), recipe.make()
    play(original, story)
    play(used, before)
    new.become(original)
    used.become(original)
    _assert_equal(new.data(), used.data(), "the state loaded into a used device")
    _assert_equal(new.outputs(), used.outputs(), "lines and timers of a used device after load")


def check_ports_are_released(recipe: Recipe) -> None:
    """What a device claims is free once it is unmapped, and can be claimed again."""
    specimen = recipe.make()
    play(specimen, [Access("map bars")])
    ports, mmio = specimen.board.bus.ports, specimen.board.bus.mmio
    before = dict(ports.owners)
    mappings = {id(mapping): mapping for mapping in (*ports.owners.values(), *mmio.mappings())}.values()
    bases = [(mapping, mapping.base) for mapping in mappings]
    for mapping in mappings:
        mapping.move(None)
    assert ports.owners == {}
    assert mmio.mappings() == []
    assert [specimen.board.inp(port) for port in before] == [0xFF] * len(before)
    for mapping, base in bases:
        mapping.move(base)
    assert ports.owners == before


def check_config_errors(kind: DeviceType[Any]) -> None:
    """An unknown key and an ill-typed value are errors that name file, device and key."""
    assert kind.config.__doc__, f"{kind.config.__name__} needs a docstring: `vpcore devices` shows it"
    hints = config.type_hints(kind.config)
    for key in ("no_such_key", *(name for name in hints if name != "name" and hints[name] is not Any)):
        table = config.DeviceTable(kind.name, "the-device", {key: {}}, Path("the-machine.toml"))
        for field in attrs.fields(kind.config):
            if field.default is attrs.NOTHING and field.name not in ("name", key):
                table.keys[field.name] = _some(hints[field.name])
        try:
            config.device_config(table, kind.config)
        except ConfigError as error:
            for part in ("the-machine.toml", "'the-device'", key):
                assert part in str(error), f"{error}: does not name {part}"  # noqa: PT017
        else:
            raise AssertionError(f"{kind.name}: key {key} may be a table")
    for field in attrs.fields(kind.config):
        assert field.name == "name" or field.metadata.get("help"), f"{kind.name}: key {field.name} needs a help text"


def _some(hint: Any) -> Any:
    return {int: 0, str: "", bool: False, float: 0.0}.get(hint, [])


def size_of(data: Any) -> int:
    """Bytes that plain data take, roughly."""
    if isinstance(data, dict):
        return sum(size_of(key) + size_of(value) for key, value in data.items())
    if isinstance(data, (list, tuple)):
        return sum(8 + size_of(each) for each in data)
    if isinstance(data, int):
        return 8 + data.bit_length() // 8
    return len(data) if isinstance(data, (str, bytes)) else 8


def without(data: Any, names: Sequence[str]) -> Any:
    """Plain data without the fields of these dotted names; `*` stands for every element of a list."""
    for name in names:
        head, _, rest = name.partition(".")
        if head == "*" and isinstance(data, (list, tuple)):
            data = [without(each, [rest]) for each in data]
        elif isinstance(data, dict) and head in data:
            data = {**data, head: without(data[head], [rest])} if rest else _dropped(data, head)
    return data


def _dropped(data: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key != name}


def _assert_equal(expected: Any, actual: Any, what: str) -> None:
    difference = _difference(expected, actual, "")
    assert not difference, f"{what}: {difference}"


def _difference(expected: Any, actual: Any, where: str) -> str:
    """The first place where plain data differ."""
    if isinstance(expected, dict) and isinstance(actual, dict) and expected.keys() == actual.keys():
        pairs = [(f"{where}.{key}", expected[key], actual[key]) for key in expected]
    elif isinstance(expected, (list, tuple)) and isinstance(actual, (list, tuple)) and len(expected) == len(actual):
        pairs = [(f"{where}[{index}]", *pair) for index, pair in enumerate(zip(expected, actual, strict=True))]
    else:
        return "" if expected == actual else f"{where or 'it'} is {actual!r:.200}, not {expected!r:.200}"
    return next((found for place, one, other in pairs if (found := _difference(one, other, place))), "")
