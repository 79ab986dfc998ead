"""Tests that share dear fixtures run on one worker, so that nothing is made twice."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import SHARE_THE_DEMONSTRATION

ROOT = Path(__file__).parents[2]
FILES = ("tests/governance/test_counts.py", "tests/governance/test_gate.py")


def test_a_file_stays_on_one_worker() -> None:
    environment = {name: text for name, text in os.environ.items() if "XDIST" not in name}
    command = "-m pytest -v -n 2 --dist loadgroup -p no:cacheprovider"
    done = subprocess.run(
        [sys.executable, *command.split(), *FILES],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stdout[-2_000:]
    ran = re.findall(r"\[(gw\d)\].* PASSED (\S+?)::", done.stdout)
    assert len(ran) > 30
    assert {file for _, file in ran} == set(FILES)
    assert len(set(ran)) == len(FILES)


def test_every_file_that_reads_the_demonstration_is_kept_with_the_others() -> None:
    readers = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests").rglob("test_*.py")
        if re.search(r"^(?:def .*| +)\bjourney: Journey\b", path.read_text("utf-8"), re.MULTILINE)
    }
    assert readers == SHARE_THE_DEMONSTRATION
