from __future__ import annotations

import re
from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.errors import ContractError
from training.identities import make_identities

DAYS = st.dates(date(1990, 1, 1), date(2030, 12, 31))
CUSTOMERS = st.lists(st.tuples(st.integers(1, 2), st.integers(18, 110)), min_size=1, max_size=40)


def is_resident_id(text: str) -> bool:
    """The check of GB 11643-1999 from the standard's formula: the sum of a_i W_i is 1 mod 11."""
    values = [10 if character == "X" else int(character) for character in text]
    weights = [2 ** (18 - place) % 11 for place in range(1, 19)]
    return len(text) == 18 and sum(v * w for v, w in zip(values, weights, strict=True)) % 11 == 1


def is_luhn(text: str) -> bool:
    total = 0
    for place, character in enumerate(reversed(text)):
        digit = int(character) * (1 + place % 2)
        total += digit - 9 if digit > 9 else digit
    return total % 10 == 0


def made(sexes: list[int], ages: list[int], on: str = "2005-09-30", seed: int = 0) -> pa.Table:
    sex, age = np.array(sexes, dtype=np.int64), np.array(ages, dtype=np.int64)
    return make_identities(sex=sex, age=age, observed_on=on, seed=seed)


def test_the_oracles_know_the_published_examples() -> None:
    assert is_resident_id("11010519491231002X")
    assert is_resident_id("440524188001010014")
    assert not is_resident_id("110105194912310021")
    assert is_luhn("79927398713")
    assert not is_luhn("79927398710")


@given(customers=CUSTOMERS, on=DAYS, seed=st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_every_number_is_valid_in_form_and_impossible_by_construction(
    customers: list[tuple[int, int]], on: date, seed: int
) -> None:
    sexes, ages = map(list, zip(*customers, strict=True))
    for row, sex, age in zip(
        made(sexes, ages, on.isoformat(), seed).to_pylist(), sexes, ages, strict=True
    ):
        assert re.fullmatch(r"C\d{9}", row["customer_id"])
        assert re.fullmatch(r"100\d{8}", row["mobile"])
        assert re.fullmatch(r"9999\d{12,15}", row["bank_card"])
        assert is_luhn(row["bank_card"])
        resident = row["resident_id"]
        assert re.fullmatch(r"999999\d{11}[\dX]", resident)
        assert is_resident_id(resident)
        assert int(resident[16]) % 2 == sex % 2
        born = date(int(resident[6:10]), int(resident[10:12]), int(resident[12:14]))
        assert on.year - born.year - ((on.month, on.day) < (born.month, born.day)) == age


@pytest.fixture(scope="module")
def crowd() -> pa.Table:
    rng = np.random.default_rng(0)
    return made(rng.integers(1, 3, 60_000).tolist(), rng.integers(21, 80, 60_000).tolist())


def test_no_number_can_belong_to_anybody(crowd: pa.Table) -> None:
    # Area codes of provinces start with 1 to 6, of Taiwan, Hong Kong and Macau with 7 and 8.
    assert {text[0] for text in crowd["resident_id"].to_pylist()} == {"9"}
    assert not any(re.match(r"1[3-9]", text) for text in crowd["mobile"].to_pylist())
    # Schemes own 2 to 6 (Mastercard, American Express, Visa, Discover, UnionPay).
    assert {text[:4] for text in crowd["bank_card"].to_pylist()} == {"9999"}
    assert all("模拟省虚构市" in text and "虚拟路" in text for text in crowd["address"].to_pylist())


def test_nobody_shares_a_number(crowd: pa.Table) -> None:
    for name in ("customer_id", "mobile", "resident_id", "bank_card"):
        assert len(crowd[name].unique()) == crowd.num_rows
    assert {len(text) for text in crowd["bank_card"].to_pylist()} == {16, 17, 18, 19}


def test_the_seed_decides_everything() -> None:
    sexes, ages = [1, 2] * 50, list(range(20, 70)) * 2
    assert made(sexes, ages, seed=1).equals(made(sexes, ages, seed=1))
    other = made(sexes, ages, seed=2)
    for name in other.column_names:
        assert not made(sexes, ages, seed=1)[name].equals(other[name])


def test_names_follow_the_sex() -> None:
    names = made([1] * 400 + [2] * 400, [30] * 800)["name"].to_pylist()
    men, women = ({name[1:] for name in part} for part in (names[:400], names[400:]))
    assert len(men & women) < len(men) / 2


def test_no_customers_are_no_identities() -> None:
    assert made([], []).num_rows == 0


def test_too_many_equal_birthdays_are_refused() -> None:
    with pytest.raises(ContractError, match="share a birthday"):
        made([1] * 300_000, [30] * 300_000)
