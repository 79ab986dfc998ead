"""The outbox: every notice is delivered at least once, under a key by which twice is noticed.

Notices are queued in one SQLite transaction and marked when a route has taken them. A crash between
the two repeats the delivery with the same key, which is derived from the decision and not from the
attempt. Neither key nor text names the customer; the caller keeps the way from a key to a person.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from governance import durable
from limits.notifying.notices import Notice
from limits.notifying.routes import DeliveryFailed, Route

_SCHEMA = """
CREATE TABLE IF NOT EXISTS notices (
    key TEXT PRIMARY KEY,
    channel TEXT NOT NULL,
    text TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    is_delivered INTEGER NOT NULL DEFAULT 0
) STRICT
"""


def key_of(decision: bytes, vintage: str, notice: Notice) -> str:
    """Return the stable key of a notice: the same decision gives the same key on every attempt.

    Parameters
    ----------
    decision : bytes
        A keyed digest that stands for customer and vintage. It must not be the pseudonym itself:
        the key leaves the house with the text.
    """
    parts = (vintage, notice.kind.value, notice.channel.value)
    total = hashlib.sha256(len(decision).to_bytes(4, "big") + decision)
    for part in parts:
        total.update(len(part).to_bytes(4, "big") + part.encode())
    return total.hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What one round of delivery did."""

    delivered: int
    failed: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Outbox:
    """The queue of notices in one SQLite file."""

    path: Path

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        durable.make_folder(self.path.parent)
        connection = sqlite3.connect(self.path, isolation_level=None, timeout=10)
        try:
            self.path.chmod(0o600)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute(_SCHEMA)
            yield connection
        finally:
            connection.close()

    def queue(self, notices: Iterable[tuple[str, Notice]]) -> int:
        """Queue notices under their keys, all or none; return how many were new.

        A key that is queued already is left as it is: deciding again announces nothing again.
        """
        with self._opened() as connection:
            before = connection.total_changes
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.executemany(
                    "INSERT OR IGNORE INTO notices (key, channel, text) VALUES (?, ?, ?)",
                    ((key, notice.channel.value, notice.text) for key, notice in notices),
                )
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
            return connection.total_changes - before

    def deliver(self, route: Route, *, most: int = 10_000) -> Sent:
        """Hand waiting notices to `route`, the least tried first; one failure stops no other."""
        delivered = failed = 0
        with self._opened() as connection:
            waiting = connection.execute(
                "SELECT key, channel, text FROM notices WHERE is_delivered = 0 "
                "ORDER BY attempts, rowid LIMIT ?",
                (most,),
            ).fetchall()
            for key, channel, text in waiting:
                connection.execute(
                    "UPDATE notices SET attempts = attempts + 1 WHERE key = ?", (key,)
                )
                try:
                    route.deliver(key, channel, text)
                except DeliveryFailed:
                    failed += 1
                    continue
                # Only now: a crash before this line repeats the delivery and loses nothing.
                connection.execute("UPDATE notices SET is_delivered = 1 WHERE key = ?", (key,))
                delivered += 1
            (left,) = connection.execute(
                "SELECT count(*) FROM notices WHERE is_delivered = 0"
            ).fetchone()
        return Sent(delivered=delivered, failed=failed, waiting=left)
