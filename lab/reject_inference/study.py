"""The study: one model per method, all held against everybody who asked.

Each customer is scored by models that never saw that customer. Areas over everybody weight the
known outcomes back by the exploration; without one only worst-case bounds are left. Made-up
outcomes take part in fitting and never in judging.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

from governance.measurement import Measurement
from governance.measures import discrimination
from governance.measures.discrimination import BOOTSTRAP_DRAWS, Scores
from governance.outcome import Outcome
from lab.reject_inference import bounds, intake, scenarios
from lab.reject_inference.bounds import AUC, GAP
from lab.reject_inference.intake import SCENARIOS, WEIGHTED, Intake, Method, Rules
from training.evaluation import FOLDS, Matrix, predict

GAIN = "selection.auc_gain"
MODELS = (*WEIGHTED, *SCENARIOS)
STEPS = len(MODELS)

Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """What was found, and the counts behind it.

    Parameters
    ----------
    counts : mapping of str to int
        ``accepted``, ``explored``, ``refused`` and ``awaited``: accepted, outcome not known yet.
    measurements : tuple of Measurement
        Rates first, then the models; each scope names the method.
    """

    counts: Mapping[str, int]
    measurements: tuple[Measurement, ...]


def measure(
    make: Callable[[], Any],
    features: Matrix,
    people: Intake,
    rules: Rules,
    *,
    seed: int,
    done: Callable[[str], None] = lambda _: None,
) -> Study:
    """Report rates, models and bounds for everybody who asked; nothing is chosen.

    Parameters
    ----------
    make : callable
        Returns an unfitted estimator that takes sample weights.
    features : ndarray of float64, shape (n_rows, n_features)
    done : callable
        Called with a method's name after each of the `STEPS` models.
    """
    splits = _splits(people, seed=seed)
    base = _out_of_fold(
        make, features, people, splits, weighting(people, Method.ACCEPTED_ONLY, rules)
    )
    told: dict[Method, Scores] = {Method.ACCEPTED_ONLY: base}
    done(Method.ACCEPTED_ONLY.value)
    for method in MODELS[1:]:
        taught = weighting(people, method, rules, base)
        told[method] = _out_of_fold(make, features, people, splits, taught)
        done(method.value)
    found = [*_rates(people, base, rules)]
    found += _models(people, told, rules, seed=seed)
    found += [
        bounds.bound_auc(people, base, rules),
        bounds.bound_calibration_gap(people, base, rules),
    ]
    return Study(counts=counts(people), measurements=tuple(found))


def counts(people: Intake) -> dict[str, int]:
    """Return how many customers stand where."""
    awaited = ~people.is_known & ~people.is_refused
    return {
        "accepted": int(people.is_accepted.sum()),
        "explored": int(people.is_tried.sum()),
        "refused": int(people.is_refused.sum()),
        "awaited": int(awaited.sum()),
    }


def weighting(
    people: Intake, method: Method, rules: Rules, base: Scores | None = None
) -> tuple[Scores, Scores]:
    """Return what each customer weighs as a non-defaulter and as a defaulter when fitting.

    Parameters
    ----------
    base : ndarray of float64, shape (n_rows,), or None
        Default probability of the accepted-only model, for methods that make up outcomes.
    """
    if method in WEIGHTED or base is None:
        weight = people.weights(method, rules)
        return weight * (1 - people.y), weight * people.y
    share = scenarios.assumed_outcomes(people, base, method, rules)
    known = people.is_known
    return np.where(known, 1 - people.y, 1 - share), np.where(known, people.y, share)


def weighted_area(labels: NDArray[np.int64], scores: Scores, weight: Scores) -> float:
    """Return the area under the ROC curve of weighted customers; ties count one half.

    Examples
    --------
    >>> weighted_area(np.array([0, 0, 1]), np.array([0.1, 0.3, 0.2]), np.array([3.0, 1.0, 2.0]))
    0.75
    """
    _, place = np.unique(scores, return_inverse=True)
    events = np.bincount(place, weight * labels)
    others = np.bincount(place, weight * (1 - labels))
    pairs = events.sum() * others.sum()
    below = np.cumsum(others) - others
    return float((events * (below + others / 2)).sum() / pairs) if pairs else float("nan")


def _splits(people: Intake, *, seed: int) -> list[tuple[Rows, Rows]]:
    kind = np.where(people.is_accepted, people.y, 3)
    if people.is_tried.sum() >= FOLDS:
        kind = np.where(people.is_tried, 2, kind)
    # A kind too small for every fold goes to the largest, so that no fold is made of chance alone.
    for code in np.unique(kind):
        if (kind == code).sum() < FOLDS:
            kind = np.where(kind == code, 0, kind)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    return list(folds.split(np.zeros(len(kind)), kind))


def _out_of_fold(
    make: Callable[[], Any],
    features: Matrix,
    people: Intake,
    splits: list[tuple[Rows, Rows]],
    taught: tuple[Scores, Scores],
) -> Scores:
    """Score everybody, the refused included, by models of the other four folds."""
    probability = np.empty(len(people))
    for seen, held_out in splits:
        parts = [seen[weight[seen] > 0] for weight in taught]
        rows = np.concatenate(parts)
        labels = np.repeat([0, 1], [len(part) for part in parts])
        weight = np.concatenate([of[part] for of, part in zip(taught, parts, strict=True)])
        with threadpool_limits(limits=1, user_api="openmp"):
            model = make().fit(features[rows], labels, sample_weight=weight)
        probability[held_out] = predict(model, features[held_out])
    return probability


def _rates(people: Intake, base: Scores, rules: Rules) -> list[Measurement]:
    found = [intake.measure_default_rate(people, method, rules) for method in WEIGHTED]
    raw = found[WEIGHTED.index(Method.RAW)]
    found += [intake.measure_beyond(people)]
    for method in SCENARIOS:
        share = scenarios.assumed_outcomes(people, base, method, rules)
        found.append(scenarios.measure_scenario(people, share, method, raw))
    found.append(bounds.bound_default_rate(people, rules))
    sizes = [intake.measure_effective_sample_size(people, method, rules) for method in WEIGHTED]
    return found + sizes


def _models(
    people: Intake, told: Mapping[Method, Scores], rules: Rules, *, seed: int
) -> list[Measurement]:
    accepted = people.is_accepted
    base = told[Method.ACCEPTED_ONLY]
    usual = discrimination.measure_auc(people.y[accepted], base[accepted])
    scope = {"method": Method.ACCEPTED_ONLY.value, "among": "accepted"}
    found = [usual.model_copy(update={"measure": AUC, "scope": scope})]
    weight = people.weights(Method.RAW, rules)
    outcome, reason = intake.standing(people, Method.RAW)
    draws = list(_resampled(people, weight, seed=seed))
    rate = intake.measure_default_rate(people, Method.RAW, rules)
    for method, scores in told.items():
        value, drawn = _areas(people, scores, weight, draws)
        scope = {"method": method.value, "among": "everybody"}
        common: dict[str, Any] = {"n": int((weight > 0).sum()), "scope": scope, "outcome": outcome}
        common["reason"] = reason
        found.append(_with_draws(AUC, value, drawn, common))
        if method is not Method.ACCEPTED_ONLY:
            usual_value, usual_drawn = _areas(people, base, weight, draws)
            gain = [a - b for a, b in zip(drawn, usual_drawn, strict=True)]
            found.append(_with_draws(GAIN, value - usual_value, gain, common))
        found.append(_gap(rate, scores, common))
    return found


def _resampled(people: Intake, weight: Scores, *, seed: int) -> Any:
    """Yield weights of bootstrap draws, accepted and explored customers each within themselves."""
    rng = np.random.default_rng([seed, 8])
    strata = [np.flatnonzero(part) for part in (people.is_accepted, people.is_tried)]
    for _ in range(BOOTSTRAP_DRAWS):
        drawn = np.zeros(len(people))
        for rows in strata:
            if len(rows):
                drawn[rows] = np.bincount(
                    rng.integers(0, len(rows), len(rows)), minlength=len(rows)
                )
        yield drawn * weight


def _areas(
    people: Intake, scores: Scores, weight: Scores, draws: list[Scores]
) -> tuple[float, list[float]]:
    rows = np.flatnonzero(people.is_known)
    y, told = people.y[rows], scores[rows]
    return weighted_area(y, told, weight[rows]), [weighted_area(y, told, w[rows]) for w in draws]


def _with_draws(
    measure: str, value: float, drawn: list[float], common: Mapping[str, Any]
) -> Measurement:
    """Return a measurement with the percentile interval of its bootstrap draws."""
    if np.isnan(value):
        reason = discrimination.ONE_CLASS
        return Measurement(
            measure=measure, **{**common, "outcome": Outcome.INCONCLUSIVE, "reason": reason}
        )
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return Measurement(
        measure=measure, value=value, low=float(low), high=float(high), **dict(common)
    )


def _gap(rate: Measurement, scores: Scores, common: Mapping[str, Any]) -> Measurement:
    """Return the rate of everybody, by the exploration, less the mean default probability."""
    mean = float(scores.mean())
    value, low, high = (
        None if edge is None else edge - mean for edge in (rate.value, rate.low, rate.high)
    )
    return Measurement(measure=GAP, value=value, low=low, high=high, **dict(common))
