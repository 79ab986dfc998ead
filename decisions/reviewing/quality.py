"""Quality: how often people override the machine, how well, and who still waits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from decisions.reviewing.case import Case, State, Turned
from governance import proportion
from governance.measurement import Measurement
from governance.outcome import Outcome, worst


def measure(
    cases: Sequence[Case], *, on: date, within_days: int, tolerance: float
) -> list[Measurement]:
    """Measure the docket as it was on the day `on`: what came later is not known yet.

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
    decided = [case for case in cases if case.state is not State.OPEN]
    overridden = sum(bool(case.is_override) for case in decided)
    return [
        _waiting(cases, on, within_days),
        _rate("review.override_rate", overridden, len(decided)),
        *_quality(decided, tolerance),
    ]


def _as_of(case: Case, on: date) -> Case:
    """Return the case without what was decided or became known after `on`."""
    if case.verdict is not None and case.verdict.on > on:
        return replace(case, verdict=None, turned=None, turned_on=None)
    if case.turned_on is not None and case.turned_on > on:
        return replace(case, turned=None, turned_on=None)
    return case


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


def _waiting(cases: Sequence[Case], on: date, within_days: int) -> Measurement:
    days = [(on - case.queued_on).days for case in cases if case.state is State.OPEN]
    late = sum(waited > within_days for waited in days)
    outcome = Outcome.BREACH if late else Outcome.PASS
    said = f"{len(days)} wait; the longest {max(days, default=0)} days, {within_days} are allowed"
    return Measurement(measure="review.overdue", value=late, n=len(cases), unit="count").judged(
        outcome, said
    )


def _quality(decided: Sequence[Case], tolerance: float) -> list[Measurement]:
    counts = {}
    for is_override in (True, False):
        known = [case for case in decided if case.turned and case.is_override is is_override]
        counts[is_override] = (sum(case.turned is Turned.BAD for case in known), len(known))
    (bad, n), (other_bad, other_n) = counts[True], counts[False]
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
    outcome = Outcome.INCONCLUSIVE
    if low > tolerance:
        outcome = Outcome.BREACH
    elif high <= tolerance:
        outcome = Outcome.PASS
    return [*rates, found.judged(outcome, f"tolerated: {tolerance:g} more bad outcomes")]


def _rate(measure_: str, events: int, n: int, **scope: str) -> Measurement:
    ends = proportion.wilson(events, n)
    found = Measurement(measure=measure_, scope=scope, n=n)
    if ends is None:
        return found.model_copy(update={"reason": "no such case yet"})
    return found.model_copy(update={"value": events / n, "low": ends[0], "high": ends[1]})
