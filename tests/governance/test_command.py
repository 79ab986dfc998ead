"""What a verb raises is one line and the exit code that belongs to it; nothing else is said."""

from __future__ import annotations

import sqlite3
from datetime import date
from pathlib import Path

import pytest
import typer

from governance import command, errors


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (errors.UsageError("no such thing"), 2, "no such thing"),
        (errors.ContractError("other columns"), 10, "other columns"),
        (errors.KeyringError("no key"), 11, "no key"),
        (errors.GateClosed("reasons"), 12, "reasons"),
        (errors.Breach("outside"), 13, "outside"),
        (errors.Inconclusive("cannot tell"), 14, "cannot tell"),
        (errors.IntegrityError("other bytes"), 15, "other bytes"),
        (errors.EnvironmentFault("busy"), 16, "busy"),
        (OSError(28, "No space left"), 16, "the disk is full"),
        (sqlite3.OperationalError("database is locked"), 16, "database is locked"),
        (ValueError("SECRET 13812345678"), 1, "internal error (ValueError"),
        (OSError(2, "SECRET"), 1, "internal error (FileNotFoundError"),
    ],
)
def test_an_error_ends_with_its_code_and_only_ours_are_quoted(
    error: Exception,
    code: int,
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("LIMITLINE_TRACEBACK", raising=False)

    @command.guarded
    def verb() -> None:
        raise error

    with pytest.raises(typer.Exit, match=str(code)) as left:
        verb()
    assert left.value.exit_code == code
    out, printed = capsys.readouterr()
    assert out == ""
    assert "limitline: " in printed
    assert said in printed.replace("\n", " ")
    assert "SECRET" not in printed
    assert "Traceback" not in printed


def test_an_interrupted_verb_is_interrupted() -> None:
    @command.guarded
    def verb() -> None:
        raise KeyboardInterrupt("stop")

    with pytest.raises(KeyboardInterrupt, match="stop"):
        verb()


def test_a_day_is_read_in_one_way_and_the_empty_one_is_today() -> None:
    assert command.parse_day("2026-02-28") == date(2026, 2, 28)
    assert isinstance(command.parse_day(""), date)
    for text in ("2026-02-29", "28.02.2026", "yesterday", " "):
        with pytest.raises(errors.UsageError, match="YYYY-MM-DD"):
            command.parse_day(text)


def test_a_file_that_was_named_is_there_and_is_text(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    with pytest.raises(errors.UsageError, match="There is no file"):
        command.read_text(path)
    path.write_bytes("额度".encode())
    assert command.read_text(path) == "额度"
    path.write_bytes("额度".encode("gb18030"))
    with pytest.raises(errors.ContractError, match="is not UTF-8 text"):
        command.read_text(path)


def test_a_home_is_made_for_its_owner_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIMITLINE_HOME", str(tmp_path / "new" / "home"))
    assert command.load_home().home == tmp_path / "new" / "home"
    assert (tmp_path / "new" / "home").stat().st_mode & 0o777 == 0o700
