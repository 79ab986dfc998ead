"""Planted identities are found in every disguise, and real amounts stay silent."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy import document_detectors
from privacy.detectors import find
from privacy.personal_data import DataKind, is_luhn, is_resident_id

REAL_ID = "11010519491231002X"
CARD_16, CARD_19 = "6222021234567894", "6222021234567890128"


def kinds(values: Sequence[object], kind: pa.DataType) -> set[DataKind]:
    # Numpy rounds a number too long for a float, as a spreadsheet would; Arrow refuses it.
    plain = np.array(values, dtype="f8") if pa.types.is_floating(kind) else values
    return set(find(pa.concat_arrays([pa.nulls(1, kind), pa.array(plain, type=kind)])))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("13812345678", DataKind.MOBILE),
        ("10012345678", DataKind.MOBILE),
        ("tel 138-1234-5678.", DataKind.MOBILE),
        ("138 1234 5678", DataKind.MOBILE),
        ("+8613812345678", DataKind.MOBILE),
        ("008613812345678", DataKind.MOBILE),
        ("8613812345678", DataKind.MOBILE),
        ("１３８１２３４５６７８", DataKind.MOBILE),
        ("13812345678.0", DataKind.MOBILE),
        ("电话13812345678转1", DataKind.MOBILE),
        ("x13812345678y", DataKind.MOBILE),
        (REAL_ID, DataKind.RESIDENT_ID),
        (REAL_ID.lower(), DataKind.RESIDENT_ID),
        ("110105 19491231 002X", DataKind.RESIDENT_ID),
        ("440524188001010014", DataKind.RESIDENT_ID),
        ("6222 0212 3456 7894", DataKind.BANK_CARD),
        (CARD_16, DataKind.BANK_CARD),
        ("write to li.wei@example.com now", DataKind.EMAIL),
        ("li.wei＠example.com", DataKind.EMAIL),
    ],
)
def test_personal_data_in_text_are_found(text: str, expected: DataKind) -> None:
    assert expected in kinds([text], pa.string())
    assert expected in kinds(["clean"] * 50 + [text], pa.large_string())


@pytest.mark.parametrize(
    "text",
    [
        "university", "2005-09-30", "12345678", "1234567890", "0.13812345678", "NT$ 1,684,259",
        "110105194912310021", "11010519491331002X", "6222021234567895", "a @ b", "23812345678",
        "138123456789012345", "", "一二三",
    ],
)  # fmt: skip
def test_other_text_stays_silent(text: str) -> None:
    assert kinds([text], pa.string()) == set()


@pytest.mark.parametrize("kind", [pa.int64(), pa.float64()])
@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (13812345678, {DataKind.MOBILE}),
        (-10012345678, {DataKind.MOBILE}),
        (8613812345678, {DataKind.MOBILE}),
        (int(CARD_16), {DataKind.BANK_CARD}),
        (110105194912315103, {DataKind.RESIDENT_ID}),
    ],
)
def test_personal_data_hidden_in_numbers_are_found(
    number: int, expected: set[DataKind], kind: pa.DataType
) -> None:
    assert kinds([1, 2, number], kind) == expected


def test_a_card_too_long_for_a_float_is_still_noticed() -> None:
    assert kinds([float(CARD_19)], pa.float64()) == {DataKind.LONG_NUMBER}
    assert kinds([int(CARD_19)], pa.int64()) == {DataKind.BANK_CARD}


def test_reserved_identities_are_found_in_every_type(
    identities: tuple[Callable[[int], str], Callable[[int], str]],
) -> None:
    resident_id, bank_card = identities
    numbers = [n for n in range(1, 60) if not resident_id(n).endswith("X")][:20]
    for number in numbers:
        person, card = resident_id(number), bank_card(number)
        assert DataKind.RESIDENT_ID in kinds([person], pa.string())
        assert DataKind.RESIDENT_ID in kinds([int(person)], pa.int64())
        assert DataKind.RESIDENT_ID in kinds([float(person)], pa.float64())
        assert DataKind.BANK_CARD in kinds([card], pa.string())
        assert DataKind.BANK_CARD in kinds([int(card)], pa.int64())
        assert kinds([float(card)], pa.float64())


def test_the_amounts_of_the_real_data_stay_silent() -> None:
    rng = np.random.default_rng(3)
    amounts = np.concatenate([rng.integers(-339_603, 1_684_260, 200_000), [1_664_089, 1_684_259]])
    assert not find(pa.array(amounts))
    assert not find(pa.array(amounts.astype(np.float64)))
    assert not find(pa.array(amounts / 3.0))
    assert not find(pa.array([str(amount) for amount in amounts[:5_000]]))


@given(st.integers(-(10**10) + 1, 10**10 - 1))
def test_no_number_below_eleven_digits_is_taken_for_a_person(number: int) -> None:
    assert kinds([number], pa.int64()) == set()
    assert kinds([float(number)], pa.float64()) == set()
    assert kinds([str(number)], pa.string()) == set()


@given(st.integers(10**10, 2 * 10**10 - 1))
def test_every_eleven_digits_that_begin_with_one_are_found(number: int) -> None:
    assert DataKind.MOBILE in kinds([number], pa.int64())
    assert DataKind.MOBILE in kinds([float(number)], pa.float64())
    assert DataKind.MOBILE in kinds([f"no. {number},"], pa.string())


def test_extreme_numbers_break_nothing() -> None:
    assert kinds([-(2**63), 2**63 - 1], pa.int64()) <= {DataKind.BANK_CARD}
    assert kinds([float("nan"), float("inf"), -1e300, 5e-324], pa.float64()) == set()


@given(st.text(alphabet="0123456789", min_size=17, max_size=17))
def test_of_all_check_characters_exactly_one_fits(body: str) -> None:
    fitting = [c for c in "0123456789X" if is_resident_id("110105" + "19491231" + body[:3] + c)]
    assert len(fitting) == 1
    assert sum(is_luhn(body + digit) for digit in "0123456789") == 1


def test_documents_are_read_more_strictly_than_columns() -> None:
    text = "sha256:a13812345678bc 138123456789012345 0.13812345678 t=17255555555 id=23812345678"
    assert list(document_detectors.in_document(text)) == [(DataKind.MOBILE, "17255555555")]
    # A word before a number, or a line below a name, makes nothing random of it.
    assert list(document_detectors.in_document("user_13812345678")) == [
        (DataKind.MOBILE, "13812345678")
    ]


def test_a_text_that_comes_again_is_counted_each_time() -> None:
    assert find(pa.array(["13812345678", "x", "13812345678", "13912345678"])) == {
        DataKind.MOBILE: 3
    }


@pytest.mark.parametrize("length", [13, 14, 15, 16, 19])
def test_a_card_of_each_length_is_found_in_text_and_in_whole_numbers(length: int) -> None:
    body = {13: "400000000000", 14: "3000000000000", 15: "37000000000000"}.get(
        length, "622202" + "0" * (length - 7)
    )
    card = next(body + digit for digit in "0123456789" if is_luhn(body + digit))
    expected = {DataKind.SHORT_CARD if length < 15 else DataKind.BANK_CARD}
    assert kinds([card], pa.string()) == kinds([int(card)], pa.int64()) == expected
