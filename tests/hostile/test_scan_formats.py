"""A file is read, or named as unread: however it is encoded, escaped, packed or linked."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import sqlite3
import tarfile
import time
import urllib.parse
import zipfile
import zlib
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from privacy import containers
from privacy.leak_scan import CANARY, ScanReport, scan
from privacy.personal_data import DataKind

MOBILE, ADDRESS = "13812345678", "li.lei@example.com"
TEXT = f"客户电话{MOBILE}，邮箱：{ADDRESS}。\n"
BOTH = {DataKind.MOBILE.value, DataKind.EMAIL.value}


def scanned(tmp_path: Path, data: bytes, name: str = "file") -> ScanReport:
    (tmp_path / name).write_bytes(data)
    return scan(tmp_path)


def kinds(report: ScanReport) -> set[str]:
    return {hit.kind for hit in report.hits}


ENCODED = {
    **{
        codec: TEXT.encode(codec)
        for codec in ("utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16", "utf-16-le", "utf-16-be",
                      "utf-32", "utf-32-le", "utf-32-be")
    },
    "full width in GBK": "手机１３８１２３４５６７８ li.lei＠example.com".encode("gbk"),
    "Big5": f"電話{MOBILE} {ADDRESS}".encode("big5"),
    "Latin-1 before the at-sign": f"{MOBILE} josé@example.com".encode("latin-1"),
    "Latin-1": f"Téléphone nº{MOBILE}, né à Orléans, {ADDRESS}".encode("latin-1"),
    "a damaged byte": ("x" * 300 + TEXT).encode() + b"\xff",
    "JSON escapes": json.dumps({"電話": MOBILE, "mail": ADDRESS.replace("@", "＠")}).encode(),
    "JSON escapes of ASCII": b'{"m": "\\u0031\\u0033812345678", "a": "li.lei\\u0040example.com"}',
    "JSON within JSON": json.dumps(
        json.dumps({"m": "１３８１２３４５６７８", "a": ADDRESS})
    ).encode(),
    "HTML entities": f"<td>{MOBILE}</td> li.lei&#64;example&period;com".encode(),
    "HTML tags": b"<b>138</b>12345678 <i>li.lei</i>@example.com",
    "URL": urllib.parse.urlencode({"m": f"+86{MOBILE}", "a": ADDRESS}).encode(),
    "quoted-printable": b"Content-Transfer-Encoding: quoted-printable\n\n"
    b"13812=\n345678 li.lei=40example.com",
    "the header of a mail": f"Subject: =?utf-8?Q?=E7=94=B5_138=312345678?=\nTo: {ADDRESS}".encode(),
    "comments and parts of a picture": b"<text><tspan>138</tspan><tspan>1234</tspan>5678</text>"
    b"<p>li.lei<!-- not this -->@example.com</p>",
    "UTF-16 behind UTF-8": b"nothing here\n" + f"{MOBILE}\n{ADDRESS}\n".encode("utf-16-le"),
    "UTF-16 behind much UTF-8": b"nothing\n" * 900 + f"{MOBILE}\n{ADDRESS}".encode("utf-16-le"),
    "UTF-8 behind UTF-16": "nothing here\n".encode("utf-16") + TEXT.encode(),
    "zeros between": b"\0".join([b"li", MOBILE.encode(), ADDRESS.encode()] * 20),
    "base64": base64.b64encode(TEXT.encode()),
    "base64 of base64": base64.b64encode(base64.b64encode(TEXT.encode())),
    "base64 in lines": base64.encodebytes(("-" * 80 + TEXT).encode()),
    "base64 of UTF-16": b"data: " + base64.b64encode(TEXT.encode("utf-16")),
    "base64 of gzip": b"data: " + base64.b64encode(gzip.compress(TEXT.encode())),
    "base64 of zlib": b"data: " + base64.b64encode(zlib.compress(TEXT.encode())),
    "hexadecimal": TEXT.encode().hex().encode(),
}  # fmt: skip


@pytest.mark.parametrize("name", ENCODED)
def test_text_is_read_in_every_encoding(tmp_path: Path, name: str) -> None:
    report = scanned(tmp_path, ENCODED[name])
    assert kinds(report) == BOTH
    assert report.unread == ()


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize(
    "words", ["thequickbrownfox", "客户电话为本人所有", "thequick客户", "一一　一"]
)
def test_wide_text_without_a_mark_is_read_from_the_right_end(
    tmp_path: Path, codec: str, words: str
) -> None:
    report = scanned(tmp_path, f"{words * 60} {MOBILE}, {ADDRESS}, {words * 60}".encode(codec))
    assert kinds(report) == BOTH
    assert report.unread == ()


@pytest.mark.parametrize("first", range(0x4E00, 0x9FA6, 0x100))
def test_no_chinese_character_hides_the_number_behind_it(tmp_path: Path, first: int) -> None:
    for codec in ("utf-8", "gb18030"):
        lines = "\n".join(
            f"{chr(code)}1{38 + code % 50:02d}{code:08d}" for code in range(first, first + 0x100)
        )
        (hit,) = scanned(tmp_path, lines.encode(codec)).hits
        assert (hit.kind, hit.values) == (DataKind.MOBILE.value, 0x100)


def zipped(data: bytes, name: str = "a.txt") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return file.getvalue()


def tarred(data: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        member = tarfile.TarInfo("a.txt")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return file.getvalue()


def arrow_packed(codec: str, data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, codec) as stream:
        stream.write(data)
    return bytes(sink.getvalue())


PLAIN = TEXT.encode()
PACKED = {
    "gzip": gzip.compress(PLAIN),
    "two gzip members": gzip.compress(b"-" * 50) + gzip.compress(PLAIN),
    "bzip2": bz2.compress(PLAIN),
    "xz": lzma.compress(PLAIN),
    "zlib": zlib.compress(PLAIN * 20),
    "zstd": arrow_packed("zstd", PLAIN),
    "lz4": arrow_packed("lz4", PLAIN),
    "zip": zipped(PLAIN),
    "zip in gzip in bzip2": bz2.compress(gzip.compress(zipped(PLAIN))),
    "tar": tarred(PLAIN),
    "tar.xz": lzma.compress(tarred(TEXT.encode("utf-16"))),
}


@pytest.mark.parametrize("name", PACKED)
def test_packed_files_are_unpacked(tmp_path: Path, name: str) -> None:
    report = scanned(tmp_path, PACKED[name])
    assert kinds(report) == BOTH
    assert report.unread == ()


def test_the_numbers_of_a_workbook_are_read_as_poi_writes_them(tmp_path: Path) -> None:
    sheet = b'<row r="1"><c r="A1" t="n"><v>1.3812345678E10</v></c></row>'
    words = b"<si><r><t>li.lei</t></r><r><rPr><b/></rPr><t>@example.com</t></r></si>"
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", sheet)
        archive.writestr("xl/sharedStrings.xml", words)
    assert kinds(scanned(tmp_path, file.getvalue(), "book.xlsx")) == BOTH


NUMBER = int(MOBILE)
COLUMNS = {
    "text": pa.array([MOBILE]),
    "text view": pa.array([MOBILE]).cast(pa.string_view()),
    "after a word": pa.array([f"手机{MOBILE}"]),
    "category": pa.array([MOBILE]).dictionary_encode(),
    "int64": pa.array([NUMBER]),
    "uint64": pa.array([NUMBER, 2**64 - 1], type=pa.uint64()),
    "double": pa.array([float(NUMBER), 0.5, float("nan"), float("inf")]),
    "decimal": pa.array([Decimal(MOBILE)]),
    "decimal with hundredths": pa.array([Decimal(f"{MOBILE}.00")]),
    "bytes": pa.array([MOBILE.encode()]),
    "list": pa.array([[1, NUMBER]]),
    "struct": pa.array([{"a": {"tel": MOBILE}}]),
    "list of structs": pa.array([[{"tel": NUMBER}]]),
    "map": pa.array([[("tel", MOBILE)]], type=pa.map_(pa.string(), pa.string())),
    "gzip in a cell": pa.array([gzip.compress(PLAIN)]),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_are_read_however_they_are_nested(tmp_path: Path, name: str) -> None:
    table = pa.table({"x": COLUMNS[name]})
    pq.write_table(table, tmp_path / "t.parquet", compression="zstd", store_schema=False)
    pa.feather.write_feather(table, tmp_path / "t.feather")
    report = scan(tmp_path)
    assert {h.file.split("!")[0] for h in report.hits} == {"t.parquet", "t.feather"}
    assert DataKind.MOBILE.value in kinds(report)
    assert report.unread == ()


@pytest.mark.parametrize("codec", ["UTF-8", "UTF-16le", "UTF-16be"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_databases_are_read_in_every_encoding(tmp_path: Path, codec: str, pack: object) -> None:
    with closing(sqlite3.connect(tmp_path / "m")) as connection, connection:
        connection.execute(f"PRAGMA encoding = '{codec}'")
        connection.execute("CREATE TABLE t (a, b, c, d)")
        row = (f"李雷{ADDRESS}", NUMBER, float(NUMBER + 1), gzip.compress(b"13912345678"))
        connection.execute("INSERT INTO t VALUES (?, ?, ?, ?)", row)
    data = (tmp_path / "m").read_bytes()
    (tmp_path / "m").write_bytes(pack(data) if callable(pack) else data)
    report = scan(tmp_path)
    found = {(h.file.rsplit("!", 1)[-1], h.kind): h.values for h in report.hits}
    assert found["table t", DataKind.EMAIL.value] == 1
    assert found["table t", DataKind.MOBILE.value] == 2
    assert found["content", DataKind.MOBILE.value] >= 1
    assert report.unread == ()


@pytest.mark.parametrize(
    "values",
    [
        np.array([NUMBER, 3]),
        np.array([NUMBER, 0.5]),
        np.array([MOBILE]),
        np.array([MOBILE.encode()]),
        np.array([(1, NUMBER)], dtype=[("a", "<i4"), ("b", ">i8")]),
    ],
)
def test_numpy_arrays_are_read(tmp_path: Path, values: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", values)
    np.savez(tmp_path / "b.npz", values=values)
    np.savez_compressed(tmp_path / "c.npz", values=values)
    report = scan(tmp_path)
    assert {h.file.split("!")[0] for h in report.hits} == {"a.npy", "b.npz", "c.npz"}
    assert report.unread == ()


def test_number_columns_of_a_plotted_page_are_read(tmp_path: Path) -> None:
    figure = go.Figure(go.Scatter(x=np.arange(3), y=np.array([1.0, float(NUMBER), 2.5])))
    (tmp_path / "page.html").write_text(figure.to_html(include_plotlyjs=False))
    assert [(h.kind, h.values) for h in scan(tmp_path).hits] == [(DataKind.MOBILE.value, 1)]


def pdf(text: bytes) -> bytes:
    packed = zlib.compress(b"BT (" + text + b") Tj ET")
    return b"%PDF-1.7\n1 0 obj <</Filter /FlateDecode>>\nstream\n" + packed + b"\nendstream\n%%EOF"


def arrow_stream() -> bytes:
    table = pa.table({"m": ["".join(chr(97 + n % 26) for n in range(k)) for k in range(50)]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue())


def encrypted_zip() -> bytes:
    data = bytearray(zipped(PLAIN * 20))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


NOISE = np.random.default_rng(5).bytes(5_000)
UNREADABLE = {
    "7z": b"7z\xbc\xaf\x27\x1c" + NOISE,
    "RAR": b"Rar!\x1a\x07" + NOISE,
    "PDF": pdf(b"nothing"),
    "old office file": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + NOISE,
    "pickle of a frame": pickle.dumps(pd.DataFrame({"m": [NUMBER]})),
    "pickled array": pickle.dumps(np.array([NUMBER]), protocol=2),
    "array of objects": b"",
    "unknown": NOISE,
    "rich text": b"{\\rtf1\\ansi \\'31\\'33\\'38\\'31\\'32345678}",
    "EBCDIC": f"tel {MOBILE} {ADDRESS}".encode("cp037"),
    "words in binary data": b"RIFF\x24\x08\x00\x00WAVEfmt some words of a header " * 3
    + b"call 1381",
    "a stream of Arrow": arrow_stream(),
    "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(8) + b"TREE some words" * 40 + NOISE,
    "brotli": arrow_packed("brotli", PLAIN * 9),
    "half a gzip": gzip.compress(NOISE)[:2_000],
    "half a zip": zipped(NOISE)[:2_000],
    "half a PNG": b"\x89PNG\r\n\x1a\n" + NOISE,
    "half a Parquet": b"PAR1" + NOISE,
    "half a database": b"SQLite format 3\0" + NOISE,
    "unknown in gzip": gzip.compress(NOISE),
    "unknown in zip": zipped(NOISE),
    "encrypted zip": encrypted_zip(),
    "something else that calls itself sealed": b"PARE" + b"\x01\x02\xff" * 900 + b"PARE",
    "a vault's ending alone": b"PARE" + NOISE,
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    data = UNREADABLE[name]
    if name == "array of objects":
        np.save(tmp_path / "file", np.array([{"m": NUMBER}]), allow_pickle=True)
        os.rename(tmp_path / "file.npy", tmp_path / "file")
        data = (tmp_path / "file").read_bytes()
    report = scanned(tmp_path, data)
    assert [entry.split("!")[0] for entry in report.unread] == ["file"]
    assert report.hits == ()


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_what_follows_a_packed_stream_is_read_or_named(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    report = scanned(tmp_path, pack(b"nothing") + pack(PLAIN) + bytes(8))
    assert (kinds(report), report.unread) == (BOTH, ())
    report = scanned(tmp_path, pack(b"nothing") + PLAIN)
    assert (kinds(report), report.unread) == (BOTH, ("file",))
    report = scanned(tmp_path, pack(b"nothing") + pack(PLAIN)[:-3])
    assert report.unread == ("file",)


def test_the_name_in_the_head_of_a_gzip_is_searched(tmp_path: Path) -> None:
    file = io.BytesIO()
    with gzip.GzipFile(f"{MOBILE}.txt", "wb", fileobj=file) as packed:
        packed.write(b"nothing")
    assert kinds(scanned(tmp_path, file.getvalue())) == {DataKind.MOBILE.value}


@pytest.mark.parametrize("suffix", ["arrow", "parquet"])
def test_what_a_filtered_column_still_lists_is_read(tmp_path: Path, suffix: str) -> None:
    kept = pa.array([MOBILE, "x"]).dictionary_encode().take(pa.array([1] * 20))
    table = pa.table({"m": kept})
    if suffix == "arrow":
        pyarrow.feather.write_feather(table, tmp_path / "file", compression="zstd")
    else:
        pq.write_table(table, tmp_path / "file", compression="zstd")
    assert kinds(scan(tmp_path)) == {DataKind.MOBILE.value}


def test_a_file_made_to_be_slow_is_read_in_time(tmp_path: Path) -> None:
    began = time.process_time()
    for number, text in enumerate(("1-", "1 ", "1 - ", "a@", "&#49;", "\\u0031", "\\")):
        (tmp_path / str(number)).write_text(text * 100_000)
    scan(tmp_path)
    assert time.process_time() - began < 20


def test_simply_packed_text_of_a_pdf_is_searched_all_the_same(tmp_path: Path) -> None:
    report = scanned(tmp_path, pdf(b"call 13812345678"))
    assert kinds(report) == {DataKind.MOBILE.value}
    assert report.unread == ("file",)


def test_the_other_members_of_a_zip_are_read_beside_an_unreadable_one(tmp_path: Path) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.bin", NOISE)
        archive.writestr("b.txt", PLAIN)
    report = scanned(tmp_path, file.getvalue(), "x.zip")
    assert report.unread == ("x.zip!a.bin",)
    assert kinds(report) == BOTH
    assert "x.zip!b.txt" in {hit.file for hit in report.hits}


def test_containers_within_containers_end(tmp_path: Path) -> None:
    data = PLAIN
    for _ in range(9):
        data = gzip.compress(data)
    report = scanned(tmp_path, data)
    assert len(report.unread) == 1
    assert report.hits == ()


def test_a_bomb_is_named_and_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "LARGEST_BYTES", 1 << 20)
    for name, data in {
        "a.gz": gzip.compress(bytes(1 << 21)),
        "b.zip": zipped(bytes(1 << 21)),
        "c": zlib.compress(b"ab" * (1 << 20)),
        "d.tar": tarred(bytes(1 << 21)),
        "e.xz": lzma.compress(bytes(1 << 21)),
    }.items():
        (tmp_path / name).write_bytes(data)
    assert scan(tmp_path).unread == ("a.gz", "b.zip!a.txt", "c", "d.tar!a.txt", "e.xz")
    monkeypatch.setattr(containers, "LARGEST_BYTES", 1 << 21)
    assert scan(tmp_path).unread == ()


def test_a_link_is_not_followed_but_named_if_it_leads_out(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "raw.txt").write_text(TEXT)
    (inside / "own.txt").write_text("nothing")
    (inside / "again").symlink_to(inside / "own.txt")
    assert scan(inside, canaries=["客户"]).links == ()
    (inside / "file").symlink_to(outside / "raw.txt")
    (inside / "folder").symlink_to(outside)
    (inside / "broken").symlink_to(tmp_path / "nothing")
    report = scan(inside, canaries=["客户"])
    assert report.hits == ()
    assert report.files == 1
    assert report.links == ("broken", "file", "folder")
    # What is asked for by name is followed.
    assert kinds(scan(inside / "folder")) == BOTH


def test_what_is_no_file_or_may_not_be_read_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "shut").write_text(TEXT)
    (tmp_path / "shut").chmod(0)
    expected = {"pipe"} if os.access(tmp_path / "shut", os.R_OK) else {"pipe", "shut"}
    assert set(scan(tmp_path).unread) == expected


def test_a_personal_name_is_a_hit_and_is_not_printed(tmp_path: Path) -> None:
    folder = tmp_path / f"customer {MOBILE}"
    folder.mkdir()
    (folder / "a.txt").write_text("nothing")
    (tmp_path / "b.zip").write_bytes(zipped(b"nothing", f"{ADDRESS}.txt"))
    pq.write_table(pa.table({f"tel{MOBILE}": ["x"]}), tmp_path / "c.parquet", compression="none")
    report = scan(tmp_path)
    assert MOBILE not in repr(report)
    assert ADDRESS not in repr(report)
    assert kinds(report) == BOTH
    assert {hit.file for hit in report.hits} >= {"(a personal name)", "c.parquet!(a personal name)"}


def test_a_planted_name_is_found_in_other_encodings(tmp_path: Path) -> None:
    for codec in ("gb18030", "utf-16-be", "utf-32"):
        (tmp_path / codec).write_bytes("姓名：测试王小明。\n".encode(codec))
    report = scan(tmp_path, canaries=["测试王小明"])
    assert [(hit.file, hit.kind) for hit in report.hits] == [
        (codec, CANARY) for codec in ("gb18030", "utf-16-be", "utf-32")
    ]


def test_a_write_ahead_log_is_read_with_its_database(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "m.db")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (a TEXT)")
        connection.execute("INSERT INTO t VALUES (?)", (MOBILE,))
        connection.commit()
        report = scan(tmp_path)
        assert ("m.db!table t", DataKind.MOBILE.value) in {(h.file, h.kind) for h in report.hits}
        assert report.unread == ()
        log = (tmp_path / "m.db-wal").read_bytes()
    (tmp_path / "m.db").unlink()
    (tmp_path / "m.db-wal").write_bytes(log)
    assert scan(tmp_path).unread == ("m.db-wal",)
