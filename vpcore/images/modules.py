"""Linux kernel modules: which ones a list of names needs, and the index files that modprobe reads.

Source: modules.dep(5), modprobe.d(5).  A module tells its name, aliases and needs in its ELF section `.modinfo`, as strings
`key=value` that end in a zero byte.  Read here, and not by depmod, because we also choose by them.
"""

from __future__ import annotations

import fnmatch
import shutil
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import attrs

from vpcore.errors import ImageError

ELF_HEADER: Final = struct.Struct("<16s2H5I6H")
SECTION: Final = struct.Struct("<10I")
INFO_SECTION: Final = b".modinfo"
COPIED: Final = ("modules.builtin", "modules.builtin.modinfo", "modules.order")


@attrs.frozen
class Module:
    """One module: its *path* below the folder of its kernel, and what it says about itself."""

    path: str
    name: str
    aliases: tuple[str, ...]
    depends: tuple[str, ...]
    wanted_before: tuple[str, ...]
    """Soft dependencies: names or aliases, used where they exist."""


def section(elf: bytes, name: bytes) -> bytes:
    """The contents of a section of a 32-bit little-endian ELF file; empty if it has none of that *name*."""
    header = ELF_HEADER.unpack_from(elf)
    offset, size, count, names_index = header[6], header[11], header[12], header[13]
    table = [SECTION.unpack_from(elf, offset + index * size) for index in range(count)]
    names = table[names_index][4]
    for entry in table:
        start = names + entry[0]
        if elf[start : elf.index(b"\0", start)] == name:
            return elf[entry[4] : entry[4] + entry[5]]
    return b""


def read(root: Path, path: Path) -> Module:
    """What the module *path*, in the kernel's folder *root*, says about itself."""
    try:
        info = section(path.read_bytes(), INFO_SECTION).decode("latin-1")
    except (struct.error, ValueError) as error:
        raise ImageError(f"{path} is no 32-bit kernel module") from error
    pairs = [(key, value) for key, _, value in (line.partition("=") for line in info.split("\0"))]

    def values(wanted: str) -> list[str]:
        return [value for key, value in pairs if key == wanted]

    soft = [word for line in values("softdep") for word in _before(line)]
    return Module(
        path=path.relative_to(root).as_posix(),
        name=path.stem.replace("-", "_"),
        aliases=tuple(values("alias")),
        depends=tuple(name.replace("-", "_") for line in values("depends") for name in line.split(",") if name),
        wanted_before=tuple(soft),
    )


def _before(softdep: str) -> list[str]:
    """The words after `pre:` in a line such as `pre: a b post: c`."""
    groups: dict[str, list[str]] = {"pre:": [], "post:": []}
    group = "post:"
    for word in softdep.split():
        if word in groups:
            group = word
        else:
            groups[group].append(word)
    return groups["pre:"]


class Tree:
    """The modules of one kernel, in the folder *root* (`lib/modules/VERSION`)."""

    def __init__(self, root: Path) -> None:
        self.root = root
        found = [read(root, path) for path in sorted(root.rglob("*.ko"))]
        self._by_name = {module.name: module for module in found}

    def closure(self, names: Iterable[str]) -> list[Module]:
        """The modules *names* and all that they need, in the order in which they can be loaded.

        Raises:
            ImageError: this kernel has no module of such a name.

        """
        ordered: dict[str, Module] = {}
        for name in names:
            self._add(name.replace("-", "_"), ordered)
        return list(ordered.values())

    def _add(self, name: str, ordered: dict[str, Module]) -> None:
        if name in ordered:
            return
        if name not in self._by_name:
            raise ImageError(f"the kernel in {self.root} has no module {name}")
        module = self._by_name[name]
        soft = [found.name for wanted in module.wanted_before for found in self._matching(wanted)]
        for needed in (*soft, *module.depends):
            self._add(needed, ordered)
        ordered[name] = module

    def _matching(self, wanted: str) -> Iterator[Module]:
        plain = wanted.replace("-", "_")
        for module in self._by_name.values():
            if module.name == plain or any(fnmatch.fnmatchcase(wanted, alias) for alias in module.aliases):
                yield module

    def install(self, chosen: Iterable[Module], target: Path) -> None:
        """Copy the *chosen* modules to the folder *target*, with index files for just these."""
        kept = list(chosen)
        for module in kept:
            (target / module.path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(self.root / module.path, target / module.path)
        for name in COPIED:
            shutil.copy2(self.root / name, target / name)
        lines = [f"{module.path}: {' '.join(self._needs(module))}".rstrip() for module in kept]
        (target / "modules.dep").write_text("".join(f"{line}\n" for line in lines))
        aliases = [f"alias {alias} {module.name}" for module in kept for alias in module.aliases]
        (target / "modules.alias").write_text("".join(f"{line}\n" for line in aliases))
        (target / "modules.symbols").write_text("")

    def _needs(self, module: Module) -> list[str]:
        """The paths of what *module* cannot do without, the last to load first, as modules.dep has them."""
        ordered: dict[str, Module] = {}
        for name in module.depends:
            self._add_hard(name, ordered)
        return [needed.path for needed in reversed(ordered.values())]

    def _add_hard(self, name: str, ordered: dict[str, Module]) -> None:
        if name not in ordered:
            for needed in self._by_name[name].depends:
                self._add_hard(needed, ordered)
            ordered[name] = self._by_name[name]
