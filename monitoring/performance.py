"""Performance of a version's score on the sealed customers: how it ranks, and how true it is."""

from __future__ import annotations

from governance.measurement import Measurement
from governance.measures import calibration, discrimination
from governance.measures.discrimination import Labels, Scores
from governance.outcome import Outcome

FEWEST = 10


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
