"""The outbox: every text reaches every route at least once, under a key that shows a repetition.

Texts are queued in one SQLite transaction with the routes they are to take, and each route has its
own state. An attempt is noted before it is made and a delivery after it, so a crash between the two
repeats the delivery under the same key. (Huey, which the lock holds, deletes a task before it runs:
a crash would lose it.) Neither key nor text names the customer.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from decisions.routes import DeliveryFailed, Route
from governance import durable

FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(days=1)
ROUTE_IS_DOWN = 5
# Texts that are held in memory while a route takes them.
AT_ONCE = 10_000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS notices (
    key TEXT PRIMARY KEY, vintage TEXT NOT NULL, channel TEXT NOT NULL, text TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS deliveries (
    key TEXT NOT NULL REFERENCES notices,
    route TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_at TEXT NOT NULL DEFAULT '',
    reason TEXT NOT NULL DEFAULT '',
    is_delivered INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (key, route)
) STRICT;
"""
_DUE = """
SELECT deliveries.key, channel, text, attempts FROM deliveries JOIN notices USING (key)
WHERE route = ? AND is_delivered = 0 AND next_at <= ?
ORDER BY attempts, notices.rowid LIMIT ?
"""


class Message(NamedTuple):
    """One text for one channel, under the key that its receiver may tell a repetition by."""

    key: str
    channel: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What one round of delivery by one route did.

    Parameters
    ----------
    waiting : int
        What this route has not taken yet, also what rests until its next attempt.
    reason : str
        Why the last failure failed; empty if nothing did.
    """

    route: str
    delivered: int
    failed: int
    waiting: int
    reason: str


def wait_after(attempts: int) -> timedelta:
    """Return how long a delivery rests after so many failed attempts: doubling, a day at most.

    Examples
    --------
    >>> [wait_after(attempts) // FIRST_WAIT for attempts in (1, 2, 3, 40)]
    [1, 2, 4, 1440]
    """
    return min(FIRST_WAIT * (1 << min(attempts - 1, 20)), LONGEST_WAIT)


@dataclass(frozen=True, slots=True)
class Outbox:
    """The texts below one home, and what each route has taken of them."""

    path: Path

    def queue(self, vintage: str, messages: Iterable[Message], routes: Sequence[Route]) -> int:
        """Queue messages for these routes, all or none; return how many were new.

        A key that is queued already is left as it is: deciding again announces nothing again. A
        route that is new to the vintage gets all of it, and nothing of other vintages.
        """
        with self._opened() as connection:
            connection.execute("BEGIN IMMEDIATE")
            before = connection.total_changes
            connection.executemany(
                "INSERT OR IGNORE INTO notices (key, channel, text, vintage) VALUES (?, ?, ?, ?)",
                ((*message, vintage) for message in messages),
            )
            new = connection.total_changes - before
            connection.executemany(
                "INSERT OR IGNORE INTO deliveries (key, route) "
                "SELECT key, ? FROM notices WHERE vintage = ? AND channel = ?",
                [(one.name, vintage, channel) for one in routes for channel in one.channels],
            )
            connection.execute("COMMIT")
            return new

    def deliver(
        self,
        routes: Sequence[Route],
        *,
        now: datetime,
        progress: Callable[[int], None] = lambda _: None,
    ) -> list[Sent]:
        """Hand each route what waits for it and is due, the least tried first.

        One failure stops no other text, and one route no other route. A route that fails
        `ROUTE_IS_DOWN` times in a row is left alone until the next round; what it failed at then
        comes last, so that texts which no route will ever take block nothing.

        Parameters
        ----------
        now : datetime.datetime
            Aware; what failed rests from here.
        progress : callable
            Gets the number of texts that are being tried.
        """
        with self._opened() as connection:
            return [_round(connection, route, now, progress) for route in routes]

    def wake(self) -> None:
        """End the rest of everything that failed, so that the next round tries it."""
        with self._opened() as connection:
            connection.execute("UPDATE deliveries SET next_at = '' WHERE is_delivered = 0")

    def waiting(self) -> dict[str, int]:
        """Return how many texts each route has not taken, also routes that nobody names now."""
        with self._opened() as connection:
            return dict(
                connection.execute(
                    "SELECT route, sum(1 - is_delivered) FROM deliveries GROUP BY route "
                    "ORDER BY route"
                )
            )

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        # Closing rolls back what was not committed.
        with closing(durable.open_database(self.path)) as connection:
            connection.executescript(_SCHEMA)
            yield connection


def _round(
    connection: sqlite3.Connection, route: Route, now: datetime, progress: Callable[[int], None]
) -> Sent:
    delivered, failed, in_a_row, reason = 0, 0, 0, ""
    for *message, attempts in _due(connection, route, now):
        if in_a_row == ROUTE_IS_DOWN:
            break
        progress(1)
        place = (message[0], route.name)
        if not _claimed(connection, place, attempts, now):
            continue
        try:
            route.deliver(*message)
        except DeliveryFailed as error:
            failed, in_a_row, reason = failed + 1, in_a_row + 1, str(error)
            said = "UPDATE deliveries SET reason = ? WHERE key = ? AND route = ?"
            connection.execute(said, (reason, *place))
            continue
        # Only now: a crash before this line repeats the delivery and loses nothing.
        done = "UPDATE deliveries SET is_delivered = 1, reason = '' WHERE key = ? AND route = ?"
        connection.execute(done, place)
        delivered, in_a_row = delivered + 1, 0
    left = "SELECT count(*) FROM deliveries WHERE route = ? AND is_delivered = 0"
    (waiting,) = connection.execute(left, (route.name,)).fetchone()
    return Sent(
        route=route.name, delivered=delivered, failed=failed, waiting=waiting, reason=reason
    )


def _due(
    connection: sqlite3.Connection, route: Route, now: datetime
) -> Iterator[tuple[str, str, str, int]]:
    """Yield what waits for a route and is due, however much it is; an attempt ends being due."""
    while rows := connection.execute(_DUE, (route.name, _written(now), AT_ONCE)).fetchall():
        yield from rows


def _claimed(
    connection: sqlite3.Connection, place: tuple[str, str], attempts: int, now: datetime
) -> bool:
    """Note an attempt before it is made; False if another process was faster."""
    done = connection.execute(
        "UPDATE deliveries SET attempts = attempts + 1, next_at = ? "
        "WHERE key = ? AND route = ? AND attempts = ? AND is_delivered = 0",
        (_written(now + wait_after(attempts + 1)), *place, attempts),
    )
    return done.rowcount == 1


def _written(moment: datetime) -> str:
    """Write a moment so that texts sort as time does."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
