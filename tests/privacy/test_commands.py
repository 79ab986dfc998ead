"""Every refusal is one line with the right exit code, no traceback, and nothing half-written."""

from __future__ import annotations

import json
import resource
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from privacy import keyring

Run = Callable[..., subprocess.CompletedProcess[str]]


def assert_refused(result: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    assert result.returncode == code, result.stderr
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("limitline: ")
    assert "Traceback" not in result.stderr
    assert "internal error" not in result.stderr
    assert result.stdout == ""
    for word in words:
        assert word in lines[0]


@pytest.fixture
def source(world: Any, raw: Callable[..., pa.Table]) -> Path:
    return world.write(raw(200), "uci_credit.parquet")  # type: ignore[no-any-return]


def test_the_verbs_work_end_to_end(home: Path, raw: Callable[..., pa.Table], run: Run) -> None:
    first, second = run("keys", "init", "--json"), run("keys", "init", "--json")
    assert [json.loads(r.stdout)["created"] for r in (first, second)] == [True, False]
    (home / "raw").mkdir()
    pq.write_table(raw(200), home / "raw" / "uci_credit.parquet")
    protected = run("protect", "--json")
    assert protected.returncode == 0, protected.stderr
    table = json.loads(protected.stdout)
    assert table["open_rows"] + table["sealed_rows"] == 200
    verified = run("verify", "--table", table["path"])
    assert "intact, 200 rows" in " ".join(verified.stdout.split())
    assert verified.stderr == ""
    planted = home / "planted.txt"
    planted.write_text("\n".join(raw(200)["name"].to_pylist()))
    clean = run("scan", home / "features", "--canaries", planted)
    assert (clean.returncode, clean.stderr) == (0, "")
    leaking = run("scan", home / "raw", "--canaries", planted, "--json")
    assert leaking.returncode == 13
    hits = json.loads(leaking.stdout)["hits"]
    assert {"uci_credit.parquet!column name", "uci_credit.parquet!column mobile"} <= {
        hit["file"] for hit in hits
    }
    assert "1 of 1 files" in leaking.stderr
    (home / "broken").mkdir()
    (home / "broken" / "model.skops").write_bytes(b"PK\x03\x04 broken")
    assert run("scan", home / "broken").returncode == 14


def test_a_contract_of_ones_own_is_given_as_a_file(world: Any, source: Path, run: Run) -> None:
    text = (Path(keyring.__file__).parent / "contracts" / "uci_credit.toml").read_text()
    own = world.home / "own.toml"
    own.write_text(text.replace('id = "uci-credit"', 'id = "own"'))
    result = run("protect", "--contract", own, "--input", source, "--output", world.home / "out")
    assert result.returncode == 0, result.stderr
    assert [p.name.rsplit("-", 1)[0] for p in (world.home / "out").glob("own-*-*")] == [
        "own-training"
    ]
    own.write_text(text.replace('action = "pseudonymize"', 'action = "keep"'))
    assert_refused(run("protect", "--contract", own), 10, "column contract")
    assert_refused(run("protect", "--contract", "nothing"), 2, "uci_credit")


def _empty(world: Any, table: pa.Table) -> Path:
    path = world.home / "raw" / "in.parquet"
    path.write_bytes(b"")
    return path  # type: ignore[no-any-return]


def _truncated(world: Any, table: pa.Table) -> Path:
    path = world.write(table, "in.parquet")
    path.write_bytes(path.read_bytes()[:-100])
    return path  # type: ignore[no-any-return]


def _csv(table: pa.Table) -> Callable[[Any], Path]:
    def write(world: Any) -> Path:
        path = world.home / "raw" / "in.csv"
        pa_csv.write_csv(table, path)
        return path  # type: ignore[no-any-return]

    return write


def _csv_missing(world: Any, table: pa.Table) -> Path:
    return _csv(table.drop_columns(["age"]))(world)


def _csv_extra(world: Any, table: pa.Table) -> Path:
    return _csv(table.append_column("more", table["age"]))(world)


def _csv_renamed(world: Any, table: pa.Table) -> Path:
    return _csv(table.rename_columns({"age": "years"}))(world)


def _csv_types(world: Any, table: pa.Table) -> Path:
    place = table.column_names.index("bill_amt4")
    return _csv(table.set_column(place, "bill_amt4", table["name"]))(world)


def _types(world: Any, table: pa.Table) -> Path:
    place = table.column_names.index("age")
    changed = table.set_column(place, "age", table["age"].cast(pa.string()))
    return world.write(changed, "in.parquet")  # type: ignore[no-any-return]


def _all_null(world: Any, table: pa.Table) -> Path:
    place = table.column_names.index("bill_amt4")
    nulls = pa.nulls(table.num_rows, pa.int64())
    return world.write(table.set_column(place, "bill_amt4", nulls), "in.parquet")  # type: ignore[no-any-return]


def _duplicates(world: Any, table: pa.Table) -> Path:
    return world.write(pa.concat_tables([table, table.slice(0, 3)]), "in.parquet")  # type: ignore[no-any-return]


def _phone(world: Any, table: pa.Table) -> Path:
    phones = pa.array([int(phone) for phone in table["mobile"].to_pylist()])
    place = table.column_names.index("bill_amt4")
    return world.write(table.set_column(place, "bill_amt4", phones), "in.parquet")  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_empty, "is empty"),
        (_truncated, "cannot be read as Parquet"),
        (_csv_missing, "age are missing"),
        (_csv_extra, "position 32 are not declared"),
        (_csv_renamed, "age are missing"),
        (_csv_types, "bill_amt4 of in.csv"),
        (_types, "age is string"),
        (_all_null, "bill_amt4"),
        (_duplicates, "3 rows repeat"),
        (_phone, "mobile number"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(
    world: Any, raw: Callable[..., pa.Table], run: Run, make: Callable[..., Path], words: str
) -> None:
    table = raw(200)
    (world.home / "raw").mkdir()
    result = run("protect", "--input", make(world, table))
    assert_refused(result, 10, words)
    assert not any(value in result.stderr for value in table["name"].to_pylist())
    assert not world.has_written()


@pytest.mark.parametrize(
    ("kind", "value"), [("string", "tel. 13812345678"), ("float64", 13812345678.0)]
)
def test_a_phone_in_a_feature_of_another_type_is_refused(
    world: Any, raw: Callable[..., pa.Table], run: Run, kind: str, value: object
) -> None:
    text = (Path(keyring.__file__).parent / "contracts" / "uci_credit.toml").read_text()
    before = 'name = "bill_amt4"\ntype = "int64"'
    assert before in text
    own = world.home / "own.toml"
    own.write_text(text.replace(before, before.replace("int64", kind)))
    table = raw(200)
    values = [*table["bill_amt4"].cast(kind).to_pylist()[:-1], value]
    changed = table.set_column(table.column_names.index("bill_amt4"), "bill_amt4", pa.array(values))
    source = world.write(changed, "in.parquet")
    result = run("protect", "--contract", own, "--input", source)
    assert_refused(result, 10, "bill_amt4", "mobile number")
    assert not world.has_written()


def test_a_missing_wrong_or_badly_protected_key_is_refused(
    world: Any, source: Path, run: Run
) -> None:
    kek = world.home / "keyring" / "kek.key"
    good = kek.read_bytes()
    kek.chmod(0o644)
    assert_refused(run("protect"), 11, "mode 0644", "chmod 600")
    kek.chmod(0o600)
    kek.write_text("ab" * 32)
    assert_refused(run("protect"), 11, "does not open ring.json")
    kek.unlink()
    assert_refused(run("protect"), 11, "limitline keys init")
    (world.home / "aside").write_bytes(good)
    kek.symlink_to(world.home / "aside")
    assert_refused(run("protect"), 11, "symbolic link")
    assert_refused(run("keys", "init"), 11, "symbolic link")
    assert not world.has_written()


def test_a_tampered_table_and_a_table_of_another_ring_are_refused(
    world: Any, source: Path, run: Run
) -> None:
    table = world.protect(source)
    path = table.path / "sealed.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert_refused(run("verify", "--table", table.path), 15, "sealed.parquet", "altered")
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert run("verify", "--table", table.path).returncode == 0
    shutil.rmtree(world.home / "keyring")
    keyring.create(world.home / "keyring")
    assert_refused(run("verify", "--table", table.path), 11, "ring")
    assert_refused(run("verify", "--table", world.home), 2, "no feature table")


@pytest.mark.parametrize("kilobytes", [0, 24, 56, 100])
def test_a_full_home_is_an_environment_fault_and_leaves_no_table(
    world: Any, raw: Callable[..., pa.Table], run: Run, kilobytes: int
) -> None:
    source = world.write(raw(1_200), "uci_credit.parquet")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes * 1024, kilobytes * 1024))

    assert_refused(run("protect", preexec=limit), 16)
    assert not [p for p in world.features.glob("*") if not p.name.startswith(".")]
    assert not list(world.features.glob(".*"))
    if (world.vault / "subjects.db").exists():
        with closing(sqlite3.connect(world.vault / "subjects.db")) as connection:
            tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
            if ("subject",) in tables:
                count = connection.execute("SELECT count(*) FROM subject").fetchone()
                assert count == (0,)
    assert world.all(world.protect(source)).num_rows == 1_200


def test_a_home_that_cannot_be_created_is_an_environment_fault(
    world: Any, source: Path, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    for verb in (("keys", "init"), ("protect", "--input", source)):
        result = run(*verb, place=tmp_path / "file" / "home")
        assert_refused(result, 16, "Cannot create the folder", "a file is where a folder should be")
    (world.home / "features").write_text("")
    assert_refused(run("protect"), 16, "features")


def test_a_full_home_makes_no_half_of_a_keyring(home: Path, run: Run) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    assert_refused(run("keys", "init", preexec=limit), 16)
    assert run("keys", "init").returncode == 0


def test_wrong_usage_is_exit_code_2(world: Any, source: Path, run: Run) -> None:
    assert run("protect", "--purpose", "marketing").returncode == 2
    assert_refused(run("protect", "--input", world.home / "no.parquet"), 2, "no raw table")
    assert_refused(run("protect", "--purpose", "audit"), 10, "purpose audit")
    assert_refused(
        run("scan", world.home, "--canaries", world.home / "no"), 2, "no file of canaries"
    )
