"""Commands answer at once, are documented, and the documents name no command that is not there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

ROOT = Path(__file__).parents[2]
ROOMS = ("privacy", "registry", "limits", "training", "monitoring", "lab")
HEAVY = (
    *("mlflow", "evidently", "fairlearn", "sklearn", "skops", "pandas", "duckdb", "scipy"),
    "apprise",
)
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

PROBE = """
import runpy, sys
sys.argv = ["{room}", "--help"]
try:
    runpy.run_module("{room}", run_name="__main__")
except SystemExit as end:
    assert end.code in (0, None), end.code
print("LOADED:" + ",".join(name for name in {heavy!r} if name in sys.modules), file=sys.stderr)
"""


def commands(room: str) -> dict[str, object]:
    module = __import__(f"{room}.__main__", fromlist=["app"])
    group = typer.main.get_command(module.app)
    return dict(group.commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("room", ROOMS)
def test_help_imports_no_heavy_library(room: str) -> None:
    probe = PROBE.format(room=room, heavy=HEAVY)
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "LOADED:\n" in done.stderr
    assert "Usage:" in done.stdout


@pytest.mark.parametrize("room", ROOMS)
def test_every_verb_has_help_and_speaks_json(room: str) -> None:
    for name, verb in commands(room).items():
        assert verb.help, name  # type: ignore[attr-defined]
        options = {text for item in verb.params for text in item.opts}  # type: ignore[attr-defined]
        assert "--json" in options, f"{room} {name}"


@pytest.mark.parametrize("room", ROOMS)
def test_a_verb_that_does_not_exist_is_a_usage_error(room: str) -> None:
    command = [sys.executable, "-m", room, "no-such-verb"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_every_documented_command_exists() -> None:
    missing = []
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        for room, verb in re.findall(r"python -m ([a-z]+) ([a-z][a-z-]*)", text):
            if room in ROOMS and verb not in commands(room):
                missing.append(f"{path.name}: python -m {room} {verb}")
    assert missing == []


def test_every_verb_is_documented() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)
    missing = [
        f"python -m {room} {verb}"
        for room in ROOMS
        for verb in commands(room)
        if f"python -m {room} {verb}" not in text
    ]
    assert missing == []


def make_targets() -> set[str]:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z]+):.*## ", text, re.MULTILINE))


def test_every_documented_target_exists_and_every_target_is_documented() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)
    named = set(re.findall(r"`(?:[A-Z]+=\S+ )*make ([a-z]+)", text))
    named |= set(re.findall(r"^(?:[A-Z]+=\S+ )*make ([a-z]+)", text, re.MULTILINE))
    targets = make_targets()
    assert named - targets == set()
    assert targets - named - {"help"} == set()


def test_make_alone_prints_grouped_help() -> None:
    done = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for heading in ("Start here", "Monthly work", "Look", "Developers"):
        assert heading in done.stdout
    for target in make_targets():
        assert re.search(rf"^  {target} ", done.stdout, re.MULTILINE), target
