"""A run that is killed leaves nothing or a finished table, and the next run succeeds."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from governance.contract import Purpose
from privacy import audit
from privacy.feature_table import FeatureTable, Part
from privacy.subject_vault import SubjectVault

REPOSITORY = Path(__file__).parents[2]

# The child counts its own calls into SQLite and the file system, and kills itself at one of them.
CHILD = """
import json, os, signal, sys

from privacy import commands, gate  # noqa: F401  (imported before counting starts)

target, seen = int(sys.argv[1]), []
WATCHED = {"execute", "executemany", "mkdir", "open", "write", "rename", "replace", "fsync",
           "write_batch", "write_table", "close", "unlink"}


def watch(frame, event, function):
    if event not in ("c_call", "c_return") or function.__name__ not in WATCHED:
        return
    name = frame.f_code.co_filename
    if not any(part in name for part in ("privacy", "durable", "pathlib", "parquet")):
        return
    seen.append(f"{event} {function.__name__} in {frame.f_code.co_name}")
    if len(seen) == target:
        os.kill(os.getpid(), signal.SIGKILL)


sys.setprofile(watch)
try:
    commands.app(["protect"])
finally:
    sys.setprofile(None)
    print(json.dumps(seen))
"""


def points(calls: list[str]) -> list[int]:
    """Choose where to kill: early, while enrolling, around both commits, and around the names."""

    def last(call: str) -> int:
        return len(calls) - calls[::-1].index(call)

    commits = [n + 1 for n, call in enumerate(calls) if call == "c_return execute in transaction"]
    around = [
        commits[-2],
        commits[-1],
        last("c_return executemany in enrol"),
        last("c_call rename in replacing_folder"),
        last("c_return rename in replacing_folder"),
        last("c_call replace in replacing"),
    ]
    return sorted({2, len(calls) // 4, *around})


def protect(home: Path, target: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", CHILD, str(target)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=REPOSITORY,
        env={**os.environ, "LIMITLINE_HOME": str(home)},
    )


def finished(world: Any) -> list[Path]:
    folders = [path for path in world.features.glob("uci*") if path.is_dir()]
    return [path for path in folders if not path.name.startswith(".")]


@pytest.fixture
def source(world: Any, raw: Callable[..., pa.Table]) -> Path:
    return world.write(raw(150), "uci_credit.parquet")  # type: ignore[no-any-return]


def test_wherever_it_is_killed_the_next_run_succeeds(
    world: Any, source: Path, raw: Callable[..., pa.Table], tmp_path: Path
) -> None:
    whole = protect(world.home, 0)
    assert whole.returncode == 0, whole.stderr
    for target in points(json.loads(whole.stdout.splitlines()[-1])):
        for folder in (world.features, world.vault, world.home / "keyring" / "last-seen"):
            shutil.rmtree(folder, ignore_errors=True)
        killed = protect(world.home, target)
        assert killed.returncode == -signal.SIGKILL, (target, killed.stderr)
        for path in finished(world):
            assert FeatureTable.open(path, keyring=world.ring, part=Part.ALL).num_rows == 150
        known = {}
        if (world.vault / "subjects.db").exists():
            with SubjectVault.opened(world.vault, keyring=world.ring) as vault:
                assert vault.count() in (0, 150)
                query = "SELECT blind_index, subject_id FROM subject"
                known = dict(vault.file.connection.execute(query))
        assert known or not finished(world), "a table has customers that the vault does not know"
        table = world.protect(source)
        assert world.all(table).num_rows == 150
        assert finished(world) == [table.path]
        assert not list(world.features.glob(".*"))
        with SubjectVault.opened(world.vault, keyring=world.ring) as vault:
            assert vault.count() == 150
            now = dict(vault.file.connection.execute("SELECT blind_index, subject_id FROM subject"))
        assert not known or now == known
        counted = audit.count(
            world.all(table), keyring=world.ring, vault=world.vault, purpose=Purpose.TRAINING,
            attributes=["sex"], by=[], mandate="a test",
        )  # fmt: skip
        assert counted["sex"].where(group="unknown").total() == 0
        assert counted["sex"].total() == 150
