"""A planted value is found wherever and however it was written; clean files stay silent."""

from __future__ import annotations

import base64
import gzip
import html
import io
import json
import pickle
import sqlite3
import struct
import urllib.parse
import zipfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.errors import UsageError
from privacy.canary_search import Canaries
from privacy.leak_scan import CANARY, scan
from privacy.personal_data import DataKind

NAME = "测试王小明"
PHONE = "10098765432"
REAL_PHONE = "13812345678"
NUMBERS = np.arange(20_000)


def found(path: Path, *canaries: str) -> set[tuple[str, str]]:
    return {(hit.file, hit.kind) for hit in scan(path, canaries=canaries).hits}


DISGUISES = {
    "UTF-8": f"<p>{NAME}</p>".encode(),
    "UTF-16": NAME.encode("utf-16-le"),
    "JSON escapes": json.dumps({"a": NAME}).encode(),
    "upper-case JSON escapes": b'"\\u6D4B\\u8BD5\\u738B\\u5C0F\\u660E"',
    "JSON within JSON": json.dumps(json.dumps({"a": NAME})).encode(),
    "percent escapes": urllib.parse.quote(NAME).encode(),
    "decimal entities": NAME.encode("ascii", "xmlcharrefreplace"),
    "hexadecimal entities": "".join(f"&#x{ord(c):x};" for c in NAME).encode(),
    "base64": base64.b64encode(b"ab" + NAME.encode() + b"cde"),
    "base64 of UTF-16": base64.b64encode(b"a" + NAME.encode("utf-16-le")),
    "pickle": pickle.dumps({"x": [NAME]}),
}


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("padding", [0, 1, 2, 70_001])
def test_a_planted_name_is_found_in_every_disguise(
    tmp_path: Path, disguise: str, padding: int
) -> None:
    (tmp_path / "file").write_bytes(b"-" * padding + DISGUISES[disguise] + b"!")
    assert found(tmp_path, "nothing of it", NAME) == {("file", CANARY)}


@pytest.mark.parametrize("form", ["<q", "<d"])
def test_a_planted_number_is_found_in_binary_arrays(tmp_path: Path, form: str) -> None:
    number = int(PHONE) if form == "<q" else float(PHONE)
    data = struct.pack(form, number)
    (tmp_path / "raw.bin").write_bytes(b"xyz" + data)
    (tmp_path / "page.html").write_bytes(
        b'{"bdata":"' + base64.b64encode(b"12345678" + data) + b'"}'
    )
    assert found(tmp_path, PHONE) == {("raw.bin", CANARY), ("page.html", CANARY)}


def test_html_escapes_of_markup_characters_are_seen_through(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(html.escape('O\'Neill & "Sons"'))
    assert found(tmp_path, 'O\'Neill & "Sons"') == {("a.html", CANARY)}


def test_containers_are_opened_also_within_each_other(tmp_path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", json.dumps({"name": NAME}) * 50)
    with zipfile.ZipFile(tmp_path / "outer.skops", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.zip", inner.getvalue())
    (tmp_path / "log.gz").write_bytes(gzip.compress(f"{REAL_PHONE}\n".encode() * 9))
    assert found(tmp_path, NAME) == {
        ("outer.skops!model.zip!schema.json", CANARY),
        ("log.gz!content", DataKind.MOBILE.value),
    }


@pytest.mark.parametrize("options", [{"compression": "none", "use_dictionary": False},
                                     {"compression": "zstd", "use_dictionary": True}])  # fmt: skip
def test_parquet_is_decoded_whatever_its_encoding(
    tmp_path: Path, options: dict[str, object]
) -> None:
    many = [None, *[f"clean {n}" for n in range(5_000)], NAME]
    table = pa.table(
        {
            "text": many,
            "number": [int(PHONE) if n == 77 else n for n in range(len(many))],
            "float": [float(PHONE) if n == 78 else n / 7 for n in range(len(many))],
            "list": [[PHONE] if n == 79 else [] for n in range(len(many))],
        }
    )
    pq.write_table(table, tmp_path / "t.parquet", **options)
    hits = {file for file, kind in found(tmp_path, NAME, PHONE) if kind == CANARY}
    assert {f"t.parquet!column {name}" for name in table.column_names} <= hits


def test_sqlite_cells_are_read_also_when_they_span_pages(tmp_path: Path) -> None:
    for place in range(4_000, 4_200, 3):
        path = tmp_path / "m.db"
        path.unlink(missing_ok=True)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute('CREATE TABLE "odd "" name" (a TEXT)')
            value = "x" * place + NAME * 1 + "y" * 9_000
            connection.execute('INSERT INTO "odd "" name" VALUES (?)', (value,))
        assert ('m.db!table odd " name', CANARY) in found(tmp_path, NAME)


def test_deleted_rows_that_are_still_in_the_file_are_found(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "m.db")) as connection:
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("CREATE TABLE t (a TEXT)")
        connection.execute("INSERT INTO t VALUES (?)", (NAME,))
        connection.execute("DELETE FROM t")
        connection.commit()
    assert found(tmp_path, NAME) == {("m.db", CANARY)}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (f'"phone": {REAL_PHONE},', DataKind.MOBILE),
        (f"x = {PHONE}.0", DataKind.MOBILE),
        ("id: 11010519491231002X", DataKind.RESIDENT_ID),
        ("card 6222021234567894;", DataKind.BANK_CARD),
        ("From: li.wei@bank.example.cn\n", DataKind.EMAIL),
    ],
)
def test_personal_data_are_found_without_being_told(
    tmp_path: Path, text: str, kind: DataKind
) -> None:
    (tmp_path / ".hidden.log").write_text("line\n" * 99 + text)
    report = scan(tmp_path)
    assert [(hit.file, hit.kind, hit.values) for hit in report.hits] == [
        (".hidden.log", kind.value, 1)
    ]


def test_a_sum_of_money_in_a_measurement_is_no_mobile_number(tmp_path: Path) -> None:
    measured = '{"scope": {}, "unit": "minor", "value": "%s"}'
    (tmp_path / "evidence.json").write_text(measured % REAL_PHONE)
    assert scan(tmp_path).hits == ()
    # It is silent about the shape alone, and in that place alone.
    assert found(tmp_path, REAL_PHONE) == {("evidence.json", CANARY)}
    for other in ('{"unit": "count", "value": "%s"}', '{"unit": "minor", "mobile": "%s"}'):
        (tmp_path / "evidence.json").write_text(other % REAL_PHONE)
        assert found(tmp_path) == {("evidence.json", DataKind.MOBILE.value)}
    (tmp_path / "evidence.json").write_text(measured % "11010519491231002X")
    assert found(tmp_path) == {("evidence.json", DataKind.RESIDENT_ID.value)}


def test_what_reports_are_full_of_stays_silent(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    floats = " ".join(repr(x) for x in rng.normal(size=20_000))
    amounts = " ".join(str(x) for x in rng.integers(-339_603, 1_684_260, 20_000))
    clocks = " ".join(str(1_760_000_000_000 + x) for x in rng.integers(0, 10**9, 5_000))
    hashes = " ".join(rng.bytes(32).hex() for _ in range(5_000))
    uuids = " ".join(rng.bytes(6).hex() + "-13812345678a" for _ in range(100))
    (tmp_path / "report.html").write_text("\n".join([floats, amounts, clocks, hashes, uuids]))
    (tmp_path / "noise.bin").write_bytes(rng.bytes(4 << 20))
    pq.write_table(pa.table({"x": rng.normal(size=5_000)}), tmp_path / "t.parquet")
    report = scan(tmp_path, canaries=[NAME, PHONE])
    assert report.hits == ()
    assert report.unread == ("noise.bin",)
    assert report.files == 3


def test_a_hit_never_repeats_the_value_even_if_it_is_the_file_name(tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.txt").write_text(f"{NAME} {REAL_PHONE}")
    report = scan(tmp_path, canaries=[NAME])
    assert report.hits
    assert NAME not in repr(report)
    assert REAL_PHONE not in repr(report)


def test_containers_that_cannot_be_opened_are_named(tmp_path: Path) -> None:
    (tmp_path / "bad.zip").write_bytes(b"PK\x03\x04 broken" + NAME.encode())
    (tmp_path / "bad.gz").write_bytes(gzip.compress(b"x" * 5_000)[:18])
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 broken")
    (tmp_path / "bad.db").write_bytes(b"SQLite format 3\x00 broken")
    report = scan(tmp_path, canaries=[NAME])
    assert report.unread == ("bad.db", "bad.gz", "bad.parquet", "bad.zip")
    assert [hit.file for hit in report.hits] == ["bad.zip"]


def test_a_value_across_the_border_of_two_reads_is_found(tmp_path: Path) -> None:
    for border in (16 << 20, 1 << 20):
        for shift in (-len(NAME.encode()) + 1, -1):
            data = bytearray(b"." * ((16 << 20) + 500))
            data[border + shift : border + shift + 15] = NAME.encode()
            (tmp_path / "big").write_bytes(data)
            assert found(tmp_path, NAME) == {("big", CANARY)}


def test_thousands_of_two_character_names_are_not_found_in_noise(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    names = [chr(0x4E00 + n // 60) + chr(0x6C00 + n % 60) for n in range(3_000)]
    text = "".join(chr(c) for c in rng.integers(0x20, 0x7F, 1 << 20))
    (tmp_path / "page.html").write_text(text.replace("@", " "))
    (tmp_path / "noise.bin").write_bytes(rng.bytes(1 << 20))
    assert scan(tmp_path, canaries=names, kinds=()).hits == ()
    (tmp_path / "last").write_bytes(b"..." + names[77].encode())
    assert found(tmp_path, *names) == {("last", CANARY)}


def test_thousands_of_canaries_are_sought_together(tmp_path: Path) -> None:
    canaries = [f"{n:06d}样例" for n in range(5_000)]
    (tmp_path / "a").write_bytes(b"".join(b"~" * 50 + c.encode() for c in canaries[::500]))
    hits = scan(tmp_path, canaries=canaries).hits
    assert [(hit.file, hit.kind, hit.values) for hit in hits] == [("a", CANARY, 10)]


@given(st.lists(st.text(min_size=2, max_size=12).filter(lambda s: len(s.strip()) > 1), max_size=8),
       st.binary(max_size=40), st.data())  # fmt: skip
def test_whatever_is_planted_in_utf8_is_found(
    values: list[str], around: bytes, data: st.DataObject
) -> None:
    planted = data.draw(st.sets(st.sampled_from(range(len(values))))) if values else set()
    text = b"\xff".join([around, *(values[number].encode() for number in planted), around])
    assert planted <= {*Canaries(values).found_in(text), *_equal(values, planted)}


def _equal(values: list[str], planted: set[int]) -> set[int]:
    """A value given twice is reported under one of its numbers."""
    return {n for n in planted if values.count(values[n]) > 1}


def test_a_single_file_can_be_scanned_and_nothing_cannot(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(REAL_PHONE)
    assert found(tmp_path / "a.log") == {("a.log", DataKind.MOBILE.value)}
    with pytest.raises(UsageError, match="nothing to scan"):
        scan(tmp_path / "b")
    with pytest.raises(UsageError, match="Canary 1 is shorter"):
        scan(tmp_path, canaries=["x"])
