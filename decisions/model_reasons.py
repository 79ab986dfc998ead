"""Reasons of a model: which behavior raised a default probability, and what would have helped.

The model is called once more per reason group, with the features of the group set to those of a
good customer. ``explanation.json`` in the model folder fixes the reference, the wording and what
customers can change; it is signed with the model, so that a reason given today can be found again
by anybody who holds the folder.

References
----------
Regulation B, 12 CFR 1002.9(b)(2) with its commentary: specific principal reasons, no more than four
as a rule, and only factors actually scored.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from decisions import reason_texts, sql
from decisions.features import FeatureSpec
from decisions.reason_texts import GroupText, Lever, ReasonTexts
from decisions.reasons import MOST_REASONS
from governance.errors import ContractError, IntegrityError
from governance.measures.calibration import log_odds
from governance.outcome import Outcome

FILE = "explanation.json"
GOOD_BELOW = 0.10
SMALLEST_REFERENCE = 200
# One percent of the odds is no principal reason.
NEGLIGIBLE = 0.01
# Arithmetic on other columns may leave differences of this size; they are no worse behavior.
_NOISE = 1e-9

Matrix = NDArray[np.float64]
Scores = NDArray[np.float64]


class Reference(BaseModel):
    """The good customer with whom every explanation compares; part of the signed model.

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


class Method(BaseModel):
    """How one model explains itself, or why it cannot.

    Parameters
    ----------
    outcome : Outcome
        ``PASS``: reasons can be given. ``INCONCLUSIVE``: `reason` says what is missing.
    texts : mapping of str to GroupText
        Wording of the spec's reason groups; not more groups than the model has.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_: Literal["explanation-method/1"] = Field(default="explanation-method/1", alias="schema")
    outcome: Literal[Outcome.PASS, Outcome.INCONCLUSIVE]
    reason: str = ""
    how: Literal["group ablation against the reference"] = "group ablation against the reference"
    features_id: str
    features_digest: str
    most_reasons: Literal[4] = 4
    negligible_log_odds: float = NEGLIGIBLE
    reference: Reference | None
    texts_id: str
    texts: dict[str, GroupText]
    levers: tuple[Lever, ...] = ()

    @model_validator(mode="after")
    def _passes_only_if_complete(self) -> Method:
        if (self.outcome is Outcome.PASS) == bool(self.reason):
            raise ValueError("a reason stands exactly where the outcome is not PASS")
        if self.outcome is Outcome.PASS and self.reference is None:
            raise ValueError("without a reference nothing is explained")
        reason_texts.refuse_protected(self.texts)
        return self

    @classmethod
    def loads(cls, text: bytes | str) -> Self:
        """Read the method from JSON.

        Raises
        ------
        IntegrityError
            If the text is not one; the message repeats no value of it.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            problem = error.errors(include_input=False, include_url=False, include_context=False)[0]
            place = ".".join(str(part) for part in problem["loc"]) or "file"
            raise IntegrityError(
                f"This is not an explanation method: {place}: {problem['msg']}. It was not used."
            ) from None

    def dumps(self) -> bytes:
        """Return the method as JSON; the same content is the same bytes.

        Numbers keep every digit: the 12 digits of canonical JSON would make another reference.
        """
        plain = self.model_dump(mode="json", by_alias=True)
        return (json.dumps(plain, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()

    @property
    def digest(self) -> str:
        """SHA-256 of the JSON text."""
        return hashlib.sha256(self.dumps()).hexdigest()

    def require_fit(self, spec: FeatureSpec) -> None:
        """Refuse a method that is not that of these features.

        Raises
        ------
        ContractError
            If it was made for other features, lacks the wording of one of their groups, or proposes
            what changes nothing.
        """
        if self.features_digest != spec.digest:
            raise ContractError(
                f"The explanation was made for {self.features_id}, in other words or another "
                f"version than {spec.id}. Make it from the spec of the model."
            )
        reason_texts.refuse_idle(spec, self.levers, self.texts_id)
        missing = sorted(set(spec.reason_groups) - set(self.texts))
        if self.outcome is Outcome.PASS and missing:
            raise ContractError(
                f"The reason group {missing[0]} of {spec.id} has no wording in {self.texts_id}. "
                "Add the group to it in both languages."
            )
        if self.reference is not None and self.reference.names != spec.names:
            raise ContractError(f"The reference is not that of the features {spec.id}.")


def of_folder(folder: Path, spec: FeatureSpec) -> Method | None:
    """Return the method in a verified model folder; ``None`` if the version has none.

    Raises
    ------
    IntegrityError
        If the file is there and is no method of these features.
    """
    place = folder / "artifacts" / FILE
    if not place.is_file():
        return None
    found = Method.loads(place.read_bytes())
    try:
        found.require_fit(spec)
    except ContractError as error:
        raise IntegrityError(f"{error} The model folder contradicts itself.") from None
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why customers are as risky as they are.

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

    A group is cited if it raises the log-odds by more than `negligible` and, where it has declared
    directions, if one of its features is worse than the reference's: nobody is told that the use
    of the limit is too high who uses less of it than the reference.

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
    members, middle, signs = columns_of(spec), np.array(reference.values), np.array(spec.signs)
    score, is_worse = _log_odds(model, features), (features - middle) * signs > 0
    contributions = np.empty((len(features), len(members)))
    is_citable = np.ones(contributions.shape, np.bool_)
    for place, columns in enumerate(members.values()):
        moved = features.copy()
        moved[:, columns] = middle[columns]
        contributions[:, place] = score - _log_odds(model, moved)
        if signs[columns].any():
            is_citable[:, place] = is_worse[:, columns].any(axis=1)
    is_citable &= contributions > negligible
    weight = np.where(is_citable, contributions, -np.inf)
    order = np.argsort(-weight, axis=1, kind="stable")[:, :MOST_REASONS]
    ranked = np.where(np.take_along_axis(is_citable, order, axis=1), order, -1).astype(np.int64)
    return Explanation(groups=tuple(members), contributions=contributions, ranked=ranked)


def columns_of(spec: FeatureSpec) -> dict[str, list[int]]:
    """Return the columns of each reason group, groups in the order of the spec."""
    members: dict[str, list[int]] = {}
    for column, group in enumerate(spec.reason_groups):
        members.setdefault(group, []).append(column)
    return members


def _log_odds(model: Any, features: Matrix) -> Scores:
    return log_odds(np.asarray(model.predict_proba(features))[:, 1])


class Judged(NamedTuple):
    """What a judge says of released rows, ``(n_rows,)`` each.

    Parameters
    ----------
    features : ndarray of float64, shape (n_rows, n_features)
        In the order of the spec.
    value : ndarray of float64
        What is judged: a default probability, or a limit.
    is_enough : ndarray of bool
    """

    features: Matrix
    value: Scores
    is_enough: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What one customer would have to do, and the judge's value as it is and with the change.

    Parameters
    ----------
    levers : tuple of Lever
        Empty if all is well as it is.
    """

    levers: tuple[Lever, ...]
    before: float
    after: float


def smallest_changes(
    spec: FeatureSpec, levers: Sequence[Lever], rows: pa.Table, judge: Callable[[pa.Table], Judged]
) -> tuple[Change | None, ...]:
    """Return, for each row, the smallest change with which `judge` is content.

    Fewer levers come before more, and earlier ones in the file before later ones. The change is
    made on the released columns and everything is computed anew from there, so a promise never
    rests on features that cannot occur together. A change that would move any feature against its
    declared direction is not proposed.

    Returns
    -------
    tuple of Change or None
        ``None`` where nothing that the customer can do is enough.
    """
    known, signs = judge(rows), np.array(spec.signs)
    found: list[Change | None] = [
        Change(levers=(), before=float(value), after=float(value)) if fine else None
        for value, fine in zip(known.value, known.is_enough, strict=True)
    ]
    for chosen in _combinations(levers):
        open_rows = np.array([place for place, change in enumerate(found) if change is None])
        if not open_rows.size:
            break
        then = judge(changed(rows.take(open_rows), chosen))
        moved = (then.features - known.features[open_rows]) * signs
        for place in np.flatnonzero(then.is_enough & (moved <= _NOISE).all(axis=1)):
            row = int(open_rows[place])
            before, after = float(known.value[row]), float(then.value[place])
            found[row] = Change(levers=chosen, before=before, after=after)
    return tuple(found)


def changed(rows: pa.Table, levers: Sequence[Lever]) -> pa.Table:
    """Return the released columns as they would be after the change; types and order are kept.

    Raises
    ------
    ContractError
        If an expression does not fit the table.
    """
    texts = {column: text for lever in levers for column, text in lever.columns.items()}
    columns = [
        f"{texts[name]} AS {sql.quoted(name)}" if name in texts else sql.quoted(name)
        for name in rows.column_names
    ]
    result = sql.run(f"SELECT {', '.join(columns)} FROM source", source=rows)  # noqa: S608  (reviewed files, locked engine)
    return result.cast(rows.schema)


def _combinations(levers: Sequence[Lever]) -> Iterator[tuple[Lever, ...]]:
    for size in range(1, len(levers) + 1):
        yield from combinations(levers, size)
