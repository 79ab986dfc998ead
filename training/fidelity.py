"""Fidelity: whether the reasons that are told are the reasons there are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import binomtest

from governance.errors import UsageError
from governance.measurement import Measurement
from limits.explaining.contributions import Explanation, columns_of
from limits.explaining.counterfactual import Change
from limits.features import FeatureSpec
from training.discrimination import undefined
from training.evaluation import Matrix

TOP_AGREEMENT = "explanation.top_agreement"
CITED_AT_BEST = "explanation.cited_at_best"
EXPLAINED = "explanation.explained"
REACHED = "explanation.counterfactual_reached"


def measure_agreement(told: Explanation, twin: Explanation) -> Measurement:
    """Return how often two models give the same customer the same first reason.

    Formula: the share of equal first reasons among customers for whom both have one, with a Wilson
    interval. The champion is held against its additive twin, whose reasons are exact.

    Raises
    ------
    UsageError
        If the explanations are of other customers or other groups.

    Notes
    -----
    When it says nothing: when no customer has a first reason from both.
    """
    if told.groups != twin.groups or len(told.ranked) != len(twin.ranked):
        raise UsageError("The explanations are not of the same customers and reason groups.")
    first, second = told.ranked[:, 0], twin.ranked[:, 0]
    has_both = (first >= 0) & (second >= 0)
    same = int((first == second)[has_both].sum())
    return _share(TOP_AGREEMENT, same, int(has_both.sum()))


def measure_explained(told: Explanation) -> Measurement:
    """Return the share of customers who are given a reason at all, with a Wilson interval.

    Notes
    -----
    When it says nothing: without customers.
    """
    return _share(EXPLAINED, int((told.ranked[:, 0] >= 0).sum()), len(told.ranked))


def measure_cited_at_best(
    told: Explanation, spec: FeatureSpec, features: Matrix, *, everybody: Matrix | None = None
) -> Measurement:
    """Return the share of cited reasons that the customer could not do better in.

    Formula: among the cited (customer, group) pairs whose group has a declared direction, those in
    which every such feature already has the best value of all customers; with a Wilson interval.

    Parameters
    ----------
    features : ndarray of float64, shape (n_rows, n_features)
        The rows that were explained.
    everybody : ndarray of float64, shape (n_customers, n_features), optional
        Whose best value counts; left out, that of the explained rows.

    Notes
    -----
    When it says nothing: without a cited group that has a direction.
    """
    signs = np.array(spec.signs)
    known = features if everybody is None else everybody
    best = np.where(signs > 0, known.min(axis=0), known.max(axis=0))
    is_best = (features == best) | (signs == 0)
    cited, at_best = 0, 0
    for place, columns in enumerate(columns_of(spec).values()):
        if not signs[columns].any():
            continue
        is_cited = (told.ranked == place).any(axis=1)
        cited += int(is_cited.sum())
        at_best += int(is_best[is_cited][:, columns].all(axis=1).sum())
    return _share(CITED_AT_BEST, at_best, cited)


def measure_reached(changes: Sequence[Change | None]) -> Measurement:
    """Return the share of customers above the ceiling who could come below it.

    Formula: among customers whose default probability is too high as it is, those for whom a change
    was found; with a Wilson interval.

    Notes
    -----
    When it says nothing: when nobody is above the ceiling.
    """
    above = [change for change in changes if change is None or change.levers]
    if not above:
        return undefined(REACHED, 0, "Nobody is above the ceiling.")
    return _share(REACHED, sum(change is not None for change in above), len(above))


def _share(measure: str, events: int, n: int) -> Measurement:
    if n == 0:
        return undefined(measure, 0, "There is no case to judge.")
    test = binomtest(events, n)
    interval = test.proportion_ci(method="wilson")
    return Measurement(
        measure=measure, value=test.statistic, low=interval.low, high=interval.high, n=n
    )
