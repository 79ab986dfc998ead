"""The intake: everybody who asked, with known outcomes weighted back to those who have none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from governance.measurement import Measurement
from governance.measures.discrimination import Z95, Scores
from governance.outcome import Outcome

MINIMUM_EXPLORED = 20
RATE, SAMPLE_SIZE = "selection.default_rate", "selection.effective_sample_size"

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Method(StrEnum):
    """How the outcomes beyond the line are treated."""

    ACCEPTED_ONLY = "accepted_only"
    AS_THEY_ARE = "known_outcomes_unweighted"
    CLIPPED = "exploration_clipped_weights"
    RAW = "exploration_raw_weights"
    HARD_CUTOFF = "hard_cutoff"
    PARCELLING = "parcelling"
    FUZZY = "fuzzy_augmentation"
    WORST_CASE = "worst_case"


WEIGHTED = (Method.ACCEPTED_ONLY, Method.AS_THEY_ARE, Method.CLIPPED, Method.RAW)
SCENARIOS = (Method.HARD_CUTOFF, Method.PARCELLING, Method.FUZZY)
ASSUMES: Mapping[Method, str] = {
    Method.ACCEPTED_ONLY: "Says nothing about the customers who were turned away.",
    Method.AS_THEY_ARE: "What training learns from: few explored customers stand for too few.",
    Method.CLIPPED: "Weights of explored customers are clipped: less noise, some bias left.",
    Method.RAW: "Exploration was random among those turned away: no bias, the most noise.",
    Method.HARD_CUTOFF: "Assumes that the riskiest of those turned away default and no others.",
    Method.PARCELLING: "Assumes the default rate of the score band times the stated uplift.",
    Method.FUZZY: "Assumes that the model of the accepted holds for those turned away.",
    Method.WORST_CASE: "Assumes nothing about missing outcomes.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the reader of a report declares.

    Parameters
    ----------
    clip : float
        Largest weight of an explored customer.
    uplift : float
        How much more often than accepted ones of the same score band customers who were turned
        away are assumed to default, in parcelling.
    widest : float
        Bounds that are wider than this decide nothing: they are ``INCONCLUSIVE``.
    """

    clip: float = 5.0
    uplift: float = 1.25
    widest: float = 0.10


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """Everybody who asked, arrays of shape ``(n_rows,)``.

    Parameters
    ----------
    is_known : ndarray of bool
        The outcome is known.
    y : ndarray of int64
        Outcomes, 0 where unknown.
    is_refused : ndarray of bool
        Turned away.
    is_explored : ndarray of bool
        Would have been turned away and was let in at random.
    """

    is_known: Flags
    y: Integers
    is_refused: Flags
    is_explored: Flags

    def __len__(self) -> int:
        return len(self.y)

    @property
    def is_accepted(self) -> Flags:
        """Accepted by the rule, with a known outcome."""
        return self.is_known & ~self.is_refused & ~self.is_explored

    @property
    def is_tried(self) -> Flags:
        """Let in as an experiment, with a known outcome."""
        return self.is_known & self.is_explored

    @property
    def is_beyond(self) -> Flags:
        """On the far side of the rule's line, let in or not."""
        return self.is_refused | self.is_explored

    def weights(self, method: Method, rules: Rules) -> Scores:
        """Return the weight of every known outcome, 0 for the others.

        The inverse of a stratum's share of known outcomes: explored customers stand for all beyond
        the line, accepted ones for the accepted whose outcome is not known yet as well.
        """
        weight = np.zeros(len(self))
        weight[self.is_accepted] = 1.0
        if method is Method.ACCEPTED_ONLY:
            return weight
        if method is Method.AS_THEY_ARE:
            weight[self.is_tried] = 1.0
            return weight
        within = ~self.is_beyond
        for stratum, seen in ((within, self.is_accepted), (self.is_beyond, self.is_tried)):
            if seen.any():
                weight[seen] = stratum.sum() / seen.sum()
        if method is Method.CLIPPED:
            weight[self.is_tried] = np.minimum(weight[self.is_tried], rules.clip)
        return weight


def measure_default_rate(intake: Intake, method: Method, rules: Rules) -> Measurement:
    """Return the default rate among everybody who asked, by a method that weights known outcomes.

    Formula: sum of w y over sum of w; the 95 % interval adds the variances of the strata,
    ``share**2 p (1 - p) / n``, with Wilson's center for p so that none is zero.

    Notes
    -----
    When it says nothing: without accepted customers, or with fewer than 20 explored ones where the
    method stands on them; the outcome is ``INCONCLUSIVE``.

    References
    ----------
    Horvitz and Thompson (1952), Journal of the American Statistical Association 47.
    """
    weight = intake.weights(method, rules)
    used = weight > 0
    scope = {"method": method.value}
    if not used.any():
        return cannot_tell(RATE, 0, scope, "There are no known outcomes.")
    value = float((weight * intake.y)[used].sum() / weight[used].sum())
    variance = 0.0
    for part in (intake.is_accepted, intake.is_tried & used):
        n = int(part.sum())
        if n:
            center = (intake.y[part].sum() + Z95**2 / 2) / (n + Z95**2)
            share = weight[part].sum() / weight[used].sum()
            variance += share**2 * center * (1 - center) / n
    margin = Z95 * float(np.sqrt(variance))
    outcome, reason = standing(intake, method)
    return Measurement(
        measure=RATE,
        scope=scope,
        value=value,
        low=max(value - margin, 0.0),
        high=min(value + margin, 1.0),
        n=int(used.sum()),
        outcome=outcome,
        reason=reason,
    )


def measure_effective_sample_size(intake: Intake, method: Method, rules: Rules) -> Measurement:
    """Return Kish's effective sample size: how many equally weighted outcomes are worth the same.

    Formula: (sum of w) squared over sum of w squared.

    Notes
    -----
    When it says nothing: without known outcomes it is 0.
    """
    weight = intake.weights(method, rules)
    total = float((weight**2).sum())
    outcome, reason = standing(intake, method)
    return Measurement(
        measure=SAMPLE_SIZE,
        scope={"method": method.value},
        value=float(weight.sum() ** 2 / total) if total else 0.0,
        n=int((weight > 0).sum()),
        unit="count",
        outcome=outcome,
        reason=reason,
    )


def measure_beyond(intake: Intake) -> Measurement:
    """Return the default rate of explored customers alone, with Wilson's 95 % interval.

    It stands for everybody beyond the line, because chance chose them.

    Notes
    -----
    When it says nothing: with fewer than 20 of them it is ``INCONCLUSIVE``.
    """
    n, events = int(intake.is_tried.sum()), int(intake.y[intake.is_tried].sum())
    scope = {"method": "explored_alone"}
    if not n:
        return cannot_tell(RATE, 0, scope, "Nobody was let in at random.")
    found = binomtest(events, n).proportion_ci(method="wilson")
    outcome, reason = standing(intake, Method.RAW)
    return Measurement(
        measure=RATE,
        scope=scope,
        value=events / n,
        low=float(found.low),
        high=float(found.high),
        n=n,
        outcome=outcome,
        reason=reason,
    )


def standing(intake: Intake, method: Method) -> tuple[Outcome, str]:
    """Return whether a method has enough explored customers to stand on; and what it assumes."""
    tried = int(intake.is_tried.sum())
    if method in (Method.CLIPPED, Method.RAW) and tried < MINIMUM_EXPLORED:
        reason = f"{tried} explored customers are fewer than {MINIMUM_EXPLORED}."
        return Outcome.INCONCLUSIVE, reason
    return Outcome.INFO, ASSUMES[method]


def cannot_tell(measure: str, n: int, scope: Mapping[str, str], reason: str) -> Measurement:
    """Return a measurement that says that it cannot tell, and why."""
    return Measurement(
        measure=measure, n=n, scope=scope, outcome=Outcome.INCONCLUSIVE, reason=reason
    )
