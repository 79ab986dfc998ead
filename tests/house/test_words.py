"""What may not stand anywhere: places of one machine, forbidden claims, British spelling."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXTS = {".py", ".md", ".toml", ".cfg", ".txt", ""}


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:  # An exported tree has no git; look at what is there.
        names = [path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*") if path.is_file()]
    else:
        names = listed.stdout.splitlines()
    skipped = ("var/", ".venv/", "LICENSE")
    paths = [ROOT / name for name in names if not name.startswith(skipped)]
    return [path for path in paths if path.suffix in TEXTS and path.is_file()]


FORBIDDEN = {
    "a place of one machine": r"/(?:root|home/[a-z]+|Users/[A-Za-z]+)/",
    "a claim that nobody can make": r"\b(?:GDPR|PIPL|fully|is|are)[- ]compliant\b",
    "pseudonymized data called anonymous": r"\banonymi[sz]ed (?:customer|data|table|row)",
    "a task left in the code": r"#\s*(?:TODO|FIXME|XXX)\b",
    "British spelling": r"\b(?:behaviour|utilis|pseudonymis|colour|authoris|normalis|licenc)",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_it_stands_nowhere(what: str) -> None:
    pattern = re.compile(FORBIDDEN[what])
    found = []
    for path in tracked():
        if path == Path(__file__):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if pattern.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}")
    assert found == []
