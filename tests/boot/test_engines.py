"""Engines against each other on whole guests."""

import hashlib
from random import Random

import pytest

pytestmark = pytest.mark.boot

COUNTED = {"machine.clock": "icount", "rtc.start": "1999-12-31T12:00:00"}


def reach_grub(machine, each_slice):
    """Run until GRUB's menu shows, calling each_slice between the processor's runs."""

    def arrived():
        each_slice(machine.engine)
        return "GNU GRUB" in machine.screen.text

    assert machine.run(arrived, timeout=90)


def test_an_engine_changed_at_random_boots_grub(pc, medium):
    rng = Random(1)
    machine = pc(cdrom=medium("grub-rescue-cdrom"), boot="d")

    reach_grub(machine, lambda engine: engine.select(rng.choice(("interp", "bt"))))

    machine.keyboard.type("c")
    machine.screen.wait_for_text("grub>", timeout=30)


def test_engines_boot_grub_alike_to_the_instruction_when_time_is_counted(pc, medium):
    """Under the icount clock a guest's run is a function of its inputs, whatever executes it."""
    rng = Random(2)
    ends = []
    for names in (("interp",), ("bt",), ("interp", "bt")):
        machine = pc(cdrom=medium("grub-rescue-cdrom"), boot="d", set=COUNTED)
        reach_grub(machine, lambda engine, names=names: engine.select(rng.choice(names)))
        state = machine.engine.get_state()
        ends.append((machine.engine.insns, state, hashlib.sha256(machine.engine.ram).hexdigest()))

    assert ends[0] == ends[1]
    assert ends[0] == ends[2]
