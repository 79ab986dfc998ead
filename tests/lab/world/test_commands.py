from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lab.commands import app as lab
from limitline.commands import app


def world(*arguments: str) -> Result:
    return CliRunner().invoke(lab, ["world", *arguments])


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIMITLINE_HOME", str(tmp_path / "a home"))
    assert CliRunner().invoke(app, ["keys", "init"]).exit_code == 0
    return tmp_path / "a home"


def test_a_world_is_written_below_raw_and_named(home: Path, tmp_path: Path) -> None:
    small = ("--accounts", "300", "--months", "4")
    made = json.loads(world(*small, "--json").stdout)
    assert made["is_simulated"] is True
    assert made["rows"]["accounts"] == made["rows"]["identities"] == 300
    assert Path(made["path"]) == home / "raw" / "world-baseline"
    again = json.loads(world(*small, "--out", str(tmp_path / "again"), "--json").stdout)
    assert again["settings_digest"] == made["settings_digest"]
    for name in made["rows"]:
        one, two = (Path(each["path"]) / f"{name}.parquet" for each in (made, again))
        assert one.read_bytes() == two.read_bytes()
    other = world(*small, "--seed", "1", "--out", str(tmp_path / "other"))
    assert "Simulated world" in other.stdout
    refused = world(*small)
    assert refused.exit_code == 2
    assert "already" in refused.stderr


def test_a_world_file_of_ones_own(home: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        'schema = "world/1"\nid = "own"\ntitle = "Own"\naccounts = 200\nmonths = 5\n', "utf-8"
    )
    ran = world("--settings", str(own), "--json")
    made = json.loads(ran.stdout)
    assert Path(made["path"]).name == "world-own"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--accounts", "0"), 10, "cannot take"),
        (("--settings", "nowhere.toml"), 10, "no world at nowhere.toml"),
    ],
)
def test_a_bad_request_is_one_line_and_an_exit_code(
    home: Path, arguments: tuple[str, ...], code: int, says: str
) -> None:
    ran = world(*arguments)
    assert ran.exit_code == code
    assert says in " ".join(ran.stderr.split())
    assert not (home / "raw").exists()
