from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from limitline.commands import app

HOME = "LIMITLINE_HOME"


def train(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["train", *arguments])


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "a home"
    monkeypatch.setenv(HOME, str(home))
    for arguments in (
        ["keys", "init"],
        ["simulate", "--customers", "350"],
        ["protect", "--purpose", "training"],
    ):
        ran = CliRunner().invoke(app, arguments)
        assert ran.exit_code == 0, ran.output
    return home


def test_the_bundled_data_train_a_champion_and_a_faulty_twin(prepared: Path) -> None:
    sound = json.loads(train("--json").stdout)
    assert sound["lineage"]["features_id"] == "uci-features"
    assert sound["is_new"] is True
    assert {"measure", "value", "low", "high", "n"} <= sound["measurements"][0].keys()
    faulty = train("--fault", "limit-leak")
    assert faulty.exit_code == 0
    assert "uci-features-limit-leak" in faulty.stdout.replace("\n", "")
    floor = json.loads(train("--recipe", "floor", "--json").stdout)
    assert floor["lineage"]["recipe"] == "floor"
    assert floor["version"] == 3
    lift = [found for found in floor["measurements"] if found["measure"] == "lift.ratio"]
    assert [found["scope"]["part"] for found in lift] == [str(part) for part in range(1, 11)]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--fault", "limit-leak", "--spec", "mine.toml"], 2, "--fault or --spec"),
        (["--fault", "no-such-fault"], 2, "limit-leak"),
        (["--recipe", "oracle"], 2, "no recipe oracle"),
        (["--recipe", "floor", "--challenger"], 2, "give one of the two"),
        (["--spec", "nowhere.toml"], 2, "nowhere.toml"),
        (["--features", "nowhere"], 2, "no feature table"),
        (["--target", "nothing"], 10, "no outcome column nothing"),
    ],
)
def test_a_bad_request_is_one_line_and_an_exit_code(
    prepared: Path, arguments: list[str], code: int, says: str
) -> None:
    ran = train(*arguments)
    assert ran.exit_code == code
    assert says in " ".join(ran.stderr.split())
    assert ran.stdout == ""
    assert "Traceback" not in ran.stderr
    assert not (prepared / "mlflow.db").exists()


def test_without_a_protected_table_the_way_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOME, str(tmp_path))
    assert train().exit_code == 11
    assert CliRunner().invoke(app, ["keys", "init"]).exit_code == 0
    ran = train()
    assert ran.exit_code == 2
    assert "limitline protect" in " ".join(ran.stderr.split())
