"""Personal data are found however they are spelled, and nothing else is taken for them.

The figures over all spellings and encodings are printed by ``python -m benchmarks.detectors``.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from governance.contract import Column, ColumnContract
from governance.errors import ContractError
from privacy import detectors, personal_data
from privacy.kept_columns import (
    FEWEST_TEXTS,
    LARGE_NUMBERS_FROM,
    MOST_TEXTS,
    WEAK_SHARE,
    KeptColumn,
)
from privacy.leak_scan import scan
from privacy.personal_data import DataKind
from tests.hostile import spellings
from tests.hostile.spellings import card, grouped, mobile, resident_id
from tests.privacy.conftest import home, world

__all__ = ["home", "world"]

LEAST_RECALL = 0.99


@pytest.mark.parametrize("kind", spellings.ALL)
def test_every_spelling_of_a_person_s_number_is_found_in_a_column(kind: DataKind) -> None:
    texts = spellings.ALL[kind]
    assert len(texts) >= 200
    is_suspect = detectors.is_suspect(pa.array([s.text for s in texts])).to_pylist()
    missed = [
        spelling
        for spelling, looked_at in zip(texts, is_suspect, strict=True)
        if not looked_at or spelling.kind not in dict(detectors.in_column(spelling.text))
    ]
    assert len(missed) <= (1 - LEAST_RECALL) * len(texts), missed


ENCODINGS = {
    "UTF-8": str.encode,
    "GB 18030": lambda text: text.encode("gb18030"),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16-BE": lambda text: text.encode("utf-16-be"),
    "JSON": lambda text: json.dumps({"a": text}).encode(),
    "base64": lambda text: base64.b64encode(text.encode()),
}


@pytest.mark.parametrize("kind", spellings.ALL)
def test_every_usual_spelling_is_found_in_files_of_every_encoding(
    tmp_path: Path, kind: DataKind
) -> None:
    texts = [s for s in spellings.ALL[kind] if s.usual]
    assert len(texts) >= 200
    encodings = list(ENCODINGS.values())
    for number, spelling in enumerate(texts):
        data = encodings[number % len(encodings)](f"备注 remark:\n{spelling.text}\n以上 end.\n")
        (tmp_path / f"{number:05d}").write_bytes(data)
    hits = {(hit.file, hit.kind) for hit in scan(tmp_path).hits}
    missed = [s for n, s in enumerate(texts) if (f"{n:05d}", s.kind.value) not in hits]
    assert len(missed) <= (1 - LEAST_RECALL) * len(texts), missed


@pytest.mark.parametrize("name", spellings.clean())
def test_what_names_nobody_stays_silent(tmp_path: Path, name: str) -> None:
    texts = spellings.clean()[name]
    assert not detectors.find(pa.array(texts))
    for number, join in enumerate(("\n", ", ", ";", "\t")):
        (tmp_path / f"{number}.txt").write_text(join.join(texts), encoding="utf-8")
    (tmp_path / "a.json").write_text(json.dumps(texts), encoding="utf-8")
    pq.write_table(pa.table({"x": texts}), tmp_path / "a.parquet")
    report = scan(tmp_path)
    assert (report.hits, report.unread) == ((), ())


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("010-62345678", DataKind.LANDLINE),
        ("(0755) 2634 5678", DataKind.LANDLINE),
        ("+86 21 6234 5678", DataKind.LANDLINE),
        ("电话02162345678", DataKind.LANDLINE),
        ("2021-03-06/2021-04-05", None),
        ("01-30/2020-02-29", None),
        ("176.205.147.86", None),
        ("138.1234.5678", DataKind.MOBILE),
        ("1.13812345678", DataKind.MOBILE),
        ("0.13812345678", None),
        ("13812345678.50", None),
        ("13812345678.00", DataKind.MOBILE),
        ("138.12345678", None),
        ("139.0.7258.128", None),
        ("86.139.0725.8128", DataKind.MOBILE),
        ("13.812.345.678", DataKind.MOBILE),
        ("13.212.245.178", None),
        ("150x2000x2500", None),
        ("150#2000#2500#1", None),
        ("13812345678000.0e-3", DataKind.MOBILE),
        ("13812345678001.0e-3", None),
        ("13812345678X", DataKind.MOBILE),
        ("110105194912310021x", None),
        ("1.381234E10", None),
        ("1.3812345E10", DataKind.MOBILE),
        ("13.812345678e9", DataKind.MOBILE),
        ("14500000-14999999", None),
        ("3005000-3009999", None),
        ("张三13812345678", DataKind.MOBILE),
        ("联系人一13812345678", DataKind.MOBILE),
        ("一三八一二三四五六七八", DataKind.MOBILE),
        ("fbf54fe57529a5790d770a3d04e2a7ad13589376351189f7", None),
    ],
)
def test_the_edges_of_a_spelling(text: str, kind: DataKind | None) -> None:
    assert set(detectors.find(pa.array([text]))) == ({kind} if kind else set())


def column(kind: str, **more: Any) -> Column:
    return Column.model_validate(
        {"name": "x", "type": kind, "sensitivity": "C2", "role": "feature", "action": "keep",
         "purposes": ["training"], "why": "test", **more}
    )  # fmt: skip


def look_at(values: list[Any] | np.ndarray, declared: Column, ids: list[str] | None = None) -> None:
    kept = KeptColumn(declared)
    customers = ids or [f"C{number:09d}" for number in range(len(values))]
    kept.look_at(pa.array(values, pa.type_for_alias(declared.type)), pa.array(customers))
    kept.close()


@pytest.mark.parametrize("length", range(13, 20))
def test_cards_of_every_length_are_found_in_numbers(length: int) -> None:
    number = int(card(5, length))
    expected = DataKind.SHORT_CARD if length < 15 else DataKind.BANK_CARD
    assert set(detectors.find(pa.array([1, number]))) == {expected}
    assert not detectors.find(pa.array([1, number + 1]))
    if number < 2**53:
        assert set(detectors.find(pa.array([0.5, float(number)]))) == {expected}


def test_the_smallest_number_of_fifteen_digits_that_is_a_card_is_found() -> None:
    smallest = next(n for n in range(22 * 10**13, 22 * 10**13 + 10) if DataKind.BANK_CARD in
                    detectors.find(pa.array([n])))  # fmt: skip
    assert len(str(smallest)) == 15
    assert DataKind.BANK_CARD not in detectors.find(pa.array([smallest + 1]))


def test_numpy_and_text_judge_the_same_numbers_alike() -> None:
    rng = np.random.default_rng(8)
    people = [resident_id(n) for n in range(400)]
    numbers = [int(p) for p in people if not p.endswith("X")]
    numbers += [int(p[:6] + p[8:17]) for p in people]
    numbers += [int(card(n, 13 + n % 7)) for n in range(400)]
    numbers += [int(mobile(n)) for n in range(100)]
    numbers += [n + int(d) for n, d in zip(numbers, rng.integers(1, 9, len(numbers)), strict=True)]
    numbers += rng.integers(10**10, 9 * 10**18, 3_000).tolist()
    for number in numbers:
        written = set(dict(detectors.in_column(str(number)))) - {DataKind.LANDLINE}
        # Of a number that is a card, nobody asks whether it also begins like a telephone.
        strong = {kind for kind in written if kind is not DataKind.MOBILE}
        assert set(detectors.find(pa.array([number]))) in (written, strong), len(str(number))


LARGE = {"maximum": 1e13}


@pytest.mark.parametrize("kind", ["int64", "float64"])
def test_a_few_mobile_numbers_among_large_amounts_are_refused_by_their_number(kind: str) -> None:
    rng = np.random.default_rng(1)
    amounts = rng.lognormal(15, 1, 2_000).astype(np.int64)
    for count, is_refused in ((5, False), (6, True), (380, True)):
        values = amounts.astype(float if kind == "float64" else np.int64)
        values[:count] = [int(mobile(n)) for n in range(count)]
        declared = column(kind, **LARGE)
        if is_refused:
            with pytest.raises(ContractError, match=f"mobile number in at least {count}"):
                look_at(values, declared)
        else:
            look_at(values, declared)


def test_mobile_numbers_as_simulated_and_with_country_code_are_refused_by_their_number() -> None:
    for first in (100_000_00001, 861_380_000_0001):
        values = np.arange(2_000) + 1
        values[:6] = first + np.arange(6)
        with pytest.raises(ContractError, match="mobile number in at least 6"):
            look_at(values, column("int64", **LARGE))


@pytest.mark.parametrize("seed", range(20))
def test_large_amounts_are_no_mobile_numbers(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for middle, width in ((5e8, 1), (5e9, 1), (1.6e10, 1), (1.6e10, 2)):
        look_at(
            rng.lognormal(np.log(middle), width, 1_000).astype(np.int64), column("int64", **LARGE)
        )
    look_at(rng.integers(0, 10**12, 1_000), column("int64", **LARGE))
    look_at(rng.integers(0, 2_000, 1_000) * 10**7, column("int64", **LARGE))


def test_numbers_too_long_for_a_float_are_refused_from_exactly_a_fifth_of_the_values() -> None:
    declared = column("float64", maximum=1e19)
    values = np.full(1_000, 5.0)
    values[:199] = 1e18 + 2_048.0 * np.arange(199)
    look_at(values, declared)
    values[199] = 1.5e18
    assert 200 / len(values) == WEAK_SHARE
    with pytest.raises(ContractError, match="as long as a card or an id in at least 200"):
        look_at(values, declared)


def test_a_column_holds_large_numbers_by_declaration_from_exactly_ten_thousand_million() -> None:
    look_at([5, LARGE_NUMBERS_FROM], column("int64", maximum=LARGE_NUMBERS_FROM))
    with pytest.raises(ContractError, match="mobile number"):
        look_at([5, LARGE_NUMBERS_FROM], column("int64", maximum=LARGE_NUMBERS_FROM - 1))


def test_short_cards_among_large_amounts_are_refused_by_their_number() -> None:
    cards = [int(card(n, 13)) for n in range(1, 7)]
    with pytest.raises(ContractError, match="bank card of 13 or 14 digits in at least 6"):
        look_at([*cards, *range(500)], column("int64", maximum=1e13))
    by_chance = np.arange(4_000_000_000_001, 4_000_000_000_601, 1)
    look_at([*by_chance.tolist(), *range(5_000)], column("int64", maximum=1e13))


def test_the_ranges_of_crowding_are_half_open() -> None:
    inside = [13 * 10**9 + 1, 20 * 10**9 - 1]
    beside = [13 * 10**9 - 1, 20 * 10**9 + 1, 13 * 13 * 10**9 // 20 + 1, 400 * 10**9 // 13 - 1]
    away = [13 * 13 * 10**9 // 20 - 1, 400 * 10**9 // 13 + 1, 15 * 10**9]
    counts = personal_data.crowding(pa.array([*inside, *beside, *away]))
    assert counts[0].tolist() == [2, 4]


# --- text that names customers --------------------------------------------------------------------


def names(count: int) -> list[str]:
    return [
        f"{'王李张刘陈'[n % 5]}{chr(0x4E00 + n)}{chr(0x5E00 + n * 7 % 900)}" for n in range(count)
    ]


@pytest.mark.parametrize("rows", [FEWEST_TEXTS, 40, 300, 3_000])
def test_names_and_addresses_are_no_feature(rows: int) -> None:
    for values in (names(rows), [f"虚构市样例路{n}号" for n in range(rows)]):
        with pytest.raises(ContractError, match="different texts in"):
            look_at(values, column("string"))


def test_texts_of_a_code_book_pass_without_one() -> None:
    provinces, cities = names(31), names(340)
    look_at([provinces[n % 31] for n in range(100)], column("string"))
    look_at([cities[n % 340] for n in range(2_000)], column("string"))
    look_at(["x", "y", None], column("string", may_be_null=True))
    look_at(names(FEWEST_TEXTS - 1), column("string"))


def test_too_many_different_texts_are_refused_at_the_exact_edge() -> None:
    for rows, most in ((20, 10), (200, 50), (2_000, 500), (100_000, MOST_TEXTS)):
        texts = [f"level {chr(0x4E00 + n)}" for n in range(most + 1)]
        look_at([texts[n % most] for n in range(rows)], column("string"))
        with pytest.raises(ContractError, match=r"different texts in \d+ rows"):
            look_at([texts[n % (most + 1)] for n in range(rows)], column("string"))


def test_declared_codes_are_all_that_a_kept_column_may_hold() -> None:
    codes = dict.fromkeys(names(300), "a branch")
    declared = column("string", codes=codes, may_be_null=True)
    look_at([*codes, None], declared)
    with pytest.raises(ContractError, match="not among its declared codes") as refused:
        look_at([*codes, "another"], declared)
    assert "another" not in str(refused.value)
    with pytest.raises(ContractError, match="mobile number"):
        look_at(["13812345678"], column("string", codes={"13812345678": "a code"}))


@pytest.mark.parametrize("text", ["K-000777", "see k000777!", "Ｋ０００７７７", "x K 000 777 y"])
def test_the_row_s_own_customer_number_is_no_feature(text: str) -> None:
    ids = [f"K{number:06d}" for number in range(770, 790)]
    values = ["fine"] * 20
    values[8] = text
    look_at(
        values, column("string"), ids
    )  # The number of another row's customer names nobody here.
    values[7] = text
    with pytest.raises(ContractError, match="id of the row's own customer"):
        look_at(values, column("string"), ids)


@pytest.mark.parametrize("kind", ["int64", "float64"])
def test_the_row_s_own_customer_number_is_no_number_either(kind: str) -> None:
    ids = [f"C{number:09d}" for number in range(123_456, 123_476)]
    values = list(range(20))
    for count, is_refused in ((2, False), (3, True)):
        values[:count] = range(123_456, 123_456 + count)
        if is_refused:
            with pytest.raises(ContractError, match="row's own customer in 3 rows"):
                look_at(values, column(kind), ids)
        else:
            look_at(values, column(kind), ids)


# --- through the gate -----------------------------------------------------------------------------

CONTRACT = """
schema = "column-contract/1"
id = "book"
version = "1"
title = "A book"
source = "tests"
[[columns]]
name = "customer"
type = "string"
sensitivity = "C2"
role = "subject_id"
action = "pseudonymize"
why = "Whose row it is."
[[columns]]
name = "remark"
type = "string"
sensitivity = "C2"
role = "feature"
action = "keep"
purposes = ["training"]
may_be_null = true
why = "A text feature."
"""


def book(remarks: pa.Array) -> pa.Table:
    ids = pa.array([f"K{number:04d}" for number in range(len(remarks))])
    return pa.table({"customer": ids, "remark": remarks})


@pytest.mark.parametrize("number", range(0, 400, 40))
def test_the_gate_refuses_what_the_detectors_find(world: Any, number: int) -> None:
    contract = ColumnContract.parse(CONTRACT)
    for texts in spellings.ALL.values():
        text = texts[number].text
        with pytest.raises(
            ContractError, match="remark is declared a feature but holds"
        ) as refused:
            world.protect(book(pa.array(["fine"] * 19 + [text])), contract=contract)
        assert text.strip() not in str(refused.value)
    assert not world.has_written()


def test_bytes_that_are_no_utf8_are_refused(world: Any) -> None:
    contract = ColumnContract.parse(CONTRACT)
    for data in ("手机13812345678".encode("gbk"), b"\xff", b"\xed\xa0\x80"):
        raw = pa.array([b"fine", data])
        remarks = pa.StringArray.from_buffers(2, raw.buffers()[1], raw.buffers()[2])
        with pytest.raises(ContractError, match=r"raw\.parquet cannot be read"):
            world.protect(book(remarks), contract=contract)
    assert not world.has_written()


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ('source = "tests"', 'source = "sent by li.lei@example.com"', "source"),
        (
            'title = "A book"',
            f'title = "The book of {grouped(mobile(3), (3, 4, 4), " ")}"',
            "title",
        ),
        ("A text feature.", f"As {resident_id(4)} asked.", "column 2"),
        ('name = "remark"', f'name = "remark_{mobile(5)}"', "column 2"),
        ('id = "book"', f'id = "book-{card(6)}"', "id"),
    ],
)
def test_a_contract_whose_words_name_a_person_is_refused(
    world: Any, old: str, new: str, where: str
) -> None:
    contract = ColumnContract.parse(CONTRACT.replace(old, new))
    with pytest.raises(ContractError, match=f"The {where} of the contract holds") as refused:
        world.protect(book(pa.array(["fine"] * 20)), contract=contract)
    assert not any(part in str(refused.value) for part in (mobile(5), card(6), resident_id(4)))
    assert not world.has_written()
