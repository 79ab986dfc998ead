"""Necessity: what a model loses when it has to do without one feature, or one group of them.

Every feature is a claim on a person's data, and a claim needs a reason that can be measured. Each
feature is taken out in turn and the model is fitted again on the same folds; what is compared is
each customer's log loss with and without. A refit moves that loss by chance as well, so the same
features are refitted under other seeds, and a loss within that luck shows nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, spearmanr

from governance.measurement import Measurement
from limits.features import FeatureSpec
from training import comparison, suspicion
from training import customers as clusters
from training.calibration import losses, margin_of_mean
from training.customers import Customers
from training.discrimination import Labels
from training.evaluation import Matrix, OutOfFold, out_of_fold
from training.fitted import say_nothing
from training.recipes import Recipe

LOG_LOSS_COST = "necessity.log_loss_cost"
AUC_COST = "necessity.auc_cost"
LUCK = "necessity.luck"
ALIKE = 0.8
"""Two features whose ranks correlate at least so much tell much the same."""

PLACEBOS = 3
_FAMILY_ERROR = 0.05


class Verdict(StrEnum):
    """What taking a feature out showed."""

    NEEDED = "needed"
    REDUNDANT = "redundant"
    NOT_SHOWN = "not shown to be needed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """A feature, or a reason group, that the model had to do without.

    Parameters
    ----------
    features : tuple of str
        What was taken out.
    log_loss : Measurement
        Mean rise of the log loss, with a paired 95 % interval.
    auc : Measurement
        Area lost, with a paired bootstrap 95 % interval; shown beside it, judges nothing.
    alike : tuple of str
        Kept features that tell much the same, if the verdict is that it is redundant.
    why : str
        What the feature spec says it is there for.
    is_protected : bool
        Whether it is named like, or reads what is named like, a protected attribute.
    """

    name: str
    is_group: bool
    features: tuple[str, ...]
    verdict: Verdict
    log_loss: Measurement
    auc: Measurement
    alike: tuple[str, ...]
    why: str
    is_protected: bool

    @property
    def told(self) -> str:
        """The verdict in words."""
        if self.verdict is Verdict.REDUNDANT:
            return f"redundant with {', '.join(self.alike)}"
        return self.verdict.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Necessity:
    """The table of everything that was taken out, features first.

    Parameters
    ----------
    luck : Measurement
        Largest mean change of the log loss between refits that differ in their seed only.
    """

    luck: Measurement
    dropped: tuple[Dropped, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is tested: a recipe on a spec, with all its features and with each seed of the folds.

    Parameters
    ----------
    customers : ndarray of int64, shape (n_rows,), or None
        Whose row it is, if customers have several.
    """

    recipe: Recipe
    spec: FeatureSpec
    features: Matrix
    labels: Labels
    seed: int
    customers: Customers | None = None

    def without(self, dropped: Sequence[str], *, seed: int | None = None) -> OutOfFold:
        """Return the out-of-fold probabilities of the model that does without some features."""
        kept = [at for at, name in enumerate(self.spec.names) if name not in dropped]
        signs = tuple(self.spec.signs[at] for at in kept)
        make = partial(self.recipe.estimator, signs, seed=self.seed if seed is None else seed)
        columns = self.features[:, kept]
        return out_of_fold(make, columns, self.labels, seed=self.seed, customers=self.customers)


def steps(spec: FeatureSpec) -> int:
    """Return how often `measure_necessity` reports."""
    return 1 + PLACEBOS + len(_drops(spec))


def measure_necessity(asked: Asked, *, done: Callable[[str], None] = say_nothing) -> Necessity:
    """Take every feature and every reason group out in turn and say what it cost.

    Formula: the mean over customers of log loss without minus log loss with, out-of-fold, on the
    same folds. Needed is what costs more than luck and more than zero at a level of 5 % over all
    that was taken out (one-sided, Bonferroni). What is not needed and has a kept feature of a rank
    correlation of at least 0.8 with it is redundant with that one: together they may be needed.

    Notes
    -----
    When it says nothing: a feature without which nothing is left is not taken out. "Not shown to be
    needed" is no proof of the opposite: more customers can show what these could not.
    """
    whole = asked.without(())
    done("whole")
    luck = _luck(asked, whole, done)
    drops = _drops(asked.spec)
    bench = _Bench(
        asked=asked,
        whole=whole,
        luck=luck.value or 0.0,
        level=float(norm.ppf(1 - _FAMILY_ERROR / max(1, len(drops)))),
        ranks=_ranks(asked.features),
    )
    found = []
    for drop in drops:
        found.append(_judged(bench, drop))
        done(drop.name)
    return Necessity(luck=luck, dropped=tuple(found))


class _Drop(NamedTuple):
    name: str
    is_group: bool
    features: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bench:
    """What every drop is held against."""

    asked: Asked
    whole: OutOfFold
    luck: float
    level: float
    ranks: NDArray[np.float64]


def _drops(spec: FeatureSpec) -> list[_Drop]:
    """Return all that can be taken out: features, then groups of several."""
    drops = [_Drop(name, False, (name,)) for name in spec.names if len(spec.names) > 1]
    for group in dict.fromkeys(spec.reason_groups):
        inside = tuple(f.name for f in spec.features if f.reason_group == group)
        if 1 < len(inside) < len(spec.names):
            drops.append(_Drop(group, True, inside))
    return drops


def _luck(asked: Asked, whole: OutOfFold, done: Callable[[str], None]) -> Measurement:
    """Return how far a refit under another seed moves the log loss, by the farthest two."""
    told = [losses(whole.labels, whole.probability)]
    for number in range(1, PLACEBOS + 1):
        again = asked.without((), seed=asked.seed + number)
        told.append(losses(again.labels, again.probability))
        done("luck")
    apart = [
        _mean(LUCK, np.asarray(one - other), {}, asked.customers)
        for one, other in combinations(told, 2)
    ]
    farthest = max(apart, key=lambda found: abs(found.value or 0.0))
    sign = -1.0 if (farthest.value or 0.0) < 0 else 1.0
    edges = sorted(sign * (edge or 0.0) for edge in (farthest.low, farthest.high))
    return farthest.model_copy(
        update={
            "value": sign * (farthest.value or 0.0),
            "low": edges[0],
            "high": edges[1],
            "reason": f"The largest of the differences between {PLACEBOS + 1} seeds.",
        }
    )


def _judged(bench: _Bench, drop: _Drop) -> Dropped:
    """Refit without what is dropped and say what that showed."""
    asked, whole = bench.asked, bench.whole
    less = asked.without(drop.features)
    cost = losses(less.labels, less.probability) - losses(whole.labels, whole.probability)
    mean, error = float(cost.mean()), _error(cost, asked.customers)
    is_needed = mean - bench.level * error > 0 and mean > bench.luck
    alike = () if is_needed else tuple(_alike(asked.spec, drop.features, bench.ranks))
    area = comparison.measure_auc_difference(
        asked.labels,
        whole.probability,
        less.probability,
        seed=asked.seed,
        customers=asked.customers,
    )
    scope = {"reason_group" if drop.is_group else "feature": drop.name}
    parts = [feature for feature in asked.spec.features if feature.name in drop.features]
    read = {name for part in parts for name in (part.name, *part.sources)}
    return Dropped(
        name=drop.name,
        is_group=drop.is_group,
        features=drop.features,
        verdict=_verdict(is_needed, alike),
        log_loss=_mean(LOG_LOSS_COST, cost, scope, asked.customers),
        auc=area.model_copy(update={"measure": AUC_COST, "scope": scope}),
        alike=alike,
        why=" ".join(part.why for part in parts),
        is_protected=any(suspicion.is_protected(name) for name in read),
    )


def _verdict(is_needed: bool, alike: Sequence[str]) -> Verdict:
    if is_needed:
        return Verdict.NEEDED
    return Verdict.REDUNDANT if alike else Verdict.NOT_SHOWN


def _alike(spec: FeatureSpec, dropped: Sequence[str], ranks: NDArray[np.float64]) -> Iterator[str]:
    """Yield the kept features that tell much the same as one that was dropped, nearest first."""
    inside = [spec.names.index(name) for name in dropped]
    nearest = np.abs(ranks[inside]).max(axis=0)
    for at in np.argsort(-nearest, kind="stable").tolist():
        if at not in inside and nearest[at] >= ALIKE:
            yield spec.names[at]


def _ranks(features: Matrix) -> NDArray[np.float64]:
    """Return rank correlations, ``(n_features, n_features)``; none with a constant."""
    count = features.shape[1]
    if count == 1:
        return np.ones((1, 1))
    moving = np.ptp(features, axis=0) > 0
    found = np.eye(count)
    if moving.sum() > 1:
        told = spearmanr(features[:, moving]).statistic
        # Of two columns there is one number, of more there is a matrix.
        square = np.array([[1.0, told], [told, 1.0]]) if np.ndim(told) == 0 else told
        found[np.ix_(moving, moving)] = square
    return found


def _error(cost: NDArray[np.float64], customers: Customers | None) -> float:
    """Return the standard error of the mean cost, over drawn customers."""
    if customers is None:
        return float(cost.std(ddof=1)) / float(len(cost) ** 0.5)
    return clusters.error_of_sum((cost - cost.mean()) / len(cost), customers)


def _mean(
    measure: str,
    cost: NDArray[np.float64],
    scope: dict[str, str],
    customers: Customers | None,
) -> Measurement:
    mean, n, margin = float(cost.mean()), len(cost), margin_of_mean(cost, customers)
    return Measurement(
        measure=measure,
        scope=scope,
        value=mean,
        low=mean - margin,
        high=mean + margin,
        n=n,
        unit="number",
    )
