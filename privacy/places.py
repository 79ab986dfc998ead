"""Faults of the place (full, read-only, open to others), whichever library meets them first."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from governance import durable
from governance.errors import EnvironmentFault, IntegrityError

_OF_THE_PLACE = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "the place is read-only",
    sqlite3.SQLITE_BUSY: "the database is locked by another program",
    sqlite3.SQLITE_LOCKED: "the database is locked by another program",
    sqlite3.SQLITE_PROTOCOL: "the database is locked by another program",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened",
    sqlite3.SQLITE_PERM: "permission is denied",
    sqlite3.SQLITE_NOMEM: "the memory is used up",
    sqlite3.SQLITE_IOERR: "the system cannot read or write it, or allows no file that large",
}
_PRIMARY = 0xFF  # the last byte of an extended result code


@contextmanager
def database_faults(path: Path) -> Iterator[None]:
    """Turn what SQLite raises about the file `path` into an error of ours.

    SQLite's own words are not repeated: they may quote what a cell holds.

    Raises
    ------
    EnvironmentFault
        If the place is full, read-only, busy, or allows no file that large.
    IntegrityError
        If the database is damaged, or is not built as we build it.
    """
    try:
        yield
    except sqlite3.ProgrammingError:
        raise
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
        words = _OF_THE_PLACE.get(code & _PRIMARY)
        if words is None or code == sqlite3.SQLITE_IOERR_SHORT_READ:
            raise IntegrityError(f"{path} is damaged. Restore it from a backup.") from None
        raise EnvironmentFault(
            f"Cannot use {path}: {words}. Nothing half-written was kept; make room, run this again."
        ) from None


def folder_fault(path: Path) -> str | None:
    """Say what lets others exchange what lies in the folder `path`; None if nothing does."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    if stat.S_ISLNK(status.st_mode):
        return f"{path} is a symbolic link, which is not allowed. Name the folder itself."
    if status.st_mode & 0o022:
        mode = stat.S_IMODE(status.st_mode)
        return (
            f"{path} has mode {mode:04o}, so others could exchange what lies in it; at most 0755 "
            f"is allowed. Run `chmod 700 {path}` and look at what it holds."
        )
    return None


def require_own_folder(path: Path) -> None:
    """Refuse a folder in which others could exchange what lies there.

    Raises
    ------
    EnvironmentFault
        If it is a symbolic link, or its group or everybody may write to it.
    """
    fault = folder_fault(path)
    if fault:
        raise EnvironmentFault(f"The folder {fault}")


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
