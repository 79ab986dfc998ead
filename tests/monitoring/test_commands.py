"""The bring-your-own verbs answer with an exit code that a scheduled job can act on."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from limitline.commands import app

RUNNER = CliRunner()
SPEC = Path(__file__).parents[1] / "spec" / "data"


def _run(*arguments: object) -> Result:
    return RUNNER.invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def book(tmp_path: Path) -> Path:
    rows = []
    for group, raises in (("a", 300), ("b", 150)):
        for action, outcome, n in (
            ("raise", "good", raises),
            ("hold", "good", 900 - raises),
            ("cut", "bad", 400),
        ):
            rows.append({"group": group, "action": action, "outcome": outcome, "n": n})
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "book.parquet")
    return tmp_path / "book.parquet"


def _decided(verb: str, book: Path, *more: object) -> Result:
    named = ("--action", "action", "--outcome", "outcome", "--count", "n")
    return _run(verb, "--decisions", book, *named, "--on", "2026-01-01", *more)


def _drift(folder: Path, before: np.ndarray, after: np.ndarray, *more: str) -> Result:  # type: ignore[type-arg]
    paths = folder / "before.parquet", folder / "after.parquet"
    for path, values in zip(paths, (before, after), strict=True):
        pq.write_table(pa.table({"amount": values}), path)
    return _run("drift", "--reference", paths[0], "--current", paths[1], *more)


def test_drift_between_equal_tables_passes_and_a_shift_is_thirteen(tmp_path: Path) -> None:
    values = np.random.default_rng(1).lognormal(8, 1, 5000)
    assert _drift(tmp_path, values, values).exit_code == 0
    moved = _drift(tmp_path, values, values * 1.5, "--json")
    assert moved.exit_code == 13
    assert json.loads(moved.stdout)["measurements"][0]["outcome"] == "BREACH"


@pytest.mark.parametrize("n", [1, 5, 30, 80])
def test_drift_in_a_tiny_window_cannot_tell(tmp_path: Path, n: int) -> None:
    values = np.random.default_rng(1).lognormal(8, 1, 5000)
    assert _drift(tmp_path, values, values[:n]).exit_code == 14


def test_a_group_that_is_raised_half_as_often_is_a_breach(book: Path) -> None:
    done = _decided("fairness", book, "--group", "group", "--reference-group", "a", "--json")
    assert done.exit_code == 13
    document = json.loads(done.stdout)
    [ratio] = [m for m in document["measurements"] if m["measure"] == "fairness.raise_ratio"]
    assert ratio["value"] == pytest.approx(0.5)
    assert ratio["outcome"] == "BREACH"


def test_a_reference_group_that_is_not_there_is_a_usage_error(book: Path) -> None:
    done = _decided("fairness", book, "--group", "group", "--reference-group", "nobody")
    assert done.exit_code == 2


def test_misjudgment_counts_good_customers_cut(book: Path) -> None:
    done = _decided("misjudgment", book, "--json")
    document = json.loads(done.stdout)
    found = {m["measure"]: m["value"] for m in document["measurements"]}
    assert found["misjudgment.good_cut"] == 0.0
    assert found["misjudgment.bad_raised"] == 0.0
    assert done.exit_code == 0


def test_an_appetite_of_ones_own_judges(book: Path, tmp_path: Path) -> None:
    appetite = tmp_path / "strict.toml"
    appetite.write_text(
        'schema = "risk-appetite/1"\nid = "own"\nversion = "1"\n[[thresholds]]\n'
        'measure = "misjudgment.good_share_of_cut"\nat_least = 0.5\nkind = "house"\nowner = "me"\n'
        f'source = "test"\neffective_from = {date(2020, 1, 1)}\n'
    )
    done = _decided("misjudgment", book, "--appetite", appetite)
    assert done.exit_code == 13


@pytest.mark.parametrize("content", [b"", b"PAR1 not parquet"])
def test_a_bad_file_is_ten_with_one_line_and_no_traceback(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.parquet"
    path.write_bytes(content)
    done = _run("misjudgment", "--decisions", path, "--action", "a", "--outcome", "o")
    assert done.exit_code == 10
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.output


def test_a_missing_column_is_ten(book: Path) -> None:
    named = ("--action", "action", "--outcome", "y", "--group", "group")
    done = _run("fairness", "--decisions", book, *named)
    assert done.exit_code == 10
    assert "lacks the column y" in done.stderr


def test_the_published_case_runs_from_its_csv(tmp_path: Path) -> None:
    text = (SPEC / "fairlearn_credit_loan_counts.csv").read_text()
    header, *lines = text.strip().splitlines()
    words = {"0": "raise", "1": "cut"}
    rows = [line.split(",") for line in lines]
    path = tmp_path / "loan.csv"
    path.write_text(
        "sex,bad,action,n\n" + "\n".join(f"{s},{y},{words[p]},{n}" for s, y, p, n in rows) + "\n"
    )
    assert header == "sex,y_true,y_pred,n"
    done = _run(
        "misjudgment", "--decisions", path, "--action", "action", "--outcome", "bad",
        "--count", "n", "--json",
    )  # fmt: skip
    found = {m["measure"]: m["value"] for m in json.loads(done.stdout)["measurements"]}
    assert found["misjudgment.good_cut"] == pytest.approx(0.207656, abs=1e-6)
    # 20.8 % with an interval from 19.9 % to 21.7 % neither keeps nor breaks a limit of 20 %.
    assert done.exit_code == 14


def test_the_schedule_names_this_home_and_asks_for_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIMITLINE_HOME", str(tmp_path / "a home"))
    done = _run("watch", "--print-schedule")
    assert done.exit_code == 0
    assert f"LIMITLINE_HOME='{tmp_path / 'a home'}'" in done.stdout
    assert "-m limitline watch" in done.stdout
    assert "Persistent=true" in done.stdout


def test_asking_for_a_window_that_was_never_judged_is_a_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIMITLINE_HOME", str(tmp_path))
    assert _run("report", "--window", "2005-09").exit_code == 2
    assert json.loads(_run("report", "--json").stdout)["windows"] == []
    said = _run("report").stdout
    assert "No window was judged yet" in said
    assert "Overview" not in said
