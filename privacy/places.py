"""Faults of the place (full, read-only, a file too large), whichever library meets them first."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from governance import durable
from governance.errors import EnvironmentFault, IntegrityError

_DAMAGED = ("malformed", "not a database")


@contextmanager
def database_faults(path: Path) -> Iterator[None]:
    """Turn what SQLite raises about the file `path` into an error of ours.

    Raises
    ------
    EnvironmentFault
        If the place is full, read-only, busy, or allows no file that large.
    IntegrityError
        If the database is damaged.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        text = str(error)
        if any(word in text for word in _DAMAGED):
            raise IntegrityError(f"{path} is damaged. Restore it from a backup.") from None
        if not isinstance(error, sqlite3.OperationalError):
            raise
        raise EnvironmentFault(
            f"Cannot use {path}: {text}. Nothing half-written was kept; make room, run this again."
        ) from None


@contextmanager
def file_faults(path: Path) -> Iterator[None]:
    """Turn what the system or Arrow raises while `path` is written into an error of ours.

    Raises
    ------
    EnvironmentFault
        If the place is full, read-only, or allows no file that large.
    """
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        fault = durable.fault_from(_with_number(error))
        if fault is None:
            raise
        text = str(fault).replace("Cannot write", f"Cannot write to {path}", 1)
        raise EnvironmentFault(f"{text} Make room, run this again.") from None


def _with_number(error: BaseException) -> OSError:
    """Return the system error behind `error`; Arrow may say its number only in words."""
    if isinstance(error, OSError) and error.errno:
        return OSError(error.errno, "")
    found = re.search(r"\[errno (\d+)\]", str(error))
    return OSError(int(found[1]) if found else 0, "")
