"""The extraction of a points table: a fitted additive boosting written out as plain numbers.

This is the one place that reads scikit-learn's private attributes; what comes out is held against
the estimator before anybody relies on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from governance.errors import ContractError, IntegrityError
from limits.explaining.points import Matrix, PointsTable, Steps

TOLERANCE = 1e-12
"""How far a table and its estimator may lie apart, in probability: rounding, nothing else."""

_REFUSED = "no interactions, numeric features, two classes, at most a sigmoid on top"


def export(estimator: Any, names: Sequence[str], *, missing_in: Sequence[str] = ()) -> PointsTable:
    """Write out a fitted additive gradient boosting, with the sigmoid on it if it has one.

    Parameters
    ----------
    estimator
        ``HistGradientBoostingClassifier(interaction_cst="no_interactions")``, bare or inside
        ``CalibratedClassifierCV(method="sigmoid", ensemble=False)``.
    names : sequence of str
        Feature names in model order.
    missing_in : sequence of str
        Features that had missing values in training; only there a missing value has points.

    Raises
    ------
    ContractError
        If the estimator is no sum of steps, or is fitted on another number of features.
    """
    slope, intercept, boosting = _unwrapped(estimator)
    trees = [_nodes(stage) for stage in getattr(boosting, "_predictors", [])]
    if not trees or len(boosting.classes_) != 2:
        raise ContractError(f"Only an additive model has a points table: {_REFUSED}.")
    if boosting.n_features_in_ != len(names):
        raise ContractError(
            f"The model has {boosting.n_features_in_} features and {len(names)} names were given."
        )
    constant = float(np.ravel(boosting._baseline_prediction)[0])
    constant += sum(float(tree[0]["value"]) for tree in trees if tree[0]["is_leaf"])
    grown = [tree for tree in trees if not tree[0]["is_leaf"]]
    steps = tuple(
        _steps(name, [tree for tree in grown if _feature(tree) == column], name in missing_in)
        for column, name in enumerate(names)
    )
    return PointsTable(constant=constant, slope=slope, intercept=intercept, features=steps)


def _unwrapped(estimator: Any) -> tuple[float, float, Any]:
    """Return slope and intercept of the sigmoid, and the boosting below it."""
    folds = getattr(estimator, "calibrated_classifiers_", None)
    if folds is None:
        return 1.0, 0.0, estimator
    calibrators = folds[0].calibrators
    if len(folds) != 1 or len(calibrators) != 1 or not hasattr(calibrators[0], "a_"):
        raise ContractError(f"Only an additive model has a points table: {_REFUSED}.")
    # scikit-learn writes the sigmoid as 1 / (1 + exp(a * log_odds + b)).
    line = calibrators[0]
    return -float(line.a_), -float(line.b_), folds[0].estimator


def _nodes(stage: Any) -> Any:
    if len(stage) != 1:
        raise ContractError(f"Only an additive model has a points table: {_REFUSED}.")
    nodes = stage[0].nodes
    inner = nodes[nodes["is_leaf"] == 0]
    if inner["is_categorical"].any() or len(np.unique(inner["feature_idx"])) > 1:
        raise ContractError(f"Only an additive model has a points table: {_REFUSED}.")
    return nodes


def _feature(tree: Any) -> int:
    return int(tree[0]["feature_idx"])


def _steps(name: str, trees: Sequence[Any], can_be_missing: bool) -> Steps:
    """Add up the trees of one feature."""
    thresholds = [tree["num_threshold"][tree["is_leaf"] == 0] for tree in trees]
    edges = np.unique(np.concatenate([*thresholds, np.array([])]))
    # A threshold at infinity parts known values from missing ones; it is no step among the known.
    edges = edges[np.isfinite(edges)]
    known = np.append(edges, np.inf)
    points, missing = np.zeros(len(known)), 0.0
    for tree in trees:
        *values, at_missing = _walk(tree, np.append(known, np.nan))
        points += values
        missing += at_missing
    return Steps(
        name=name,
        edges=tuple(edges.tolist()),
        points=tuple(points.tolist()),
        missing=missing if can_be_missing else None,
    )


def _walk(tree: Any, values: NDArray[np.float64]) -> list[float]:
    """Return the leaf value that each value of the tree's feature ends at."""
    place = np.zeros(len(values), dtype=np.int64)
    while not tree["is_leaf"][place].all():
        node = tree[place]
        goes_left = np.where(
            np.isnan(values), node["missing_go_to_left"] == 1, values <= node["num_threshold"]
        )
        below = np.where(goes_left, node["left"], node["right"])
        place = np.where(node["is_leaf"] == 1, place, below)
    found: list[float] = tree["value"][place].tolist()
    return found


def require_exact(table: PointsTable, estimator: Any, features: Matrix) -> float:
    """Return the largest distance of the probabilities of table and estimator on these rows.

    Raises
    ------
    IntegrityError
        If it is beyond rounding: such a table is another model.
    """
    known, told = estimator.predict_proba(features), table.predict_proba(features)
    gap = float(np.abs(known - told).max(initial=0.0))
    if not gap <= TOLERANCE:
        raise IntegrityError(
            f"The points table differs from the fitted model by up to {gap:.3g}; {TOLERANCE:g} is "
            "rounding. It was not handed over; the library may have changed how it keeps trees."
        )
    return gap
