"""The demonstration on 2,000 customers, run once as a person would run it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CUSTOMERS = 2_000


@dataclass(frozen=True)
class Journey:
    """A finished demonstration: its home and everything it printed."""

    home: Path
    exit_code: int
    said: str

    def verb(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one verb in the home of the journey."""
        return run([sys.executable, "-P", "-m", "limitline", *arguments], self.home)


def run(command: list[str], home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if "--json" not in command else subprocess.PIPE,
        text=True,
        check=False,
        cwd=home.parent,
        env={**os.environ, "LIMITLINE_HOME": str(home), "COLUMNS": "110", "LIMITLINE_LOG": "DEBUG"},
    )


def demo(home: Path) -> subprocess.CompletedProcess[str]:
    script = str(ROOT / "scripts" / "demo.py")
    return run([sys.executable, "-P", script, "--customers", str(CUSTOMERS)], home)


@pytest.fixture(scope="session")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Journey:
    home = tmp_path_factory.mktemp("a path with spaces") / "var"
    done = demo(home)
    (home.parent / "demo.log").write_text(done.stdout, encoding="utf-8")
    return Journey(home=home, exit_code=done.returncode, said=done.stdout)
