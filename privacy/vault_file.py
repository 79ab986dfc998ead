"""One SQLite file of a vault: private to its owner, bound to one ring, all or nothing per write."""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from governance import durable
from governance.errors import KeyringError, UsageError
from privacy import places
from privacy.keyring import Keyring

# What was erased is overwritten, and nothing is sorted on a disk.
_PRAGMAS = ("secure_delete=ON", "temp_store=MEMORY")
_META = "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT"
_STATEMENT_END = ";\n\n"


class VaultFile:
    """An open vault file; `transaction` is the only way to write to it.

    Parameters
    ----------
    path : Path
        The database file.
    connection : sqlite3.Connection
        An open connection to it.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self.connection = connection
        self.vault_id = ""

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run the block as one transaction: all of it is on disk at the end, or nothing.

        Raises
        ------
        EnvironmentFault
            If the place is full, busy or read-only.
        """
        with places.database_faults(self.path):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            finally:
                # A full disk may have made SQLite roll back by itself already, and a failed
                # roll-back changes nothing: what was not committed is dropped at the next open.
                if self.connection.in_transaction:
                    with contextlib.suppress(sqlite3.OperationalError):
                        self.connection.execute("ROLLBACK")


@contextmanager
def opened(path: Path, *, keyring: Keyring, tables: str) -> Iterator[VaultFile]:
    """Open the vault file `path` of the ring `keyring`, made with `tables` if it is missing.

    Raises
    ------
    KeyringError
        If the file was made under another ring.
    EnvironmentFault
        If the place is full, busy or read-only.
    """
    with places.file_faults(path), places.database_faults(path):
        connection = durable.open_database(path, pragmas=_PRAGMAS)
    vault = VaultFile(path, connection)
    with contextlib.closing(connection):
        meta = _prepare(vault, keyring, tables)
        if meta["ring_id"] != keyring.ring_id:
            raise KeyringError(
                f"The vault {path} belongs to the ring {meta['ring_id']}; the ring at hand is "
                f"{keyring.ring_id}. Use the ring that the vault was made with."
            )
        vault.vault_id = meta["vault_id"]
        yield vault


def require(path: Path) -> None:
    """Refuse to go on without the vault file `path`.

    Raises
    ------
    UsageError
        If it is missing: a vault is made by protecting a table, never by asking it.
    """
    if not path.is_file():
        raise UsageError(f"There is no vault at {path}. Run `python -m privacy protect` first.")


def _prepare(vault: VaultFile, keyring: Keyring, tables: str) -> dict[str, str]:
    with vault.transaction() as connection:
        for statement in (_META, *tables.split(_STATEMENT_END)):
            connection.execute(statement)
        new = [("ring_id", keyring.ring_id), ("vault_id", secrets.token_hex(8))]
        connection.executemany("INSERT OR IGNORE INTO meta VALUES (?, ?)", new)
        return dict(connection.execute("SELECT name, value FROM meta"))
