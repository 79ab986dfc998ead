"""A home that is full or cannot be made is said in one line, and nothing half-written stays."""

from __future__ import annotations

import os
import resource
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.journeys.conftest import Journey

pytestmark = pytest.mark.journey

DAY = "2005-10-01"

# Verb and the largest file, in KiB, that its home allows.
WRITERS = {
    "simulate --customers 2000": 20,
    "protect --purpose training": 20,
    f"decide --as-of {DAY}": 40,
    "watch --on 2005-11-01": 20,
    f"evidence --on {DAY}": 40,
    "waive --version 3 --measure fairness.* --owner 'head of risk' "
    f"--reason 'known gap, watched' --on {DAY} --expires 2005-11-30": 1,
}

VERBS = (
    "keys init",
    "simulate",
    "train",
    f"decide --as-of {DAY}",
    f"watch --on {DAY}",
    f"status --on {DAY}",
)


def run(line: str, home: Path, kibibytes: int | None = None) -> subprocess.CompletedProcess[str]:

    def small() -> None:
        if kibibytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (kibibytes * 1024, kibibytes * 1024))

    return subprocess.run(
        [sys.executable, "-P", "-m", "limitline", *shlex.split(line)],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=small,
        env={**os.environ, "LIMITLINE_HOME": str(home)},
    )


@pytest.fixture(scope="module")
def full(journey: Journey, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the home of the journey without its results, so that every verb has to write."""
    home = tmp_path_factory.mktemp("full") / "var"
    shutil.copytree(journey.home, home)
    for name in ("decisions", "reports", "evidently", "features"):
        shutil.rmtree(home / name)
    shutil.copytree(journey.home / "features", home / "features")
    return home


@pytest.mark.parametrize("line", WRITERS)
def test_a_full_home_is_an_environment_fault(full: Path, line: str) -> None:
    tables, aside = full / "features", full.parent / "features"
    if line.startswith("protect"):
        # A finished table needs no room, so it is put aside and has to be written anew.
        tables.rename(aside)
    done = run(line, full, WRITERS[line])
    if aside.exists():
        shutil.rmtree(tables, ignore_errors=True)
        aside.rename(tables)
    assert done.returncode == 16, done.stderr[-500:]
    assert "Traceback" not in done.stderr
    assert not list(full.rglob(".*.tmp"))


@pytest.mark.parametrize("line", VERBS)
def test_a_home_that_cannot_be_made_is_said_in_one_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "file").write_text("in the way")
    done = run(line, tmp_path / "file" / "home")
    assert done.returncode == 16
    assert "Cannot create the folder" in done.stderr
    assert "Traceback" not in done.stderr


def test_there_was_room_for_it_all_along(full: Path) -> None:
    """After the full disk the same verb succeeds: nothing was lost and nothing is in the way."""
    done = run(f"decide --as-of {DAY}", full)
    assert done.returncode == 0, done.stderr
