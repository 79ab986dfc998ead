"""Performance of a version on the sealed customers: how it ranks, how true and how sound it is.

Two promises are tested on real customers by asking the model counterfactual questions. A customer
who behaves worse in one respect must not look safer. And raising a limit must not by itself lower
the default probability: a policy fed by such a model rewards itself for raising.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from decisions import scoring
from decisions.features import FeatureSpec
from decisions.scoring import DEFAULT_PROBABILITY, Estimator
from governance.errors import ContractError
from governance.measurement import Measurement
from governance.measures import calibration, discrimination
from governance.measures.discrimination import Labels, Scores
from governance.outcome import Outcome

FEWEST = 10

# Shares of a feature's 1-99 % range by which it is worsened: a nudge and a jump.
_STEPS = (0.05, 0.5)
# Summation order in the trees leaves differences of this size and no larger.
_NOISE = 1e-9
_RAISED, _BY = 13, 10

Matrix = npt.NDArray[np.float64]


def measure_performance(
    labels: Labels, probability: Scores, *, seed: int, doubt: str = ""
) -> tuple[Measurement, ...]:
    """Measure AUC, KS, observed over expected, slope, intercept, Brier score, ECE and its floor.

    Each is what training measures under the same name, by the same function.

    Parameters
    ----------
    labels : ndarray of {0, 1}, shape (n_rows,)
    probability : ndarray of float64, shape (n_rows,)
    seed : int
        Seed of the bootstrap intervals and of the simulated floor.
    doubt : str
        Why the known outcomes cannot carry a figure, if they cannot.

    Notes
    -----
    When it says nothing: with fewer than ten defaults or ten others nothing is told, because a
    verdict could rest on one customer.
    """
    ratio = calibration.measure_observed_over_expected(labels, probability)
    found = (
        discrimination.measure_auc(labels, probability),
        discrimination.measure_ks(labels, probability, seed=seed),
        ratio,
        *calibration.measure_calibration_line(labels, probability),
        calibration.measure_brier(labels, probability),
        calibration.measure_calibration_error(labels, probability, seed=seed),
        calibration.measure_noise_floor(probability, seed=seed),
    )
    defaults = int(labels.sum())
    if not doubt and min(defaults, len(labels) - defaults) >= FEWEST:
        return found
    reason = doubt or "Ten defaults and ten others are needed at least."
    return tuple(
        Measurement(
            measure=one.measure, n=one.n, unit=one.unit, outcome=Outcome.INCONCLUSIVE, reason=reason
        )
        for one in found
    )


def measure_monotonicity(estimator: Estimator, spec: FeatureSpec, matrix: Matrix) -> Measurement:
    """Count the customers and features for which worse behavior lowers the default probability.

    Every feature with a declared direction is worsened for every customer by 5 % and by 50 % of its
    1-99 % range, everything else kept.

    Parameters
    ----------
    matrix : ndarray of shape (n_rows, n_features)
        The model's input, in the order of the spec.

    Returns
    -------
    Measurement
        ``soundness.monotonicity_violations``, a count; the reason names the worst features.

    Notes
    -----
    When it says nothing: a model without any declared direction promises nothing.
    """
    measure = "soundness.monotonicity_violations"
    signed = [(place, sign) for place, sign in enumerate(spec.signs) if sign]
    if not signed or not len(matrix):
        reason = "No customer, or no feature with a declared direction."
        return Measurement(
            measure=measure, n=0, unit="count", outcome=Outcome.INCONCLUSIVE, reason=reason
        )
    before = _probability(estimator, matrix)
    violations: dict[str, int] = {}
    for place, sign in signed:
        low, high = np.quantile(matrix[:, place], [0.01, 0.99])
        for step in _STEPS:
            worse = matrix.copy()
            worse[:, place] += sign * step * max(float(high - low), 1.0)
            fell = int((_probability(estimator, worse) < before - _NOISE).sum())
            violations[spec.names[place]] = violations.get(spec.names[place], 0) + fell
    total = sum(violations.values())
    worst = sorted(violations, key=lambda name: (-violations[name], name))[:3]
    named = ", ".join(f"{name} {violations[name]}" for name in worst) if total else "none"
    questions = len(signed) * len(_STEPS)
    return Measurement(
        measure=measure,
        value=float(total),
        n=len(matrix),
        unit="count",
        reason=f"{questions} worsenings of {len(signed)} features each; worst: {named}",
    )


def measure_feedback(
    estimator: Estimator, spec: FeatureSpec, rows: pa.Table, *, as_scored: pa.Table
) -> Measurement:
    """Measure the share of customers who look safer once their current limit is 30 % higher.

    The current limit is multiplied on the released columns, and features and default probability
    are computed anew, so that every way by which the limit could leak in is covered.

    Parameters
    ----------
    rows : pyarrow.Table
        Released columns.
    as_scored : pyarrow.Table
        The same rows, in the same order, as `decisions.scoring.score` returned them.

    Raises
    ------
    ContractError
        If the rows have no current limit.
    """
    name = spec.current_limit_column
    if name not in rows.column_names:
        raise ContractError(f"The table has no column {name}, which the features call the limit.")
    raised = pc.divide(pc.multiply(rows[name], _RAISED), _BY)
    place = rows.column_names.index(name)
    scored = scoring.score(estimator, spec, rows.set_column(place, name, raised))
    before = as_scored[DEFAULT_PROBABILITY].to_numpy()
    after = scored[DEFAULT_PROBABILITY].to_numpy()
    measure, n = "soundness.feedback_share", len(before)
    if n == 0:
        return Measurement(
            measure=measure, n=0, outcome=Outcome.INCONCLUSIVE, reason="No customer."
        )
    fell = int((after < before - _NOISE).sum())
    change = float(after.mean() / before.mean() - 1) if before.mean() else 0.0
    return Measurement(
        measure=measure,
        value=fell / n,
        n=n,
        reason=f"the probability falls for {fell} of {n}; its mean changes by {change:+.1%}",
    )


def _probability(estimator: Estimator, matrix: Matrix) -> npt.NDArray[np.float64]:
    return np.asarray(estimator.predict_proba(matrix), dtype=np.float64)[:, 1]
