"""Progress on the terminal: one line a step."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import rich.console
import rich.progress


class Steps:
    """Shows what is being done and how far it is; silent with *quiet*."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = rich.console.Console(stderr=True, quiet=quiet)

    @contextlib.contextmanager
    def step(self, what: str) -> Iterator[Callable[[float], None]]:
        """Show *what* while the block runs; the block may tell how much is done, from 0 to 1."""
        columns = (
            rich.progress.SpinnerColumn(finished_text="[green]✓"),
            rich.progress.TextColumn("{task.description}"),
            rich.progress.BarColumn(bar_width=24),
            rich.progress.TimeElapsedColumn(),
        )
        with rich.progress.Progress(*columns, console=self._console) as progress:
            task = progress.add_task(what, total=None)
            yield lambda done: progress.update(task, total=1, completed=done)
            progress.update(task, total=1, completed=1)

    def say(self, text: str) -> None:
        """Print one line."""
        self._console.print(text, highlight=False)
