"""The ledger: an append-only list of signed statements, as an RFC 6962 tree in one SQLite file.

Every append is one transaction. Triggers refuse updates and deletes, which stops accidents; an
attacker who owns the file is found out by the signed checkpoint and by its copy at the witness.
The witness folder beside the ledger shows the mechanism; in earnest the copy belongs where the
ledger's administrator cannot write. A hash chain alone would miss a full rewrite and a cut tail.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from governance import durable
from governance.errors import EnvironmentFault, IntegrityError
from registry import offline, rules
from registry.offline import Checkpoint
from registry.signing import DsseEnvelope, People, Signer, Statement, checked

DATABASE = "ledger.db"
CHECKPOINT = "checkpoint.txt"
WITNESS = "witness"
_PRAGMAS = ("busy_timeout=30000",)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entry (
    seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL, body BLOB NOT NULL
) STRICT;
CREATE TRIGGER IF NOT EXISTS entry_is_never_updated BEFORE UPDATE ON entry
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS entry_is_never_deleted BEFORE DELETE ON entry
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One verified line of the ledger."""

    seq: int
    recorded_at: str
    statement: Statement

    @classmethod
    def of(cls, verified: Mapping[str, Any]) -> Entry:
        """Wrap one entry of a `registry.rules.LedgerHistory`."""
        said = Statement.of(verified["statement"], verified["person"])
        return cls(seq=verified["seq"], recorded_at=verified["recorded_at"], statement=said)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Ledger:
    """The ledger in one folder.

    Parameters
    ----------
    folder : Path
        Holds the database, the checkpoint and the witness folder.
    people : People
        A copy of who the root listed; the ledger must list exactly the same keys.
    signer : Signer or None
        The ledger's own key; without it the ledger can only be read.
    clock : callable
        Says when an entry was recorded; the days that count are inside the statements.
    """

    def __init__(
        self,
        folder: Path,
        *,
        people: People,
        signer: Signer | None = None,
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        self.folder = folder
        self._people = people
        self._signer = signer
        self._clock = clock

    @classmethod
    def open(cls, folder: Path, signer: Signer | None = None, *, people: People) -> Ledger:
        """Open the ledger in `folder`; with the ledger's key, begin it if it does not exist.

        Raises
        ------
        IntegrityError
            If a part of it is missing: a ledger never begins twice.
        """
        ledger = cls(folder, people=people, signer=signer)
        if signer is not None:
            ledger._begin()
        there = [path.exists() for path in (folder / DATABASE, folder / CHECKPOINT)]
        if not all(there):
            if any(there):
                raise IntegrityError(
                    f"A part of the ledger in {folder} is missing; it was removed."
                )
            raise EnvironmentFault(
                f"There is no ledger in {folder}. Run `limitline keys init` first."
            )
        return ledger

    def append(self, envelope: DsseEnvelope, *, kind: str, subject: str) -> int:
        """Append one statement and return its sequence number.

        When this returns, the entry is on disk. The signed head follows it; if the process dies in
        between, the next append or `verify` writes the head.

        Raises
        ------
        IntegrityError
            If the ledger no longer fits its signed head, or the statement its label.
        EnvironmentFault
            If the place is full or busy.
        """
        with self._transaction() as connection:
            bodies = _bodies(connection)
            self._head_of(bodies)
            self._insert(connection, bodies, envelope.as_json(), (str(kind), subject))
        self._publish()
        return len(bodies)

    def bodies(self) -> list[bytes]:
        """Return the raw entries, which are what the tree is made of."""
        with self._transaction(mode="DEFERRED") as connection:
            return _bodies(connection)

    def entries(self, kind: str | None = None, subject: str | None = None) -> tuple[Entry, ...]:
        """Return the verified entries, oldest first.

        Raises
        ------
        IntegrityError
            If the ledger does not fit its signed head or any entry is not what it says.
        """
        return tuple(
            Entry.of(entry)
            for entry in self.history().entries
            if kind in (None, entry["kind"]) and subject in (None, entry["subject"])
        )

    def history(self) -> rules.LedgerHistory:
        """Return what the ledger says, verified entry by entry.

        Raises
        ------
        IntegrityError
            If the ledger does not fit its signed head or its people, or an entry contradicts what
            came before it.
        """
        bodies = self.bodies()
        with checked():
            return rules.verify_ledger(bodies, self.checkpoint(), self._people.by_key)

    def verify(self, witnessed: Path | None = None) -> Checkpoint:
        """Verify every entry, the signed head and the witnessed heads; return the present head.

        Parameters
        ----------
        witnessed : Path, optional
            A checkpoint kept elsewhere, besides the copy in the witness folder.

        Raises
        ------
        IntegrityError
            If anything was edited, removed, reordered, cut off or rewritten.
        """
        self.entries()
        if self._signer is not None:
            self._publish()
        bodies = self.bodies()
        leaves = [offline.leaf_hash(body) for body in bodies]
        present = Checkpoint(len(leaves), offline.tree_root(leaves))
        copy = self.folder / WITNESS / CHECKPOINT
        if not copy.is_file():
            raise IntegrityError(f"The witnessed checkpoint {copy} is missing.")
        for path in filter(None, (copy, witnessed)):
            old = self._read(path, bodies)
            if not offline.is_prefix(old, bodies):
                raise IntegrityError(
                    f"The ledger does not continue its witnessed head of {old.size} entries: "
                    "history was rewritten or cut off."
                )
        return present

    def checkpoint(self) -> str:
        """Return the text of the signed head."""
        path = self.folder / CHECKPOINT
        if not path.is_file():
            raise IntegrityError(f"The ledger's checkpoint {path} is missing.")
        with checked(), offline.reading(path.name):
            return path.read_text(encoding="utf-8")

    def _begin(self) -> None:
        if (self.folder / CHECKPOINT).exists():
            return
        durable.make_folder(self.folder)
        durable.make_folder(self.folder / WITNESS)
        with _faults(), durable.locked(self.folder / ".begin.lock", what="The ledger"):
            witness = self.folder / WITNESS / CHECKPOINT
            # A kill while a ledger was founded leaves at most the witness of its first entry.
            was_begun = witness.exists() and witness.read_text("utf-8").split("\n")[1:2] != ["1"]
            if (self.folder / CHECKPOINT).exists() or was_begun:
                return
            with closing(durable.open_database(self.folder / DATABASE)) as connection:
                connection.executescript(_SCHEMA)
            self._found()

    def _found(self) -> None:
        """Write the root's list of people as the first entry, and the first head."""
        with self._transaction() as connection:
            if not _bodies(connection):
                self._insert(connection, [], self._people.founding, ("people", "people"))
        self._publish(is_first=True)

    def _insert(
        self,
        connection: sqlite3.Connection,
        before: Sequence[bytes],
        envelope: Mapping[str, Any],
        label: tuple[str, str],
    ) -> None:
        """Write one entry, if it contradicts nothing that came before it."""
        (kind, subject), seq = label, len(before)
        at = self._clock().astimezone(UTC).isoformat(timespec="seconds")
        entry = {"seq": seq, "kind": kind, "subject": subject, "recorded_at": at}
        body = offline.canonical({**entry, "envelope": envelope})
        with checked():
            rules.read_history([*before, body])
        connection.execute("INSERT INTO entry VALUES (?, ?, ?, ?)", (seq, kind, subject, body))

    def _publish(self, *, is_first: bool = False) -> None:
        """Write the signed head, never an older one: the write lock orders the writers."""
        if self._signer is None:
            return
        with self._transaction() as connection:
            bodies = _bodies(connection)
            if not is_first and self._head_of(bodies).size == len(bodies):
                return
            root = offline.tree_root([offline.leaf_hash(body) for body in bodies])
            text = self._signer.sign_checkpoint(len(bodies), root).encode()
            # The witness comes first: a kill in between leaves an older head, which is caught up
            # by the next run, and never a head without a witness.
            durable.write_bytes(self.folder / WITNESS / CHECKPOINT, text)
            durable.write_bytes(self.folder / CHECKPOINT, text)

    def _head_of(self, bodies: Sequence[bytes]) -> Checkpoint:
        """Return the signed head after checking that `bodies` continue it."""
        with checked():
            return rules.head_of(self.checkpoint(), bodies)

    def _read(self, path: Path, bodies: Sequence[bytes]) -> Checkpoint:
        with checked(), offline.reading(path.name):
            return rules.read_checkpoint(path.read_text(encoding="utf-8"), bodies)

    @contextmanager
    def _transaction(self, mode: str = "IMMEDIATE") -> Iterator[sqlite3.Connection]:
        if not (self.folder / DATABASE).is_file():
            raise IntegrityError(f"The ledger's database in {self.folder} is missing.")
        with _faults():
            connection = durable.open_database(self.folder / DATABASE, pragmas=_PRAGMAS)
            try:
                connection.execute(f"BEGIN {mode}")
                yield connection
                connection.execute("COMMIT")
            finally:
                # Closing rolls back what was not committed.
                connection.close()


def _bodies(connection: sqlite3.Connection) -> list[bytes]:
    rows = connection.execute("SELECT seq, kind, subject, body FROM entry ORDER BY seq").fetchall()
    for place, (seq, kind, subject, body) in enumerate(rows):
        if seq != place or not _labels_fit(body, kind, subject):
            raise IntegrityError(f"Ledger entry {place} was removed, moved or relabelled.")
    return [row[3] for row in rows]


def _labels_fit(body: bytes, kind: str, subject: str) -> bool:
    try:
        entry = json.loads(body)
    except (TypeError, ValueError, RecursionError):
        return False
    return (
        isinstance(body, bytes)
        and isinstance(entry, dict)
        and (entry.get("kind"), entry.get("subject")) == (kind, subject)
    )


_OF_THE_PLACE = frozenset(
    {
        *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR),
        *(sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM),
        *(sqlite3.SQLITE_AUTH, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_NOLFS),
    }
)
"""What SQLite says when the disk or another process stands in the way, not the content."""


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _OF_THE_PLACE:
            raise EnvironmentFault(
                f"The ledger cannot be written or read: {error}. Nothing half-written was kept; "
                "make room or wait, then run this again."
            ) from None
        # A table that is missing or another one: this file is not the ledger that was signed.
        raise IntegrityError(f"The ledger's database is damaged or another: {error}.") from None
    except OSError as error:
        raise durable.fault_from(error) or error from None
