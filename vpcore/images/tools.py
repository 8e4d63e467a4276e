"""The host's programs that images are made with, and where their results are kept."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from vpcore.errors import ImageError

PACKAGES: Final = {
    "apt-cache": "apt",
    "apt-get": "apt",
    "debugfs": "e2fsprogs",
    "dpkg-deb": "dpkg",
    "grub-mkimage": "grub-common",
    "mke2fs": "e2fsprogs",
    "xorriso": "xorriso",
}
"""The Debian package of each program used."""

PATH: Final = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
"""Where programs are looked for: a user's PATH may lack the administrator's folders."""


def cache() -> Path:
    """The folder that keeps what was downloaded: `$VPCORE_CACHE`, or `vpcore` in the user's cache folder."""
    named = os.environ.get("VPCORE_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vpcore"


def folder(path: Path) -> Path:
    """The folder *path*, made if it is not there."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageError(f"cannot make folder {path}: {error.strerror}") from error
    return path


def find(tool: str) -> str:
    """The path of *tool*; ImageError names the package to install if it is not there."""
    path = shutil.which(tool, path=PATH)
    if path is None:
        raise ImageError(f"program {tool} is not installed: apt-get install {PACKAGES[tool]}")
    return path


def run(
    tool: str, *arguments: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None, stdin: str = ""
) -> str:
    """The standard output of *tool*; ImageError with its complaint if it fails."""
    command = [find(tool), *map(str, arguments)]
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "PATH": PATH, **(env or {})}
    done = subprocess.run(command, cwd=cwd, env=environment, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise failed(tool, done.stderr or done.stdout, done.returncode)
    return done.stdout


def failed(tool: str, said: str, status: int) -> ImageError:
    """The error for *tool* ending with *status* after it *said* something."""
    complaints = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line.removeprefix("E: ") for line in complaints if line.startswith("E: ")]  # apt's, the cause first
    return ImageError(f"{tool} failed: {(errors[:1] or complaints[-1:] or [f'exit status {status}'])[0]}")


@contextlib.contextmanager
def replacing(out: Path) -> Iterator[Path]:
    """A new file beside *out* that takes its name at the end, and vanishes on any failure or Ctrl-C."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{out.name}.", suffix=".part", dir=folder(out.parent))
    except OSError as error:
        raise ImageError(f"cannot write {out}: {error.strerror}") from error
    os.close(handle)
    part = Path(name)
    try:
        yield part
        part.chmod(0o666 & ~_umask())
        part.replace(out)
    except OSError as error:
        raise ImageError(f"cannot make {out}: {error}") from error
    finally:
        part.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
