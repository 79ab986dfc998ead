"""Discrimination: whether the score puts those who default above those who do not."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import stats

from governance.measurement import Measurement
from governance.measures.intervals import Interval
from governance.outcome import Outcome
from governance.proportion import normal_quantile

Scores = npt.NDArray[np.float64]
Events = npt.NDArray[np.bool_]


def measure_discrimination(score: Scores, defaulted: Events) -> tuple[Measurement, ...]:
    """Measure the area under the ROC curve with its DeLong interval, and the KS distance.

    Parameters
    ----------
    score, defaulted : ndarray of shape (n_rows,)
        Default probability, and whether the customer defaulted.

    Notes
    -----
    When it says nothing: without at least two defaults and two non-defaults both are undefined.
    KS is biased upwards in small samples and carries no interval.

    References
    ----------
    DeLong, E., DeLong, D. and Clarke-Pearson, D. (1988), Biometrics 44, 837-845; Sun, X. and Xu, W.
    (2014), IEEE Signal Processing Letters 21, 1389-1393.

    Examples
    --------
    >>> score, defaulted = np.array([.1, .4, .35, .8]), np.array([False, False, True, True])
    >>> [round(m.value, 2) for m in measure_discrimination(score, defaulted)]
    [0.75, 0.5]
    """
    n = int(score.size)
    if min(int(defaulted.sum()), int((~defaulted).sum())) < 2:
        reason = "Two defaults and two non-defaults are needed at least."
        return tuple(
            Measurement(
                measure=name, n=n, unit="score", outcome=Outcome.INCONCLUSIVE, reason=reason
            )
            for name in ("discrimination.auc", "discrimination.ks")
        )
    value, interval = delong(score, defaulted)
    distance = float(stats.ks_2samp(score[defaulted], score[~defaulted], method="asymp").statistic)
    return (
        Measurement(
            measure="discrimination.auc",
            value=value,
            low=interval.low,
            high=interval.high,
            n=n,
            unit="score",
        ),
        Measurement(measure="discrimination.ks", value=distance, n=n, unit="score"),
    )


def delong(score: Scores, defaulted: Events) -> tuple[float, Interval]:
    """Return the area under the ROC curve and its interval on the logit scale.

    The logit keeps the interval inside 0-1 and its coverage near the edges.
    """
    bad, good = score[defaulted], score[~defaulted]
    ranks = stats.rankdata(np.concatenate([bad, good]))
    above = (ranks[: bad.size] - stats.rankdata(bad)) / good.size
    below = 1 - (ranks[bad.size :] - stats.rankdata(good)) / bad.size
    area = float(above.mean())
    variance = float(above.var(ddof=1) / bad.size + below.var(ddof=1) / good.size)
    if area in (0.0, 1.0):
        return area, Interval(area, area)
    spread = normal_quantile() * math.sqrt(variance) / (area * (1 - area))
    middle = math.log(area / (1 - area))
    return area, Interval(_expit(middle - spread), _expit(middle + spread))


def _expit(value: float) -> float:
    return 1 / (1 + math.exp(-value))
