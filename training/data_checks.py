"""Data checks: what in a sample looks like a mistake is refused unless somebody says why not.

Each check is a heuristic and says so. A refusal can be lifted by an allowance that names the kind,
the column or feature, and a reason; the allowance becomes part of the lineage, where a validator
reads it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from decisions.features import FeatureSpec
from governance import canonical
from governance.errors import ContractError, UsageError
from governance.measures import discrimination
from governance.measures.discrimination import Labels
from training.evaluation import Matrix

LEAK_AUC = 0.99
"""No behavior known before the decision separates customers so well by itself."""

SPECIAL_CODES = (96, 97, 98, 99, 996, 997, 998, 999, 9996, 9997, 9998, 9999, -9, -99, -999, -9999)
"""Numbers that files conventionally put where there is no number."""

_GAP = 2
"""A code is suspected if it is more than twice as far out as every other value of its column."""

_PROTECTED_WORDS = frozenset(
    {
        *("sex", "gender", "xingbie", "race", "ethnicity", "ethnic", "minzu", "nationality"),
        *("religion", "religious", "faith", "caste", "marriage", "marital", "married", "hunyin"),
        *("pregnant", "pregnancy", "disability", "disabled", "disease", "illness", "genetic"),
        *("nianling", "birthday", "birthdate", "birthplace"),
    }
)
_PERSONS = frozenset({"customer", "client", "applicant", "borrower", "owner", "person"})


class CheckKind(StrEnum):
    """What is checked."""

    LEAK = "leak"
    SPECIAL_CODE = "special-code"
    PROTECTED_NAME = "protected-name"
    CONSTANT = "constant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """A check that is lifted, with the reason that the lineage keeps."""

    kind: CheckKind
    name: str
    reason: str

    @classmethod
    def parse(cls, text: str) -> Allowance:
        """Read ``KIND:NAME=REASON``.

        Raises
        ------
        UsageError
            If a part is missing or the kind is unknown.

        Examples
        --------
        >>> Allowance.parse("leak:turnover=checked against the ledger").name
        'turnover'
        """
        what, _, reason = text.partition("=")
        kind, _, name = what.partition(":")
        if kind.strip() not in set(CheckKind) or not name.strip() or not reason.strip():
            raise UsageError(
                f"An allowance is written KIND:NAME=REASON; kinds are {', '.join(CheckKind)}."
            )
        return cls(kind=CheckKind(kind.strip()), name=name.strip(), reason=reason.strip())

    def describe(self) -> str:
        """Say what was lifted and why; it is signed with the candidate."""
        return f"Suspicion lifted ({self.kind}): {self.name}. {self.reason}"


Allowances = Sequence[Allowance]


def as_lineage(allowances: Allowances) -> str:
    """Return the allowances as canonical JSON, in order of kind and name."""
    listed = [{"kind": a.kind, "name": a.name, "reason": a.reason} for a in allowances]
    return canonical.dumps(sorted(listed, key=lambda a: (a["kind"], a["name"]))).decode()


def refuse_unknown_allowances(spec: FeatureSpec, allowances: Allowances) -> None:
    """Refuse an allowance for something that the feature spec does not have.

    Raises
    ------
    UsageError
        If a name is neither a feature nor a source of the spec.
    """
    for allowance in allowances:
        if allowance.name not in (*spec.names, *spec.sources):
            raise UsageError(
                f"The allowance {allowance.kind}:{allowance.name} names nothing that the feature "
                f"spec {spec.id} reads or computes."
            )


def refuse_protected_names(spec: FeatureSpec, allowances: Allowances) -> None:
    """Refuse features that are named like, or read what is named like, a protected attribute.

    A contract that declares ``sex`` an ordinary feature would otherwise get past every room: the
    gate can only know what it is told.

    Raises
    ------
    ContractError
        Naming the columns.
    """
    names = sorted({*spec.names, *spec.sources})
    found = [name for name in names if is_protected(name)]
    for name in _not_allowed(found, CheckKind.PROTECTED_NAME, allowances):
        raise ContractError(
            f"The feature spec {spec.id} uses {name}, which is named like a protected attribute. "
            "Declare it protected_attribute with action audit in the contract and take it out of "
            f'the spec; if it is something else, say so: --allow "protected-name:{name}=REASON".'
        )


def refuse_special_codes(spec: FeatureSpec, rows: pa.Table, allowances: Allowances) -> None:
    """Refuse features over a column with special codes that their SQL does not mention.

    A code far outside all other values of its column is not an amount: "98 months late" would pull
    every monotone feature. An expression that mentions the code is taken at its word.

    Parameters
    ----------
    rows : pyarrow.Table
        The sources of the spec, as released.

    Raises
    ------
    ContractError
        Naming the column and the feature.
    """
    for name in spec.sources:
        codes = special_codes(rows[name])
        unmapped = [
            feature.name
            for feature in spec.features
            if name in feature.sources and any(not _mentions(feature.sql, code) for code in codes)
        ]
        if unmapped and _not_allowed([name], CheckKind.SPECIAL_CODE, allowances):
            raise ContractError(
                f"The column {name} holds conventional special codes (such as 98 or 99, far from "
                f"all its other values), and the feature {unmapped[0]} reads them as amounts. Map "
                f"each code in the spec (CASE WHEN {name} IN (...) THEN ...), or, if it is an "
                f'amount, say so: --allow "special-code:{name}=REASON".'
            )


def special_codes(column: pa.ChunkedArray) -> tuple[int, ...]:
    """Return the values of a number column that are conventional codes far from all others."""
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        return ()
    values = pc.unique(column).drop_null().to_numpy(zero_copy_only=False)
    found = sorted(set(SPECIAL_CODES) & set(values[np.isin(values, SPECIAL_CODES)].tolist()))
    others = values[~np.isin(values, SPECIAL_CODES)]
    if not found or not len(others):
        return ()
    farthest, lowest = float(np.abs(others).max()), float(others.min())
    # A negative code is one only where nothing else is negative.
    return tuple(
        int(code) for code in found if abs(code) > _GAP * farthest and (code > 0 or lowest >= 0)
    )


def refuse_constants(spec: FeatureSpec, features: Matrix, allowances: Allowances) -> None:
    """Refuse a feature that is the same for every customer.

    Raises
    ------
    ContractError
        Naming the feature.
    """
    is_constant = features.min(axis=0) == features.max(axis=0)
    found = [name for name, flat in zip(spec.names, is_constant, strict=True) if flat]
    for name in _not_allowed(found, CheckKind.CONSTANT, allowances):
        raise ContractError(
            f"The feature {name} has the same value for every customer, so nothing can be learned "
            "from it, and its direction is a claim that no data support. Take it out of the spec, "
            f'or keep it: --allow "constant:{name}=REASON".'
        )


def refuse_leaks(
    spec: FeatureSpec, features: Matrix, labels: Labels, allowances: Allowances
) -> None:
    """Refuse a feature that alone tells the outcome.

    Raises
    ------
    ContractError
        Naming the feature and how well it separates.
    """
    for name, column in zip(spec.names, features.T, strict=True):
        area = discrimination.measure_auc(labels, column).value
        separates = 0.5 if area is None else max(area, 1 - area)
        if separates > LEAK_AUC and _not_allowed([name], CheckKind.LEAK, allowances):
            raise ContractError(
                f"The feature {name} alone separates the outcomes with an AUC of {separates:.4f}; "
                f"more than {LEAK_AUC:g} is suspected to be the outcome in disguise. Take it out, "
                f'or, if it was known before the decision, say so: --allow "leak:{name}=REASON".'
            )


def _not_allowed(names: Iterable[str], kind: CheckKind, allowances: Allowances) -> list[str]:
    allowed = {allowance.name for allowance in allowances if allowance.kind is kind}
    return [name for name in names if name not in allowed]


def _mentions(sql: str, code: int) -> bool:
    return re.search(rf"(?<![\d.]){abs(code)}(?![\d.])", sql) is not None


def is_protected(name: str) -> bool:
    """Tell whether a feature or column is named like a protected attribute."""
    words = name.split("_")
    # The age of an account is no attribute of a person; a bare age is.
    is_age = "age" in words and (words[0] == "age" or words[0] in _PERSONS)
    return is_age or not _PROTECTED_WORDS.isdisjoint(words)
