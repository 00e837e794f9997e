"""Bars for what takes long; on a terminal alone."""

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TransferSpeedColumn,
)


@contextlib.contextmanager
def transferring(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for bytes: what it gives is called with how many more there are, and of how many."""
    with _bar(DownloadColumn(), TransferSpeedColumn()) as progress:
        task = progress.add_task(what, total=None)

        def advance(more: int, total: int) -> None:
            progress.update(task, advance=more, total=total)

        yield advance


@contextlib.contextmanager
def counting(what: str) -> Iterator[Callable[[int, int | None, str], None]]:
    """A bar for things: what it gives is called with how many are done, of how many (None: nobody
    knows), and a word on what happens."""
    with _bar(MofNCompleteColumn(), TextColumn("{task.fields[word]}")) as progress:
        task = progress.add_task(what, total=None, word="")

        def update(done: int, total: int | None, word: str) -> None:
            progress.update(task, completed=done, total=total, word=word)

        yield update


def _bar(
    *columns: TextColumn | DownloadColumn | TransferSpeedColumn | MofNCompleteColumn,
) -> Progress:
    out = Console(stderr=True)
    first = (TextColumn("{task.description}"), BarColumn())
    return Progress(*first, *columns, console=out, transient=True, disable=not out.is_terminal)
