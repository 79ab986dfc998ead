from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from decisions import features
from decisions import policy as policies
from lab.backtest import default_model
from lab.commands import WORLD_FEATURES, WORLD_POLICY
from lab.commands import app as lab

SMALL = ("--accounts", "80", "--seeds", "101,102", "--strategies", "blanket,rule")


def backtest(*arguments: str) -> Result:
    return CliRunner().invoke(lab, ["backtest", *arguments])


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home of its own, and a default model that is fitted on fewer accounts."""
    monkeypatch.setenv("LIMITLINE_HOME", str(tmp_path / "home"))
    usual = default_model.learn.__kwdefaults__
    assert usual is not None
    monkeypatch.setitem(usual, "accounts", 2_500)
    return tmp_path


def test_the_verb_says_what_was_lived_and_that_it_is_simulated(quick: Path) -> None:
    ran = backtest(*SMALL, "--json")
    assert ran.exit_code == 0, ran.output
    document = json.loads(ran.stdout)
    assert document["schema"] == "limitline/policy-backtest/2"
    assert document["is_simulated"] is True
    assert document["seeds"] == [101, 102]


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
    assert policies.packaged(WORLD_POLICY)
    assert features.packaged(WORLD_FEATURES)
