"""What a column that the gate keeps may not be: personal data, or the name of a customer.

A kept text is a feature: it has a code book, or at least few different values. Names, addresses,
customer numbers and other things in disguise differ from row to row. A kept number may be large,
but mobile numbers stand in a narrow range of numbers, closer together than amounts would.
"""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.contract import Column, ColumnContract
from governance.errors import ContractError
from privacy import detectors, personal_data
from privacy.personal_data import DataKind

LARGE_NUMBERS_FROM = 10**10
"""A column whose declared maximum is larger holds such numbers by declaration."""

WEAK_SHARE = 0.20
"""In such a column, numbers too long for a float are accepted below this share of its values."""

FEWEST_CROWDED = 6
"""Fewer numbers that could be personal data do not count as a crowd."""

MOST_TEXTS = 1_000
"""More different texts than these need a code book."""

FEWEST_TEXTS = 10
"""Fewer different texts than these are never taken for identifiers."""

# Of numbers that are as near on both sides, at most this share would lie inside by chance: amounts
# that are spread as widely as a log-normal of sigma 0.5, and the check digit of a card.
_SHARE_INSIDE = (0.45, 0.45, 0.45, 0.10)
_CROWDED = (DataKind.MOBILE, DataKind.MOBILE, DataKind.MOBILE, DataKind.SHORT_CARD)
_DEVIATIONS = 2.6
_SHORTEST_ID = 5


class KeptColumn:
    """What the first pass has seen of one kept column.

    Parameters
    ----------
    column : Column
        Its declaration.
    """

    def __init__(self, column: Column) -> None:
        self._column = column
        self._filled = 0
        self._own_ids = 0
        self._found: Counter[DataKind] = Counter()
        self._crowds = np.zeros((len(_CROWDED), 2), dtype=np.int64)
        self._texts: set[str] = set()

    def look_at(self, values: pa.Array, customers: pa.Array) -> None:
        """Check the values of one batch, and the ids of the customers in the same rows.

        Raises
        ------
        ContractError
            At the first sign that proves itself.
        """
        self._filled += len(values) - values.null_count
        self._found.update(detectors.find(values))
        self._refuse_personal_data(at_the_end=False)
        if self._column.codes:
            self._refuse_other_codes(values)
        elif self._column.type == "string":
            self._look_at_text(values, customers)
        elif self._column.type in ("int64", "float64"):
            self._own_ids += _equal_numbers(values, customers)
        if self._is_declared_large:
            self._crowds += personal_data.crowding(values)

    def close(self) -> None:
        """Check what only the whole column can show.

        Raises
        ------
        ContractError
            If it looks like personal data, or names customers.
        """
        self._refuse_personal_data(at_the_end=True)
        for kind, (inside, beside), share in zip(
            _CROWDED, self._crowds.tolist(), _SHARE_INSIDE, strict=True
        ):
            by_chance = share * (inside + beside)
            most = by_chance + _DEVIATIONS * math.sqrt(by_chance * (1 - share))
            if inside >= FEWEST_CROWDED and inside > most:
                raise self._personal(f"a {kind}", self._found[kind])
        if self._own_ids > max(2, self._filled / 1_000):
            raise self._naming(f"the number of the row's own customer in {self._own_ids} rows")
        self._refuse_identifiers()

    @property
    def _is_declared_large(self) -> bool:
        maximum = self._column.maximum
        is_number = self._column.type in ("int64", "float64")
        return is_number and maximum is not None and maximum >= LARGE_NUMBERS_FROM

    def _refuse_personal_data(self, *, at_the_end: bool) -> None:
        """Refuse strong signs at once; in a column of large numbers long ones by their share."""
        for kind, hits in self._found.items():
            is_weak = self._is_declared_large and not kind.is_strong
            is_rare = not at_the_end or hits / max(self._filled, 1) < WEAK_SHARE
            if is_weak and (is_rare or kind in _CROWDED):
                continue
            raise self._personal(f"a {kind}" if kind is not DataKind.EMAIL else f"an {kind}", hits)

    def _refuse_other_codes(self, values: pa.Array) -> None:
        codes = pa.array(list(self._column.codes), pa.string())
        is_known = pc.is_in(values.cast(pa.string()), codes)
        if not pc.all(pc.or_(is_known, values.is_null())).as_py():
            raise ContractError(
                f"The column {self._column.name} holds values that are not among its declared "
                "codes. Correct the export, or add the codes to the contract."
            )

    def _look_at_text(self, values: pa.Array, customers: pa.Array) -> None:
        if len(self._texts) <= MOST_TEXTS:
            self._texts.update(pc.unique(values.drop_null()).to_pylist())
        if any(
            own and text and len(own) >= _SHORTEST_ID and own in text
            for own, text in zip(_compact(customers), _compact(values), strict=True)
        ):
            raise self._naming("the id of the row's own customer")

    def _refuse_identifiers(self) -> None:
        most = min(self._filled / 2, max(self._filled / 4, 50), MOST_TEXTS)
        if len(self._texts) >= FEWEST_TEXTS and len(self._texts) > most:
            raise self._naming(
                f"{'more than ' * (len(self._texts) > MOST_TEXTS)}"
                f"{min(len(self._texts), MOST_TEXTS)} different texts in {self._filled} rows"
            )

    def _personal(self, what: str, hits: int) -> ContractError:
        return ContractError(
            f"The column {self._column.name} is declared a {self._column.role} but holds what "
            f"looks like {what} in at least {hits} of its values. Remove it from the export, or "
            "declare the column as what it is (role identity, action vault or drop)."
        )

    def _naming(self, what: str) -> ContractError:
        return ContractError(
            f"The column {self._column.name} is declared a {self._column.role} but holds {what}; "
            "names, addresses and customer numbers do. If it is a feature, list the values that "
            "it may have as its codes in the contract; if not, vault or drop it."
        )


def check_words(contract: ColumnContract) -> None:
    """Refuse a contract whose own names and sentences hold personal data: they travel far.

    Raises
    ------
    ContractError
        If one does.
    """
    words = {"title": contract.title, "source": contract.source, "id": contract.id,
             "version": contract.version, "legal_basis": contract.legal_basis}  # fmt: skip
    for place, column in enumerate(contract.columns, 1):
        said = (column.name, column.why, column.group_name or "", *column.codes.keys(),
                *column.codes.values())  # fmt: skip
        words[f"column {place}"] = "\n;".join(said)
    for where, text in words.items():
        for kind, _ in detectors.in_column(text):
            raise ContractError(
                f"The {where} of the contract holds what looks like a {kind}. A contract travels "
                "with every table and model: take it out."
            )


def _compact(values: pa.Array) -> list[str | None]:
    """Return texts without case and separators, so that ``K-0007`` is found in ``see k 0007``."""
    plain = pc.utf8_lower(pc.utf8_normalize(values.cast(pa.string()), form="NFKC"))
    bare: list[str | None] = pc.replace_substring_regex(plain, r"[^\pL\pN]+", "").to_pylist()
    return bare


def _equal_numbers(values: pa.Array, customers: pa.Array) -> int:
    """Count the rows whose number is the number of their customer."""
    digits = pc.replace_substring_regex(customers.cast(pa.string()), r"\D+", "")
    digits = pc.utf8_ltrim(digits, characters="0")
    length = pc.utf8_length(digits)
    is_number = pc.and_(pc.greater_equal(length, _SHORTEST_ID), pc.less_equal(length, 15))
    numbers = pc.if_else(is_number, digits, None).cast(pa.float64())
    return pc.sum(pc.equal(values.cast(pa.float64(), safe=False), numbers)).as_py() or 0
