"""Contributions: which behavior raised a default probability, found by asking the model.

The model is asked what it would have said had one group of features been that of a good customer.
The answer is in log-odds against a documented reference.

References
----------
Regulation B, 12 CFR 1002.9(b)(2) with its commentary: specific principal reasons, no more than four
as a rule, and only factors actually scored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decisions.explaining.reason_texts import ReasonTexts
from decisions.explaining.reference import Reference
from decisions.explanation import MOST_REASONS
from decisions.features import FeatureSpec
from governance.errors import ContractError
from governance.measures.calibration import log_odds

Matrix = NDArray[np.float64]
Scores = NDArray[np.float64]

# One percent of the odds is no principal reason.
NEGLIGIBLE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why customers are as risky as they are, ``(n_rows, n_groups)`` at a glance.

    Parameters
    ----------
    groups : tuple of str
        Reason groups in the order of the spec.
    contributions : ndarray of float64, shape (n_rows, n_groups)
        Log-odds that the group adds against the reference.
    ranked : ndarray of int64, shape (n_rows, at most 4)
        Positions of the cited groups, the strongest first; -1 where there are fewer.
    """

    groups: tuple[str, ...]
    contributions: Matrix
    ranked: NDArray[np.int64]

    def reasons(self, row: int, texts: ReasonTexts, *, language: str = "en") -> tuple[str, ...]:
        """Spell out the reasons of one customer, the strongest first; at most four."""
        cited = [texts.groups[self.groups[place]] for place in self.ranked[row] if place >= 0]
        return tuple(text.zh if language == "zh" else text.en for text in cited)


def explain(
    model: Any,
    spec: FeatureSpec,
    reference: Reference,
    features: Matrix,
    *,
    negligible: float = NEGLIGIBLE,
) -> Explanation:
    """Explain the default probability of every row.

    The model is asked once per reason group. A group is cited if it raises the log-odds by more
    than `negligible` and, where it has declared directions, if one of its features is worse than
    the reference's.

    Parameters
    ----------
    model
        Anything with scikit-learn's ``predict_proba``.
    features : ndarray of float64, shape (n_rows, n_features)

    Raises
    ------
    ContractError
        If the reference is that of other features.
    """
    if reference.names != spec.names:
        raise ContractError(
            f"The reference has {len(reference.names)} features that are not those of {spec.id}; "
            "make it from the same spec."
        )
    members, middle = columns_of(spec), np.array(reference.values)
    contributions = _ablated(model, members, middle, features)
    is_citable = (contributions > negligible) & _is_worse(spec, members, middle, features)
    return Explanation(
        groups=tuple(members),
        contributions=contributions,
        ranked=_ranked(contributions, is_citable),
    )


def columns_of(spec: FeatureSpec) -> dict[str, list[int]]:
    """Return the columns of each reason group, groups in the order of the spec."""
    members: dict[str, list[int]] = {}
    for column, group in enumerate(spec.reason_groups):
        members.setdefault(group, []).append(column)
    return members


def _ablated(
    model: Any, members: Mapping[str, list[int]], middle: Scores, features: Matrix
) -> Matrix:
    told = log_odds(_predict(model, features))
    contributions = np.empty((len(features), len(members)))
    for place, columns in enumerate(members.values()):
        moved = features.copy()
        moved[:, columns] = middle[columns]
        contributions[:, place] = told - log_odds(_predict(model, moved))
    return contributions


def _is_worse(
    spec: FeatureSpec, members: Mapping[str, list[int]], middle: Scores, features: Matrix
) -> NDArray[np.bool_]:
    """Tell whether a group is worse than the reference in any declared direction.

    Nobody is told that the use of the limit is too high who uses less of it than the reference.
    """
    signs = np.array(spec.signs)
    worse = (features - middle) * signs > 0
    found = [
        worse[:, columns].any(axis=1)
        if signs[columns].any()
        else np.ones(len(features), dtype=bool)
        for columns in members.values()
    ]
    return np.column_stack(found)


def _ranked(contributions: Matrix, is_citable: NDArray[np.bool_]) -> NDArray[np.int64]:
    weight = np.where(is_citable, contributions, -np.inf)
    order = np.argsort(-weight, axis=1, kind="stable")[:, :MOST_REASONS]
    return np.where(np.take_along_axis(is_citable, order, axis=1), order, -1).astype(np.int64)


def _predict(model: Any, features: Matrix) -> Scores:
    probability: Scores = np.asarray(model.predict_proba(features))[:, 1]
    return probability
