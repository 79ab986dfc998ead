"""Vintages: whether a model holds as time passes, with every month's default rate beside it.

Two questions that are not one. Stability asks of each vintage (the month of the row) how well
out-of-fold probabilities separate, how well they are calibrated and how many defaulted. Seasoning
asks of each vintage how its default rate grows with the months since the decision, as far as
everybody of that vintage was watched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import binomtest

from governance.appetite import Threshold
from governance.measurement import Measurement
from governance.outcome import Outcome
from training import evaluation
from training.evaluation import OutOfFold
from training.label import Days
from training.sample import MINIMUM_PER_CLASS

RATE, SEASONED = "vintage.default_rate", "vintage.seasoned_default_rate"
SMALLEST_VINTAGE = 20
"""Fewer customers are not shown under a month of their own."""

COMPLETE = 0.95
"""A vintage of which fewer outcomes are known is a selection: defaults are known first."""

_MEASURES = (
    *("discrimination.auc", "discrimination.ks"),
    *("calibration.brier", "calibration.ece", "calibration.ece_floor", "calibration.slope"),
)
_INK, _SOFT, _BAD = "#1f3a5f", "#9aa5b1", "#b3413b"
_MOST_LINES = 12

Months = NDArray[np.datetime64]


def measure(
    result: OutOfFold, vintage: Days, *, seed: int, thresholds: Sequence[Threshold] = ()
) -> tuple[Measurement, ...]:
    """Return discrimination, calibration and default rate of each vintage month.

    Parameters
    ----------
    result : OutOfFold
    vintage : ndarray of datetime64[D], shape (n_rows,)
    thresholds : sequence of Threshold
        What was declared and is in force; a measure that none of them concerns is ``INFO``.

    Returns
    -------
    tuple of Measurement
        Scoped to ``vintage=YYYY-MM``, oldest first.

    Notes
    -----
    When it says nothing: a vintage with fewer than 20 customers of one outcome has its default rate
    and an ``INCONCLUSIVE`` area; one with fewer than 20 customers has an ``INCONCLUSIVE`` rate. The
    other measures that a threshold names are ``INCONCLUSIVE`` there too, and never just absent.
    Folds are random, so a model has seen customers of the same month: this is stability over time,
    and `training.breakdown.out_of_time` is what a lender will meet.
    """
    named = {each.measure for each in thresholds}
    declared = [name for name in (RATE, *_MEASURES) if name in named]
    found: list[Measurement] = []
    month = vintage.astype("datetime64[M]")
    for value in np.unique(month):
        inside = month == value
        found += _of_vintage(result.where(inside), str(value), declared, seed=seed)
    return tuple(_judged(one, thresholds) for one in found)


def withhold_incomplete(
    found: Sequence[Measurement], known: Days, everybody: Days
) -> tuple[Measurement, ...]:
    """Withhold what was measured of vintages of which outcomes are still awaited.

    Defaults are known before their absence is: of a vintage that is not complete the known outcomes
    are nearly all defaults, and any number made of them is wrong by a lot.

    Parameters
    ----------
    known, everybody : ndarray of datetime64[D]
        Vintages of the rows with a known outcome, and of all rows.

    Notes
    -----
    When it says nothing: below 95 % of known outcomes every measurement of the vintage is
    ``INCONCLUSIVE`` and has no value.
    """
    months, totals = np.unique(everybody.astype("datetime64[M]"), return_counts=True)
    seen = [int((known.astype("datetime64[M]") == month).sum()) for month in months]
    partly = {
        str(month): (count, int(total))
        for month, count, total in zip(months, seen, totals, strict=True)
        if count < COMPLETE * total
    }
    kept = [one for one in found if one.scope["vintage"] not in partly]
    withheld = [
        _cannot_tell(
            RATE, count, {"vintage": month}, f"{count} of {total} outcomes are known, a selection."
        )
        for month, (count, total) in partly.items()
    ]
    withheld += [
        _cannot_tell(one.measure, one.n, one.scope, "Outcomes of this vintage are awaited.")
        for one in found
        if one.scope["vintage"] in partly and one.measure != RATE
    ]
    return (*kept, *withheld)


def measure_seasoning(
    vintage: Days, event_on: Days, *, watched_until: np.datetime64, months: int
) -> tuple[Measurement, ...]:
    """Return each vintage's cumulative default rate by months since the decision.

    Formula: customers of the vintage whose event fell within m months of their day, over all
    customers of the vintage, with Wilson's interval; for every m up to `months` at which the
    youngest of them was watched.

    Parameters
    ----------
    vintage : ndarray of datetime64[D], shape (n_rows,)
        The day of the decision, or of the row.
    event_on : ndarray of datetime64[D], shape (n_rows,)
        The day of the default; not-a-time where there was none.
    watched_until : datetime64[D]
        Nobody was watched after this day.

    Notes
    -----
    When it says nothing: beyond the watched months nothing is returned, because a default that
    nobody could have seen is not zero; a vintage of fewer than 20 customers has one
    ``INCONCLUSIVE`` measurement.

    Examples
    --------
    >>> day = np.full(20, "2024-01-31", dtype="datetime64[D]")
    >>> event = np.full(20, "NaT", dtype="datetime64[D]")
    >>> event[:2] = np.datetime64("2024-03-31")
    >>> found = measure_seasoning(day, event, watched_until=np.datetime64("2024-04-30"), months=12)
    >>> [(one.scope["months"], one.value) for one in found]
    [('1', 0.0), ('2', 0.1), ('3', 0.1)]
    """
    found: list[Measurement] = []
    month = vintage.astype("datetime64[M]")
    age = event_on.astype("datetime64[M]") - month
    end = watched_until.astype("datetime64[M]")
    for value in np.unique(month):
        inside = month == value
        n, scope = int(inside.sum()), {"vintage": str(value)}
        if n < SMALLEST_VINTAGE:
            found.append(_cannot_tell(SEASONED, n, scope, f"Fewer than {SMALLEST_VINTAGE}."))
            continue
        known = age[inside][~np.isnat(age[inside])].astype(np.int64)
        for since in range(1, min(months, int((end - value).astype(np.int64))) + 1):
            events = int((known <= since).sum())
            found.append(_rate(SEASONED, events, n, {**scope, "months": str(since)}))
    return tuple(found)


def draw(path: Path, measured: Iterable[Measurement], *, name: str = "Vintages") -> Path:
    """Draw area and default rate by vintage, each with its interval, to `path`, a PNG file.

    `name` says of which table, and so whether it is simulated.
    """
    told = [one for one in measured if one.value is not None]
    figure = Figure(figsize=(8.0, 5.4), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    order = sorted({one.scope["vintage"] for one in told})
    for axes, name, color, title in (
        (upper, "discrimination.auc", _INK, "AUC, out-of-fold"),
        (lower, RATE, _BAD, "default rate"),
    ):
        rows = [one for one in told if one.measure == name]
        place = [order.index(one.scope["vintage"]) for one in rows]
        values = np.array([one.value for one in rows], dtype=np.float64)
        low = np.array([one.value if one.low is None else one.low for one in rows], np.float64)
        high = np.array([one.value if one.high is None else one.high for one in rows], np.float64)
        axes.errorbar(
            place, values, [values - low, high - values], fmt="o-", color=color, capsize=2
        )
        axes.set(ylabel=title)
    # A vintage's rate rests on the same customers as its area, so one number stands for both.
    counts = {one.scope["vintage"]: one.n for one in told if one.measure == RATE}
    ticks = [f"{name}\nn = {counts[name]:,}" if name in counts else name for name in order]
    lower.set_xticks(range(len(order)), ticks, rotation=45, ha="right", fontsize=8)
    lower.set_xlabel("vintage")
    lower.set_ylim(bottom=0)
    upper.set_title(f"{name}, n = {sum(counts.values()):,} (95 % intervals)")
    return _saved(figure, path)


def draw_seasoning(path: Path, measured: Iterable[Measurement], *, title: str) -> Path:
    """Draw default rate by months since the decision, one line a vintage, to `path`, a PNG file.

    Of more than twelve vintages the newest twelve are drawn; darker lines are newer.
    """
    lines: dict[str, list[Measurement]] = {}
    for one in measured:
        if one.value is not None:
            lines.setdefault(one.scope["vintage"], []).append(one)
    shown = sorted(lines)[-_MOST_LINES:]
    figure = Figure(figsize=(8.0, 4.6), layout="constrained")
    axes = figure.subplots()
    for number, name in enumerate(shown):
        since = [0, *(int(one.scope["months"]) for one in lines[name])]
        rate = [0.0, *(one.value or 0.0 for one in lines[name])]
        alpha = 0.25 + 0.75 * (number + 1) / len(shown)
        label = f"{name}, n = {lines[name][0].n:,}"
        axes.plot(since, rate, color=_INK, alpha=alpha, marker=".", label=label)
    axes.set(xlabel="months since the decision", ylabel="share defaulted", title=title)
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=8)
    return _saved(figure, path)


def _saved(figure: Figure, path: Path) -> Path:
    # Without the library's version in it, the same figure is the same bytes.
    figure.savefig(path, dpi=110, metadata={"Software": None})
    return path


def _of_vintage(
    part: OutOfFold, name: str, declared: Sequence[str], *, seed: int
) -> list[Measurement]:
    n, events, scope = len(part.labels), int(part.labels.sum()), {"vintage": name}
    if n < SMALLEST_VINTAGE:
        reason = f"Fewer than {SMALLEST_VINTAGE} customers."
        return [_cannot_tell(each, n, scope, reason) for each in dict.fromkeys((RATE, *declared))]
    rate = _rate(RATE, events, n, scope)
    if min(events, n - events) < MINIMUM_PER_CLASS:
        reason = f"Fewer than {MINIMUM_PER_CLASS} customers of one outcome."
        asked = [each for each in dict.fromkeys(("discrimination.auc", *declared)) if each != RATE]
        return [rate, *(_cannot_tell(each, n, scope, reason) for each in asked)]
    measured = evaluation.evaluate(part, seed=seed)
    kept = [one for one in measured if one.measure in _MEASURES]
    return [rate, *(one.model_copy(update={"scope": {**one.scope, **scope}}) for one in kept)]


def _judged(found: Measurement, thresholds: Sequence[Threshold]) -> Measurement:
    threshold = next((each for each in thresholds if each.concerns(found)), None)
    return found if threshold is None else threshold.judge(found)


def _rate(measure: str, events: int, n: int, scope: Mapping[str, str]) -> Measurement:
    interval = binomtest(events, n).proportion_ci(method="wilson")
    return Measurement(
        measure=measure,
        scope=scope,
        value=events / n,
        low=float(interval.low),
        high=float(interval.high),
        n=n,
    )


def _cannot_tell(measure: str, n: int, scope: Mapping[str, str], reason: str) -> Measurement:
    return Measurement(
        measure=measure, scope=scope, n=n, outcome=Outcome.INCONCLUSIVE, reason=reason
    )
