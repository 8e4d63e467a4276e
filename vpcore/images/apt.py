"""Debian packages of another architecture or release than the host's, without touching the host's apt.

Ordinary apt-get and apt-cache, with sources, lists and archives of our own in the cache folder; apt checks signatures as
always.  The archive is the one that the host's apt uses, `$VPCORE_DEBIAN_MIRROR`, or the one that debootstrap knows.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import attrs

from vpcore.errors import ImageError
from vpcore.images import tools

RELEASE: Final = "bookworm"
KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
MIRROR_VARIABLE: Final = "VPCORE_DEBIAN_MIRROR"
DEBOOTSTRAP: Final = Path("/usr/sbin/debootstrap")
STATUS: Final = re.compile(r"^dlstatus:[^:]*:([0-9.]+):")

Progress = Callable[[float], None]
"""Is told how much is done, from 0 to 1."""


@attrs.frozen
class Package:
    """A package that the archive offers."""

    file: str
    size: int
    sha256: str

    def is_in(self, folder: Path) -> bool:
        """Whether *folder* has it, whole."""
        path = folder / self.file
        if not path.exists() or path.stat().st_size != self.size:
            return False
        with path.open("rb") as data:
            return hashlib.file_digest(data, "sha256").hexdigest() == self.sha256


def sources() -> str:
    """The sources.list for Debian's RELEASE.

    Raises:
        ImageError: no Debian archive, or no key to check it with, is known here.

    """
    if not KEYRING.exists():
        raise ImageError(f"{KEYRING} is not there: apt-get install debian-archive-keyring")
    main, security = _archives()
    lines = [(main, RELEASE), (main, f"{RELEASE}-updates")]
    if security:
        lines.append((security, f"{RELEASE}-security"))
    return "".join(f"deb [signed-by={KEYRING}] {uri} {suite} main\n" for uri, suite in lines)


def _archives() -> tuple[str, str]:
    """The addresses of the main and (or an empty text) of the security archive."""
    if os.environ.get(MIRROR_VARIABLE):
        return os.environ[MIRROR_VARIABLE], ""
    known = [uri.rstrip("/") for uri in tools.run("apt-get", "indextargets", "--format", "$(REPO_URI)").split()]
    main = next((uri for uri in known if uri.endswith("/debian")), "")
    security = next((uri for uri in known if uri.endswith("/debian-security")), "")
    if not main and DEBOOTSTRAP.exists():
        named = re.search(r'^DEF_MIRROR="(\S+/debian)"', DEBOOTSTRAP.read_text(), re.MULTILINE)
        main = named[1] if named else ""
    if not main:
        raise ImageError(
            f"this host's apt knows no Debian archive: set {MIRROR_VARIABLE} to one, or apt-get install debootstrap"
        )
    return main, security


class Apt:
    """The packages of one *architecture* (such as "i386"), kept in the cache folder."""

    def __init__(self, architecture: str) -> None:
        self._home = tools.cache() / "apt" / architecture
        self._archives = self._home / "archives"
        self._lists = self._home / "lists"
        self._options = (
            f"-oAPT::Architecture={architecture}",
            f"-oAPT::Architectures={architecture}",
            f"-oDir::State::Lists={self._lists}",
            f"-oDir::State::status={self._home / 'status'}",
            f"-oDir::Cache={self._home}",
            f"-oDir::Cache::Archives={self._archives}",
            f"-oDir::Etc::SourceList={self._home / 'sources.list'}",
            "-oDir::Etc::SourceParts=-",
            "-oAcquire::Languages=none",
            "-oAcquire::Retries=3",
            "-oAPT::Status-Fd=1",
        )

    def dependency(self, package: str, pattern: str) -> str:
        """The name of the first dependency of *package* that matches the regular expression *pattern*."""
        self._prepare()
        for line in tools.run("apt-cache", *self._options, "depends", package).splitlines():
            kind, _, name = line.strip().partition(": ")
            if kind == "Depends" and re.match(pattern, name):
                return name
        raise ImageError(f"package {package} of Debian {RELEASE} depends on nothing like {pattern}")

    def get(self, names: Iterable[str], progress: Progress) -> list[Path]:
        """The files of the packages *names*, downloaded unless they are here."""
        wanted = list(names)
        self._prepare()
        found = self._offered(wanted)
        missing = [name for name, package in zip(wanted, found, strict=True) if not package.is_in(self._archives)]
        if missing:
            try:
                self._download(missing, progress)
            except ImageError:  # the archive may have newer ones than our lists
                self.update()
                found = self._offered(wanted)
                self._download(missing, progress)
        return [self._archives / package.file for package in found]

    def update(self) -> None:
        """Ask the archive what it has."""
        tools.folder(self._lists / "partial")
        tools.folder(self._archives / "partial")
        (self._home / "status").touch()
        (self._home / "sources.list").write_text(sources())
        try:
            tools.run("apt-get", *self._options, "update", "-qq", "-oAPT::Update::Error-Mode=any")
        except ImageError:
            # one archive in the middle of an update leaves the others usable; without the main one nothing is
            if not any(self._lists.glob(f"*_{RELEASE}_*Packages*")):
                raise

    def _prepare(self) -> None:
        if not any(self._lists.glob("*Packages*")):
            self.update()

    def _offered(self, names: list[str]) -> list[Package]:
        packages = []
        for name in names:
            # 'URI' FILE SIZE SHA256:SUM
            words = shlex.split(tools.run("apt-get", *self._options, "download", "-qq", "--print-uris", name))
            file, size, checksum = words[-3:]
            packages.append(Package(file, int(size), checksum.removeprefix("SHA256:")))
        return packages

    def _download(self, names: list[str], progress: Progress) -> None:
        with tempfile.TemporaryDirectory(prefix="get-", dir=self._home) as work:
            command = [tools.find("apt-get"), *self._options, "download", "-qq", *names]
            environment = {**os.environ, "LC_ALL": "C.UTF-8"}
            with subprocess.Popen(
                command, cwd=work, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            ) as process:
                assert process.stdout is not None
                assert process.stderr is not None
                for line in process.stdout:
                    status = STATUS.match(line)
                    if status:
                        progress(float(status[1]) / 100)
                said = process.stderr.read()
            if process.returncode:
                raise tools.failed("apt-get", said, process.returncode)
            for path in Path(work).iterdir():
                path.replace(self._archives / path.name)


def extract(package: Path, target: Path) -> None:
    """Unpack the files of *package* into the folder *target*."""
    tools.run("dpkg-deb", "-x", package, target)
