"""The demonstration survives being killed: run again, it ends where it would have ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.journeys.conftest import CUSTOMERS, ROOT, demo

pytestmark = pytest.mark.system

# Seconds after which the whole process group is killed: in protect, in train, in a later train.
MOMENTS = (2, 8, 12)


def test_a_demonstration_that_was_killed_three_times_ends_well(tmp_path: Path) -> None:
    home = tmp_path / "killed home"
    script = str(ROOT / "scripts" / "demo.py")
    for seconds in MOMENTS:
        running = subprocess.Popen(
            [sys.executable, "-P", script, "--customers", str(CUSTOMERS)],
            env={**os.environ, "LIMITLINE_HOME": str(home)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(seconds)
        assert running.poll() is None, "it ended before it could be killed"
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    done = demo(home)
    assert done.returncode == 0, done.stdout[-3_000:]
    assert "made again: all equal to the cent" in done.stdout
    verified = subprocess.run(
        [sys.executable, "-P", "-m", "limitline", "verify"],
        env={**os.environ, "LIMITLINE_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert verified.returncode == 0, verified.stderr
