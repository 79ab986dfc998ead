from __future__ import annotations

import json
from datetime import date, timedelta

import pytest
from typer.testing import CliRunner

from governance.errors import GateClosed, KeyringError, UsageError
from governance.evidence import Finding, Severity
from governance.settings import HOME_VARIABLE, Settings
from limitline.commands import app
from registry import findings, rules
from registry.record import Record, append, subject_of
from registry.signing import Kind, Signer

DAY_LONG = timedelta(days=1)
DAY, LATER = date(2026, 1, 5), date(2026, 2, 1)

FOUND = Finding(
    id="drift-2026-01",
    measure="stability.index",
    scope={"feature": "pay_0"},
    severity=Severity.SEVERE,
    text="The coding of the repayment status changed.",
    owner="Head of Model Risk",
    opened_on=DAY,
)


def test_a_finding_is_open_until_the_day_it_is_closed(home: Settings) -> None:
    places = [findings.open_finding(home, FOUND, version=1) for _ in range(2)]
    assert places[0] == places[1]
    assert findings.open_findings(home, DAY) == (FOUND,)
    assert findings.open_findings(home, date(2026, 1, 4)) == ()

    close(home, "validator")
    assert [item.id for item in findings.open_findings(home, LATER)] == [FOUND.id]
    close(home, "risk_approver", on=LATER + DAY_LONG)
    assert [item.id for item in findings.open_findings(home, LATER)] == [FOUND.id]
    assert findings.open_findings(home, LATER + DAY_LONG) == ()


def close(home: Settings, role: str, on: date = LATER) -> Finding:
    return findings.close_finding(home, FOUND.id, on=on, note="coding was restored", role=role)


def test_one_role_that_signs_twice_closes_nothing_and_is_recorded_once(home: Settings) -> None:
    findings.open_finding(home, FOUND, version=1)
    size = len(Record.load(home).entries)
    for _ in range(3):
        assert close(home, "validator").closed_on is None
    assert len(Record.load(home).entries) == size + 1
    assert close(home, "business_approver").closed_on == LATER


def test_a_third_role_that_agrees_later_moves_no_day(home: Settings) -> None:
    findings.open_finding(home, FOUND, version=1)
    close(home, "validator")
    assert close(home, "risk_approver").closed_on == LATER
    assert close(home, "business_approver", on=LATER + DAY_LONG).closed_on == LATER
    assert findings.open_findings(home, LATER) == ()


def test_a_finding_may_be_closed_on_the_day_it_was_opened(home: Settings) -> None:
    findings.open_finding(home, FOUND, version=1)
    close(home, "validator", on=DAY)
    assert close(home, "risk_approver", on=DAY).closed_on == DAY
    assert findings.open_findings(home, DAY) == ()


def test_no_statement_can_say_for_itself_that_it_is_closed_or_milder(home: Settings) -> None:
    findings.open_finding(home, FOUND, version=1)
    record = Record.load(home)
    signer = Signer.open(home.keyring, "risk_approver")
    for event, changed in (
        ("opened", {"severity": "low"}),
        *[("closed", {"closed_on": "2026-01-06"})] * 2,
    ):
        said = {**FOUND.model_dump(mode="json"), **changed}
        append(
            home,
            Kind.FINDING,
            subject=(subject_of(1), record.manifest(1).statement.sha256),
            predicate={"event": event, "finding": said, "note": "so it is"},
            signer=signer,
        )
    assert FOUND in findings.open_findings(home, LATER)


@pytest.mark.parametrize(
    "early",
    [
        {"severity": Severity.LOW},
        {"severity": Severity.MEDIUM, "opened_on": DAY - DAY_LONG},
        {"opened_on": date(2999, 1, 1)},
    ],
)
@pytest.mark.parametrize("is_closed", [False, True])
def test_a_milder_finding_opened_early_under_the_same_id_swallows_none(
    home: Settings, early: dict[str, object], is_closed: bool
) -> None:
    mild = FOUND.model_copy(update={"text": "Nothing much.", **early})
    first = findings.open_finding(home, mild, version=1)
    for role in ("validator", "risk_approver") if is_closed else ():
        close(home, role, on=max(mild.opened_on, LATER))
    assert findings.open_finding(home, FOUND, version=1) > first
    count = len(Record.load(home).entries)
    findings.open_finding(home, FOUND, version=1)
    assert len(Record.load(home).entries) == count

    assert FOUND in findings.open_findings(home, LATER)
    history = Record.load(home).history
    lasting = [one for one in rules.findings(history) if one.holds(LATER.isoformat())]
    severities = [one.begun["statement"]["predicate"]["finding"]["severity"] for one in lasting]
    assert "severe" in severities


def test_closing_an_id_closes_every_finding_under_it_by_two_people(home: Settings) -> None:
    findings.open_finding(home, FOUND.model_copy(update={"severity": Severity.LOW}), version=1)
    close(home, "validator")
    findings.open_finding(home, FOUND, version=1)
    close(home, "risk_approver")
    assert findings.open_findings(home, LATER) == (FOUND,)
    assert close(home, "validator").closed_on == LATER
    assert findings.open_findings(home, LATER) == ()


def test_a_closed_finding_does_not_come_back_under_its_old_name(home: Settings) -> None:
    findings.open_finding(home, FOUND, version=1)
    close(home, "validator")
    close(home, "risk_approver")

    with pytest.raises(UsageError, match="new id"):
        findings.open_finding(home, FOUND, version=1)


@pytest.mark.parametrize(
    ("name", "note", "role", "problem"),
    [
        ("unknown", "coding was restored", "validator", "no finding unknown"),
        (FOUND.id, "  ", "validator", "needs a note"),
        (FOUND.id, "coding was restored", "developer", "given: developer"),
        (FOUND.id, "coding was restored", "nobody", "given: nobody"),
    ],
)
def test_closing_needs_a_known_finding_a_note_and_a_role_that_may(
    home: Settings, name: str, note: str, role: str, problem: str
) -> None:
    findings.open_finding(home, FOUND, version=1)

    with pytest.raises(UsageError, match=problem):
        findings.close_finding(home, name, on=LATER, note=note, role=role)


def test_a_finding_is_not_closed_before_it_was_opened(home: Settings) -> None:
    findings.open_finding(home, FOUND, version=1)
    with pytest.raises(GateClosed, match="before"):
        close(home, "validator", on=date(2026, 1, 4))


def test_the_verbs_list_and_close_with_two_signatures(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(home.home))
    findings.open_finding(home, FOUND, version=1)
    listed = CliRunner().invoke(app, ["finding", "list", "--on", "2026-01-10", "--json"])
    assert [row["id"] for row in json.loads(listed.stdout)["findings"]] == [FOUND.id]
    shut = ["finding", "close", FOUND.id, "--on", "2026-02-01", "--reason", "coding was restored"]
    first = CliRunner().invoke(app, [*shut, "--as", "validator"])
    assert "stays open until a second agrees" in first.stdout, first.output
    second = CliRunner().invoke(app, [*shut, "--as", "risk_approver", "--json"])
    assert json.loads(second.stdout)["finding"]["closed_on"] == "2026-02-01"
    assert json.loads(second.stdout)["agreed"] == ["risk_approver", "validator"]
    after = CliRunner().invoke(app, ["finding", "list", "--on", "2026-02-01"])
    assert "0 open findings" in after.stdout
    assert CliRunner().invoke(app, [*shut, "--as", "developer"]).exit_code == 2


def test_the_developer_does_not_open_findings(home: Settings) -> None:
    developer = Signer.open(home.keyring, "developer")

    with pytest.raises(KeyringError, match="developer may not sign finding"):
        findings.open_finding(home, FOUND, version=1, signer=developer)


def test_the_last_heartbeat_is_the_latest_day_of_that_monitor(home: Settings) -> None:
    assert findings.last_heartbeat(home) is None
    for monitor, day in (("drift", LATER), ("drift", DAY), ("fairness", DAY), ("drift", LATER)):
        findings.record_heartbeat(home, monitor, on=day, facts={"report": "a" * 64})

    assert findings.last_heartbeat(home) == LATER
    assert findings.last_heartbeat(home, "fairness") == DAY
    assert findings.last_heartbeat(home, "estimate") is None


def test_what_outsiders_read_of_a_finding_is_what_the_product_reads_on_every_day(
    home: Settings,
) -> None:
    findings.open_finding(home, FOUND, version=1)
    close(home, "validator", on=LATER - DAY_LONG)
    close(home, "risk_approver")
    history = Record.load(home).history
    for day in (DAY - DAY_LONG, DAY, LATER - DAY_LONG, LATER, LATER + DAY_LONG):
        expected = [FOUND.id] if DAY <= day < LATER else []
        assert [found.id for found in findings.open_findings(home, day)] == expected
        lasting = [one for one in rules.findings(history) if one.holds(day.isoformat())]
        assert len(lasting) == len(expected)
