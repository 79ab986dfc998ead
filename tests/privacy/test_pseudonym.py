"""AES-CMAC of a column is AES-CMAC of each of its values."""

from __future__ import annotations

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from hypothesis import given
from hypothesis import strategies as st

from governance.errors import ContractError
from privacy.pseudonym import invert, pseudonymize, purpose_pseudonym

MESSAGE = bytes.fromhex(
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)
RFC_4493 = "2b7e151628aed2a6abf7158809cf4f3c"
SP_800_38B = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"
VECTORS = [
    (RFC_4493, 0, "bb1d6929e95937287fa37d129b756746"),
    (RFC_4493, 16, "070a16b46b4d4144f79bdd9dd04a287c"),
    (RFC_4493, 40, "dfa66747de9ae63030ca32611497c827"),
    (RFC_4493, 64, "51f0bebf7e3b9d92fc49741779363cfe"),
    (SP_800_38B, 0, "028962f61b7bf89efc6b551f4667d983"),
    (SP_800_38B, 16, "28a7023f452e8f82bd4bf28d8c37c35c"),
    (SP_800_38B, 40, "aaf3d8f1de5640c232f5b169b9c911e6"),
    (SP_800_38B, 64, "e1992190549f6ed5696a2c056c315410"),
]
KEY = bytes(range(32))


def one_by_one(value: bytes | str | None, key: bytes = KEY) -> bytes | None:
    if value is None:
        return None
    cmac = CMAC(AES(key))
    cmac.update(value.encode() if isinstance(value, str) else value)
    return cmac.finalize()


@pytest.mark.parametrize(("key", "length", "expected"), VECTORS)
def test_the_published_vectors_are_met(key: str, length: int, expected: str) -> None:
    values = pa.array([MESSAGE[:length]], type=pa.binary())
    assert pseudonymize(values, bytes.fromhex(key))[0].as_py().hex() == expected


def test_every_length_up_to_a_hundred_agrees_with_the_library() -> None:
    values = [bytes(range(length)) for length in range(100)]
    expected = [one_by_one(value) for value in values]
    assert pseudonymize(pa.array(values, type=pa.binary()), KEY).to_pylist() == expected


@given(
    st.lists(st.none() | st.text(max_size=60), max_size=40), st.integers(0, 10), st.integers(0, 30)
)
def test_any_text_column_agrees_value_by_value_whatever_its_form(
    values: list[str | None], start: int, length: int
) -> None:
    expected = [one_by_one(value) for value in values]
    plain = pa.array(values, type=pa.string())
    for column in (
        plain,
        plain.cast(pa.large_string()),
        plain.dictionary_encode(),
        pa.array([v and v.encode() for v in values], type=pa.large_binary()),
        pa.chunked_array([plain.slice(0, 3), plain.slice(3)]),
    ):
        assert pseudonymize(column, KEY).to_pylist() == expected
        part = pseudonymize(column.slice(start, length), KEY)
        assert part.to_pylist() == expected[start : start + length]


def test_columns_longer_than_one_batch_are_pseudonymized_whole() -> None:
    values = [str(number) for number in range(70_000)]
    result = pseudonymize(pa.array(values), KEY)
    assert len(result) == 70_000
    for place in (0, 32_767, 32_768, 69_999):
        assert result[place].as_py() == one_by_one(values[place])


def test_null_is_not_the_empty_text() -> None:
    result = pseudonymize(pa.array([None, ""]), KEY).to_pylist()
    assert result == [None, one_by_one("")]


def test_an_empty_column_gives_an_empty_column() -> None:
    for empty in (pa.array([], pa.string()), pa.chunked_array([], type=pa.string())):
        assert pseudonymize(empty, KEY).equals(pa.array([], pa.binary(16)))


def test_numbers_are_refused_because_their_text_is_not_defined() -> None:
    with pytest.raises(ContractError, match="int64"):
        pseudonymize(pa.array([13812345678]), KEY)


@given(st.lists(st.none() | st.binary(min_size=16, max_size=16), max_size=40))
def test_a_purpose_pseudonym_is_one_block_of_cmac_and_can_be_inverted(
    ids: list[bytes | None],
) -> None:
    column = pa.array(ids, type=pa.binary(16))
    pseudonyms = purpose_pseudonym(column, KEY)
    assert pseudonyms.to_pylist() == [one_by_one(value) for value in ids]
    assert invert(pseudonyms, KEY).equals(column)
    assert purpose_pseudonym(column.slice(1), KEY).equals(pseudonyms.slice(1))


def test_ids_of_another_width_are_refused() -> None:
    with pytest.raises(ContractError, match="binary\\(16\\)"):
        purpose_pseudonym(pa.array([b"12345678"], pa.binary(8)), KEY)
