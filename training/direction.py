"""Directions: a customer who behaves worse must never look safer.

Training asks this of its own model and hands the answer over with it; validation asks again, on
other customers and by other means, and its answer is the one that is judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from governance.measurement import Measurement
from governance.measures.discrimination import undefined
from training.evaluation import Matrix, predict

VIOLATIONS = "soundness.monotonicity_violations"

# One worsening moves a feature by a twentieth of the distinct values that customers have.
_STEP = 0.05
# Summing trees in another order leaves differences of this size; they are no reward.
_NOISE = 1e-12


def measure_violations(
    estimator: Any, features: Matrix, names: Sequence[str], signs: Sequence[int]
) -> Measurement:
    """Count the worsenings that lower a default probability.

    Formula: each feature with a declared direction is moved against every customer by a twentieth
    of its distinct values, everything else kept; a violation is a customer whose default
    probability falls.

    Returns
    -------
    Measurement
        A count over ``n`` = features x customers questions. It is exact for these customers, so it
        has no interval; the reason names the worst features.

    Notes
    -----
    When it says nothing: without customers or without a declared direction.
    """
    signed = [column for column, sign in enumerate(signs) if sign]
    if not signed or not len(features):
        reason = "There is no customer, or no feature with a declared direction."
        return undefined(VIOLATIONS, 0, reason, unit="count")
    before = predict(estimator, features)
    fell: dict[str, int] = {}
    for column in signed:
        worse = features.copy()
        worse[:, column] = _worsened(features[:, column], signs[column])
        fell[names[column]] = int((predict(estimator, worse) < before - _NOISE).sum())
    worst = sorted((name for name in fell if fell[name]), key=lambda name: (-fell[name], name))[:3]
    named = ", ".join(f"{name} {fell[name]}" for name in worst) or "none"
    return Measurement(
        measure=VIOLATIONS,
        value=float(sum(fell.values())),
        n=len(signed) * len(features),
        unit="count",
        reason=f"{len(signed)} features, {len(features)} customers; worst: {named}.",
    )


def _worsened(values: NDArray[np.float64], sign: int) -> NDArray[np.float64]:
    distinct = np.unique(values)
    step = max(1, round(_STEP * len(distinct)))
    place = np.searchsorted(distinct, values) + sign * step
    moved: NDArray[np.float64] = distinct[np.clip(place, 0, len(distinct) - 1)]
    return moved
