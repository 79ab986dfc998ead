"""Reject inference: what is missing because some customers were refused, and what it may hide.

Who was turned away has no outcome, so a model learns from those who looked good. The report says
what can be said about everybody who asked, under rising assumptions, and applies none of it:

* Worst case: the missing outcomes are anything. Nothing is assumed, so the bounds are wide.
* Exploration: of those whom the rule turned away, a random share was let in. Weighted back, they
  stand for all who were turned away.
* Scenarios (parcelling, fuzzy augmentation): outcomes are made up by a rule. They are
  assumptions with a number and are held against the exploration where there is one.

References
----------
Manski (2003), Partial identification of probability distributions, ch. 1. Hand and Henley (1993),
IMA Journal of Mathematics 5(1): reject inference needs information from beyond the line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.stats import rankdata
from threadpoolctl import threadpool_limits

from decisions import features, scoring
from decisions.features import FeatureSpec
from governance.contract import Purpose
from governance.errors import ContractError
from governance.measurement import Measurement
from governance.measures.discrimination import Z95, Scores
from governance.outcome import Outcome
from governance.proportion import wilson
from privacy.feature_table import PSEUDONYM, FeatureTable
from training import data_checks, evaluation, label
from training.evaluation import Matrix
from training.sample import MINIMUM_PER_CLASS, MINIMUM_ROWS

RATE, AUC = "selection.default_rate", "selection.auc"
APPLIED = (
    "Nothing of this is applied: training learns from known outcomes as they are, without weights "
    "or made-up outcomes."
)
MINIMUM_EXPLORED = 20
SCORE_BANDS = 5

Flags = NDArray[np.bool_]


class InferenceMethod(StrEnum):
    """How the outcomes beyond the line are treated."""

    ACCEPTED_ONLY = "accepted_only"
    EXPLORATION = "exploration_weights"
    PARCELLING = "parcelling"
    FUZZY = "fuzzy_augmentation"
    WORST_CASE = "worst_case"


SCENARIOS = (InferenceMethod.PARCELLING, InferenceMethod.FUZZY)
ASSUMES: Mapping[InferenceMethod, str] = {
    InferenceMethod.ACCEPTED_ONLY: "Says nothing about the customers who were turned away.",
    InferenceMethod.EXPLORATION: "Who was explored was drawn at random: no bias, much noise.",
    InferenceMethod.PARCELLING: "Assumes the default rate of the score band times an uplift.",
    InferenceMethod.FUZZY: "Assumes that the model of the accepted holds for those turned away.",
    InferenceMethod.WORST_CASE: "Assumes nothing about missing outcomes.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Applications:
    """Everybody who asked, arrays of shape ``(n_rows,)``; `y` is 0 where it is not known.

    ``is_explored`` would have been turned away and was let in at random.
    """

    is_known: Flags
    y: NDArray[np.int64]
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

    def weights(self, method: InferenceMethod) -> Scores:
        """Return what each known outcome weighs: 1 if accepted, more if it stands for others."""
        weight = self.is_accepted.astype(np.float64)
        if method is InferenceMethod.EXPLORATION:
            within = ~self.is_beyond
            for stratum, seen in ((within, self.is_accepted), (self.is_beyond, self.is_tried)):
                weight[seen] = stratum.sum() / max(seen.sum(), 1)
        return weight

    def counts(self) -> dict[str, int]:
        """Return how many stand where; ``awaited`` were let in and have no outcome yet."""
        return {
            "accepted": int(self.is_accepted.sum()),
            "explored": int(self.is_tried.sum()),
            "refused": int(self.is_refused.sum()),
            "awaited": int((~self.is_known & ~self.is_refused).sum()),
        }


def read(
    table: FeatureTable, spec: FeatureSpec, target: str, refused: str, explored: str | None = None
) -> tuple[Matrix, Applications]:
    """Compute the features of everybody who asked, and read what became of them.

    Raises
    ------
    ContractError
        If the table was released for another purpose, a column is missing, a feature reads one of
        them, a customer comes twice, a refused customer has an outcome or was let in as well,
        or there are too few accepted outcomes.
    """
    if table.purpose is not Purpose.TRAINING:
        raise ContractError(
            f"The table {table.path.name} was released for {table.purpose}; this report needs one "
            "released for training."
        )
    names = [name for name in (target, refused, explored) if name is not None]
    if missing := [name for name in names if name not in table.schema.names]:
        raise ContractError(
            f"The table {table.path.name} has no column {', '.join(missing)}; it has "
            f"{', '.join(table.feature_columns)}."
        )
    if known := set(names) & set(spec.sources):
        raise ContractError(
            f"The feature spec {spec.id} reads {', '.join(sorted(known))}: the outcome or the "
            "decision itself. Take it out."
        )
    data_checks.refuse_protected_names(spec, ())
    rows = features.compute(spec, table.reader(), keep=(PSEUDONYM, *names))
    if pc.count_distinct(rows[PSEUDONYM]).as_py() != rows.num_rows:
        raise ContractError("A customer comes twice; release one row per application.")
    people = _applications(rows, target, refused, explored)
    n, events = int(people.is_accepted.sum()), int(people.y[people.is_accepted].sum())
    if n < MINIMUM_ROWS or min(events, n - events) < MINIMUM_PER_CLASS:
        raise ContractError(
            f"There are {n} accepted customers with a known outcome, {events} of them defaulted; "
            f"at least {MINIMUM_ROWS} with {MINIMUM_PER_CLASS} of either outcome are needed."
        )
    matrix = scoring.design_matrix(spec, rows)
    data_checks.refuse_constants(spec, matrix, ())
    data_checks.refuse_leaks(spec, matrix[people.is_known], people.y[people.is_known], ())
    return matrix, people


def _applications(rows: pa.Table, target: str, refused: str, explored: str | None) -> Applications:
    known = rows[target].is_valid().to_numpy()
    y = np.zeros(rows.num_rows, dtype=np.int64)
    y[known] = label.labels(rows[target].filter(pa.array(known)), target)
    away, tried = (
        label.labels(rows[name], name).astype(np.bool_) if name else np.zeros(len(y), np.bool_)
        for name in (refused, explored)
    )
    if not away.any():
        raise ContractError("Nobody was refused in this table, so there is nothing to report.")
    contradictions = {
        f"are refused ({refused}) and have an outcome": away & known,
        f"are refused and let in ({explored}) at once": away & tried,
    }
    for said, hit in contradictions.items():
        if hit.any():
            raise ContractError(f"{int(hit.sum())} customers {said}. Correct the export.")
    return Applications(is_known=known, y=y, is_refused=away, is_explored=tried)


def measure(
    people: Applications, probability: Scores, *, uplift: float, widest: float
) -> tuple[Measurement, ...]:
    """Report rates, scenarios and bounds for everybody who asked; nothing is chosen.

    Parameters
    ----------
    probability : ndarray of float64, shape (n_rows,)
        As `accepted_only`.
    uplift : float
        How much more often than accepted ones of the same score band customers who were turned
        away are assumed to default, in parcelling.
    widest : float
        Bounds that are wider than this decide nothing: they are ``INCONCLUSIVE``.
    """
    explored = measure_default_rate(people, InferenceMethod.EXPLORATION)
    shares = {each: assumed_outcomes(people, probability, each, uplift) for each in SCENARIOS}
    return (
        measure_default_rate(people, InferenceMethod.ACCEPTED_ONLY),
        explored,
        *(measure_scenario(people, shares[each], each, explored) for each in SCENARIOS),
        bound_default_rate(people, widest),
        bound_auc(people, probability, widest),
    )


def accepted_only(
    make: Callable[[], Any], matrix: Matrix, people: Applications, *, seed: int
) -> Scores:
    """Return default probabilities by models of accepted customers, nobody by their own.

    `make` returns an unfitted estimator.
    """
    accepted = people.is_accepted
    seen, y = matrix[accepted], people.y[accepted]
    probability = np.empty(len(people))
    with threadpool_limits(limits=1, user_api="openmp"):
        probability[accepted] = evaluation.out_of_fold(make, seen, y, seed=seed).probability
        if not accepted.all():
            whole = evaluation.fit(make(), seen, y)
            probability[~accepted] = evaluation.predict(whole, matrix[~accepted])
    return probability


def measure_default_rate(people: Applications, method: InferenceMethod) -> Measurement:
    """Return the default rate among everybody who asked, by a method that weights known outcomes.

    Formula: sum of w y over sum of w; the 95 % interval adds the variances of the strata,
    ``share**2 p (1 - p) / n``, with Wilson's center for p so that none is zero.

    Notes
    -----
    When it says nothing: without accepted customers, or with fewer than 20 explored ones where the
    method stands on them; the outcome is ``INCONCLUSIVE``.
    """
    weight = people.weights(method)
    used = weight > 0
    if not used.any():
        return _unknown(RATE, 0, method, "There are no known outcomes.")
    value = float((weight * people.y)[used].sum() / weight[used].sum())
    variance = 0.0
    for part in (people.is_accepted, people.is_tried & used):
        ends = wilson(int(people.y[part].sum()), int(part.sum()))
        if ends is not None:
            center = (ends[0] + ends[1]) / 2
            share = weight[part].sum() / weight[used].sum()
            variance += share**2 * center * (1 - center) / part.sum()
    margin = Z95 * float(np.sqrt(variance))
    tried, outcome, reason = int(people.is_tried.sum()), Outcome.INFO, ASSUMES[method]
    if method is InferenceMethod.EXPLORATION and tried < MINIMUM_EXPLORED:
        outcome = Outcome.INCONCLUSIVE
        reason = f"{tried} explored customers are fewer than {MINIMUM_EXPLORED}."
    return Measurement(
        measure=RATE,
        scope={"method": method.value},
        value=value,
        low=max(value - margin, 0.0),
        high=min(value + margin, 1.0),
        n=int(used.sum()),
        outcome=outcome,
        reason=reason,
    )


def _unknown(measure: str, n: int, method: InferenceMethod, reason: str) -> Measurement:
    scope = {"method": method.value}
    return Measurement(
        measure=measure, n=n, scope=scope, outcome=Outcome.INCONCLUSIVE, reason=reason
    )


def assumed_outcomes(
    people: Applications, probability: Scores, method: InferenceMethod, uplift: float
) -> Scores:
    """Return the made-up default share of every customer without outcome, 0 elsewhere."""
    share, missing = np.zeros(len(people)), ~people.is_known
    accepted = people.is_accepted
    if method is InferenceMethod.FUZZY:
        share[missing] = probability[missing]
    else:
        edges = np.quantile(probability[accepted], np.arange(1, SCORE_BANDS) / SCORE_BANDS)
        band = np.searchsorted(edges, probability, side="right")
        n, events = (
            np.bincount(band[accepted], weights, SCORE_BANDS)
            for weights in (None, people.y[accepted])
        )
        rates = (events / np.maximum(n, 1))[band]
        # Who was accepted and has no outcome yet was not turned away.
        assumed = np.where(people.is_beyond, np.minimum(rates * uplift, 1.0), rates)
        share[missing] = assumed[missing]
    return share


def measure_scenario(
    people: Applications, share: Scores, method: InferenceMethod, explored: Measurement
) -> Measurement:
    """Return the default rate of everybody under made-up outcomes, held against the exploration.

    `explored` is the rate by exploration weights.

    Notes
    -----
    When it says nothing: without an exploration of its own to check it, a scenario is
    ``INCONCLUSIVE``; its interval is undefined always, because an assumption has no sampling error.
    """
    value = float((people.y * people.is_known + share).sum() / len(people))
    outcome, verdict = Outcome.INFO, "The exploration does not contradict it."
    if explored.outcome is Outcome.INCONCLUSIVE or explored.low is None or explored.high is None:
        outcome, verdict = Outcome.INCONCLUSIVE, "Nothing here can check it."
    elif not explored.low <= value <= explored.high:
        verdict = "The exploration contradicts it: its 95 % interval does not hold this rate."
    return Measurement(
        measure=RATE,
        scope={"method": method.value},
        value=value,
        n=len(people),
        outcome=outcome,
        reason=f"A scenario. {ASSUMES[method]} {verdict}",
    )


def bound_default_rate(people: Applications, widest: float) -> Measurement:
    """Return Manski's bounds on the default rate of everybody who asked.

    Formula: [D / N, (D + M) / N] with D known defaults and M missing outcomes of N customers,
    widened by the normal margin of each edge, so that the truth of the population is inside in at
    least 95 % of samples. ``value`` is the middle.

    Notes
    -----
    When it says nothing: bounds wider than `widest` are ``INCONCLUSIVE``.
    """
    n = len(people)
    if not n:
        return _unknown(RATE, 0, InferenceMethod.WORST_CASE, "There is nobody.")
    low = float(people.y[people.is_known].sum() / n)
    high = low + float((~people.is_known).sum() / n)
    margins = [Z95 * np.sqrt(max(edge * (1 - edge), 1 / n) / n) for edge in (low, high)]
    edges = (max(low - margins[0], 0.0), min(high + margins[1], 1.0))
    return _bounded(RATE, n, edges, widest, middle=(low + high) / 2)


def bound_auc(people: Applications, scores: Scores, widest: float) -> Measurement:
    """Return the smallest and the largest area that any missing outcomes could give these scores.

    Formula: for each possible number k of defaulters among the missing, the area is largest if the
    k highest scores default and smallest if the k lowest do; the bounds are the extremes over k.
    Sampling error is not in them.

    Notes
    -----
    When it says nothing: if the known outcomes have one class only, or the bounds are wider than
    `widest`.
    """
    known, n = people.is_known, len(people)
    events = int(people.y[known].sum())
    if not 0 < events < known.sum():
        reason = "The known outcomes are of one class only."
        return _unknown(AUC, n, InferenceMethod.WORST_CASE, reason)
    rank = rankdata(scores)
    base = float(rank[known & (people.y == 1)].sum())
    missing = np.sort(rank[~known])
    positives = events + np.arange(len(missing) + 1)
    low, high = (
        float(choose((total - positives * (positives + 1) / 2) / (positives * (n - positives))))
        for ordered, choose in ((missing, np.min), (missing[::-1], np.max))
        for total in [base + np.concatenate([[0.0], np.cumsum(ordered)])]
    )
    return _bounded(AUC, n, (low, high), widest, middle=(low + high) / 2)


def _bounded(
    measure: str, n: int, edges: tuple[float, float], widest: float, *, middle: float
) -> Measurement:
    width, outcome, reason = edges[1] - edges[0], Outcome.INFO, ASSUMES[InferenceMethod.WORST_CASE]
    if width > widest:
        outcome = Outcome.INCONCLUSIVE
        reason = f"The bounds are {width:.3f} wide, more than the {widest:g} that would decide it."
    return Measurement(
        measure=measure,
        scope={"method": InferenceMethod.WORST_CASE.value},
        value=middle,
        low=edges[0],
        high=edges[1],
        n=n,
        outcome=outcome,
        reason=reason,
    )
