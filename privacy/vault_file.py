"""One SQLite file of a vault: private to its owner, sealed as a whole, all or nothing per write.

Every write ends with a seal: a digest over all that the file holds, row by row and with the
statements that built it, under a key of the ring. Opening computes it again. Exchanged, forged,
deleted and older rows are therefore found however they came there.

Whoever can write to a vault can also put a whole older copy in its place, each byte of which was
sealed by us. So each state has a number, and the number of the newest one is kept in the keyring's
folder (`LastSeen`; the pointers of the gate have one too). A state with a smaller number is an
older one; a larger number is what a run leaves that was killed between writing and noting it.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from governance import canonical, durable
from governance.errors import IntegrityError, KeyringError, UsageError
from privacy.keyring import Keyring

# What was erased is overwritten, and nothing is sorted on a disk.
_PRAGMAS = ("secure_delete=ON", "temp_store=MEMORY")
_OWN_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE seal (
    number INTEGER PRIMARY KEY,
    sha256 TEXT NOT NULL,
    mac BLOB NOT NULL
) STRICT;

"""
_STATEMENT_END = ";\n\n"
_ROWS_AT_ONCE = 1_000
_NONCE_BYTES = 12
_RESTORE = "Restore the vault and the keyring's folder from the same backup"
LAST_SEEN = "last-seen"

_LAST_SEEN_USE = "last-seen"
_NOTES_RESTORE = "Restore the keyring's folder and what it was used on from the same backup"


@dataclass(frozen=True, slots=True, kw_only=True)
class LastSeen:
    """The newest state of one thing that this ring has sealed.

    Parameters
    ----------
    name : str
        Random name of the thing, which it carries itself.
    place : str
        Where it lies, seen from the keyring, so that a home may be moved as a whole.
    number : int
        Number of its newest state.
    """

    name: str
    place: str
    number: int

    def note(self, keyring: Keyring) -> None:
        """Keep this as the newest state; it is on disk when this returns."""
        body = {"name": self.name, "place": self.place, "number": self.number}
        mac = keyring.lasting_mac(canonical.dumps(body), use=_LAST_SEEN_USE).hex()
        path = _folder(keyring) / f"{self.name}.json"
        durable.make_folder(path.parent)
        with durable.file_faults(path):
            durable.write_bytes(path, canonical.dumps({**body, "mac": mac}) + b"\n")


def place_of(path: Path, keyring: Keyring) -> str:
    """Return where the file `path` lies, seen from the keyring."""
    return os.path.relpath(path.parent.resolve() / path.name, _folder(keyring).parent)


def last_of(name: str, keyring: Keyring) -> LastSeen | None:
    """Return the newest state of the thing called `name`; None if the ring never saw one.

    Raises
    ------
    IntegrityError
        If what was noted was altered.
    """
    path = _folder(keyring) / f"{Path(name).name}.json"
    return _read_note(path, keyring) if path.is_file() else None


def last_at(path: Path, keyring: Keyring) -> LastSeen | None:
    """Return what was last seen at the place of the file `path`; None if nothing ever was.

    Raises
    ------
    IntegrityError
        If what was noted was altered.
    """
    place = place_of(path, keyring)
    # All are read, whichever comes first: names are drawn, and an altered note is found each time.
    noted = [_read_note(file, keyring) for file in sorted(_folder(keyring).glob("*.json"))]
    return next((one for one in noted if one.place == place), None)


@dataclass(slots=True, kw_only=True)
class VaultFile:
    """An open vault file; `transaction` is the only way to write to it.

    Parameters
    ----------
    path : Path
        The database file.
    connection : sqlite3.Connection
        An open connection to it.
    number : int
        Number of the state that was verified or written last.
    seen_changes : int
        SQLite's count of what other programs had written by then.
    """

    path: Path
    connection: sqlite3.Connection
    keyring: Keyring
    vault_id: str = ""
    number: int = 0
    seen_changes: int = -1

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run the block as one transaction: all of it is on disk at the end, sealed, or nothing.

        Raises
        ------
        EnvironmentFault
            If the place is full, busy or read-only.
        IntegrityError
            If the file is not what was sealed last.
        """
        with durable.database_faults(self.path):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                if self._changes() != self.seen_changes:
                    self._verify_content()
                yield self.connection
                self._seal(self.number + 1)
                self.connection.execute("COMMIT")
            finally:
                # A full disk may have made SQLite roll back by itself already, and a failed
                # roll-back changes nothing: what was not committed is dropped at the next open.
                if self.connection.in_transaction:
                    with contextlib.suppress(sqlite3.OperationalError):
                        self.connection.execute("ROLLBACK")
        self.number += 1
        self._note()

    def make(self, tables: str) -> None:
        """Build the new, empty file and give it a name."""
        self.vault_id = secrets.token_hex(8)
        with durable.database_faults(self.path):
            self.connection.execute("BEGIN IMMEDIATE")
            for statement in (_OWN_TABLES + tables).split(_STATEMENT_END):
                self.connection.execute(statement)
            meta = [("ring_id", self.keyring.ring_id), ("vault_id", self.vault_id)]
            self.connection.executemany("INSERT INTO meta VALUES (?, ?)", meta)
            self._seal(self.number)
            self.connection.execute("COMMIT")
        self._note()

    def is_new(self) -> bool:
        """Tell whether nothing was ever built here."""
        with durable.database_faults(self.path):
            found = self.connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        return bool(found == (0,))

    def verify(self) -> None:
        """Check that the file holds what was sealed last, and that it is the newest state.

        Raises
        ------
        KeyringError
            If the file was made under another ring.
        IntegrityError
            If anything in it was altered, or it is older than what the ring has seen.
        """
        with durable.database_faults(self.path):
            # Read before the file, which meanwhile can only become newer.
            claim = last_at(self.path, self.keyring)
            meta = dict(self.connection.execute("SELECT name, value FROM meta"))
            self.vault_id = str(meta.get("vault_id", ""))
            seen = last_of(self.vault_id, self.keyring)
            self.connection.execute("BEGIN")
            try:
                self._verify_content()
            finally:
                self.connection.execute("ROLLBACK")
        if claim is not None and claim.name != self.vault_id:
            raise IntegrityError(f"{self.path} is not the vault that was there. {_RESTORE}.")
        # A run that was killed while it made the vault leaves a state 0 that nobody noted.
        if self.number < seen.number if seen else self.number > 0:
            raise IntegrityError(
                f"{self.path} is not the state that the ring saw last. {_RESTORE}."
            )
        if seen is None or (seen.number, seen.place) != (self.number, self._place):
            self._note()

    @property
    def _place(self) -> str:
        return place_of(self.path, self.keyring)

    def _note(self) -> None:
        LastSeen(name=self.vault_id, place=self._place, number=self.number).note(self.keyring)

    def _changes(self) -> int:
        (count,) = self.connection.execute("PRAGMA data_version").fetchone()
        return int(count)

    def _verify_content(self) -> None:
        """Check the content, the ring and the MAC, and take over the number of the state.

        The plain digest comes before the ring: a flipped byte in the ring's name is an altered
        vault, not another ring.
        """
        seals = self.connection.execute("SELECT number, sha256, mac FROM seal").fetchall()
        content = _digest(self.connection)
        altered = IntegrityError(f"{self.path} was altered. {_RESTORE}.")
        if len(seals) != 1 or seals[0][1] != content:
            raise altered
        number, _, mac = seals[0]
        meta = dict(self.connection.execute("SELECT name, value FROM meta"))
        if meta["ring_id"] != self.keyring.ring_id:
            raise KeyringError(
                f"The vault {self.path} belongs to the ring {meta['ring_id']}; the ring at hand is "
                f"{self.keyring.ring_id}. Use the ring that the vault was made with."
            )
        if not hmac.compare_digest(self._mac(number, content), mac):
            raise altered
        self.number, self.seen_changes = int(number), self._changes()

    def _seal(self, number: int) -> None:
        content = _digest(self.connection)
        self.connection.execute("DELETE FROM seal")
        row = (number, content, self._mac(number, content))
        self.connection.execute("INSERT INTO seal VALUES (?, ?, ?)", row)

    def _mac(self, number: int, content: str) -> bytes:
        sealed = canonical.dumps([self.path.name, number, content])
        return self.keyring.lasting_mac(sealed, use="vault-seal")


class RecordCipher:
    """Seals the records of a vault with AES-256-GCM, each bound to what it is about."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, record: bytes, about: bytes) -> bytes:
        """Return the sealed record, which no other place of the vault can take."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, record, about)

    def open(self, sealed: bytes, about: bytes) -> bytes:
        """Return the record that `seal` sealed.

        Raises
        ------
        IntegrityError
            If it was altered, or stands in another place.
        """
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], about)
        except InvalidTag:
            raise IntegrityError(
                "A record of a vault was altered. Restore the vault from a backup."
            ) from None


@contextmanager
def opened(path: Path, *, keyring: Keyring, tables: str) -> Iterator[VaultFile]:
    """Open the vault file `path` of the ring `keyring`, made with `tables` if it is missing.

    Raises
    ------
    KeyringError
        If the file was made under another ring.
    IntegrityError
        If anything in it was altered, it is an older state, or it is gone.
    EnvironmentFault
        If the place is full, busy, read-only or open to others.
    """
    durable.require_own_folder(path.parent)
    claim = last_at(path, keyring)
    if claim is not None and not path.is_file():
        raise _gone(path, claim)
    with durable.file_faults(path), durable.database_faults(path):
        connection = durable.open_database(path, pragmas=_PRAGMAS)
    vault = VaultFile(path=path, connection=connection, keyring=keyring)
    with contextlib.closing(connection), durable.database_faults(path):
        if not vault.is_new():
            vault.verify()
        elif claim is None:
            vault.make(tables)
        else:
            raise _gone(path, claim)
        yield vault


def require(path: Path, keyring: Keyring) -> None:
    """Refuse to go on without the vault file `path`.

    Raises
    ------
    UsageError
        If it never was: a vault is made by protecting a table, never by asking it.
    IntegrityError
        If it was there and is gone.
    """
    if path.is_file():
        return
    claim = last_at(path, keyring)
    if claim is not None:
        raise _gone(path, claim)
    raise UsageError(f"There is no vault at {path}. Run `limitline protect` first.")


def _gone(path: Path, claim: LastSeen) -> IntegrityError:
    return IntegrityError(
        f"{path} is empty or gone; the ring has seen a vault there. {_RESTORE}. If it is lost for "
        f"good, delete {LAST_SEEN}/{claim.name}.json in the keyring's folder: all customers "
        "then become new ones."
    )


def _digest(connection: sqlite3.Connection) -> str:
    """Return the SHA-256 of every row of every table but the seal's, in the order of their keys."""
    query = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"
    schema = connection.execute(query).fetchall()
    digest = hashlib.sha256(b"".join(map(_framed, schema)))
    for name in (row[1] for row in schema if row[0] == "table" and row[1] != "seal"):
        digest.update(_framed((name,)))
        quoted = name.replace('"', '""')
        # No input of anybody: the name is in the schema of a file that only its owner may write.
        rows = connection.execute(f'SELECT * FROM "{quoted}" ORDER BY 1')  # noqa: S608
        while some := rows.fetchmany(_ROWS_AT_ONCE):
            digest.update(b"".join(map(_framed, some)))
    return digest.hexdigest()


def _framed(row: tuple[bytes | str | int | None, ...]) -> bytes:
    """Return a row as bytes that no other row of its table has."""
    return b"".join(
        [
            b"%d:%b" % (len(value), value) if isinstance(value, bytes) else b"%r," % (value,)
            for value in row
        ]
    )


def _folder(keyring: Keyring) -> Path:
    if keyring.folder is None:
        raise KeyringError(
            "This ring was not opened from a folder, so nobody can say whether a vault or a "
            "pointer is the newest one. Open the ring from its folder."
        )
    return keyring.folder / LAST_SEEN


def _read_note(path: Path, keyring: Keyring) -> LastSeen:
    try:
        document: dict[str, Any] = json.loads(path.read_bytes())
        mac = bytes.fromhex(document.pop("mac"))
        found = LastSeen(**document)
        genuine = keyring.lasting_mac(canonical.dumps(document), use=_LAST_SEEN_USE)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise IntegrityError(f"{path} was altered. {_NOTES_RESTORE}.") from None
    if found.name != path.stem or not hmac.compare_digest(genuine, mac):
        raise IntegrityError(f"{path} was altered. {_NOTES_RESTORE}.")
    return found
