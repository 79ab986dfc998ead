"""Tables that fool readers: what stands in the file is what is read, or the file is refused."""

from __future__ import annotations

import csv
import io
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from governance import csv_text, table
from governance.errors import ContractError, EnvironmentFault, UsageError
from governance.table import PlainFile


def read(folder: Path, content: bytes | str, encoding: str = "") -> dict[str, list[Any]]:
    path = folder / "t.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return PlainFile(path=path, encoding=encoding).read().to_pydict()


def refused(folder: Path, content: bytes | str, encoding: str = "") -> str:
    with pytest.raises(ContractError, match=r"t\.csv") as error:
        read(folder, content, encoding)
    assert "\n" not in str(error.value)
    return str(error.value)


AS_WRITTEN = [
    *("000123", "62220210010101234567", "1e5", "NA", "nan", "N/A", "null", "Null", "None", "-"),
    *("2024-02-29", "2024-02-30", "true", "TRUE", "1.0", "0x1F", "+86", " x ", "x ", '="0001"'),
    *("12,5", "1,234", "50%", "¥5", "北京", "a\u200bb", "０１", "inf", "\ufffd", "'"),
]


@pytest.mark.parametrize("cell", AS_WRITTEN)
def test_a_cell_of_a_csv_is_carried_as_written(tmp_path: Path, cell: str) -> None:
    text = io.StringIO()
    csv.writer(text).writerows([["a", "b"], [cell, "1"], ["", cell]])
    assert read(tmp_path, text.getvalue()) == {"a": [cell, None], "b": ["1", cell]}


cells = st.text(st.sampled_from('a0,"\r\n 京'), max_size=5)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(st.lists(cells, min_size=3, max_size=3), min_size=1, max_size=12),
    how=st.sampled_from([("\n", csv.QUOTE_ALL), ("\r\n", csv.QUOTE_MINIMAL)]),
    block=st.integers(1, 40),
)
def test_every_record_survives_every_edge_of_a_block(
    tmp_path: Path, rows: list[list[str]], how: tuple[str, Any], block: int
) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator=how[0], quoting=how[1]).writerows([["a", "b", "c"], *rows])
    longest = max(len(cell) for row in rows for cell in row) * 3 + 40
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "BLOCK_CHARACTERS", longest + block)
        found = read(tmp_path, text.getvalue())
    columns = zip(*([cell or None for cell in row] for row in rows), strict=True)
    assert found == dict(zip("abc", map(list, columns), strict=True))


@pytest.mark.parametrize("shift", [-2, -1, 0, 1, 2])
def test_a_quoted_line_end_at_the_edge_of_a_block_is_kept(tmp_path: Path, shift: int) -> None:
    """Arrow 25 drops the LF of a CRLF there (apache/arrow#51368)."""
    start = "no,remark,amount\r\n"
    row = "1,plain,2\r\n"
    filled = (table.BLOCK_CHARACTERS + shift) // len(row) * len(row) - 4 * len(row)
    pad = table.BLOCK_CHARACTERS + shift - filled - len('7,"')
    body = row * (filled // len(row)) + '7,"' + "x" * pad + '\r\ny",8\r\n' + row
    found = read(tmp_path, start + body)
    assert found["remark"][-2] == "x" * pad + "\r\ny"
    assert len(found["no"]) == filled // len(row) + 2


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_line_ends_of_every_kind_end_lines(tmp_path: Path, ends: str) -> None:
    assert read(tmp_path, f"a,b{ends}1,2{ends}{ends}3,4{ends}") == {
        "a": ["1", "3"],
        "b": ["2", "4"],
    }
    assert read(tmp_path, f"a,b{ends}1,2{ends}3,4") == {"a": ["1", "3"], "b": ["2", "4"]}


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_an_empty_line_is_a_missing_value_where_there_is_one_column(
    tmp_path: Path, ends: str
) -> None:
    assert read(tmp_path, f"a{ends}x{ends}{ends}y{ends}{ends}") == {"a": ["x", None, "y", None]}
    assert read(tmp_path, f"a{ends}{ends}") == {"a": [None]}


SAID = "城市,行\n北京,支行一\n,上海\n"


@pytest.mark.parametrize(
    "encoding",
    [
        *("utf-8", "utf-8-sig", "gbk", "gb2312", "gb18030", "utf-16", "utf-16-le", "utf-16-be"),
        "utf-32",
    ],
)
def test_an_encoding_that_can_be_told_is_told(tmp_path: Path, encoding: str) -> None:
    wanted = {"城市": ["北京", None], "行": ["支行一", "上海"]}
    assert read(tmp_path, SAID.encode(encoding)) == wanted
    assert read(tmp_path, SAID.encode(encoding), encoding) == wanted


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("名,行\n陳大文,台北市信義區\n林志玲,高雄市前鎮區\n", "big5"),
        ("nom,ville\nMüller,Orléans\nDécès,Nîmes\n", "latin-1"),
        ("город,сумма\nМосква,1\nОмск,2\n", "cp1251"),
        ("都市,金額\n東京都新宿区,1\n", "shift_jis"),
    ],
)
def test_an_encoding_that_cannot_be_told_is_refused_and_read_once_declared(
    tmp_path: Path, text: str, encoding: str
) -> None:
    assert "--encoding" in refused(tmp_path, text.encode(encoding))
    found = read(tmp_path, text.encode(encoding), encoding)
    assert list(found) == text.split("\n")[0].split(",")


def test_bytes_that_read_well_in_two_encodings_are_refused(tmp_path: Path) -> None:
    """Each of these pairs is one frequent character of GB 2312 and one letter of UTF-8."""
    both = "a\n" + "".join(chr(0xC0 + n) for n in (0x29, 0x2A, 0x2B)) + "\n"
    assert both.encode("utf-8").decode("gb18030").isprintable() or True
    assert "reads as UTF-8 and as GB 18030" in refused(tmp_path, both.encode("utf-8"))
    assert read(tmp_path, both.encode("utf-8"), "utf-8") == {"a": [both[2:-1]]}
    # One accented letter in a word looks like one character and is none.
    assert read(tmp_path, "a\ncafé\n") == {"a": ["café"]}


@pytest.mark.parametrize("among", [50, 10, 3])
@pytest.mark.parametrize("inner", ["utf-8", "gbk"])
def test_a_file_whose_parts_were_written_in_two_encodings_is_refused(
    tmp_path: Path, among: int, inner: str
) -> None:
    outer = {"utf-8": "gbk", "gbk": "utf-8"}[inner]
    rows = [b"a,b\n"]
    for row in range(600):
        rows.append(f"{row},{['北京', '上海', '广州支行'][row % 3]}\n".encode(outer))
        if row % among == 0:
            rows.append("7,北京\n".encode(inner))
    assert "cannot be told" in refused(tmp_path, b"".join(rows))


@pytest.mark.parametrize("end", ["\x85", "\u2028", "\u2029", "\v", "\f", "\x1e"])
def test_lines_that_end_with_what_ends_no_line_are_no_header(tmp_path: Path, end: str) -> None:
    text = end.join(["a,b", *(f"{row % 9},SECRET" for row in range(99))])
    for encoding in ("utf-8", "utf-16"):
        found = refused(tmp_path, text.encode(encoding))
        assert "ends no line of a CSV" in found
        assert "SECRET" not in found
    path = tmp_path / "t.csv"
    with pytest.raises(ContractError, match="ends no line of a CSV"):
        PlainFile(path=path).require_header()


def test_a_declared_encoding_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    assert "not text throughout" in refused(tmp_path, SAID.encode("gbk"), "utf-8")
    with pytest.raises(UsageError, match="no text encoding klingon"):
        read(tmp_path, "a\n1\n", "klingon")
    with pytest.raises(UsageError, match="no text encoding hex"):
        read(tmp_path, "a\n1\n", "hex")
    # A fault behind the first block is found as well.
    late = b"a\n" + b"x\n" * 600_000 + b"\xff\xff\n"
    assert "cannot be told" in refused(tmp_path, late)
    assert "not text throughout" in refused(tmp_path, late, "utf-8")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty (0 bytes)"),
        ("\n\n", "no header"),
        (",,\n1,2,3\n", "no header"),
        ("a,b\n", "holds no rows"),
        ("a,b\n1,2\n3\n", "Row 2 of t.csv has 1 cells; the header has 2"),
        ("a,b\n1,2\n3,4,5\n", "Row 2 of t.csv has 3 cells; the header has 2"),
        ("a,b\n1,2,\n", "Row 1 of t.csv has 3 cells; the header has 2"),
        ('a,b\n1,"SECRET\n3,4\n', "quotation mark that is never closed"),
        ('a\n"SECRET\n3\n', "quotation mark that is never closed"),
        ("a;b\n1;2\n", "separated by semicolons"),
        ("a\tb\n1\t2\n", "separated by tabs"),
        ("a,b\n1,\0\n", "zero bytes"),
        ("a\0,b\n1,2\n", "zero bytes"),
        ("SECRET,x,SECRET\n1,2,3\n", "same name: positions 1, 3"),
        ("PK\x03\x04,b\n1,2\n", "zip"),
    ],
)
def test_what_is_no_table_is_refused_in_one_line_without_a_value(
    tmp_path: Path, content: str, said: str
) -> None:
    found = refused(tmp_path, content)
    assert said in found
    assert "SECRET" not in found


def test_a_record_that_is_longer_than_a_block_is_refused(tmp_path: Path) -> None:
    text = 'a,b\n1,"' + "x" * (3 * table.BLOCK_CHARACTERS) + '"\n'
    assert "more than 4 MiB" in refused(tmp_path, text)


def test_a_column_without_a_name_is_called_by_its_place(tmp_path: Path) -> None:
    assert read(tmp_path, ",a\n0,x\n") == {"column 1": ["0"], "a": ["x"]}


def test_a_name_is_said_if_it_was_asked_for_or_all_are_to_be_shown(tmp_path: Path) -> None:
    file = PlainFile(path=tmp_path / "t.csv")
    file.path.write_text("a,SECRET,a,SECRET\n1,2,3,4\n")
    with pytest.raises(ContractError, match=r"a at positions 1, 3; positions 2, 4\."):
        file.read(["a"])
    with pytest.raises(ContractError, match="a at positions 1, 3; SECRET at positions 2, 4"):
        file.require_header()
    other = PlainFile(path=tmp_path / "u.csv")
    other.path.write_text("x,2024-02-29,x\n1,2,3\n")
    with pytest.raises(ContractError, match="no header: where a column's name should be"):
        other.require_header()
    with pytest.raises(ContractError, match=r"columns b, c among its 1\. Has it a header"):
        PlainFile(path=_written(tmp_path, "SECRET\n1\n")).require(["b", "c"])
    with pytest.raises(ContractError, match=r"lacks the column B among its 1\. Mind case"):
        PlainFile(path=_written(tmp_path, " b\n1\n")).require(["B"])


def _written(folder: Path, text: str) -> Path:
    path = folder / "w.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_value_that_has_not_its_type_is_found_by_row_behind_any_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "BLOCK_CHARACTERS", 64)
    rows = [f"{row},x\n" for row in range(90)]
    path = _written(tmp_path, "n,t\n" + "".join(rows) + "SECRET,x\n" + "".join(rows))
    types = {"n": pa.int64()}
    with pytest.raises(
        ContractError, match=r"column n of w\.csv \(row 91\) .* not int64"
    ) as refused:
        list(PlainFile(path=path).batches(types=types))
    assert "SECRET" not in str(refused.value)
    path.write_text("n,t\n" + "".join(rows) + ",x\n", encoding="utf-8")
    found = pa.Table.from_batches(PlainFile(path=path).batches(["n"], types=types))
    assert found["n"].to_pylist() == [*range(90), None]


@pytest.mark.parametrize(
    "cell", ["0x1F", "-0x1", "0X10", "1e2", "1.0", "+5", "１", "9" * 19, "1_0"]
)
def test_what_is_no_whole_number_in_plain_digits_is_none(tmp_path: Path, cell: str) -> None:
    path = _written(tmp_path, f"n,t\n 7,x\n-007,x\n,x\n{cell},x\n")
    with pytest.raises(
        ContractError, match=r"column n of w\.csv .*holds a value that is not int64"
    ):
        list(PlainFile(path=path).batches(types={"n": pa.int64()}))
    # As text it is what it is, and the others are whole numbers.
    assert PlainFile(path=path).read()["n"].to_pylist() == [" 7", "-007", None, cell]
    path.write_text("n,t\n 7,x\n-007,x\n,x\n", encoding="utf-8")
    found = pa.Table.from_batches(PlainFile(path=path).batches(["n"], types={"n": pa.int64()}))
    assert found["n"].to_pylist() == [7, -7, None]


class SlowText(io.StringIO):
    """A text that takes its time, and says whether somebody is reading."""

    asked, is_being_read = 0, False

    def read(self, size: int | None = -1, /) -> str:
        self.asked += 1
        self.is_being_read = True
        time.sleep(0.1)
        self.is_being_read = False
        return super().read(size)


def test_nobody_reads_on_when_a_table_is_left() -> None:
    """Arrow's thread in the middle of a read would abort a process that ends."""
    slow = SlowText("1,2\n" * 400)
    with csv_text.records(slow, 2, "It") as records:
        pa_csv.open_csv(
            pa.PythonFile(records, mode="r"), read_options=pa_csv.ReadOptions(block_size=16)
        )
    assert not slow.is_being_read
    asked = slow.asked
    time.sleep(0.3)
    assert asked == slow.asked < 20


def test_a_place_that_cannot_be_read_is_no_fault_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="File name too long"):
        PlainFile(path=tmp_path / ("x" * 300 + ".csv")).read()
    with pytest.raises(ContractError, match="but a folder"):
        PlainFile(path=tmp_path).read()


FORMS = {
    "a category": pa.array(["x", None, "y"]).dictionary_encode(),
    "a large string": pa.array(["x", None, "y"], pa.large_string()),
    "a string view": pa.array(["x", None, "y"], pa.string_view()),
    "a large category": pa.array(["x", None, "y"], pa.large_string()).dictionary_encode(),
}


@pytest.mark.parametrize("name", FORMS)
def test_text_is_text_however_parquet_holds_it(tmp_path: Path, name: str) -> None:
    pq.write_table(pa.table({"a.b": FORMS[name]}), tmp_path / "t.parquet")
    found = PlainFile(path=tmp_path / "t.parquet").read(["a.b"])
    assert found.schema.field("a.b").type == pa.string()
    assert found["a.b"].to_pylist() == ["x", None, "y"]


def test_parquet_keeps_every_other_type(tmp_path: Path) -> None:
    rows = pa.table(
        {
            "nested": pa.array([{"a": 1}, None]),
            "list": pa.array([[1, 2], []]),
            "number": pa.array([1.5, None]),
            "decimal": pa.array([None, 2], pa.decimal128(9, 2)),
            "at": pa.array([0, 1], pa.timestamp("us", "Asia/Shanghai")),
            "nothing": pa.nulls(2),
            "bytes": pa.array([b"\xff", None]),
        }
    )
    pq.write_table(rows, tmp_path / "t.parquet")
    assert PlainFile(path=tmp_path / "t.parquet").read().equals(rows)


def test_parquet_that_lies_about_its_text_or_names_is_refused(tmp_path: Path) -> None:
    broken = pa.StringArray.from_buffers(
        1, pa.py_buffer(b"\x00\x00\x00\x00\x02\x00\x00\x00"), pa.py_buffer(b"\xff\xfe")
    )
    pq.write_table(pa.table({"a": broken}), tmp_path / "t.parquet")
    with pytest.raises(ContractError, match="cannot be read as Parquet"):
        PlainFile(path=tmp_path / "t.parquet").read()
    twice = pa.table([pa.array([1]), pa.array([2])], names=["a", "a"])
    pq.write_table(twice, tmp_path / "t.parquet")
    with pytest.raises(ContractError, match="same name: positions 1, 2"):
        PlainFile(path=tmp_path / "t.parquet").read()


@pytest.mark.parametrize("cut", [0, 3, 4, 8, 100, -1, -4, -20])
def test_a_parquet_file_that_was_cut_off_is_refused(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": list(range(5_000))}), path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ContractError, match=r"cannot be read as Parquet|0 bytes"):
        PlainFile(path=path).read()


@pytest.mark.parametrize("seed", range(60))
def test_a_parquet_file_with_a_changed_byte_is_refused_or_read(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": list(range(200)), "b": ["x"] * 200}), path)
    content = bytearray(path.read_bytes())
    place = seed * 7919 % len(content)
    content[place] ^= 1 << seed % 8
    path.write_bytes(content)
    with suppress(ContractError):
        PlainFile(path=path).read()


def test_a_file_is_what_it_is_called(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "t.csv")
    (tmp_path / "t.parquet").write_text("a,b\n1,2\n")
    with pytest.raises(ContractError, match=r"is no CSV[.] It is Parquet"):
        PlainFile(path=tmp_path / "t.csv").read()
    with pytest.raises(ContractError, match=r"a CSV must be called [.]csv"):
        PlainFile(path=tmp_path / "t.parquet").read()
    # The four letters alone make no Parquet.
    assert read(tmp_path, "PAR1,b\n1,2\n") == {"PAR1": ["1"], "b": ["2"]}
