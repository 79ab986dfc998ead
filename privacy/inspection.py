"""The first pass of the gate: every value is looked at, and nothing is written.

An inspection takes the batches of a raw table one after the other and raises at the first thing
that the contract does not allow. What can only be known at the end (too few rows, a column that is
null throughout, a customer who comes twice, weak signs of personal data) is said by `close`.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.contract import Action, Column, ColumnContract, Role
from governance.errors import ContractError
from privacy import detectors
from privacy.audit_vault import group_names
from privacy.detectors import Kind
from privacy.keyring import Keyring
from privacy.pseudonym import Words, as_words
from privacy.subject_vault import blind_index

LARGE_NUMBERS_FROM = 10**10
"""A column whose declared maximum is larger holds such numbers by declaration."""

WEAK_SHARE = 0.20
"""In such a column, weak signs are accepted below this share of its values."""


class Inspection:
    """The state of one first pass.

    Parameters
    ----------
    contract : ColumnContract
        What the table must look like.
    keyring : Keyring
        Customers are compared by their blind index, so that no list of their ids is held.
    """

    def __init__(self, contract: ColumnContract, keyring: Keyring) -> None:
        check_contract(contract)
        self._contract = contract
        self._keyring = keyring
        self._rows = 0
        self._filled: Counter[str] = Counter()
        self._found: dict[str, Counter[Kind]] = {}
        self._subjects: list[Words] = []

    def look_at(self, batch: pa.RecordBatch) -> None:
        """Check one batch.

        Raises
        ------
        ContractError
            At the first column that holds what the contract does not allow.
        """
        self._rows += batch.num_rows
        for column in self._contract.columns:
            values = batch[column.name]
            if pa.types.is_floating(values.type):
                values = _without_nan(values, column)
            self._filled[column.name] += len(values) - values.null_count
            if values.null_count and not column.may_be_null:
                raise ContractError(
                    f"The column {column.name} has {values.null_count} empty values; the contract "
                    "allows none. Correct the export, or declare may_be_null = true."
                )
            _check_range(values, column)
            if column.action is Action.AUDIT:
                _check_codes(values, column)
            if column.action is Action.KEEP:
                found = detectors.find(values)
                self._found.setdefault(column.name, Counter()).update(found)
                self._refuse_personal_data(column, at_the_end=False)
        self._look_at_subjects(batch[self._contract.subject_column.name])

    def close(self) -> int:
        """Check what only the whole table can show, and return its number of rows.

        Raises
        ------
        ContractError
            If there are too few rows, an empty column, a customer twice, or personal data.
        """
        if self._rows < self._contract.minimum_rows:
            raise ContractError(
                f"The raw table has {self._rows} rows; the contract needs at least "
                f"{self._contract.minimum_rows}."
            )
        for column in self._contract.columns:
            # An outcome that nobody knows yet, or its day, is no mistake of the export.
            is_awaited = column.may_be_null and column.role in (Role.LABEL, Role.TIME)
            if not self._filled[column.name] and not is_awaited:
                raise ContractError(
                    f"The column {column.name} is empty in every row. Correct the export, or take "
                    "the column out of the table and the contract."
                )
            if column.action is Action.KEEP:
                self._refuse_personal_data(column, at_the_end=True)
        self._refuse_duplicates()
        return self._rows

    def _look_at_subjects(self, values: pa.Array) -> None:
        name = self._contract.subject_column.name
        stray = pc.or_(pc.equal(values, ""), pc.not_equal(values, pc.utf8_trim_whitespace(values)))
        if pc.any(stray).as_py():
            raise ContractError(
                f"The column {name} holds empty ids or ids with space around them; one customer "
                "would become two. Correct the export."
            )
        index = blind_index(values, self._contract, self._keyring)
        self._subjects.append(as_words(index).copy())

    def _refuse_duplicates(self) -> None:
        words = np.concatenate(self._subjects)
        order = np.lexsort((words[:, 1], words[:, 0]))
        ordered = words[order]
        repeated = int((ordered[1:] == ordered[:-1]).all(axis=1).sum())
        if repeated:
            raise ContractError(
                f"{repeated} rows repeat a {self._contract.subject_column.name} that came before; "
                "every customer may come once. Correct the export."
            )

    def _refuse_personal_data(self, column: Column, *, at_the_end: bool) -> None:
        """Refuse strong signs at once; weak ones in a column of large numbers by their share."""
        is_declared_large = (
            column.type in ("int64", "float64")
            and column.maximum is not None
            and column.maximum >= LARGE_NUMBERS_FROM
        )
        for kind, hits in self._found[column.name].items():
            share = hits / max(self._filled[column.name], 1)
            if is_declared_large and not kind.is_strong and (not at_the_end or share < WEAK_SHARE):
                continue
            raise ContractError(
                f"The column {column.name} is declared a {column.role} but holds what looks like a "
                f"{kind} in at least {hits} of its values. Remove it from the export, or declare "
                "the column as what it is (role identity, action vault or drop)."
            )


def check_contract(contract: ColumnContract) -> None:
    """Refuse a contract that the gate cannot carry out.

    Raises
    ------
    ContractError
        If the subject id is no text, or a protected attribute has no reference group of its own.
    """
    if contract.subject_column.type != "string" or contract.subject_column.may_be_null:
        raise ContractError(
            f"The subject column {contract.subject_column.name} must be a string without nulls."
        )
    for column in contract.with_action(Action.AUDIT):
        if column.reference_group not in column.groups:
            raise ContractError(
                f"The protected column {column.name} needs a reference_group that is one of "
                f"{', '.join(column.groups)}."
            )


def _without_nan(values: pa.Array, column: Column) -> pa.Array:
    if pc.any(pc.is_inf(values)).as_py():
        raise ContractError(f"The column {column.name} holds infinite values. Correct the export.")
    return pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)


def _check_range(values: pa.Array, column: Column) -> None:
    if column.minimum is None and column.maximum is None:
        return
    bounds = pc.min_max(values)
    low, high = bounds["min"].as_py(), bounds["max"].as_py()
    is_low = column.minimum is not None and low is not None and low < column.minimum
    is_high = column.maximum is not None and high is not None and high > column.maximum
    if is_low or is_high:
        side = "below the declared minimum" if is_low else "above the declared maximum"
        bound = column.minimum if is_low else column.maximum
        raise ContractError(
            f"The column {column.name} holds values {side} of {bound:g}. "
            "Correct the export or the contract."
        )


def _check_codes(values: pa.Array, column: Column) -> None:
    if pc.any(pc.and_(values.is_valid(), group_names(values, column).is_null())).as_py():
        raise ContractError(
            f"The column {column.name} holds codes that are not in the contract's code book "
            f"({', '.join(column.codes)}). A changed code book needs a changed contract."
        )
