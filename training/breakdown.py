"""The evaluation broken down: by segment, by vintage month, and out of time.

Random folds answer "how good on customers like these". Out of time answers what a lender will meet:
a model that knows the past, asked about what came after it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from governance.measurement import Measurement
from governance.outcome import Outcome
from training import evaluation
from training.evaluation import OutOfFold
from training.label import COMPLETE, Days
from training.sample import MINIMUM_PER_CLASS, MINIMUM_ROWS, Sample

RATE = "vintage.default_rate"
SMALLEST_VINTAGE = 20
"""Fewer customers are not shown under a month of their own."""

_AUC = "discrimination.auc"
_OF_A_VINTAGE = (
    *(_AUC, "discrimination.ks", "calibration.brier"),
    *("calibration.ece", "calibration.ece_floor", "calibration.slope"),
)
_ONE_SIDED = f"Fewer than {MINIMUM_PER_CLASS} customers of one outcome."


def of_sample(
    result: OutOfFold, rows: Sample, make: Callable[[], Any], *, seed: int
) -> tuple[Measurement, ...]:
    """Return the evaluation out of time, by vintage and by segment, as far as the rows have either.

    Parameters
    ----------
    make : callable
        Returns an unfitted estimator, for the fit on older vintages.
    """
    found = out_of_time(make, rows, seed=seed)
    if rows.vintage is not None and rows.vintage_of_all is not None:
        by_month = by_vintage(result, rows.vintage, seed=seed)
        found += withhold_incomplete(by_month, rows.vintage, rows.vintage_of_all)
    if rows.segment is not None:
        found += by_segment(result, rows.segment, seed=seed)
    return found


def by_segment(
    result: OutOfFold, segment: NDArray[np.str_], *, seed: int
) -> tuple[Measurement, ...]:
    """Return every measure of the out-of-fold probabilities within each segment.

    Notes
    -----
    When it says nothing: a segment with fewer than 20 defaulters or 20 others gets one
    ``INCONCLUSIVE`` measurement instead.
    """
    return tuple(
        found
        for value in np.unique(segment).tolist()
        for found in _measured(result.where(segment == value), {"segment": value}, seed=seed)
    )


def by_vintage(result: OutOfFold, vintage: Days, *, seed: int) -> tuple[Measurement, ...]:
    """Return discrimination, calibration and default rate of each vintage month, oldest first.

    Folds are random, so a model has seen customers of the same month: this is stability over time,
    and `out_of_time` is what a lender will meet.

    Parameters
    ----------
    vintage : ndarray of datetime64[D], shape (n_rows,)

    Notes
    -----
    When it says nothing: a vintage with fewer than 20 customers of one outcome has its default rate
    and an ``INCONCLUSIVE`` area; one with fewer than 20 customers has an ``INCONCLUSIVE`` rate.
    """
    found: list[Measurement] = []
    month = vintage.astype("datetime64[M]")
    for value in np.unique(month):
        part, scope = result.where(month == value), {"vintage": str(value)}
        n = len(part.labels)
        if n < SMALLEST_VINTAGE:
            reason = f"Fewer than {SMALLEST_VINTAGE} customers."
            found.append(_cannot_tell(n, scope, reason, measure=RATE))
            continue
        measured = _measured(part, scope, seed=seed)
        found.append(evaluation.measure_share(RATE, int(part.labels.sum()), n, scope))
        found += [one for one in measured if one.measure in _OF_A_VINTAGE]
    return tuple(found)


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
            *(count, {"vintage": month}, f"{count} of {total} outcomes are known, a selection."),
            measure=RATE,
        )
        for month, (count, total) in partly.items()
    ]
    withheld += [
        _cannot_tell(one.n, one.scope, "Outcomes of this vintage are awaited.", measure=one.measure)
        for one in found
        if one.scope["vintage"] in partly and one.measure != RATE
    ]
    return (*kept, *withheld)


def out_of_time(make: Callable[[], Any], rows: Sample, *, seed: int) -> tuple[Measurement, ...]:
    """Fit on older vintages and measure on the newest ones.

    The newest months are taken until 200 customers with 20 of either outcome are held out.
    Outcomes of the older vintages count as known, even if their windows reach into the newer ones:
    this measures change over time, not the delay of labels. A customer with several rows can be on
    both sides, as a lender's customers are: the newer row is asked about, the older one was known.

    Returns
    -------
    tuple of Measurement
        Scoped to ``split=out-of-time`` and the first month held out; one ``INCONCLUSIVE``
        measurement if there are too few vintages or customers on either side; empty if the sample
        has no vintages.
    """
    if rows.vintage is None:
        return ()
    month = rows.vintage.astype("datetime64[M]")
    months = np.unique(month)
    too_few = (
        f"{len(months)} months of vintages do not leave {MINIMUM_ROWS} customers with "
        f"{MINIMUM_PER_CLASS} of either outcome on both sides of a split."
    )
    scope = {"split": "out-of-time"}
    enough = [one for one in months[:0:-1] if _is_enough(rows.labels[month >= one])]
    if not enough:
        return (_cannot_tell(len(rows.labels), scope, too_few),)
    scope["from"] = str(enough[0])
    newer = month >= enough[0]
    if not _is_enough(rows.labels[~newer]):
        return (_cannot_tell(len(rows.labels), scope, too_few),)
    of = rows.customers
    older = None if of is None else of[~newer]
    fitted = evaluation.fit(make(), rows.features[~newer], rows.labels[~newer], customers=older)
    part = OutOfFold(
        labels=rows.labels[newer],
        probability=evaluation.predict(fitted, rows.features[newer]),
        fold=np.zeros(int(newer.sum()), dtype=np.int64),
        customers=None if of is None else of[newer],
    )
    return tuple(_measured(part, scope, seed=seed))


def _measured(part: OutOfFold, scope: Mapping[str, str], *, seed: int) -> list[Measurement]:
    events = int(part.labels.sum())
    if min(events, len(part.labels) - events) < MINIMUM_PER_CLASS:
        return [_cannot_tell(len(part.labels), scope, _ONE_SIDED)]
    measured = evaluation.evaluate(part, seed=seed)
    return [found.model_copy(update={"scope": {**found.scope, **scope}}) for found in measured]


def _is_enough(labels: NDArray[np.int64]) -> bool:
    events = int(labels.sum())
    return len(labels) >= MINIMUM_ROWS and min(events, len(labels) - events) >= MINIMUM_PER_CLASS


def _cannot_tell(
    n: int, scope: Mapping[str, str], reason: str, *, measure: str = _AUC
) -> Measurement:
    return Measurement(
        measure=measure, scope=scope, n=n, outcome=Outcome.INCONCLUSIVE, reason=reason
    )
