"""Reasons: which behavior raised a default probability, in words that a customer can use.

A reason is a statement about the model, so it is found by asking the model. The additive model is
taken apart exactly; any other model is asked what it would have said had one group of features been
that of a good customer. Both answers are in log-odds against the same documented reference.

References
----------
Regulation B, 12 CFR 1002.9(b)(2) with its commentary: specific principal reasons, no more than four
as a rule, and only factors actually scored.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from governance import canonical
from governance.contract import ColumnContract, Role
from governance.declaration import Declaration
from governance.errors import ContractError
from limits.features import FeatureSpec
from training.calibration import log_odds
from training.discrimination import Labels, Scores
from training.evaluation import Matrix, predict
from training.points import PointsTable

MOST_REASONS = 4
GOOD_BELOW = 0.10
SMALLEST_REFERENCE = 200

# One percent of the odds is no principal reason.
NEGLIGIBLE = 0.01
_PROTECTED_WORDS = frozenset(
    {"age", "disability", "education", "ethnicity", "gender", "health", "marital_status"}
    | {"marriage", "nationality", "race", "region", "religion", "sex"}
)


class Text(BaseModel):
    """One reason in the two languages that customers read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    en: str = Field(min_length=1)
    zh: str = Field(min_length=1)


class ReasonTexts(Declaration):
    """The reviewed wording of every reason group."""

    called: ClassVar[str] = "table of reason texts"

    schema_: Literal["reason-texts/1"] = Field(alias="schema")
    id: str
    version: str
    groups: Mapping[str, Text]

    @model_validator(mode="after")
    def _names_no_protected_attribute(self) -> ReasonTexts:
        found = sorted(set(self.groups) & _PROTECTED_WORDS)
        if found:
            raise ValueError(f"a protected attribute is never a reason: {', '.join(found)}")
        return self


class Reference(BaseModel):
    """The good customer whom every explanation compares with; part of the model's facts.

    Parameters
    ----------
    values : tuple of float
        One value per feature, in the order of `names`.
    n : int
        Number of good customers behind every value.
    good_below : float
        They did not default, and their out-of-fold default probability lies below this.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    names: tuple[str, ...]
    values: tuple[FiniteFloat, ...]
    n: int = Field(ge=SMALLEST_REFERENCE)
    good_below: float = GOOD_BELOW
    method: Literal["mean of the central tenth"] = "mean of the central tenth"

    @model_validator(mode="after")
    def _is_complete(self) -> Reference:
        if len(self.names) != len(self.values):
            raise ValueError("there must be one value per feature")
        return self


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


def packaged_texts() -> ReasonTexts:
    """Return the wording that ships with the product."""
    place = importlib.resources.files("training") / "data" / "reason_texts.toml"
    return ReasonTexts.parse(place.read_text(encoding="utf-8"))


def make_reference(
    spec: FeatureSpec, features: Matrix, labels: Labels, probability: Scores
) -> Reference:
    """Return the reference: per feature, the middle of the good customers.

    Good customers did not default and have a default probability below 10 %. The middle is the mean
    of the central tenth and not the median, which would be one customer's value; it is rounded to
    six digits, so that the documented number is the one that is used.

    Parameters
    ----------
    probability : ndarray of float64, shape (n_rows,)
        Out-of-fold default probabilities.

    Raises
    ------
    ContractError
        If there are fewer than 200 good customers.
    """
    good = features[(labels == 0) & (probability < GOOD_BELOW)]
    n = len(good)
    if n < SMALLEST_REFERENCE:
        raise ContractError(
            f"There are {n} good customers below a default probability of {GOOD_BELOW}; a "
            f"reference needs {SMALLEST_REFERENCE}. Explain with a reference from more customers."
        )
    middle = np.sort(good, axis=0)[int(0.45 * n) : int(0.55 * n)].mean(axis=0)
    values = tuple(float(f"{value:.6g}") for value in middle)
    return Reference(names=spec.names, values=values, n=n)


def describe(
    spec: FeatureSpec, features: Matrix, labels: Labels, probability: Scores
) -> dict[str, Any]:
    """Return the reference as facts that travel in the model, or why there is none.

    A small sample still makes a candidate; that it cannot explain must be said, not guessed.
    """
    try:
        found = make_reference(spec, features, labels, probability)
    except ContractError as error:
        return {"reference": None, "reference_reason": str(error)}
    return {"reference": canonical.plain(found), "reference_reason": ""}


def explain(model: Any, spec: FeatureSpec, reference: Reference, features: Matrix) -> Explanation:
    """Explain the default probability of every row.

    A `PointsTable` is taken apart exactly; any other model is asked once per reason group. A group
    is cited if it raises the log-odds by more than 0.01 and, where it has declared directions, if
    one of its features is worse than the reference's.

    Parameters
    ----------
    model
        A `PointsTable`, or anything with scikit-learn's ``predict_proba``.
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
    if isinstance(model, PointsTable):
        contributions = _taken_apart(model, members, middle, features)
    else:
        contributions = _ablated(model, members, middle, features)
    is_citable = (contributions > NEGLIGIBLE) & _is_worse(spec, members, middle, features)
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


def check(spec: FeatureSpec, texts: ReasonTexts, contract: ColumnContract | None = None) -> None:
    """Refuse a spec whose reasons could not be told to a customer.

    Raises
    ------
    ContractError
        If a reason group has no wording, or a group or a source is a protected attribute of the
        contract.
    """
    unworded = sorted(set(spec.reason_groups) - set(texts.groups))
    if unworded:
        raise ContractError(
            f"The reason group {unworded[0]} of {spec.id} has no wording; {texts.id} has "
            f"{', '.join(texts.groups)}. Add the group to it in both languages."
        )
    declared = contract.columns if contract else ()
    protected = {c.name for c in declared if c.role is Role.PROTECTED}
    protected |= {c.attribute for c in declared if c.role is Role.PROTECTED}
    found = sorted(protected & {*spec.sources, *spec.reason_groups})
    if found:
        raise ContractError(
            f"The feature spec {spec.id} reads or cites {found[0]}, a protected attribute; such an "
            "attribute is never a feature and never a reason. Take it out."
        )


def _taken_apart(
    table: PointsTable, members: Mapping[str, list[int]], middle: Scores, features: Matrix
) -> Matrix:
    terms = table.slope * (table.terms(features) - table.terms(middle[None, :]))
    return np.column_stack([terms[:, columns].sum(axis=1) for columns in members.values()])


def _ablated(
    model: Any, members: Mapping[str, list[int]], middle: Scores, features: Matrix
) -> Matrix:
    told = log_odds(predict(model, features))
    contributions = np.empty((len(features), len(members)))
    for place, columns in enumerate(members.values()):
        moved = features.copy()
        moved[:, columns] = middle[columns]
        contributions[:, place] = told - log_odds(predict(model, moved))
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
