"""The main job, end to end, as `make demo` runs it."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from governance import durable
from tests.journeys.conftest import CUSTOMERS, ROOT, Journey, demo, run

pytestmark = pytest.mark.journey


def document(journey: Journey, *arguments: str) -> dict[str, object]:
    done = journey.verb(*arguments, "--json")
    assert done.stdout, done.stderr
    return dict(json.loads(done.stdout))


def test_the_demonstration_ends_well(journey: Journey) -> None:
    assert journey.exit_code == 0, journey.said[-3_000:]
    assert "Traceback" not in journey.said


def _without_figures(text: str) -> str:
    """Return a line with its figures, amounts and spaces made alike."""
    return re.sub(r"\s+", " ", re.sub(r"\d[\d,.]*", "#", text)).strip()


def test_the_readme_shows_what_the_demonstration_prints(journey: Journey) -> None:
    [shown] = re.findall(
        r"```text\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL
    )
    printed = _without_figures(journey.said)
    lines = shown.splitlines()
    assert len(lines) > 8
    assert [line for line in lines if _without_figures(line) not in printed] == []


def test_the_faulty_candidate_was_refused_for_its_fault(journey: Journey) -> None:
    refused = journey.said.partition("Refuse the faulty candidate")[2]
    refused = refused.partition("Validate, waive")[0]
    assert "soundness.feedback" in refused
    assert "not waivable" in refused


def test_the_champion_stands_on_two_approvals_and_named_waivers(journey: Journey) -> None:
    status = document(journey, "status", "--on", "2005-10-01")
    text = json.dumps(status)
    assert "champion" in text
    for role in ("risk_approver", "business_approver", "head of credit risk"):
        assert role in text


def test_every_limit_was_decided_and_replays_to_the_cent(journey: Journey) -> None:
    done = journey.verb("replay", "--vintage", "2005-10", "--sample", "1000")
    assert done.returncode == 0, done.stdout
    assert "1,000 decisions of 2005-10 made again: all equal to the cent" in done.stdout


def test_september_alarms_and_the_months_before_stay_silent(journey: Journey) -> None:
    watched = document(journey, "report")["windows"]
    outcomes = {item["window"]: (item["outcome"], item["breaches"]) for item in watched}  # type: ignore[attr-defined]
    months = [f"2005-{month:02}" for month in range(4, 9)]
    assert [name for name in outcomes if name.startswith("2005-")] == [*months, "2005-09"]
    assert outcomes["2005-09"] == ("BREACH", 1)
    assert {outcomes[name] for name in months} <= {("PASS", 0), ("INFO", 0), ("INCONCLUSIVE", 0)}
    record = document(journey, "report", "--window", "2005-09")
    [alarm] = [m for m in record["measurements"] if m["outcome"] == "BREACH"]  # type: ignore[attr-defined]
    assert (alarm["measure"], alarm["scope"]) == (
        "drift.stability_index",
        {"feature": "repayment_status"},
    )
    # The real quirk of the data: the share of customers one month late jumps in September.
    low, value, high = (float(alarm[name]) for name in ("low", "value", "high"))
    assert 0.2 < value < 0.9
    assert 0.01 < low < value < high
    assert alarm["n"] == CUSTOMERS
    quiet = document(journey, "report", "--window", "2005-08")
    [calm] = [
        m
        for m in quiet["measurements"]  # type: ignore[attr-defined]
        if m["scope"] == {"feature": "repayment_status"}
    ]
    assert (calm["outcome"], calm["n"]) == ("PASS", CUSTOMERS)
    assert float(calm["value"]) < 0.05
    assert "not acknowledged" in journey.said
    assert "2005-09" in journey.said.partition("not acknowledged: ")[2].partition(". Look")[0]


def test_every_ledger_line_and_every_model_still_verifies(journey: Journey) -> None:
    assert journey.verb("verify").returncode == 0
    assert journey.verb("reconcile").returncode == 0


def test_an_outsider_verifies_the_evidence_with_two_copied_files(
    journey: Journey, tmp_path: Path
) -> None:
    written = document(journey, "evidence")
    pack = Path(str(written["path"]))
    alone = tmp_path / "verify.py"
    shutil.copyfile(ROOT / "registry" / "offline.py", alone)
    shutil.copyfile(ROOT / "registry" / "rules.py", tmp_path / "rules.py")
    isolated = [sys.executable, "-P", "-I", str(alone), str(pack)]
    assert run(isolated, tmp_path / "nowhere").returncode == 0
    edited = tmp_path / pack.name
    content = bytearray(pack.read_bytes())
    content[len(content) // 2] ^= 1
    edited.write_bytes(content)
    assert run([*isolated[:-1], str(edited)], tmp_path / "nowhere").returncode == 15


def test_raw_rows_exist_in_one_folder_only(journey: Journey) -> None:
    files = [path for path in journey.home.rglob("*.parquet") if path.read_bytes()[:4] == b"PAR1"]
    plain = {path.relative_to(journey.home).parts[0] for path in files}
    assert plain == {"raw"}


def test_a_second_run_repeats_nothing(journey: Journey) -> None:
    ledger = (journey.home / "ledger" / "checkpoint.txt").read_text()
    decisions = next(journey.home.glob("decisions/*/decisions.parquet")).stat().st_mtime_ns
    again = demo(journey.home)
    assert again.returncode == 0, again.stdout[-3_000:]
    assert next(journey.home.glob("decisions/*/decisions.parquet")).stat().st_mtime_ns == decisions
    assert (journey.home / "ledger" / "checkpoint.txt").read_text() == ledger


def test_two_demonstrations_at_once_do_not_mix(journey: Journey) -> None:
    with durable.locked(journey.home / ".demo.lock", what="test"):
        second = demo(journey.home)
    assert second.returncode == 16
    assert re.search(r"The demonstration is busy", second.stdout)
    assert "Traceback" not in second.stdout


def test_the_home_is_for_its_owner_alone(journey: Journey) -> None:
    for place in ("keyring", "vault", "raw", "ledger", "decisions"):
        assert (journey.home / place).stat().st_mode & 0o077 == 0, place
    for key in (journey.home / "keyring").rglob("*.pem"):
        assert key.stat().st_mode & 0o077 == 0
