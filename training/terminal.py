"""The terminal: declared files that a person names, and long work that shows it goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from governance import command
from governance.errors import ContractError, UsageError


def read_text(path: Path) -> str:
    """Return the text of a file that was named on the command line.

    Raises
    ------
    UsageError
        If there is no such file.
    ContractError
        If it is not UTF-8 text.
    """
    if not path.is_file():
        raise UsageError(f"There is no file {path}.")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ContractError(f"The file {path} is not UTF-8 text.") from None


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
