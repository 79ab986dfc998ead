"""Commands answer at once, are documented, and the documents name no command that is not there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from limitline.commands import app
from limitline.examples import EXAMPLES, lines_of

ROOT = Path(__file__).parents[2]
HEAVY = (
    *("mlflow", "evidently", "fairlearn", "sklearn", "skops", "pandas", "duckdb", "scipy"),
    "apprise",
)
GROUPS = {"keys", "finding", "people", "policy", "review", "lab"}
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

PROBE = """
import runpy, sys
sys.argv = ["limitline", "--help"]
try:
    runpy.run_module("limitline", run_name="__main__")
except SystemExit as end:
    assert end.code in (0, None), end.code
print("LOADED:" + ",".join(name for name in {heavy!r} if name in sys.modules), file=sys.stderr)
"""


def leaves(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every verb with the words by which it is called."""
    for name, item in group.commands.items():
        if hasattr(item, "commands"):
            yield from leaves(item, (*path, name))
        else:
            yield " ".join((*path, name)), item


VERBS = dict(leaves(typer.main.get_command(app)))


def test_help_imports_no_heavy_library() -> None:
    probe = PROBE.format(heavy=HEAVY)
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "LOADED:\n" in done.stderr
    assert "Usage:" in done.stdout


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_has_help_examples_a_panel_and_speaks_json(name: str) -> None:
    verb = VERBS[name]
    assert verb.help
    assert verb.rich_help_panel
    assert "--json" in {text for item in verb.params for text in item.opts}
    assert verb.epilog.startswith("Examples:")


def options_of(line: str) -> tuple[str, set[str]]:
    """Return the verb of a line and the options that it is given there."""
    words = shlex.split(line)
    assert words[0] == "limitline", line
    [name] = [name for name in VERBS if words[1 : 1 + len(name.split())] == name.split()]
    return name, {word.partition("=")[0] for word in words[1:] if word.startswith("-")}


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_is_one_of_its_verb_with_options_that_exist(name: str) -> None:
    for line in lines_of(name):
        verb, options = options_of(line)
        assert verb == name
        known = {text for item in VERBS[name].params for text in item.opts}
        assert options <= known | {"--help"}, line
        required = {item.opts[0] for item in VERBS[name].params if item.required}
        assert "--help" in options or {o for o in required if o.startswith("-")} <= options, line


def test_the_examples_name_every_verb_and_no_other() -> None:
    assert set(EXAMPLES) == set(VERBS)


def test_a_verb_that_does_not_exist_is_a_usage_error() -> None:
    command = [sys.executable, "-m", "limitline", "no-such-verb"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_every_documented_command_exists_with_its_options() -> None:
    missing = []
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8").replace("\\\n", " ")
        for line in re.findall(r"(?:^|`|\$ |/)limitline ([a-z][^`\n|#]*)", text, re.MULTILINE):
            words = line.split()
            names = [n for n in VERBS if words[: len(n.split())] == n.split()]
            if not names:
                if words[0] not in GROUPS:
                    missing.append(f"{path.name}: limitline {line}")
                continue
            known = {o for item in VERBS[names[0]].params for o in item.opts} | {"--help"}
            given = {w.partition("=")[0] for w in words if re.fullmatch(r"--[a-z-]+(=.*)?", w)}
            missing += [f"{path.name}: {names[0]} {option}" for option in given - known]
    assert missing == []


def test_every_verb_is_documented() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)
    assert [name for name in VERBS if f"limitline {name}" not in text] == []


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
