"""SimpleDevice: a whole device in ten lines or fewer (DESIGN, section 4)."""

import textwrap

import attrs
import pytest

from vpcore import checkpoint, config
from vpcore.errors import ConfigError
from vpcore.plugins import load_file_type
from vpcore.testing import FakeBoard

TEN_LINES = """
from vpcore import PortMap, SimpleDevice, option, saved
class Latch(SimpleDevice):
    \"\"\"Keeps a byte.\"\"\"
    ports = PortMap(size=1)
    base: int = option(help="its port")
    value: int = saved(0)
    @ports.read(0)
    def _read(self) -> int: return self.value
    @ports.write(0)
    def _write(self, value: int) -> None: self.value = value; self.log.warning("kept", value=value)
"""

TIMED = """
from vpcore import PortMap, SimpleDevice, option, saved
class Alarm(SimpleDevice):
    \"\"\"Interrupts a while after it was armed.\"\"\"
    ports = PortMap(size=2)
    ports.storage(1, "scratch")
    base: int = option(0x310, "its ports")
    irq: int = option(5, "its line")
    delay: int = option(1000, "ns")
    armed_at: int | None = saved(None)
    scratch: int = saved(0x55)

    def setup(self):
        self.timer = self.board.clock.timer(self.ring)
        self.drive()

    def drive(self):
        if hasattr(self, "timer"):
            self.timer.at(self.armed_at)

    def ring(self):
        self.armed_at = None
        self.line.pulse()

    @ports.write(0)
    def _arm(self, value: int) -> None:
        self.armed_at = self.board.clock.now + self.delay
        self.drive()
"""


@pytest.fixture
def make(tmp_path, board):
    """Write a device into a file, load and build it."""

    def make(source, name, **options):
        (tmp_path / "mine.py").write_text(textwrap.dedent(source), encoding="utf-8")
        kind = load_file_type(f"mine.py:{name}", tmp_path).type
        return board.build(kind, name="mine", **options)

    return make


def test_ten_lines_make_a_device_with_port_option_saved_byte_and_log(make, board, caplog):
    assert len(TEN_LINES.strip().splitlines()) <= 10
    latch = make(TEN_LINES, "Latch", base=0x300)
    board.out(0x300, 0x42)

    assert board.inp(0x300) == 0x42
    assert checkpoint.to_data(latch.save()) == {"value": 0x42}
    assert [record.message for record in caplog.records] == ["kept value=0x42"]
    assert caplog.records[0].name == "vpcore.mine"
    latch.reset()
    assert board.inp(0x300) == 0


def test_its_state_can_be_restored(make, board):
    latch = make(TEN_LINES, "Latch", base=0x300)
    board.out(0x300, 0x42)
    data = checkpoint.to_data(latch.save())
    latch.reset()
    latch.load(checkpoint.from_data(data, latch.state_class))

    assert board.inp(0x300) == 0x42


def test_its_options_are_checked_and_documented(make):
    latch = make(TEN_LINES, "Latch", base=0x300)

    assert [("name", str), ("base", int)] == [(f.name, f.type) for f in attrs.fields(latch.config_class)]
    assert attrs.fields(latch.config_class).base.metadata["help"] == "its port"
    assert latch.config_class.__doc__ == "Keeps a byte."
    with pytest.raises(ConfigError, match="base must be an integer"):
        config.structure(latch.config_class, {"name": "x", "base": "y"}, "m.toml")


def test_options_cannot_be_changed_by_the_device(make):
    latch = make(TEN_LINES, "Latch", base=0x300)

    with pytest.raises(AttributeError):
        latch.base = 5


def test_timer_interrupt_and_storage(make, board):
    alarm = make(TIMED, "Alarm", delay=500)
    edges = []
    board.lines[5].listen(edges.append)
    board.out(0x310, 0)
    board.out(0x311, 0xAA)
    board.advance(499)
    early = list(edges)
    board.advance(1)

    assert (early, edges) == ([], [True, False])
    assert checkpoint.to_data(alarm.save()) == {"armed_at": None, "scratch": 0xAA}


def test_two_of_one_class_share_nothing(make, board):
    one, two = make(TEN_LINES, "Latch", base=0x300), make(TEN_LINES, "Latch", base=0x301)
    board.out(0x300, 1)

    assert (1, 0) == (one.value, two.value)


def test_a_mutable_default_is_not_shared(make):
    source = "from vpcore import SimpleDevice, saved\nclass Log(SimpleDevice):\n    seen: list[int] = saved([])\n"
    one, two = make(source, "Log"), make(source, "Log")
    one.seen.append(1)
    kept = list(one.seen)
    one.reset()

    assert (kept, one.seen, two.seen) == ([1], [], [])


def test_a_subclass_has_what_its_base_declares(make, board):
    source = TEN_LINES + "class Wide(Latch):\n    other: int = saved(7)\n"
    wide = make(source, "Wide", base=0x300)
    board.out(0x300, 3)

    assert checkpoint.to_data(wide.save()) == {"value": 3, "other": 7}
    assert isinstance(board, FakeBoard)
