"""Scenarios of reject inference: outcomes made up by a stated rule, reported and never believed."""

from __future__ import annotations

import numpy as np

from governance.measurement import Measurement
from governance.measures.discrimination import Scores
from governance.outcome import Outcome
from lab.reject_inference.intake import ASSUMES, RATE, Intake, Method, Rules

BANDS = 5


def assumed_outcomes(intake: Intake, probability: Scores, method: Method, rules: Rules) -> Scores:
    """Return the made-up default share of every customer without outcome, 0 elsewhere.

    Parameters
    ----------
    probability : ndarray of float64, shape (n_rows,)
        Of a model that learned from accepted customers.
    """
    share, missing = np.zeros(len(intake)), ~intake.is_known
    accepted = intake.is_accepted
    match method:
        case Method.FUZZY:
            share[missing] = probability[missing]
        case Method.HARD_CUTOFF:
            # The score above which as many accepted customers lie as accepted ones defaulted.
            rate = float(intake.y[accepted].mean())
            share[missing] = probability[missing] > np.quantile(probability[accepted], 1 - rate)
        case Method.PARCELLING:
            inner = np.arange(1, BANDS) / BANDS
            edges = np.quantile(probability[accepted], inner)
            band = np.searchsorted(edges, probability, side="right")
            for number in range(BANDS):
                inside = accepted & (band == number)
                rate = float(intake.y[inside].mean()) if inside.any() else 0.0
                here = missing & (band == number)
                share[here] = rate
                # Who was accepted and has no outcome yet was not turned away.
                share[here & intake.is_beyond] = min(rate * rules.uplift, 1.0)
        case _:
            raise ValueError(f"{method} makes up no outcomes.")
    return share


def measure_scenario(
    intake: Intake, share: Scores, method: Method, explored: Measurement
) -> Measurement:
    """Return the default rate of everybody under made-up outcomes, held against the exploration.

    Parameters
    ----------
    share : ndarray of float64, shape (n_rows,)
        As `assumed_outcomes`.
    explored : Measurement
        The rate by raw exploration weights.

    Notes
    -----
    When it says nothing: without an exploration of its own to check it, a scenario is
    ``INCONCLUSIVE``; its interval is undefined always, because an assumption has no sampling error.
    """
    value = float((intake.y * intake.is_known + share).sum() / len(intake))
    scope = {"method": method.value}
    if explored.outcome is Outcome.INCONCLUSIVE or explored.low is None or explored.high is None:
        outcome, verdict = Outcome.INCONCLUSIVE, "Nothing here can check it."
    else:
        fits = explored.low <= value <= explored.high
        outcome = Outcome.INFO
        verdict = (
            "The exploration does not contradict it."
            if fits
            else "The exploration contradicts it: its 95 % interval does not hold this rate."
        )
    return Measurement(
        measure=RATE,
        scope=scope,
        value=value,
        n=len(intake),
        outcome=outcome,
        reason=f"A scenario. {ASSUMES[method]} {verdict}",
    )
