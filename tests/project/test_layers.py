"""Who may import whom, and that what users can call is documented."""

import ast
import re
from pathlib import Path

import click
import pytest

import vpcore
from vpcore import cli
from vpcore.plugins import make_plugin_manager

ROOT = Path(__file__).resolve().parents[2]
CORE = sorted((ROOT / "vpcore").rglob("*.py"))
PLUGINS = sorted((ROOT / "plugins").rglob("*.py"))
OFFERED = {
    "board", "bus", "clock", "device", "errors", "hookspecs", "host.ends", "irq", "log", "memory", "native", "pci", "ports", "testing",
    "wires",
}  # fmt: skip
"""Modules of vpcore that plugins may import."""
BELOW_MACHINE = ("bus", "clock", "device", "irq", "log", "memory", "native", "pci", "ports", "wires", "board")
ABOVE = ("vpcore.machine", "vpcore.engine", "vpcore.cli", "vpcore.api", "vpcore.display")


def imported(path):
    """Absolute names of the modules that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module


def label(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", CORE, ids=label)
def test_the_core_imports_no_plugin(path):
    assert [name for name in imported(path) if name.startswith("vpcore_plugins")] == []


@pytest.mark.parametrize("path", PLUGINS, ids=label)
def test_a_plugin_imports_what_the_core_offers_and_no_other_plugin(path):
    family = path.relative_to(ROOT / "plugins").parts[0]
    allowed = {f"vpcore.{name}" for name in OFFERED} | {"vpcore"}

    core = [name for name in imported(path) if name.split(".")[0] == "vpcore" and name not in allowed]
    others = [name for name in imported(path) if name.startswith("vpcore_plugins") and name.split(".")[1:2] != [family]]

    assert (core, others) == ([], [])


@pytest.mark.parametrize("name", BELOW_MACHINE)
def test_what_lies_below_the_machine_does_not_know_it(name):
    found = imported(ROOT / "vpcore" / f"{name}.py")

    assert [module for module in found if module.startswith(ABOVE)] == []


def test_every_hook_is_documented_with_its_arguments():
    page = (ROOT / "docs" / "hooks.md").read_text()
    hooks = vars(make_plugin_manager().hook)

    names = [
        f"{name}({', '.join(caller.spec.argnames)})" for name, caller in hooks.items() if name.startswith("vpcore_")
    ]

    assert names
    assert [name for name in names if name not in page] == []


def test_the_public_names_are_sorted_and_there():
    assert sorted(vpcore.__all__) == list(vpcore.__all__)
    assert [name for name in vpcore.__all__ if not hasattr(vpcore, name)] == []


def test_the_example_of_writing_a_device_works_as_written(tmp_path):
    blocks = (ROOT / "docs" / "writing-a-device.md").read_text().split("```python\n")[1:]
    device, test = (block.split("```")[0] for block in blocks[:2])
    names = {}

    exec(compile(device, "latch.py", "exec"), names)
    exec(compile(test, "test_latch.py", "exec"), names)

    assert len(device.strip().splitlines()) <= 12
    assert names["latch"].save().value == 0x5A


PAGES = (
    "README.md",
    "docs/cli.md",
    "docs/writing-a-device.md",
    "docs/engines.md",
    "docs/performance.md",
    "docs/hooks.md",
)


def shown_commands():
    """Lines `vpcore ...` of code blocks, and of the examples that --help shows; comments cut off."""
    texts = [(ROOT / page).read_text() for page in PAGES]
    blocks = [block for text in texts for block in text.split("```")[1::2]]
    examples = [value for name, value in vars(cli).items() if name.endswith("_EXAMPLES")]
    for line in "\n".join(blocks + examples).splitlines():
        words = re.split(r"\s#|\s{3,}|[<>|]|\s2>", line.strip())[0].split()
        if words[:1] == ["vpcore"] and "..." not in words:
            yield words


@pytest.mark.parametrize("words", list(shown_commands()), ids=" ".join)
def test_a_command_that_is_shown_is_one(words):
    """It is parsed; nothing runs."""
    command, arguments = cli.main, words[1:]
    context = click.Context(command)
    while isinstance(command, click.Group):
        name, *arguments = arguments
        command = command.get_command(context, name)
        assert command is not None, name
    command.make_context(words[1], arguments)


def commands(command, path):
    """Every command below a click command, with its path."""
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from commands(below, f"{path} {name}")
    else:
        yield path, command


def test_every_command_and_option_is_in_the_reference():
    page = (ROOT / "docs" / "cli.md").read_text()
    sections = {part.split("`")[0]: part for part in page.split("\n## `")[1:]}

    for path, command in commands(cli.main, "vpcore"):
        section = next((text for title, text in sections.items() if title.split(" [")[0].startswith(path)), "")
        assert section, f"{path} is not in docs/cli.md"
        options = [name for option in command.params if isinstance(option, click.Option) for name in option.opts]
        assert [name for name in options if f"`{name}`" not in section] == []
