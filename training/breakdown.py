"""The evaluation broken down: by segment, and on the newest customers instead of random ones.

Random folds answer "how good on customers like these". Out of time answers what a lender will meet:
a model that knows the past, asked about what came after it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from governance.measurement import Measurement
from governance.outcome import Outcome
from training import evaluation
from training.evaluation import OutOfFold
from training.sample import MINIMUM_PER_CLASS, MINIMUM_ROWS, Sample

_OUT_OF_TIME = "out-of-time"


def by_segment(
    result: OutOfFold, segment: NDArray[np.str_], *, seed: int
) -> tuple[Measurement, ...]:
    """Return every measure of the out-of-fold probabilities within each segment.

    Notes
    -----
    When it says nothing: a segment with fewer than 20 defaulters or 20 others gets one
    ``INCONCLUSIVE`` measurement instead.
    """
    found: list[Measurement] = []
    for value in np.unique(segment).tolist():
        inside = segment == value
        part = result.where(inside)
        scope = {"segment": value}
        found += _measured(part, scope, seed=seed)
    return tuple(found)


def out_of_time(make: Callable[[], Any], rows: Sample, *, seed: int) -> tuple[Measurement, ...]:
    """Fit on older vintages and measure on the newest ones.

    The newest months are taken until 200 customers with 20 of either outcome are held out.
    Outcomes of the older vintages count as known, even if their windows reach into the newer ones:
    this measures change over time, not the delay of labels. A customer with several rows can be on
    both sides, as a lender's customers are: the newer row is asked about, the older one was known.

    Parameters
    ----------
    make : callable
        Returns an unfitted estimator.

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
    for start in months[:0:-1]:
        newer = month >= start
        if _is_enough(rows.labels[newer]):
            break
    else:
        return (_cannot_tell(len(rows.labels), {"split": _OUT_OF_TIME}, _too_few(len(months))),)
    scope = {"split": _OUT_OF_TIME, "from": str(start)}
    if not _is_enough(rows.labels[~newer]):
        return (_cannot_tell(len(rows.labels), scope, _too_few(len(months))),)
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
        reason = f"Fewer than {MINIMUM_PER_CLASS} customers of one outcome."
        return [_cannot_tell(len(part.labels), scope, reason)]
    measured = evaluation.evaluate(part, seed=seed)
    return [found.model_copy(update={"scope": {**found.scope, **scope}}) for found in measured]


def _is_enough(labels: NDArray[np.int64]) -> bool:
    events = int(labels.sum())
    return len(labels) >= MINIMUM_ROWS and min(events, len(labels) - events) >= MINIMUM_PER_CLASS


def _too_few(months: int) -> str:
    return (
        f"{months} months of vintages do not leave {MINIMUM_ROWS} customers with "
        f"{MINIMUM_PER_CLASS} of either outcome on both sides of a split."
    )


def _cannot_tell(n: int, scope: Mapping[str, str], reason: str) -> Measurement:
    return Measurement(
        measure="discrimination.auc", scope=scope, n=n, outcome=Outcome.INCONCLUSIVE, reason=reason
    )
