"""The outbox: every notice reaches every route at least once, under a key that shows a repetition.

Notices are queued in one SQLite transaction together with the routes they are to take; each route
keeps its own state, so that one that fails repeats nothing on another. An attempt is noted before
it is made and a delivery after it: a crash between the two repeats the delivery under the same key,
which is derived from the decision and not from the attempt. Neither key nor text names the
customer; the caller keeps the way from a key to a person.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from decisions.notifying import sms
from decisions.notifying.notices import Notice
from decisions.notifying.routes import DeliveryFailed, Route
from governance import durable

FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(days=1)
ROUTE_IS_DOWN = 5
# Texts that are held in memory while a route takes them.
AT_ONCE = 10_000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS notices (
    key TEXT PRIMARY KEY,
    vintage TEXT NOT NULL,
    channel TEXT NOT NULL,
    text TEXT NOT NULL
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

# An outbox from before routes had states of their own: what it delivered is settled for every
# route, and what it still owes belongs to no vintage until a run names routes for it.
_OWED, _SETTLED = "", "before routes"
_FORWARD = """
CREATE TABLE forward (
    key TEXT PRIMARY KEY, vintage TEXT NOT NULL, channel TEXT NOT NULL, text TEXT NOT NULL
) STRICT;
INSERT INTO forward
    SELECT key, CASE is_delivered WHEN 0 THEN '' ELSE 'before routes' END, channel, text
    FROM notices ORDER BY rowid;
DROP TABLE notices;
ALTER TABLE forward RENAME TO notices
"""

_WAITING = """
SELECT deliveries.key, channel, text, attempts FROM deliveries JOIN notices USING (key)
WHERE route = ? AND is_delivered = 0 AND next_at <= ?
ORDER BY attempts, notices.rowid LIMIT ?
"""

Progress = Callable[[int], None]


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


def wait_after(attempts: int) -> timedelta:
    """Return how long a delivery rests after so many failed attempts: doubling, a day at most.

    Examples
    --------
    >>> [wait_after(attempts) // FIRST_WAIT for attempts in (1, 2, 3, 40)]
    [1, 2, 4, 1440]
    """
    return min(FIRST_WAIT * (1 << min(attempts - 1, 20)), LONGEST_WAIT)


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
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Outbox:
    """The queue of notices in one SQLite file."""

    path: Path

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        with closing(durable.open_database(self.path)) as connection:
            _bring_forward(connection)
            connection.executescript(_SCHEMA)
            yield connection

    def queue(
        self, vintage: str, notices: Iterable[tuple[str, Notice]], routes: Sequence[Route]
    ) -> int:
        """Queue notices under their keys for these routes, all or none; return how many were new.

        A key that is queued already is left as it is: deciding again announces nothing again. A
        route that is new to the vintage gets all of it, and nothing of other vintages. What an
        outbox of the older form still held goes to the routes of the first run after it.
        """
        with self._opened() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                before = connection.total_changes
                connection.executemany(
                    "INSERT OR IGNORE INTO notices (key, vintage, channel, text) "
                    "VALUES (?, ?, ?, ?)",
                    ((key, vintage, said.channel.value, said.text) for key, said in notices),
                )
                new = connection.total_changes - before
                for route in routes:
                    connection.executemany(
                        "INSERT OR IGNORE INTO deliveries (key, route) "
                        "SELECT key, ? FROM notices WHERE vintage IN (?, ?) AND channel = ?",
                        (
                            (route.name, vintage, _OWED, channel)
                            for channel in sorted(route.channels)
                        ),
                    )
                connection.execute(
                    "UPDATE notices SET vintage = ? WHERE vintage = ? "
                    "AND key IN (SELECT key FROM deliveries)",
                    (_SETTLED, _OWED),
                )
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
            return new

    def deliver(
        self,
        routes: Sequence[Route],
        *,
        now: datetime,
        progress: Progress = lambda _: None,
    ) -> list[Sent]:
        """Hand each route what waits for it and is due, the least tried first.

        One failure stops no other notice, and one route no other route. A route that fails
        `ROUTE_IS_DOWN` times in a row is left alone until the next round; what it failed at then
        comes last, so that texts which no route will ever take block nothing.

        Parameters
        ----------
        now : datetime.datetime
            Aware; what failed rests from here.
        progress : callable
            Told the number of notices that were just tried.
        """
        with self._opened() as connection:
            return [self._by_one(connection, route, now, progress=progress) for route in routes]

    def wake(self) -> None:
        """End the rest of everything that failed, so that the next round tries it."""
        with self._opened() as connection:
            connection.execute("UPDATE deliveries SET next_at = '' WHERE is_delivered = 0")

    def waiting(self) -> dict[str, int]:
        """Return how many notices each route has not taken, also routes that nobody names now."""
        with self._opened() as connection:
            rows = connection.execute(
                "SELECT route, sum(1 - is_delivered) FROM deliveries GROUP BY route ORDER BY route"
            )
            return {str(route): int(count) for route, count in rows}

    def sms(self, vintage: str) -> dict[str, int]:
        """Count a vintage's SMS texts, the parts they are sent and paid in, and the longest."""
        with self._opened() as connection:
            rows = connection.execute(
                "SELECT text FROM notices WHERE vintage = ? AND channel = 'sms'", (vintage,)
            )
            counts = [sms.parts(text) for (text,) in rows]
        return {"texts": len(counts), "parts": sum(counts), "longest": max(counts, default=0)}

    def _by_one(
        self,
        connection: sqlite3.Connection,
        route: Route,
        now: datetime,
        *,
        progress: Progress,
    ) -> Sent:
        delivered, failed, in_a_row, reason = 0, 0, 0, ""
        for key, channel, text, attempts in _due(connection, route, now):
            if in_a_row == ROUTE_IS_DOWN:
                break
            progress(1)
            if not _claim(connection, (key, route.name), attempts, now):
                continue
            try:
                route.deliver(key, channel, text)
            except DeliveryFailed as error:
                failed, in_a_row, reason = failed + 1, in_a_row + 1, str(error)
                _failed(connection, (key, route.name), reason)
                continue
            # Only now: a crash before this line repeats the delivery and loses nothing.
            _taken(connection, (key, route.name))
            delivered, in_a_row = delivered + 1, 0
        (left,) = connection.execute(
            "SELECT count(*) FROM deliveries WHERE route = ? AND is_delivered = 0", (route.name,)
        ).fetchone()
        return Sent(
            route=route.name, delivered=delivered, failed=failed, waiting=left, reason=reason
        )


def _bring_forward(connection: sqlite3.Connection) -> None:
    """Give an outbox of the older form the table of this one, whole or not at all."""
    names = "SELECT name FROM pragma_table_info('notices')"
    if ("is_delivered",) not in connection.execute(names).fetchall():
        return
    connection.execute("BEGIN IMMEDIATE")
    # Another process may have been faster since the first look.
    if ("is_delivered",) in connection.execute(names).fetchall():
        for step in _FORWARD.split(";"):
            connection.execute(step)
    connection.execute("COMMIT")


def _due(
    connection: sqlite3.Connection, route: Route, now: datetime
) -> Iterator[tuple[str, str, str, int]]:
    """Yield what waits for a route and is due, however much it is; an attempt ends being due."""
    asked = (route.name, _written(now), AT_ONCE)
    while rows := connection.execute(_WAITING, asked).fetchall():
        yield from rows


def _claim(
    connection: sqlite3.Connection, place: tuple[str, str], attempts: int, now: datetime
) -> bool:
    """Note an attempt before it is made; False if another process was faster."""
    done = connection.execute(
        "UPDATE deliveries SET attempts = attempts + 1, next_at = ? "
        "WHERE key = ? AND route = ? AND attempts = ? AND is_delivered = 0",
        (_written(now + wait_after(attempts + 1)), *place, attempts),
    )
    return done.rowcount == 1


def _failed(connection: sqlite3.Connection, place: tuple[str, str], reason: str) -> None:
    connection.execute(
        "UPDATE deliveries SET reason = ? WHERE key = ? AND route = ?", (reason, *place)
    )


def _taken(connection: sqlite3.Connection, place: tuple[str, str]) -> None:
    connection.execute(
        "UPDATE deliveries SET is_delivered = 1, reason = '' WHERE key = ? AND route = ?", place
    )


def _written(moment: datetime) -> str:
    """Write a moment so that texts sort as time does."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
