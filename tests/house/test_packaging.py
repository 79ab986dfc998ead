"""The wheel holds the rooms with their data, and nothing that would clash or leak."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = {
    *("governance", "privacy", "registry", "decisions", "training", "monitoring", "lab"),
    "limitline",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return zipfile.ZipFile(next(out.glob("*.whl")))


def test_the_wheel_holds_the_rooms_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == ROOMS


def test_declared_files_and_the_data_set_travel_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    assert {
        "governance/appetite/uci_demo.toml",
        "decisions/specs/uci_features.toml",
        "decisions/policies/uci_demo.toml",
        "privacy/contracts/uci_credit.toml",
        "training/data/uci_credit_default.parquet",
        "training/data/NOTICE",
    } <= names
    assert not [name for name in names if "__pycache__" in name]


def test_no_other_distribution_owns_a_room() -> None:
    owners = packages_distributions()
    strangers = {room: set(owners.get(room, [])) - {"limitline"} for room in ROOMS}
    assert strangers == {room: set() for room in ROOMS}


def test_the_lock_names_no_address_and_pins_every_hash() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert not re.search(r"https?://|index-url|find-links", text)
    pins = re.findall(r"^[a-z0-9][a-z0-9._-]*==[^\s;\\]+", text, re.MULTILINE)
    assert len(pins) > 100
    assert text.count("--hash=sha256:") >= len(pins)


def test_the_library_pins_of_known_conflicts_hold() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    versions = dict(re.findall(r"^([a-z0-9._-]+)==([0-9.]+)", text, re.MULTILINE))
    assert versions["pandas"].startswith("3.0.")
    assert versions["evidently"].startswith("0.7.")
    assert int(versions["pyarrow"].partition(".")[0]) < 26


def test_every_release_left_a_golden_set() -> None:
    released = re.findall(r"^## \[(\d[\d.]*)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)
    released.remove("0.1.0")  # It was released before there were golden sets.
    kept = {path.parent.name for path in (ROOT / "tests" / "golden").glob("*/expected.json")}
    assert set(released) <= kept
    assert kept
