"""Calibration: whether a default probability of 10 % is a default in ten."""

from __future__ import annotations

import numpy as np

from governance.measurement import Measurement
from governance.measures.intervals import Floats
from governance.outcome import Outcome
from governance.proportion import normal_quantile
from monitoring.discrimination import Events, Scores

_BINS = 15
_REPLICATES = 400
_CLIP = 1e-6


def measure_calibration(score: Scores, defaulted: Events, *, seed: int) -> tuple[Measurement, ...]:
    """Measure observed over expected, slope, intercept, Brier score, and ECE beside its floor.

    ``observed_over_expected`` = sum y / sum p, with the variance sum p(1 - p) of its numerator;
    ``slope`` and ``intercept`` of the logistic regression of y on logit p, 1 and 0 if calibrated;
    ``ece`` over 15 equally filled bins, and ``ece_floor``: the 95th percentile of the ECE of a
    perfectly calibrated model of the same probabilities, simulated. An ECE below it is noise.

    Parameters
    ----------
    score, defaulted : ndarray of shape (n_rows,)
        Default probability, and whether the customer defaulted.
    seed : int
        Seed of the simulated floor.

    Notes
    -----
    When it says nothing: without defaults, or without variation in the score, ratio, slope and
    intercept are undefined.

    References
    ----------
    Cox, D. R. (1958), Biometrika 45, 562-565; Van Calster, B. et al. (2019), BMC Medicine 17, 230.
    """
    n = int(score.size)
    observed, expected = float(defaulted.sum()), float(score.sum())
    if observed < 10 or n - observed < 10 or np.ptp(score) == 0:
        reason = "Ten defaults, ten non-defaults and a score that varies are needed at least."
        names = ("observed_over_expected", "slope", "intercept", "brier", "ece", "ece_floor")
        return tuple(
            Measurement(
                measure=f"calibration.{name}", n=n, outcome=Outcome.INCONCLUSIVE, reason=reason
            )
            for name in names
        )
    spread = normal_quantile() * float(np.sqrt((score * (1 - score)).sum())) / expected
    ratio = observed / expected
    squares = (score - defaulted) ** 2
    noise = normal_quantile() * float(squares.std(ddof=1)) / np.sqrt(n)
    brier = float(squares.mean())
    return (
        Measurement(
            measure="calibration.observed_over_expected",
            value=ratio,
            low=ratio - spread,
            high=ratio + spread,
            n=n,
            unit="ratio",
            reason=f"{observed:.0f} defaults against {expected:.1f} expected",
        ),
        *_recalibration(score, defaulted),
        Measurement(
            measure="calibration.brier",
            value=brier,
            low=brier - noise,
            high=brier + noise,
            n=n,
            unit="score",
        ),
        Measurement(
            measure="calibration.ece",
            value=_ece(score, defaulted[None, :])[0],
            n=n,
            unit="score",
        ),
        Measurement(
            measure="calibration.ece_floor",
            value=_noise_floor(score, seed),
            n=n,
            unit="score",
            reason=f"95th percentile of {_REPLICATES} simulated, perfectly calibrated outcomes",
        ),
    )


def _recalibration(score: Scores, defaulted: Events) -> tuple[Measurement, Measurement]:
    """Fit logit P(y) = a + b logit(p) by Newton's method; two parameters need no library."""
    clipped = np.clip(score, _CLIP, 1 - _CLIP)
    design = np.column_stack([np.ones_like(clipped), np.log(clipped / (1 - clipped))])
    weights = np.array([0.0, 1.0])
    for _ in range(25):
        fitted = 1 / (1 + np.exp(-design @ weights))
        information = design.T @ (design * (fitted * (1 - fitted))[:, None])
        step = np.linalg.solve(information, design.T @ (defaulted - fitted))
        weights = weights + step
        if float(np.abs(step).max()) < 1e-10:
            break
    errors = normal_quantile() * np.sqrt(np.diag(np.linalg.inv(information)))
    intercept, slope = (
        Measurement(
            measure=f"calibration.{name}",
            value=float(weights[place]),
            low=float(weights[place] - errors[place]),
            high=float(weights[place] + errors[place]),
            n=int(score.size),
            unit="coefficient",
        )
        for place, name in enumerate(("intercept", "slope"))
    )
    return slope, intercept


def _ece(score: Scores, outcomes: Floats | Events) -> Floats:
    """Return the expected calibration error of each row of `outcomes`, shape (n_draws, n_rows)."""
    order = np.argsort(score, kind="stable")
    starts = np.linspace(0, score.size, min(_BINS, score.size) + 1).astype(np.int64)[:-1]
    gaps = np.add.reduceat(outcomes[:, order] - score[order], starts, axis=1)
    return np.asarray(np.abs(gaps).sum(axis=1) / score.size, dtype=np.float64)


def _noise_floor(score: Scores, seed: int) -> float:
    generator = np.random.default_rng(seed)
    draws = [generator.random(score.size) < score for _ in range(_REPLICATES)]
    errors = np.concatenate([_ece(score, draw[None, :]) for draw in draws])
    return float(np.quantile(errors, 0.95))
