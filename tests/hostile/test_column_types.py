"""A column says the same in CSV and in Parquet, or is refused; guessed columns hide no value."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from governance.column_types import ids, read_as, texts, words
from governance.errors import ContractError
from governance.inference import MARKER, VALUE, comparable, is_marked

WHOLE, RATE, FLAG, DAY, TEXT = pa.int64(), pa.float64(), pa.bool_(), pa.date32(), pa.string()
MOST = 2**63 - 1

READ: list[tuple[pa.DataType, pa.Array, list[Any]]] = [
    (WHOLE, pa.array(["5", " -7 ", "", None, "NA", "1.0", "3.", str(MOST)]),
     [5, -7, None, None, None, 1, 3, MOST]),
    (WHOLE, pa.array([1.0, float("nan"), None]), [1, None, None]),
    (WHOLE, pa.array([Decimal("2.00"), None]), [2, None]),
    (WHOLE, pa.array([7], pa.int8()), [7]),
    (WHOLE, pa.array([MOST], pa.uint64()), [MOST]),
    (WHOLE, pa.array(["7", "8"]).dictionary_encode(), [7, 8]),
    (WHOLE, pa.array(["7"], pa.string_view()), [7]),
    (WHOLE, pa.nulls(2), [None, None]),
    (RATE, pa.array(["0.5", "1e-3", "", "nan", "#N/A"]), [0.5, 0.001, None, None, None]),
    (RATE, pa.array([1, None]), [1.0, None]),
    (FLAG, pa.array(["true", "FALSE", "1", "0", "1.0", ""]),
     [True, False, True, False, True, None]),
    (FLAG, pa.array([0, 1, None]), [False, True, None]),
    (FLAG, pa.array([0.0, 1.0, float("nan")]), [False, True, None]),
    (DAY, pa.array(["2024-02-29", "2024-02-29 23:30", "2024-02-29T23:30:00.5", ""]),
     [date(2024, 2, 29)] * 3 + [None]),
    # The clock that wrote a moment says which day it was.
    (DAY, pa.array(["2024-03-01T01:00:00+08:00", "2024-02-29T17:00Z", "2024-02-29",
                    "2024-02-29 23:59:59.9 -0500"]),
     [date(2024, 3, 1), *[date(2024, 2, 29)] * 3]),
    *((DAY, pa.array([datetime(2024, 2, 29, 17, tzinfo=UTC)], pa.timestamp(unit, zone)),
       [date(2024, 3, 1)]) for unit in ("s", "ns") for zone in ("Asia/Shanghai", "+08:00")),
    (DAY, pa.array([datetime(2024, 2, 29, 17, tzinfo=UTC)], pa.timestamp("us", "UTC")),
     [date(2024, 2, 29)]),
    (DAY, pa.array([1_709_164_800_001], pa.date64()), [date(2024, 2, 29)]),
    (DAY, pa.array([datetime(2024, 2, 29, tzinfo=UTC)], pa.timestamp("s")), [date(2024, 2, 29)]),
    (DAY, pa.array([date(2024, 2, 29)], pa.date64()), [date(2024, 2, 29)]),
    (TEXT, pa.array([" 007 ", "NA", "nan", "", " ", None]), ["007", "NA", "nan", None, None, None]),
    (TEXT, pa.array([7, None]), ["7", None]),
    (TEXT, pa.array(["支行".encode()]), ["支行"]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "column", "wanted"), READ)
def test_a_declared_column_is_read_in_every_spelling(
    kind: pa.DataType, column: pa.Array, wanted: list[Any]
) -> None:
    for held in (column, pa.chunked_array([column, column.slice(0, 0)])):
        read = read_as(held, kind, name="c")
        assert read.type == kind
        assert read.to_pylist() == wanted


NO_NUMBER: dict[str, pa.Array] = {
    "a flag": pa.array([True]),
    "a day": pa.array([date(2024, 2, 29)]),
    "a moment": pa.array([datetime(2024, 2, 29, tzinfo=UTC)]),
    "a time": pa.array([time(7)]),
    "a duration": pa.array([timedelta(days=7)]),
    "a list": pa.array([[7]]),
    "a structure": pa.array([{"a": 7}]),
    "bytes": pa.array([b"7"]),
    "a word": pa.array(["SECRET"]),
    "a comma": pa.array(["7,5"]),
    "thousands": pa.array(["7,500"]),
    "a percent sign": pa.array(["7%"]),
    "hexadecimal": pa.array(["0x7"]),
    "hexadecimal below zero": pa.array(["-0X7"]),
    "in brackets": pa.array(["(7)"]),
    "full-width digits": pa.array(["７"]),
    "a unit": pa.array(["7万"]),
}
NO_WHOLE = {
    "a half": pa.array([7.5]),
    "a half in text": pa.array(["7.5"]),
    "a half decimal": pa.array([Decimal("7.50")]),
    "beyond 64 bits": pa.array([2**63], pa.uint64()),
    "beyond 64 bits in text": pa.array([str(2**63)]),
    "beyond 64 bits in decimals": pa.array([Decimal(2**63)]),
    "infinity": pa.array([float("inf")]),
    "an exponent": pa.array(["7e2"]),
}
NO_FLAG = {"two": pa.array([2]), "a yes": pa.array(["yes"]), "a half flag": pa.array([0.5])}
NO_DAY = {
    "the 30th of February": pa.array(["2024-02-30"]),
    "a slash": pa.array(["2024/02/29"]),
    "digits": pa.array(["20240229"]),
    "a number of a day": pa.array([20240229]),
    "an hour": pa.array([time(7)]),
    "no zone": pa.array(["2024-02-29T01:00 CST"]),
    "a moment that no day has": pa.array([2**62], pa.timestamp("s")),
    "a moment that no day has, in Shanghai": pa.array([2**62], pa.timestamp("ms", "Asia/Shanghai")),
}
REFUSED = [
    *((WHOLE, name, column) for name, column in {**NO_NUMBER, **NO_WHOLE}.items()),
    *((RATE, name, column) for name, column in NO_NUMBER.items()),
    *((FLAG, name, column) for name, column in NO_FLAG.items()),
    *((DAY, name, column) for name, column in NO_DAY.items()),
    (TEXT, "a list", pa.array([["SECRET"]])),
    (TEXT, "bytes that are no text", pa.array([b"\xff"])),
]


@pytest.mark.parametrize(("kind", "why", "column"), REFUSED)
def test_what_is_not_as_declared_is_refused_by_name_without_a_value(
    kind: pa.DataType, why: str, column: pa.Array
) -> None:
    with pytest.raises(ContractError, match="The column c must hold") as refused:
        read_as(column, kind, name="c")
    said = str(refused.value).replace("int64", "").replace("date32", "").replace("date64", "")
    assert "SECRET" not in said
    assert "7" not in said


@pytest.mark.parametrize(
    "column",
    [
        pa.array([0, 1, None]),
        pa.array([0.0, 1.0, float("nan")]),
        pa.array([False, True, None]),
        pa.array(["0", "1", ""]),
        pa.array(["0.0", "1.0", "NA"]),
        pa.array(["False", "TRUE", None]),
        pa.array([" Good ", "BAD", " "]),
        pa.array(["good", "bad", None]).dictionary_encode(),
        pa.array([Decimal(0), Decimal(1), None]),
        pa.array([0, 1, None], pa.uint8()).dictionary_encode(),
    ],
)
def test_words_and_zero_and_one_mean_the_same_in_any_type(column: pa.Array) -> None:
    meanings = {"0": "good", "1": "bad", "good": "good", "bad": "bad"}
    assert words(column, meanings, name="c").to_pylist() == ["good", "bad", None]


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["x7"]),
        pa.array([2]),
        pa.array([0.5]),
        pa.array([date(2024, 2, 29)]),
        pa.array([[1]]),
    ],
)
def test_another_word_is_refused(column: pa.Array) -> None:
    with pytest.raises(ContractError, match="The column c must hold") as refused:
        words(column, {"0": "good", "1": "bad"}, name="c")
    assert "x7" not in str(refused.value)
    assert "money" not in str(refused.value)


def test_ids_stay_apart_and_what_cannot_be_one_is_refused() -> None:
    found = ids(pa.array(["0012", "12", "62220210010101234567", " 7 "]), name="c").to_pylist()
    assert found == ["0012", "12", "62220210010101234567", "7"]
    assert ids(pa.array([MOST]), name="c").to_pylist() == [str(MOST)]
    for column in (pa.array([1.5]), pa.array([True]), pa.array([time(1)]), pa.array([[1]])):
        with pytest.raises(ContractError, match="The column c must hold"):
            ids(column, name="c")


@pytest.mark.parametrize("other", ["a1\u200b", "\ufeffa1", "ａ１", "a1\u00a0", "a\u00ad1", "a1\r"])
def test_an_id_that_looks_the_same_is_the_same(other: str) -> None:
    assert ids(pa.array(["a1", other]), name="c").to_pylist() == ["a1", "a1"]
    assert ids(pa.array(["e\u0301", "é", "A1", "\u200b"]), name="c").to_pylist() == [
        "e\u0301", "e\u0301", "A1", None,
    ]  # fmt: skip


def test_the_column_is_named_by_texts_too() -> None:
    with pytest.raises(ContractError, match="The column c must hold text"):
        texts(pa.array([{"a": "SECRET"}]), name="c")


def both(here: list[Any], there: list[Any] | pa.Array) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    found = comparable(pa.table({"c": here}), pa.table({"c": there}))
    return found[0]["c"], found[1]["c"]


NUMBERS = [str(row) for row in range(100)]


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "2", None], pa.int64()),
        (["+1", "-2"], pa.int64()),
        ([str(MOST), str(-MOST)], pa.int64()),
        (["1", "2.5", ".5", "5.", "1e5"], pa.float64()),
        (["2024-02-29", ""], pa.date32()),
        (["2024-02-29 10:00", "2024-02-29"], pa.timestamp("us", "UTC")),
        (["2024-02-29T10:00:00+08:00"], pa.timestamp("us", "UTC")),
        (["True", "false"], pa.bool_()),
        (["007", "12"], pa.string()),
        (["62220210010101234567"], pa.string()),
        ([str(2**63), "1"], pa.string()),
        ([str(-(2**63)), "1"], pa.string()),
        ([str(2**63 - 1), "1"], pa.int64()),
        (["a", "b"], pa.string()),
        (["2024-02-30x"], pa.string()),
    ],
)
def test_text_is_read_as_what_it_looks_like(cells: list[str | None], kind: pa.DataType) -> None:
    here, there = both(cells, cells)
    assert here.type == there.type == kind
    assert here.null_count == sum(not cell for cell in cells)


@pytest.mark.parametrize(
    ("cells", "is_numbers"),
    [
        ([*NUMBERS[:98], "-", "-"], True),
        # Nearly all: nine tenths, whatever the rest is.
        ([*NUMBERS[:90], *(f"x{n}" for n in range(10))], True),
        ([*NUMBERS[:89], *(f"x{n}" for n in range(11))], False),
        # Half, if the rest is eight words.
        ([*NUMBERS[:50], *(f"x{n % 8}" for n in range(50))], True),
        ([*NUMBERS[:49], *(f"x{n % 8}" for n in range(51))], False),
        ([*NUMBERS[:50], *(f"x{n % 9}" for n in range(50))], False),
    ],
)
def test_words_between_numbers_are_markers_within_the_rule(
    cells: list[str], is_numbers: bool
) -> None:
    here, there = both([*cells, None], NUMBERS)
    assert is_marked(here.type) == is_marked(there.type) == is_numbers
    if is_numbers:
        rows = here.to_pylist()
        said = [row[MARKER] if row[VALUE] is None else str(row[VALUE]) for row in rows]
        assert said == [*cells, None]
        assert there.to_pylist()[7] == {VALUE: 7, MARKER: None}


def test_the_first_table_decides_and_words_in_the_second_are_markers() -> None:
    here, there = both(["1", "2"], ["n/a", "3"])
    assert here.to_pylist() == [{VALUE: 1, MARKER: None}, {VALUE: 2, MARKER: None}]
    assert there.to_pylist() == [{VALUE: None, MARKER: "n/a"}, {VALUE: 3, MARKER: None}]
    # Codes on either side are codes on both: 7 and 007 are two of them.
    here, there = both(["7", "8"], ["007", "8"])
    assert here.to_pylist() + there.to_pylist() == ["7", "8", "007", "8"]
    # Parquet says what text is.
    here, there = both(["x", "8"], pa.array([7, 8]))
    assert here.to_pylist()[0] == {VALUE: None, MARKER: "x"}
    assert there.to_pylist()[0] == {VALUE: 7, MARKER: None}


def test_an_empty_column_takes_the_type_of_the_other_table() -> None:
    for here, there in (both([None, ""], ["1", "2"]), reversed(both(["1", "2"], [None, ""]))):
        assert here.type == there.type == pa.int64()
        assert here.null_count == 2
    here, there = both([None, ""], [" ", None])
    assert here.null_count == there.null_count == 2


def test_days_that_there_are_not_are_markers() -> None:
    here, _ = both(["2024-02-29"] * 9 + ["0000-00-00"], ["2024-02-29"])
    assert here.to_pylist()[9] == {VALUE: None, MARKER: "0000-00-00"}


SPELLED = [
    *("1,234", "1,234.50", "12,5", "1.234,50", "1 234,5", "1.234.567", "1'234", "1,23,456"),
    *("12%", "12 %", "5‰", "¥12", "$ 1,000", "$-5", "-$5", "R$5", "USD 5", "5 USD", "5€"),
    *("(5)", "($5.00)", "（5）", "5-", "−5", "１２３", "１２.５", "٣٤", '="5.00"', "'5"),
    *("5万", "1.2亿", "3.5万元", "12元", "5百万"),
]
NO_NUMBERS = [
    *("A12", "12A", "X5", "R1", "SEG1", "12M", "6k", "0x10", "10.0.0.1", "05.01.2024", "3/4"),
    *("60+", "18-25", "<=25", "3 BHK", "万", "%", "-", "(a)", "2024W01"),
]


@pytest.mark.parametrize("cell", SPELLED)
def test_numbers_that_would_be_compared_as_words_are_refused(cell: str) -> None:
    for rows in ([*NUMBERS, cell], [cell] * 100):
        with pytest.raises(
            ContractError, match=r"column c holds \d+ numbers with a comma"
        ) as refused:
            both(rows, NUMBERS)
        assert cell not in str(refused.value).replace("1234.5", "")


@pytest.mark.parametrize("cell", NO_NUMBERS)
def test_codes_and_bands_with_digits_stay_words(cell: str) -> None:
    assert both([cell] * 100, [cell])[0].to_pylist() == [cell] * 100


@pytest.mark.parametrize("marker", [pa.string(), pa.int64()])
def test_a_structure_of_somebody_elses_is_no_column_with_markers(marker: pa.DataType) -> None:
    kind = pa.struct([("value", pa.float64()), ("marker", marker)])
    assert not is_marked(kind)
    here, _ = both([1, 2], pa.array([None], kind))
    assert not is_marked(here.type)


def test_columns_of_one_table_alone_and_lists_stay() -> None:
    here = pa.table({"a": ["1"], "list": pa.array([[1]]), "mixed": ["x"]})
    there = pa.table({"b": ["2024-02-29"], "list": pa.array([[2]]), "mixed": pa.array([[1]])})
    first, second = comparable(here, there)
    assert first.column_names == ["a", "list", "mixed"]
    assert second.column_names == ["b", "list", "mixed"]
    assert first.schema.field("a").type == pa.int64()
    assert second.schema.field("b").type == pa.date32()
    assert second["list"].to_pylist() == [[2]]
    assert second["mixed"].to_pylist() == [[1]]
