from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner, Result

from governance.settings import Settings
from limits import features
from limits import policy as policies
from registry.record import Record
from training import candidate, recipes
from training.__main__ import app as training
from training.backtest import commands

SMALL = ("--accounts", "80", "--seeds", "101,102", "--strategies", "blanket,rule")


def backtest(*arguments: str) -> Result:
    return CliRunner().invoke(training, ["backtest", *arguments])


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home of its own, and a default model that is fitted on fewer accounts."""
    from training.backtest import learner

    monkeypatch.setenv("LIMITLINE_HOME", str(tmp_path / "home"))
    usual = learner.learn.__kwdefaults__
    assert usual is not None
    trees = {**recipes.CHAMPION.parameters, "max_iter": 20}
    monkeypatch.setitem(usual, "accounts", 2_500)
    monkeypatch.setitem(usual, "recipe", replace(recipes.CHAMPION, parameters=trees))
    return tmp_path


def test_the_verb_writes_page_pictures_and_evidence(quick: Path) -> None:
    place = quick / "new" / "report"
    ran = backtest(*SMALL, "--out", str(place), "--on", "2026-11-23", "--json")
    assert ran.exit_code == 0, ran.output
    document = json.loads(ran.stdout)
    assert document["schema"] == "limitline/policy-backtest/1"
    assert document["path"] == str(place / "index.html")
    evidence = json.loads((place / "evidence.json").read_bytes())
    assert evidence["kind"] == "policy-backtest"
    assert evidence["measured_on"] == "2026-11-23"
    pictures = sorted(place.glob("*.png"))
    assert [path.name for path in pictures] == ["backtest-course.png", "backtest-seeds.png"]
    assert all(5_000 < path.stat().st_size < 150_000 for path in pictures)
    again = backtest(*SMALL, "--out", str(place))
    assert again.exit_code == 2
    assert "already" in again.stderr


def test_people_read_a_table_and_what_it_comes_to(quick: Path) -> None:
    ran = backtest(*SMALL)
    assert ran.exit_code == 0, ran.output
    assert "Simulated." in ran.stdout
    assert "blanket" in ran.stdout
    assert "Targets:" in ran.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--seeds", "1,2"], 2, "tune"),
        (["--seeds", "one"], 2, "whole numbers"),
        (["--seeds", "101,101"], 2, "different"),
        (["--months", "0"], 2, "months"),
        (["--months", "12"], 10, "no downturn"),
        (["--accounts", "0"], 2, "at least one"),
        (["--strategies", "luck"], 2, "no strategy luck"),
        (["--policy", "nowhere.toml"], 2, "nowhere.toml"),
        (["--version", "latest", "--policy", "x.toml"], 2, "of the version itself"),
    ],
)
def test_a_bad_request_is_one_line_and_an_exit_code(
    quick: Path, arguments: list[str], code: int, says: str
) -> None:
    ran = backtest(*arguments)
    assert ran.exit_code == code, ran.output
    assert says in " ".join(ran.stderr.split())


def test_a_file_that_is_no_text_is_an_error_of_the_file_and_no_bug(quick: Path) -> None:
    broken = quick / "policy.toml"
    broken.write_bytes(b"\xff\xfe\x00")
    for option in ("--policy", "--features", "--economics", "--world"):
        ran = backtest(option, str(broken))
        assert ran.exit_code == 10, ran.output
        assert "text" in " ".join(ran.stderr.split())


def test_a_policy_in_another_currency_is_refused_before_a_model_is_fitted(quick: Path) -> None:
    own = quick / "yuan.toml"
    own.write_text(policies.packaged("consumer_sme"), "utf-8")
    ran = backtest("--policy", str(own))
    assert ran.exit_code == 10
    assert "TWD" in ran.stderr


def test_the_bundled_names_are_there() -> None:
    assert policies.packaged(commands.WORLD_POLICY)
    assert features.packaged(commands.WORLD_FEATURES)


def test_a_registered_version_is_lived_with_its_own_model_and_remembers_it(
    home: Settings, release: Callable[..., Path], job: Callable[..., object], uci: pa.Table
) -> None:
    rows = uci.slice(0, 700)
    columns = {"shop": pa.array([f"row {number}" for number in range(700)])}
    kept = [name for name in rows.column_names if name.startswith(("pay_", "bill_", "limit_bal"))]
    columns |= {name: rows[name] for name in (*kept, "reference_limit")}
    columns["failed"] = rows["default_next_month"]
    asked = job(release(pa.table(columns)), features_text=features.packaged("uci_features"))
    ticks = (datetime(2026, 3, 1, 12, second, tzinfo=UTC) for second in range(60))
    made = candidate.train(asked, settings=home, clock=lambda: next(ticks))  # type: ignore[arg-type]
    ran = backtest("--version", "latest", *SMALL, "--on", "2026-11-23", "--json")
    assert ran.exit_code == 0, ran.output
    document = json.loads(ran.stdout)
    assert document["attached"]["version"] == made.version.version
    assert document["policy"].startswith("uci-demo@")
    assert any("dials" in each for each in document["not_evidenced"])
    assert any("1" in each and "months" in each for each in document["not_evidenced"])
    recorded = Record.load(home).attached(made.version.version)["policy-backtest"]
    assert recorded.statement.predicate["digest"] == document["evidence_digest"]
