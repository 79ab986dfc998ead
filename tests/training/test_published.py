from __future__ import annotations

import gzip
import hashlib
import json
import socket
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pytest
from typer.testing import CliRunner

from governance.errors import ContractError, EnvironmentFault, IntegrityError, UsageError
from training import published, source
from training.__main__ import app
from training.published import Source

UCI = [*published.PUBLISHED[:-1], "default payment next month"]
KAGGLE = [*published.PUBLISHED[:-1], "default.payment.next.month"]
FROM_ONE = ["PAY_1" if name == "PAY_0" else name for name in UCI]
OPENML = [*(f"x{number}" for number in range(1, 24)), "y"]


def write(path: Path, names: list[str], table: pa.Table, *, with_id: bool = True) -> Path:
    named = table.rename_columns(names)
    if with_id:
        named = named.add_column(0, "ID", pa.array(range(1, table.num_rows + 1)))
    pa_csv.write_csv(named, path)
    return path


@pytest.mark.parametrize("names", [UCI, KAGGLE, FROM_ONE, OPENML], ids=["uci", "kaggle", "1", "x"])
def test_a_users_own_file_is_the_published_content(tmp_path: Path, names: list[str]) -> None:
    bundled = source.load()
    file = write(tmp_path / "mine.csv", names, bundled)
    assert published.load(Source.CSV, file) == bundled


def test_row_numbers_give_the_order_back(tmp_path: Path) -> None:
    bundled = source.load()
    numbered = bundled.rename_columns(UCI).add_column(0, "ID", pa.array(range(1, 30_001)))
    pa_csv.write_csv(numbered.take(pa.array(range(29_999, -1, -1))), tmp_path / "mine.csv")
    assert published.load(Source.CSV, tmp_path / "mine.csv") == bundled


def test_the_second_header_line_of_the_spreadsheet_counts(tmp_path: Path) -> None:
    file = write(tmp_path / "mine.csv", UCI, source.load())
    numbered = ",".join(["", *(f"X{number}" for number in range(1, 24)), "Y"])
    file.write_text("\ufeff" + numbered + "\n" + file.read_text(), encoding="utf-8")
    assert published.load(Source.CSV, file).num_rows == 30_000


def test_a_downloaded_arff_is_read(tmp_path: Path) -> None:
    csv = write(tmp_path / "x.csv", OPENML, source.load(), with_id=False)
    head = "\n".join(f"@ATTRIBUTE {name} REAL" for name in OPENML[:-1])
    body = csv.read_text(encoding="utf-8").split("\n", 1)[1]
    file = tmp_path / "credit.arff"
    file.write_text(f"% OpenML\n@RELATION x\n{head}\n@ATTRIBUTE 'y' {{0,1}}\n@DATA\n{body}")
    assert published.load(Source.OPENML, file).num_rows == 30_000


@pytest.mark.parametrize("swap", [(1, 2), (0, 1)])
def test_swapped_sex_codes_are_refused_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swap: tuple[int, int]
) -> None:
    monkeypatch.setenv("LIMITLINE_HOME", str(tmp_path / "home"))
    bundled = source.load()
    women = pc.equal(bundled["sex"], 2)
    swapped = bundled.set_column(1, "sex", pc.if_else(women, *(pa.scalar(code) for code in swap)))
    file = write(tmp_path / "mine.csv", UCI, swapped)
    ran = CliRunner().invoke(app, ["simulate", "--source", "csv", "--input", str(file)])
    assert ran.exit_code == 15
    assert "SEX is 1 = male and 2 = female" in " ".join(ran.stderr.split())
    assert not (tmp_path / "home" / "raw").exists()


def test_a_changed_value_is_refused(tmp_path: Path) -> None:
    bundled = source.load()
    first = pa.array([position == 0 for position in range(30_000)])
    changed = pc.if_else(first, pc.add(bundled["age"], 1), bundled["age"])
    file = write(tmp_path / "mine.csv", UCI, bundled.set_column(4, "age", changed))
    with pytest.raises(IntegrityError, match="content digest"):
        published.load(Source.CSV, file)


def test_a_file_that_is_something_else_is_told(tmp_path: Path) -> None:
    small = source.load().slice(0, 5)
    file = tmp_path / "mine.csv"
    write(file, UCI, small)
    with pytest.raises(IntegrityError):
        published.load(Source.CSV, file)
    pa_csv.write_csv(small.drop_columns(["age"]), file)
    with pytest.raises(ContractError, match="lacks AGE"):
        published.load(Source.CSV, file)
    pa_csv.write_csv(small.append_column("income", small["age"]), file)
    with pytest.raises(ContractError, match="1 columns too many"):
        published.load(Source.CSV, file)
    for content in (b"", b"\xff\xfe\x00"):
        file.write_bytes(content)
        with pytest.raises(ContractError):
            published.load(Source.CSV, file)
    write(file, UCI, small.set_column(4, "age", pa.array(["old"] * 5)))
    with pytest.raises(ContractError, match="whole numbers"):
        published.load(Source.CSV, file)


def test_the_request_must_fit_the_source(tmp_path: Path) -> None:
    for kind, file in ((Source.CSV, None), (Source.UCI, tmp_path), (Source.CSV, tmp_path / "no")):
        with pytest.raises(UsageError):
            published.load(kind, file)
    assert published.load(Source.UCI) == source.load()


def test_openml_without_a_network_says_so_and_uses_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setenv("LIMITLINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "cache"))
    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    for proxy in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.delenv(proxy, raising=False)
    with pytest.raises(EnvironmentFault, match=r"cannot be reached \(URLError\).*--source uci"):
        published.download()
    ran = CliRunner().invoke(app, ["simulate", "--source", "openml", "--json"])
    assert ran.exit_code == 16
    assert not (tmp_path / "home" / "raw").exists()


def answered_by_openml(cache: Path, table: pa.Table) -> None:
    """Lay OpenML's four answers where scikit-learn keeps them, in OpenML's own formats."""
    rows = pa_csv_text(table)
    head = "\n".join(f"@ATTRIBUTE {name} REAL" for name in OPENML[:-1])
    arff = f"% OpenML\n@RELATION credit\n{head}\n@ATTRIBUTE y {{0,1}}\n@DATA\n{rows}".encode()
    described = {
        "id": "42477",
        "name": "default-of-credit-card-clients",
        "version": "1",
        "status": "active",
        "format": "ARFF",
        "description": "",
        "file_id": "22044555",
        "url": "https://www.openml.org/data/v1/download/22044555/credit.arff",
        "md5_checksum": hashlib.md5(arff).hexdigest(),
    }
    columns = [
        {
            "index": str(number),
            "name": name,
            "is_ignore": "false",
            "is_row_identifier": "false",
            "is_target": str(name == "y").lower(),
            "number_of_missing_values": "0",
            "data_type": "nominal" if name == "y" else "numeric",
        }
        for number, name in enumerate(OPENML)
    ]
    size = {"name": "NumberOfInstances", "value": str(float(table.num_rows))}
    answers = {
        "api/v1/json/data/42477": {"data_set_description": described},
        "api/v1/json/data/features/42477": {"data_features": {"feature": columns}},
        "api/v1/json/data/qualities/42477": {"data_qualities": {"quality": [size]}},
    }
    bodies = {path: json.dumps(answer).encode() for path, answer in answers.items()}
    bodies["data/v1/download/22044555/credit.arff"] = arff
    for path, body in bodies.items():
        file = cache / "openml" / "openml.org" / f"{path}.gz"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(gzip.compress(body))


def pa_csv_text(table: pa.Table) -> str:
    out = pa.BufferOutputStream()
    pa_csv.write_csv(table, out, pa_csv.WriteOptions(include_header=False))
    return out.getvalue().to_pybytes().decode()


def test_what_openml_answers_is_read_and_held_against_the_published_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything but the wire: scikit-learn's own loader reads OpenML's formats from its cache."""
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    bundled = source.load()
    answered_by_openml(tmp_path, bundled)
    assert published.load(Source.OPENML) == bundled
    # OpenML's copy with other sex codes has the same shape and the same names.
    at = bundled.column_names.index("sex")
    swapped = bundled.set_column(at, "sex", pc.subtract(3, bundled["sex"]))
    answered_by_openml(tmp_path, swapped)
    with pytest.raises(IntegrityError, match="was not used"):
        published.load(Source.OPENML)


def test_the_source_changes_nothing_in_the_raw_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIMITLINE_HOME", str(tmp_path / "home"))
    file = write(tmp_path / "mine.csv", KAGGLE, source.load())
    outputs = []
    for number, more in enumerate(([], ["--source", "csv", "--input", str(file)])):
        out = tmp_path / f"{number}.parquet"
        ran = CliRunner().invoke(
            app, ["simulate", "--customers", "50", "--out", str(out), "--json", *more]
        )
        assert ran.exit_code == 0, ran.output
        outputs.append((out.read_bytes(), json.loads(ran.stdout)["content_digest"]))
    assert outputs[0] == outputs[1]
