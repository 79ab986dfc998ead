"""The terminal: how long work shows that it goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from governance import command


@contextmanager
def progress(title: str, steps: int) -> Iterator[Callable[..., None]]:
    """Show a bar on stderr, where it does not disturb a document on stdout."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=command.stderr) as bar:
        task = bar.add_task(title, total=steps)

        def done(step: str, advance: int = 1) -> None:
            bar.update(task, advance=advance, description=f"{title}: {step}")

        yield done
