from __future__ import annotations

from datetime import date

import pytest

from governance.errors import KeyringError, UsageError
from governance.evidence import Finding, Severity
from governance.settings import Settings
from registry import finding as findings
from registry.signing import Signer

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

    findings.close_finding(home, FOUND.id, on=LATER, note="coding restored at the source")
    assert [item.id for item in findings.open_findings(home, date(2026, 1, 31))] == [FOUND.id]
    assert findings.open_findings(home, LATER) == ()


def test_closing_twice_is_closing_once(home: Settings) -> None:
    findings.open_finding(home, FOUND, version=1)
    closed = [findings.close_finding(home, FOUND.id, on=LATER, note="restored") for _ in range(2)]

    assert closed[0] == closed[1]


def test_a_closed_finding_does_not_come_back_under_its_old_name(home: Settings) -> None:
    findings.open_finding(home, FOUND, version=1)
    findings.close_finding(home, FOUND.id, on=LATER, note="restored")

    with pytest.raises(UsageError, match="new id"):
        findings.open_finding(home, FOUND, version=1)


@pytest.mark.parametrize(("name", "note"), [("unknown", "why"), (FOUND.id, "  ")])
def test_closing_needs_a_known_finding_and_a_note(home: Settings, name: str, note: str) -> None:
    findings.open_finding(home, FOUND, version=1)

    with pytest.raises(UsageError):
        findings.close_finding(home, name, on=LATER, note=note)


def test_the_developer_does_not_open_findings(home: Settings) -> None:
    developer = Signer.open(home.keyring, "developer")

    with pytest.raises(KeyringError):
        findings.open_finding(home, FOUND, version=1, signer=developer)


def test_the_last_heartbeat_is_the_latest_day_of_that_monitor(home: Settings) -> None:
    assert findings.last_heartbeat(home) is None
    for monitor, day in (("drift", LATER), ("drift", DAY), ("fairness", DAY), ("drift", LATER)):
        findings.record_heartbeat(home, monitor, on=day, facts={"report": "a" * 64})

    assert findings.last_heartbeat(home) == LATER
    assert findings.last_heartbeat(home, "fairness") == DAY
    assert findings.last_heartbeat(home, "estimate") is None
