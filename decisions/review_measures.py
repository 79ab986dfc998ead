"""How people's review is measured and signed: who waits, how often and how well they override.

The ledger holds what people did with cases, without who or how much: an auditor who may not see a
customer counts how often a person looked, how often the machine was overruled, how it turned out,
and that the queue was not thinned out afterwards. The queue comes first and the ledger follows:
what a killed run left unsigned is signed by the next verb.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from decisions.review_queue import ReviewCase, ReviewQueue, Turned
from governance import canonical, proportion
from governance.measurement import Measurement
from governance.outcome import Outcome, worst
from governance.settings import Settings
from registry.record import Record, append
from registry.signing import Kind, Role, Signer

Group = tuple[str, str, str]


def publish(settings: Settings, queue: ReviewQueue) -> int:
    """Sign every act of the queue that the ledger does not hold yet; return how many.

    Acts of one kind, vintage and day become one statement, signed by the reviewer's key.

    Raises
    ------
    KeyringError
        If there is no reviewer's key.
    IntegrityError
        If queue or ledger are not what was sealed and signed.
    """
    known = _signed(Record.load(settings))
    groups: dict[Group, list[dict[str, Any]]] = {}
    for group, act in _acts(queue):
        if (group[0], act["case"]) not in known:
            groups.setdefault(group, []).append(act)
    if not groups:
        return 0
    signer = Signer.open(settings.keyring, Role.REVIEWER)
    for (event, vintage, on), found in sorted(groups.items()):
        found.sort(key=lambda act: str(act["case"]))
        predicate = {"event": event, "vintage": vintage, "on": on, "acts": found}
        subject = (f"review:{vintage}", canonical.digest(predicate))
        append(settings, Kind.REVIEW, subject=subject, predicate=predicate, signer=signer)
    return sum(len(found) for found in groups.values())


def measure(
    cases: Sequence[ReviewCase], *, on: date, within_days: int, tolerance: float
) -> list[Measurement]:
    """Measure the queue as it was on the day `on`: what came later is not known yet.

    Parameters
    ----------
    within_days : int
        How long a case may wait for a person.
    tolerance : float
        By how much the share of bad outcomes of overridden cases may exceed that of the others,
        0-1.

    Notes
    -----
    ``override_excess`` is the share of bad outcomes among overridden cases less that among the
    others, with Newcombe's interval. When it says nothing: if no outcome is known on either side.
    It compares the cases that people chose to override with those they did not; it is no trial.
    """
    cases = [_as_of(case, on) for case in cases if case.queued_on <= on]
    decided = [case for case in cases if case.verdict]
    overridden = sum(bool(case.is_override) for case in decided)
    days = [(on - case.queued_on).days for case in cases if not case.verdict]
    late = sum(waited > within_days for waited in days)
    said = f"{len(days)} wait; the longest {max(days, default=0)} days, {within_days} are allowed"
    overdue = Measurement(measure="review.overdue", value=late, n=len(cases), unit="count")
    return [
        overdue.judged(Outcome.BREACH if late else Outcome.PASS, said),
        _rate("review.override_rate", overridden, len(decided)),
        *_quality(decided, tolerance),
    ]


def measure_accounting(settings: Settings, queue: ReviewQueue) -> Measurement:
    """Count the acts that queue and ledger do not both hold; none is allowed.

    An act in the ledger alone was taken out of the queue; one in the queue alone was not signed.
    """
    here = {(group[0], str(act["case"])) for group, act in _acts(queue)}
    there = _signed(Record.load(settings))
    missing, unsigned = len(there - here), len(here - there)
    found = Measurement(
        measure="review.unaccounted", value=missing + unsigned, n=len(here | there), unit="count"
    )
    said = f"{missing} in the ledger are gone from the queue, {unsigned} were not signed"
    return found.judged(Outcome.BREACH if missing or unsigned else Outcome.PASS, said)


def document(measurements: Sequence[Measurement], on: date) -> dict[str, Any]:
    """Return ``review-report/1``: measurements, the gravest outcome, and what is not shown."""
    judged = [item.outcome for item in measurements if item.outcome is not Outcome.INFO]
    return {
        "schema": "review-report/1",
        "on": on.isoformat(),
        "measurements": [item.as_json() for item in measurements],
        "outcome": worst(judged).value,
        "not_evidenced": ["whether a reviewer truly thought about a case"],
    }


def _acts(queue: ReviewQueue) -> Iterator[tuple[Group, dict[str, Any]]]:
    """Yield every act of the queue: kind, vintage and day, and what may be said about it."""
    for case in queue.cases():
        name = {"case": case.key[:32]}
        on = case.queued_on.isoformat()
        yield ("queued", case.vintage, on), {**name, "trigger": case.handed.trigger.value}
        if case.verdict is not None:
            said = {"decision": case.verdict.ruling.value, "is_override": bool(case.is_override)}
            yield ("decided", case.vintage, case.verdict.on.isoformat()), {**name, **said}
        if case.turned is not None and case.turned_on is not None:
            on = case.turned_on.isoformat()
            yield ("outcome", case.vintage, on), {**name, "turned": case.turned.value}


def _signed(record: Record) -> set[tuple[str, str]]:
    """Return event and case of every act that the ledger holds."""
    return {
        (str(entry.statement.predicate["event"]), str(act["case"]))
        for entry in record.of(Kind.REVIEW)
        for act in entry.statement.predicate["acts"]
    }


def _as_of(case: ReviewCase, on: date) -> ReviewCase:
    """Return the case without what was decided or became known after `on`."""
    if case.verdict is not None and case.verdict.on > on:
        return replace(case, verdict=None, turned=None, turned_on=None)
    if case.turned_on is not None and case.turned_on > on:
        return replace(case, turned=None, turned_on=None)
    return case


def _quality(decided: Sequence[ReviewCase], tolerance: float) -> list[Measurement]:
    counts = []
    for is_override in (True, False):
        known = [case for case in decided if case.turned and case.is_override is is_override]
        counts.append((sum(case.turned is Turned.BAD for case in known), len(known)))
    (bad, n), (other_bad, other_n) = counts
    rates = [
        _rate("review.bad_rate", bad, n, overridden="yes"),
        _rate("review.bad_rate", other_bad, other_n, overridden="no"),
    ]
    found = Measurement(measure="review.override_excess", n=n + other_n)
    ends = proportion.newcombe(bad, n, other_events=other_bad, other_n=other_n)
    if ends is None:
        text = "no outcome is known on one side"
        return [*rates, found.judged(Outcome.INCONCLUSIVE, text)]
    low, high = ends
    value = bad / n - other_bad / other_n
    found = found.model_copy(update={"value": value, "low": low, "high": high})
    outcome = Outcome.PASS if high <= tolerance else Outcome.INCONCLUSIVE
    outcome = Outcome.BREACH if low > tolerance else outcome
    return [*rates, found.judged(outcome, f"tolerated: {tolerance:g} more bad outcomes")]


def _rate(measure_: str, events: int, n: int, **scope: str) -> Measurement:
    ends = proportion.wilson(events, n)
    found = Measurement(measure=measure_, scope=scope, n=n)
    if ends is None:
        return found.model_copy(update={"reason": "no such case yet"})
    return found.model_copy(update={"value": events / n, "low": ends[0], "high": ends[1]})
