"""The contract of every registered device type, third-party ones included (STYLE: outputs follow from state)."""

import pytest
from hypothesis import given

from vpcore import contract
from vpcore.contract import Recipe, accesses
from vpcore.plugins import device_types, make_plugin_manager

TYPES = {name: entry.type for name, entry in device_types(make_plugin_manager()).items()}

DISK = bytes(range(256)) * 2 * 512
DISC = b"CD001".ljust(2048, b"\x01") * 64
FLOPPY = bytes(1440 << 10)
NEEDS = {
    "ide": {
        "options": {"hda": "disk", "hdb": "slave", "hdc": "cdrom", "cdrom": "disc"},
        "disks": {"disk": DISK, "slave": DISK[: 512 * 77], "disc": DISC},
    },
    "floppy": {"options": {"a": "floppy"}, "disks": {"floppy": FLOPPY}},
    "vga": {"most_state": 20 << 20},
}
"""What a type cannot be tested without."""

KEPT = {}
"""What the documentation of a type says that a reset keeps."""

RECIPES = {name: Recipe(kind, **NEEDS.get(name, {})) for name, kind in TYPES.items()}

each_type = pytest.mark.parametrize("name", RECIPES)


@each_type
@given(story=accesses())
def test_any_access_is_answered_within_bounds(name, story):
    contract.check_any_access_is_answered(RECIPES[name], story)


@each_type
@given(story=accesses())
def test_reset_gives_the_state_after_power_on(name, story):
    contract.check_reset(RECIPES[name], story, KEPT.get(name, ()))


@each_type
def test_construction_and_reset_are_one_path(name):
    contract.check_built_as_reset(RECIPES[name])


@each_type
@given(story=accesses(), after=accesses(20))
def test_a_restored_device_goes_on_as_the_original(name, story, after):
    contract.check_save_and_load(RECIPES[name], story, after)


@each_type
@given(story=accesses(30), before=accesses(30))
def test_load_overwrites_everything(name, story, before):
    contract.check_load_overwrites(RECIPES[name], story, before)


@each_type
def test_ports_are_released_by_unmapping(name):
    contract.check_ports_are_released(RECIPES[name])


@each_type
def test_bad_keys_are_errors_that_name_file_device_and_key(name):
    contract.check_config_errors(TYPES[name])
