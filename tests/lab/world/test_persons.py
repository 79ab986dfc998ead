from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.world import anchors, book, persons
from lab.world.settings import WorldSettings

N = 5_000
FAR = 40 * persons.BLOCK


@pytest.fixture(scope="module")
def made(baseline: WorldSettings) -> pa.Table:
    near = persons.block(baseline, 0, N)
    return pa.concat_tables([near, persons.block(baseline, FAR, FAR + N)])


def check_digit(text: str) -> str:
    weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]
    total = sum(int(digit) * weight for digit, weight in zip(text[:17], weights, strict=True))
    return "10X98765432"[total % 11]


def is_luhn(text: str) -> bool:
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(text))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


@pytest.mark.parametrize("name", ["account", "customer_id", "mobile", "resident_id", "bank_card"])
def test_no_two_accounts_share_a_number_however_far_apart(made: pa.Table, name: str) -> None:
    assert len(made[name].unique()) == 2 * N


def test_numbers_are_valid_in_form_and_impossible_in_place(made: pa.Table) -> None:
    for text in made["resident_id"].to_pylist():
        assert text.startswith("999")
        assert text[17] == check_digit(text)
    for text in made["bank_card"].to_pylist():
        assert text.startswith("9999")
        assert is_luhn(text)
    assert all(text.startswith("100") for text in made["mobile"].to_pylist())
    # The first accounts carry the highest area code; later blocks count down from it.
    assert made["resident_id"][0].as_py()[:6] == "999999"
    assert made["resident_id"][-1].as_py()[:6] < "999999"


def test_identities_agree_with_sex_and_age_on_the_first_day(
    made: pa.Table, baseline: WorldSettings
) -> None:
    row = book.rows_of(baseline, 0, N)
    real = anchors.load()
    today = baseline.starts_on
    for text, sex, age in zip(
        made["resident_id"].to_pylist()[:N], real.sex[row], real.age[row], strict=True
    ):
        year, month, day = int(text[6:10]), int(text[10:12]), int(text[12:14])
        assert today.year - year - ((today.month, today.day) < (month, day)) == age
        assert int(text[16]) % 2 == (sex == 1)


def test_a_smaller_world_has_the_same_first_people(baseline: WorldSettings) -> None:
    few = persons.block(baseline.changed(accounts=50), 0, 50)
    again = persons.block(baseline.changed(accounts=60), 0, 50)
    assert few.equals(again)
    assert sum(table.num_rows for table in persons.people(baseline)) == baseline.accounts


@given(first=st.integers(0, 10**8 - 1), second=st.integers(0, 10**8 - 1))
@settings(max_examples=200, deadline=None)
def test_shuffling_meets_no_number_twice(first: int, second: int) -> None:
    for digits in (8, 9, 14):
        pair = persons._shuffled(np.array([first, second], dtype=np.int64), digits)
        assert (pair[0] == pair[1]) == (first == second)
        assert 0 <= pair.min() <= pair.max() < 10**digits
