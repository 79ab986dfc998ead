"""Worst-case bounds: what the missing outcomes could do, whatever they are."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from governance.measurement import Measurement
from governance.measures.discrimination import Z95, Scores
from governance.outcome import Outcome
from lab.reject_inference.intake import ASSUMES, RATE, Intake, Method, Rules, cannot_tell

AUC, GAP = "selection.auc", "selection.calibration_gap"


def bound_default_rate(intake: Intake, rules: Rules) -> Measurement:
    """Return Manski's bounds on the default rate of everybody who asked.

    Formula: [D / N, (D + M) / N] with D known defaults and M missing outcomes of N customers,
    widened by the normal margin of each edge, so that the truth of the population is inside in at
    least 95 % of samples. ``value`` is the middle.

    Notes
    -----
    When it says nothing: bounds wider than ``rules.widest`` are ``INCONCLUSIVE``.

    Examples
    --------
    >>> from lab.reject_inference.intake import Intake, Rules
    >>> flags = np.array([False, False, False, False])
    >>> missing = np.array([True, True, True, False])
    >>> intake = Intake(is_known=missing, y=np.array([1, 0, 0, 0]), is_refused=~missing,
    ...                 is_explored=flags)
    >>> found = bound_default_rate(intake, Rules())
    >>> found.value, found.outcome.value
    (0.375, 'INCONCLUSIVE')
    """
    n = len(intake)
    if not n:
        return cannot_tell(RATE, 0, _worst(), "There is nobody.")
    low = float(intake.y[intake.is_known].sum() / n)
    high = low + float((~intake.is_known).sum() / n)
    margins = [Z95 * np.sqrt(max(edge * (1 - edge), 1 / n) / n) for edge in (low, high)]
    return _bounded(RATE, n, (low - margins[0], high + margins[1]), rules, middle=(low + high) / 2)


def bound_auc(intake: Intake, scores: Scores, rules: Rules) -> Measurement:
    """Return the smallest and the largest area that any missing outcomes could give these scores.

    Formula: for each possible number k of defaulters among the missing, the area is largest if the
    k highest scores default and smallest if the k lowest do; the bounds are the extremes over k.
    Sampling error is not in them.

    Parameters
    ----------
    scores : ndarray of float64, shape (n_rows,)

    Notes
    -----
    When it says nothing: if the known outcomes have one class only, or the bounds are wider than
    ``rules.widest``.

    Examples
    --------
    >>> known = np.array([True, True, True, False])
    >>> intake = Intake(is_known=known, y=np.array([0, 0, 1, 0]), is_refused=~known,
    ...                 is_explored=np.zeros(4, dtype=bool))
    >>> found = bound_auc(intake, np.array([0.1, 0.2, 0.3, 0.15]), Rules())
    >>> found.low, found.high
    (0.75, 1.0)
    """
    known, n = intake.is_known, len(intake)
    events = int(intake.y[known].sum())
    if not 0 < events < known.sum():
        return cannot_tell(AUC, n, _worst(), "The known outcomes are of one class only.")
    rank = rankdata(scores)
    base = float(rank[known & (intake.y == 1)].sum())
    missing = np.sort(rank[~known])
    k = np.arange(len(missing) + 1)
    positives = events + k
    edges = []
    for ordered, choose in ((missing, np.min), (missing[::-1], np.max)):
        total = base + np.concatenate([[0.0], np.cumsum(ordered)])
        area = (total - positives * (positives + 1) / 2) / (positives * (n - positives))
        edges.append(float(choose(area)))
    return _bounded(AUC, n, (edges[0], edges[1]), rules, middle=(edges[0] + edges[1]) / 2)


def bound_calibration_gap(intake: Intake, probability: Scores, rules: Rules) -> Measurement:
    """Return bounds on the default rate of everybody less the mean default probability.

    Formula: Manski's bounds on the rate, less mean p. Above zero means that the model promises too
    little risk.

    Notes
    -----
    When it says nothing: as `bound_default_rate`.
    """
    rate = bound_default_rate(intake, rules)
    if rate.low is None or rate.high is None or rate.value is None:
        return cannot_tell(GAP, len(intake), _worst(), rate.reason)
    mean = float(probability.mean())
    edges = (rate.low - mean, rate.high - mean)
    return _bounded(GAP, len(intake), edges, rules, middle=rate.value - mean)


def _worst() -> dict[str, str]:
    return {"method": Method.WORST_CASE.value}


def _bounded(
    measure: str, n: int, edges: tuple[float, float], rules: Rules, *, middle: float
) -> Measurement:
    is_rate = measure != GAP
    low, high = (float(np.clip(edge, 0, 1)) if is_rate else float(edge) for edge in edges)
    width = high - low
    is_wide = width > rules.widest
    reason = (
        f"The bounds are {width:.3f} wide, more than the {rules.widest:g} that would decide "
        "anything."
        if is_wide
        else ASSUMES[Method.WORST_CASE]
    )
    return Measurement(
        measure=measure,
        scope=_worst(),
        value=middle,
        low=low,
        high=high,
        n=n,
        outcome=Outcome.INCONCLUSIVE if is_wide else Outcome.INFO,
        reason=reason,
    )
