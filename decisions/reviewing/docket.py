"""The docket: every case and every act on it, in one SQLite file, sealed and never rewritten.

Each act is one transaction: after a kill it is there or it is not. What a case is about is sealed
under the ring; what stands in clear beside it (day, vintage, trigger) is bound to the seal, so that
an edit is found when the case is read. A removed row leaves a hole in the numbers.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from decisions.reviewing.case import Case, Decision, Subject, Trigger, Turned, Verdict
from governance import canonical, durable
from governance.errors import IntegrityError, UsageError
from privacy.keyring import Keyring

_USE = "review"
_DECIDED, _TURNED = "decided", "turned"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS cases (
    number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, vintage TEXT NOT NULL,
    trigger_ TEXT NOT NULL, queued_on TEXT NOT NULL, sealed BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS acts (
    number INTEGER NOT NULL REFERENCES cases, act TEXT NOT NULL, sealed BLOB NOT NULL,
    PRIMARY KEY (number, act)
) STRICT;
CREATE TRIGGER IF NOT EXISTS cases_stay BEFORE UPDATE ON cases
    BEGIN SELECT RAISE(ABORT, 'a case is never rewritten'); END;
CREATE TRIGGER IF NOT EXISTS acts_stay BEFORE UPDATE ON acts
    BEGIN SELECT RAISE(ABORT, 'an act is never rewritten'); END;
CREATE TRIGGER IF NOT EXISTS cases_remain BEFORE DELETE ON cases
    BEGIN SELECT RAISE(ABORT, 'a case is never removed'); END;
CREATE TRIGGER IF NOT EXISTS acts_remain BEFORE DELETE ON acts
    BEGIN SELECT RAISE(ABORT, 'an act is never removed'); END;
"""


@dataclass(frozen=True, slots=True)
class Docket:
    """The cases below one home."""

    path: Path
    keyring: Keyring

    def queue(
        self,
        vintage: str,
        found: Iterable[tuple[Trigger, Subject]],
        *,
        on: date,
        key_version: int | None = None,
    ) -> list[int]:
        """Queue cases, all or none; return the numbers of the new ones.

        A decision that is queued already is left as it is. Its key is a MAC under the ring, which
        says nothing to whoever does not hold it.

        Parameters
        ----------
        key_version : int, optional
            The version of the ring that the vintage was sealed under; the newest if left out.
        """
        numbers = []
        with self._transaction() as connection:
            for trigger, subject in found:
                about = canonical.dumps([vintage, subject.pseudonym])
                key = self.keyring.mac(about, use=_USE, version=key_version).hex()
                clear = (key, vintage, trigger.value, on.isoformat())
                row = (*clear, self._seal(asdict(subject), ["case", *clear]))
                done = connection.execute(
                    "INSERT INTO cases (key, vintage, trigger_, queued_on, sealed) "
                    "VALUES (?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING",
                    row,
                )
                if done.rowcount:
                    numbers.append(int(done.lastrowid or 0))
        return numbers

    def cases(self) -> list[Case]:
        """Return every case, oldest first.

        Raises
        ------
        IntegrityError
            If any was edited, or one is missing between others.
        """
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT number, key, vintage, trigger_, queued_on, sealed FROM cases "
                "ORDER BY number"
            ).fetchall()
            acts = connection.execute("SELECT number, act, sealed FROM acts").fetchall()
        if [row[0] for row in rows] != list(range(1, len(rows) + 1)):
            raise IntegrityError("A case was removed from the docket. Restore it from a backup.")
        done = {(number, act): sealed for number, act, sealed in acts}
        return [self._case(row, done) for row in rows]

    def case(self, number: int) -> Case:
        """Return one case.

        Raises
        ------
        UsageError
            If there is none of this number.
        """
        for found in self.cases():
            if found.number == number:
                return found
        raise UsageError(f"There is no case {number}; `limitline review list` lists them.")

    def decide(self, case: Case, verdict: Verdict) -> None:
        """Record what a person decided, once.

        Raises
        ------
        UsageError
            If somebody decided it before, in this process or another.
        """
        said = {**asdict(verdict), "on": verdict.on.isoformat()}
        self._act(case, _DECIDED, said)

    def turn(self, case: Case, turned: Turned, *, on: date) -> None:
        """Record how a decided case turned out, once.

        Raises
        ------
        UsageError
            If nobody has decided it, it was decided later, or its outcome is known.
        """
        if case.verdict is None or on < case.verdict.on:
            raise UsageError(f"Case {case.number} was not decided by {on}; its outcome is later.")
        self._act(case, _TURNED, {"turned": turned.value, "on": on.isoformat()})

    def _act(self, case: Case, act: str, said: dict[str, Any]) -> None:
        row = (case.number, act, self._seal(said, ["act", str(case.number), act]))
        try:
            with self._transaction() as connection:
                connection.execute("INSERT INTO acts (number, act, sealed) VALUES (?, ?, ?)", row)
        except sqlite3.IntegrityError:
            raise UsageError(
                f"Case {case.number} is {act} already. What a person did is not rewritten."
            ) from None

    def _case(self, row: Sequence[Any], done: dict[tuple[int, str], bytes]) -> Case:
        number, key, vintage, trigger, queued_on, sealed = row
        subject = self._open(sealed, ["case", key, vintage, trigger, queued_on])
        verdict, turned, turned_on = None, None, None
        if (number, _DECIDED) in done:
            said = self._open(done[number, _DECIDED], ["act", str(number), _DECIDED])
            day, decision = date.fromisoformat(said["on"]), Decision(said["decision"])
            verdict = Verdict(**{**said, "on": day, "decision": decision})
        if (number, _TURNED) in done:
            said = self._open(done[number, _TURNED], ["act", str(number), _TURNED])
            turned, turned_on = Turned(said["turned"]), date.fromisoformat(said["on"])
        return Case(
            number=number,
            key=key,
            vintage=vintage,
            trigger=Trigger(trigger),
            queued_on=date.fromisoformat(queued_on),
            subject=Subject(**subject),
            verdict=verdict,
            turned=turned,
            turned_on=turned_on,
        )

    def _seal(self, content: dict[str, Any], about: list[str]) -> bytes:
        return self.keyring.wrap(canonical.dumps(content), canonical.dumps(about), use=_USE)

    def _open(self, sealed: bytes, about: list[str]) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(
            self.keyring.unwrap(sealed, canonical.dumps(about), use=_USE)
        )
        return content

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        # Closing rolls back what was not committed.
        with closing(durable.open_database(self.path)) as connection:
            connection.executescript(_SCHEMA)
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
