from __future__ import annotations

import io
from collections.abc import Callable
from datetime import date

import pytest
from rich.console import Console

from governance.appetite import RiskAppetite
from governance.evidence import Evidence, Finding, Severity
from governance.settings import Settings
from registry import card, findings
from registry.attestation import attest
from registry.judgement import gate
from registry.record import Record
from registry.signing import Signer
from registry.status import Rows, render, render_decision, status
from registry.waivers import WaiverRequest, waive

DAY = date(2026, 1, 5)


@pytest.fixture
def told(
    home: Settings,
    evidence: Callable[..., Evidence],
    signer: Callable[[str], Signer],
    appetite: RiskAppetite,
) -> Settings:
    """A home in which a version was refused, half answered for, and watched."""
    ratios = {"female": 0.5, "male": 0.6}
    attest(home, evidence(raise_ratio=ratios), version=1, signer=signer("validator"))
    gate(home, 1, appetite=appetite, on=DAY)
    request = WaiverRequest(
        measure="fairness.*",
        scope={"group": "male"},
        owner="Head of Conduct",
        reason="a known gap | with <b>markup</b>",
        granted_on=DAY,
        expires_on=date(2026, 6, 30),
    )
    waive(home, 1, request)
    gate(home, 1, appetite=appetite, on=DAY)
    opened = Finding(
        id="f-1",
        measure="stability.index",
        severity=Severity.SEVERE,
        text="moved",
        owner="Head of Model Risk",
        opened_on=DAY,
    )
    findings.open_finding(home, opened, version=1)
    findings.record_heartbeat(home, "drift", on=DAY, facts={})
    return home


def test_the_status_tells_what_happened_and_why(told: Settings) -> None:
    document = status(told, DAY)
    (version,) = document["versions"]

    assert document["champion"] is None
    assert (version["state"], version["gate"]) == ("refused", "BREACH")
    assert ["female" in line for line in version["refusals"]] == [True]
    assert [item["is_in_force"] for item in version["waivers"]] == [True]
    assert document["findings_open"][0]["id"] == "f-1"
    assert document["last_heartbeat"] == "2026-01-05"
    assert document["ledger"]["entries"] == 10
    assert status(told, date(2026, 7, 1))["versions"][0]["waivers"][0]["is_in_force"] is False


def test_the_status_fits_a_hundred_columns(told: Settings) -> None:
    text = io.StringIO()
    render(status(told, DAY), Console(file=text, width=100))
    said = text.getvalue()

    assert max(len(line.rstrip()) for line in said.splitlines()) <= 100
    narrow = io.StringIO()
    render(status(told, DAY), Console(file=narrow, width=80))
    (row,) = [line for line in narrow.getvalue().splitlines() if line.startswith("1 ")]
    assert status(told, DAY)["versions"][0]["manifest_sha256"][:12] in row
    for words in ("refused", "female", "Head of Conduct", "severe", "one machine", "serve"):
        assert words in said
    told_why = said.partition("Why version 1 was refused on")[2].splitlines()
    assert "female" in told_why[1]


def test_the_judged_table_shows_the_gravest_first(told: Settings, appetite: RiskAppetite) -> None:
    text = io.StringIO()
    decision = gate(told, 1, appetite=appetite, on=DAY)
    console = Console(file=text, width=100)
    render_decision(1, decision, appetite, console, rows=Rows.ALL)
    lines = text.getvalue().splitlines()

    assert lines[1].startswith("BREACH ")
    assert "waived" in lines[2]
    assert "closed for version 1: 1 refusals, 1 answered" in lines[-1]


def test_the_card_shows_verdicts_waivers_findings_and_digests_in_two_languages(
    told: Settings,
) -> None:
    record = Record.load(told)
    text = card.describe(record, 1)

    assert text.startswith("# Credit-limit model, version 1: refused")
    assert "额度模型第 1 版" in text
    assert "闸门拒绝" in text
    assert "违反（BREACH） 2 项（其中豁免 1 项）" in text
    assert f"#/runs/{record.manifest(1).statement.predicate['run_id']}" in text
    assert "limitline document --version 1" in text
    assert (
        "| BREACH | fairness.raise_ratio | attribute=sex, group=female | 0.5 [0.49, 0.51] |" in text
    )
    assert "| BREACH (waived) |" in text
    assert "severe: stability.index" in text
    assert record.manifest(1).statement.sha256 in text
    assert "outcomes after the first month" in text
    assert "<b>" not in text


def test_the_tags_hold_state_gate_and_lineage(home: Settings) -> None:
    tags = card.tags(Record.load(home), 1)

    assert tags["limitline.state"] == "submitted"
    assert tags["limitline.gate"] == "not judged"
    assert tags["limitline.lineage.data_digest"] == "ab" * 32
