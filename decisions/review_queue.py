"""The review queue: decisions that a person looks at, what was decided, how it turned out.

Every act (queued, decided, turned) is a sealed row of one SQLite file and one transaction: after a
kill it is there or it is not, and it is never rewritten. A seal is bound to its place, so that an
edit is found when the case is read, and a removed case leaves a hole in the numbers.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from decisions import replay
from decisions.decision_log import DecisionLog
from decisions.policy import BASIS_POINTS, LimitPolicy
from decisions.raise_stops import find_stops
from decisions.reason_texts import explain
from decisions.reasons import Reason
from governance import canonical, durable
from governance.errors import ContractError, GateClosed, IntegrityError, UsageError
from governance.settings import Settings
from privacy.feature_table import PSEUDONYM
from privacy.keyring import Keyring
from registry.load import load_verified

SHORTEST_REASON = 10
QUEUED, DECIDED, TURNED = "queued", "decided", "turned"
STATES = ("open", "decided", "outcome_known")
_USE = "review"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS acts (
    number INTEGER NOT NULL, act TEXT NOT NULL, key TEXT NOT NULL, sealed BLOB NOT NULL,
    PRIMARY KEY (number, act), UNIQUE (key, act)
) STRICT;
CREATE TRIGGER IF NOT EXISTS acts_stay BEFORE UPDATE ON acts
    BEGIN SELECT RAISE(ABORT, 'an act is never rewritten'); END;
CREATE TRIGGER IF NOT EXISTS acts_remain BEFORE DELETE ON acts
    BEGIN SELECT RAISE(ABORT, 'an act is never removed'); END;
"""


class Trigger(StrEnum):
    """Why a person is asked."""

    INPUT_MISSING = "input_missing"
    AUTOMATION_REFUSED = "automation_refused"
    OBJECTION = "objection"


class Ruling(StrEnum):
    """What a person may do with a limit."""

    KEEP = "keep"
    RAISE = "raise"
    CUT = "cut"


class Turned(StrEnum):
    """How it turned out: ``BAD`` is a default, or a cut that was not needed."""

    GOOD = "good"
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """What is sealed about a decision that a person looks at; money in minor units.

    The machine's limit holds if nobody overrides it; lowest and highest are what the policy lets a
    person decide. The pseudonym never leaves the seal.
    """

    pseudonym: str
    trigger: Trigger
    before_minor: int
    machine_minor: int
    lowest_minor: int
    highest_minor: int
    reasons: int
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewVerdict:
    """What a person decided, and why."""

    reviewer: str
    ruling: Ruling
    amount_minor: int
    reason: str
    on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewCase:
    """One case, named by its number at home and by its key in the ledger."""

    number: int
    key: str
    vintage: str
    queued_on: date
    handed: Handed
    verdict: ReviewVerdict | None = None
    turned: Turned | None = None
    turned_on: date | None = None

    @property
    def state(self) -> str:
        """How far it has come: one of `STATES`."""
        return STATES[(self.verdict is not None) + (self.turned is not None)]

    @property
    def is_override(self) -> bool | None:
        """Whether the person decided otherwise than the machine; None while nobody did."""
        if self.verdict is None:
            return None
        return self.verdict.amount_minor != self.handed.machine_minor

    def verdict_of(
        self, ruling: Ruling, amount_minor: int | None, *, reviewer: str, reason: str, on: date
    ) -> ReviewVerdict:
        """Return a verdict that the policy allows; ``KEEP`` takes no amount, the others need one.

        Raises
        ------
        UsageError, ContractError
            If nobody signs, the reason is no sentence, the day is before the case, or ruling and
            amount do not belong together; if the amount is outside the policy's bounds.
        """
        if not reviewer.strip() or len(reason.strip()) < SHORTEST_REASON:
            raise UsageError("A review needs a reviewer's name and a reason, in a sentence.")
        if on < self.queued_on:
            raise UsageError(f"Case {self.number} was queued on {self.queued_on}, after that day.")
        if (ruling is Ruling.KEEP) != (amount_minor is None):
            raise UsageError("raise and cut need an amount, the new limit; keep takes none.")
        held = self.handed
        amount = held.before_minor if amount_minor is None else amount_minor
        change = amount - held.before_minor
        if (ruling is Ruling.RAISE and change <= 0) or (ruling is Ruling.CUT and change >= 0):
            raise UsageError(f"That amount is no {ruling} of the limit of case {self.number}.")
        if ruling is not Ruling.KEEP and not held.lowest_minor <= amount <= held.highest_minor:
            raise ContractError(
                f"The amount for case {self.number} is outside what the policy allows a person; "
                f"`limitline review list {self.number}` says what it allows."
            )
        return ReviewVerdict(
            reviewer=reviewer, ruling=ruling, amount_minor=amount, reason=reason, on=on
        )

    def as_row(self) -> dict[str, Any]:
        """Return what a list may show: no amount, no name."""
        return {
            "case": self.number,
            "vintage": self.vintage,
            "trigger": self.handed.trigger.value,
            "queued_on": self.queued_on.isoformat(),
            "state": self.state,
            "decision": self.verdict.ruling.value if self.verdict else None,
            "is_override": self.is_override,
            "turned": self.turned.value if self.turned else None,
        }

    def as_document(self) -> dict[str, Any]:
        """Return what a reviewer needs; no pseudonym."""
        held = self.handed
        return {
            **self.as_row(),
            "limit_before_minor": held.before_minor,
            "limit_of_machine_minor": held.machine_minor,
            "lowest_minor": held.lowest_minor,
            "highest_minor": held.highest_minor,
            "currency": held.currency,
            "reasons": explain(held.reasons, "en"),
        }


@dataclass(frozen=True, slots=True)
class ReviewQueue:
    """The cases below one home."""

    path: Path
    keyring: Keyring

    @classmethod
    def of(cls, settings: Settings, keyring: Keyring) -> ReviewQueue:
        """Return the one queue of a home."""
        return cls(settings.decisions / "review.db", keyring)

    def queue(
        self, vintage: str, found: Iterable[Handed], *, on: date, key_version: int | None = None
    ) -> list[int]:
        """Queue cases, all or none; return the numbers of the new ones.

        A decision that is queued already is left as it is. Its key is a MAC under the version of
        the ring that sealed the vintage (left out: the newest), and says nothing without it.
        """
        with self._transaction() as connection:
            (last,) = connection.execute("SELECT coalesce(max(number), 0) FROM acts").fetchone()
            number = last
            for one in found:
                about = canonical.dumps([vintage, one.pseudonym])
                key = self.keyring.mac(about, use=_USE, version=key_version).hex()
                said = {"vintage": vintage, "on": on.isoformat(), **asdict(one)}
                number += self._insert(connection, (number + 1, QUEUED, key), said)
        return list(range(last + 1, number + 1))

    def cases(self) -> list[ReviewCase]:
        """Return every case, oldest first.

        Raises
        ------
        IntegrityError
            If any was edited, or one is missing between others.
        """
        with self._transaction() as connection:
            rows = connection.execute("SELECT number, act, key, sealed FROM acts").fetchall()
        acts = {(number, act): self._open((number, act, key), it) for number, act, key, it in rows}
        keys = {number: key for number, act, key, _ in rows if act == QUEUED}
        if {number for number, _ in acts} != set(range(1, len(keys) + 1)):
            raise IntegrityError("A case was removed from the queue. Restore it from a backup.")
        return [_case(number, keys[number], acts) for number in sorted(keys)]

    def case(self, number: int) -> ReviewCase:
        """Return one case; a `UsageError` if there is none of this number."""
        cases = self.cases()
        if not 1 <= number <= len(cases):
            raise UsageError(f"There is no case {number}; `limitline review list` lists them.")
        return cases[number - 1]

    def decide(self, case: ReviewCase, verdict: ReviewVerdict) -> None:
        """Record what a person decided, once: a `UsageError` if somebody did before."""
        self._record(case, DECIDED, {**asdict(verdict), "on": verdict.on.isoformat()})

    def turn(self, case: ReviewCase, turned: Turned, *, on: date) -> None:
        """Record how a decided case turned out, once.

        Raises
        ------
        UsageError
            If nobody has decided it, it was decided later, or its outcome is known.
        """
        if case.verdict is None or on < case.verdict.on:
            raise UsageError(f"Case {case.number} was not decided by {on}; its outcome is later.")
        self._record(case, TURNED, {"turned": turned.value, "on": on.isoformat()})

    def _record(self, case: ReviewCase, act: str, said: dict[str, Any]) -> None:
        with self._transaction() as connection:
            is_new = self._insert(connection, (case.number, act, case.key), said)
        if not is_new:
            raise UsageError(
                f"Case {case.number} is {act} already. What a person did is not rewritten."
            )

    def _insert(
        self, connection: sqlite3.Connection, place: tuple[int, str, str], said: dict[str, Any]
    ) -> int:
        about = canonical.dumps(list(place))
        sealed = self.keyring.wrap(canonical.dumps(said), about, use=_USE)
        insert = "INSERT OR IGNORE INTO acts (number, act, key, sealed) VALUES (?, ?, ?, ?)"
        return connection.execute(insert, (*place, sealed)).rowcount

    def _open(self, place: tuple[int, str, str], sealed: bytes) -> dict[str, Any]:
        content = self.keyring.unwrap(sealed, canonical.dumps(list(place)), use=_USE)
        said: dict[str, Any] = json.loads(content)
        return {**said, "on": date.fromisoformat(said["on"])}

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        # Closing rolls back what was not committed.
        with closing(durable.open_database(self.path)) as connection:
            connection.executescript(_SCHEMA)
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")


def queue_vintage(
    settings: Settings, vintage: str, *, keyring: Keyring, on: date, row: int | None = None
) -> list[int]:
    """Queue every decision of a vintage that was handed to a person; return the new numbers.

    With `row`, counted from 0, that one alone: its customer objects to the decision.

    Raises
    ------
    UsageError
        If the vintage was not decided, or has no such row.
    IntegrityError
        If log, model or table are not what they were.
    """
    log = DecisionLog.open(settings.decisions / vintage, keyring=keyring)
    rows = log.read()
    if row is None:
        chosen = rows.filter(pc.equal(rows["action"], "review"))
    elif 0 <= row < rows.num_rows:
        chosen = rows.slice(row, 1)
    else:
        raise UsageError(f"The vintage {vintage} has the rows 0 to {rows.num_rows - 1}.")
    if not chosen.num_rows:
        return []
    policy, inputs = replay.pinned_inputs(
        settings, log, keyring=keyring, pseudonyms=chosen[PSEUDONYM]
    )
    known = {one[PSEUDONYM]: one for one in inputs.to_pylist()}
    as_of = date.fromisoformat(log.identity["as_of"])
    found = [_handed(one, known[one[PSEUDONYM]], policy, as_of=as_of) for one in chosen.to_pylist()]
    held = ReviewQueue.of(settings, keyring)
    return held.queue(vintage, found, on=on, key_version=log.key_version)


def decide(settings: Settings, number: int, verdict: ReviewVerdict, *, keyring: Keyring) -> None:
    """Record a verdict, once.

    Raises
    ------
    GateClosed
        If it is a raise, and raises are stopped on that day: a person does not raise either.
    UsageError
        If the case was decided before.
    """
    if verdict.ruling is Ruling.RAISE:
        policy = LimitPolicy.parse(load_verified(settings, "champion", on=verdict.on).policy_text)
        stopped = find_stops(settings, policy, verdict.on).reasons
        if stopped:
            raise GateClosed(f"Raises are stopped, also by hand: {'; '.join(stopped)}.")
    held = ReviewQueue.of(settings, keyring)
    held.decide(held.case(number), verdict)


def bounds(
    policy: LimitPolicy, inputs: Mapping[str, Any], *, before: int, as_of: date
) -> tuple[int, int]:
    """Return the lowest and highest limit that the policy lets a person decide.

    One step, the minimum limit and the balance below; one step and the cap above. What is unknown
    is taken the strict way: without a balance nothing is cut, without a known segment the lowest of
    all caps holds.
    """
    caps = policy.caps_on(as_of)
    cap = caps.get(str(inputs.get("segment")), min(caps.values(), default=0))
    highest = min(before * (BASIS_POINTS + policy.step.max_raise) // BASIS_POINTS, cap)
    balance = inputs.get("balance_minor")
    step = -(-before * (BASIS_POINTS - policy.step.max_cut) // BASIS_POINTS)
    floor = before if balance is None else max(step, balance, policy.minimum_limit_minor)
    return min(floor, before), max(highest, before)


def _case(number: int, key: str, acts: Mapping[tuple[int, str], dict[str, Any]]) -> ReviewCase:
    handed = dict(acts[number, QUEUED])
    vintage, queued_on = handed.pop("vintage"), handed.pop("on")
    decided, turned = acts.get((number, DECIDED)), acts.get((number, TURNED), {})
    return ReviewCase(
        number=number,
        key=key,
        vintage=vintage,
        queued_on=queued_on,
        handed=Handed(**{**handed, "trigger": Trigger(handed["trigger"])}),
        verdict=ReviewVerdict(**{**decided, "ruling": Ruling(decided["ruling"])})
        if decided
        else None,
        turned=Turned(turned["turned"]) if turned else None,
        turned_on=turned.get("on"),
    )


def _handed(
    decided: Mapping[str, Any], inputs: Mapping[str, Any], policy: LimitPolicy, *, as_of: date
) -> Handed:
    before, reasons = int(decided["limit_before_minor"] or 0), int(decided["reasons"])
    lowest, highest = bounds(policy, inputs, before=before, as_of=as_of)
    trigger = Trigger.OBJECTION
    if decided["action"] == "review":
        is_refused = reasons & Reason.AUTOMATION_REFUSED
        trigger = Trigger.AUTOMATION_REFUSED if is_refused else Trigger.INPUT_MISSING
    return Handed(
        pseudonym=decided[PSEUDONYM].hex(),
        trigger=trigger,
        before_minor=before,
        machine_minor=int(decided["limit_after_minor"] or 0),
        lowest_minor=lowest,
        highest_minor=highest,
        reasons=reasons,
        currency=policy.currency,
    )
