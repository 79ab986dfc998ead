"""The shell around every room's verbs: exit codes, JSON on stdout, logs on stderr, no leaks.

A verb is a function that returns a document (one JSON object) and a sentence or table for people.
What it raises becomes one line and an exit code. An unexpected error is a bug of ours; its message
is withheld, because libraries put row values into messages.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import sqlite3
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.logging import RichHandler

from governance import durable, settings
from governance.errors import ContractError, EnvironmentFault, LimitlineError, UsageError
from governance.settings import Settings

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Encoding = Annotated[
    str, typer.Option(help="Of a CSV: utf-8, gb18030 ...; told from the file if left out.")
]
OnDay = Annotated[str, typer.Option("--on", metavar="YYYY-MM-DD", help="The day this counts for.")]

_SHOW_BUGS = "LIMITLINE_TRACEBACK"

Verb = TypeVar("Verb", bound=Callable[..., Any])

stdout = Console(soft_wrap=False, highlight=False)
stderr = Console(stderr=True, highlight=False)


def group(promise: str) -> typer.Typer:
    """Return the command that every room's verbs are added to."""
    return typer.Typer(
        name="limitline",
        help=promise,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def guarded(verb: Verb) -> Verb:
    """Turn what a verb raises into one line on stderr and the exit code that belongs to it."""

    @functools.wraps(verb)
    def run(*args: Any, **kwargs: Any) -> Any:
        _log_to_stderr()
        try:
            return verb(*args, **kwargs)
        except LimitlineError as error:
            _leave(str(error), error.exit_code)
        except OSError as error:
            fault = durable.fault_from(error)
            _leave(str(fault) if fault else _bug(error), fault.exit_code if fault else 1)
        except sqlite3.OperationalError as error:
            text = f"A database under the home cannot be written or read: {error.args[0]}."
            _leave(text, EnvironmentFault.exit_code)
        except (typer.Exit, typer.Abort, KeyboardInterrupt):
            raise
        except Exception as error:  # noqa: BLE001  (the one place where a bug becomes an exit code)
            _leave(_bug(error), 1)

    return run  # type: ignore[return-value]


def emit(document: Mapping[str, Any], *, as_json: bool, people: Callable[[Console], None]) -> None:
    """Print `document` as JSON, or let `people` print what a person wants to read."""
    if as_json:
        sys.stdout.write(json.dumps(document, ensure_ascii=False, sort_keys=True) + "\n")
    else:
        people(stdout)


def parse_day(text: str, *, time_zone: str = "UTC") -> date:
    """Read a day; the empty text is today there, and this is the one place that asks the clock.

    Raises
    ------
    UsageError
        If `text` is not ``YYYY-MM-DD``.
    """
    if not text:
        return datetime.now(ZoneInfo(time_zone)).date()
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError("A day is written YYYY-MM-DD.") from None


def load_home() -> Settings:
    """Return the settings and make sure that the home exists and belongs to its owner.

    Raises
    ------
    EnvironmentFault
        If the home cannot be created.
    """
    here = settings.load()
    durable.make_folder(here.home)
    return here


def _leave(message: str, code: int) -> NoReturn:
    stderr.print(f"limitline: {message}", markup=False, soft_wrap=True)
    raise typer.Exit(code)


def _bug(error: BaseException) -> str:
    if os.environ.get(_SHOW_BUGS) == "true":
        traceback.print_exception(error)
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].name}, line {frames[-1].lineno}" if frames else "an unknown place"
    return (
        f"internal error ({type(error).__name__} in {place}). Its message is withheld, because it "
        f"could hold row values; {_SHOW_BUGS}=true prints it. This is a bug of Limitline."
    )


def _log_to_stderr() -> None:
    level = os.environ.get("LIMITLINE_LOG", "WARNING").upper()
    handler = RichHandler(console=stderr, show_path=False, show_time=False, markup=False)
    logging.basicConfig(level=level, handlers=[handler], format="%(message)s", force=True)


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
    with Progress(*columns, TimeElapsedColumn(), console=stderr) as bar:
        task = bar.add_task(title, total=steps)

        def done(step: str, advance: int = 1) -> None:
            bar.update(task, advance=advance, description=f"{title}: {step}")

        yield done
