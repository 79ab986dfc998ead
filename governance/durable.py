"""Writing that survives a kill, one lock per place, and what full, read-only or open places mean.

This is the one module of the room that touches a disk. The rooms above share it, so that there is
exactly one way in which a file appears: whole, or not at all.
"""

from __future__ import annotations

import errno
import fcntl
import glob
import os
import re
import secrets
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from governance.errors import EnvironmentFault, IntegrityError

_FAULTS = {
    errno.ENOSPC: "the disk is full",
    errno.EFBIG: "a file would exceed the size that is allowed here",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the place is read-only",
    errno.EACCES: "permission is denied",
    errno.EPERM: "permission is denied",
    errno.ENOTDIR: "a file is where a folder should be",
    errno.EEXIST: "a file is where a folder should be",
    errno.ELOOP: "a link is where a file should be",
    errno.EISDIR: "a folder is where a file should be",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EIO: "the disk does not answer",
}


_DATABASE_FAULTS = {
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


def fault_from(error: OSError) -> EnvironmentFault | None:
    """Translate an operating-system error into words, or return None if it is not the place's."""
    text = _FAULTS.get(error.errno or 0)
    if text is None:
        return None
    where = f" at {error.filename}" if isinstance(error.filename, str) else ""
    return EnvironmentFault(f"Cannot write{where}: {text}. Nothing half-written was kept.")


def make_folder(path: Path, *, mode: int = 0o700) -> Path:
    """Create `path` and its parents for their owner alone, and return it.

    Raises
    ------
    EnvironmentFault
        If the folder cannot be created.
    """
    try:
        path.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as error:
        fault = fault_from(error)
        if fault is None:
            raise
        raise EnvironmentFault(
            f"Cannot create the folder {path}: {_FAULTS[error.errno or 0]}."
        ) from None
    return path


@contextmanager
def replacing(path: Path, *, mode: int = 0o600) -> Iterator[Path]:
    """Yield a temporary path that becomes `path` when the block ends well.

    The temporary file is beside `path`, is flushed to disk before the rename and removed if the
    block raises. A kill leaves at most a stray temporary file, never a half-written `path`; the
    next one to write `path` removes it.
    """
    _remove_strays(path)
    temporary, descriptor = _claimed(path, mode)
    try:
        yield temporary
        _flush(temporary)
        os.replace(temporary, path)
        _flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
        os.close(descriptor)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes `path` when the block ends well.

    `path` must not exist: what is finished is never overwritten. Temporary folders that a killed
    run left beside it are removed first.
    """
    for stray in _temporaries(path):
        if stray.is_dir():
            shutil.rmtree(stray)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    temporary.mkdir(mode=0o700)
    try:
        yield temporary
        for item in sorted(temporary.rglob("*")):
            _flush(item)
        _flush(temporary)
        os.rename(temporary, path)
        _flush(path.parent)
    finally:
        if temporary.exists():
            shutil.rmtree(temporary)


def write_bytes(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Write `data` to `path`, whole or not at all."""
    with replacing(path, mode=mode) as temporary:
        temporary.write_bytes(data)


def open_database(path: Path, *, pragmas: tuple[str, ...] = ()) -> sqlite3.Connection:
    """Open the SQLite file `path`, for its owner alone; it and its folder are made if missing.

    What is committed survives a loss of power, readers do not wait for a writer, and a writer
    waits ten seconds for another. Transactions are begun by the caller, who also closes.

    Parameters
    ----------
    pragmas : tuple of str
        What else the file asks for, as ``name=value``.

    Raises
    ------
    EnvironmentFault
        If the folder cannot be created.
    OSError
        If the file cannot be made, or is a link.
    sqlite3.DatabaseError
        If it is no database, or is busy.
    """
    make_folder(path.parent)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)
    connection = sqlite3.connect(path, isolation_level=None, timeout=10)
    try:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", *pragmas):
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


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
        words = _DATABASE_FAULTS.get(code & _PRIMARY)
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
    import pyarrow as pa

    try:
        yield
    except (OSError, pa.ArrowException) as error:
        fault = fault_from(_with_number(error))
        if fault is None:
            raise
        text = str(fault).replace("Cannot write", f"Cannot write to {path}", 1)
        raise EnvironmentFault(f"{text} Make room, run this again.") from None


@contextmanager
def locked(path: Path, *, what: str) -> Iterator[None]:
    """Hold an exclusive lock on `path` while the block runs; do not wait for it.

    The operating system frees the lock when the process ends, however it ends.

    Raises
    ------
    EnvironmentFault
        If another process holds the lock.
    """
    make_folder(path.parent)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EnvironmentFault(
                f"{what} is busy: another run holds {path}. Wait for it, then run this again."
            ) from None
        yield
    finally:
        os.close(descriptor)


def _with_number(error: BaseException) -> OSError:
    """Return the system error behind `error`; Arrow may say its number only in words."""
    if isinstance(error, OSError) and error.errno:
        return OSError(error.errno, "")
    found = re.search(r"\[errno (\d+)\]", str(error))
    return OSError(int(found[1]) if found else 0, "")


def _temporaries(path: Path) -> list[Path]:
    return list(path.parent.glob(f".{glob.escape(path.name)}.*.tmp"))


def _claimed(path: Path, mode: int) -> tuple[Path, int]:
    """Create a temporary file of `path` whose lock says that its writer lives.

    The operating system frees the lock however the writer ends.

    Raises
    ------
    EnvironmentFault
        If there is no folder for it.
    """
    while True:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        except FileNotFoundError:
            raise EnvironmentFault(f"There is no folder {path.parent} to write to.") from None
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        # Who came between creating and locking took it for a stray.
        if os.fstat(descriptor).st_nlink:
            return temporary, descriptor
        os.close(descriptor)


def _remove_strays(path: Path) -> None:
    """Remove the temporary files of writers of `path` that were killed."""
    for stray in _temporaries(path):
        if stray.is_dir():
            continue  # what was to be a folder of this name is not this writer's to judge
        try:
            descriptor = os.open(stray, os.O_WRONLY)
        except (FileNotFoundError, PermissionError):
            continue  # its writer has just finished, or it is somebody else's
        try:
            # Whoever holds the lock lives, and keeps his file.
            with suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                stray.unlink(missing_ok=True)
        finally:
            os.close(descriptor)


def _flush(path: Path) -> None:
    """Force a file or a folder entry to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
