from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import pytest
from typer.testing import CliRunner

from governance.appetite import RiskAppetite
from governance.errors import GateClosed, Inconclusive, UsageError
from governance.evidence import Evidence
from governance.settings import Settings
from limitline.commands import app
from registry.attestation import attest
from registry.judgement import approve
from registry.record import Record
from registry.rules import APPROVAL_MAX_DAYS
from registry.signing import Signer

DAY = date(2026, 1, 5)


def test_an_approval_binds_every_digest_and_expires(
    home: Settings, judged: Callable[..., None], appetite: RiskAppetite
) -> None:
    judged()
    said = approve(home, 1, role="risk_approver", on=DAY)

    assert set(said["binds"]) == {
        "model",
        "policy",
        "lineage",
        "evidence",
        "appetite",
        "decision",
    }
    assert said["binds"]["appetite"] == appetite.digest
    assert all(len(digest) == 64 for digest in said["binds"].values())
    assert said["expires_on"] == (DAY + timedelta(days=90)).isoformat()


def test_the_same_approval_is_recorded_once(home: Settings, judged: Callable[..., None]) -> None:
    judged()
    first, again = (approve(home, 1, role="risk_approver", on=DAY) for _ in range(2))

    assert (first["is_new"], again["is_new"]) == (True, False)
    assert len(Record.load(home).approvals(1)) == 1


@pytest.mark.parametrize(("auc", "error"), [(0.5, GateClosed), (0.7, Inconclusive)])
def test_nothing_is_approved_behind_a_closed_gate(
    home: Settings, judged: Callable[..., None], auc: float, error: type[Exception]
) -> None:
    judged(auc=auc)

    with pytest.raises(error, match=r"accuracy\.auc"):
        approve(home, 1, role="risk_approver", on=DAY)


def test_nothing_is_approved_before_the_gate_has_judged(
    home: Settings, evidence: Callable[..., Evidence], signer: Callable[[str], Signer]
) -> None:
    with pytest.raises(GateClosed, match="no validation evidence"):
        approve(home, 1, role="risk_approver", on=DAY)
    attest(home, evidence(), version=1, signer=signer("validator"))
    with pytest.raises(GateClosed, match="no gate decision"):
        approve(home, 1, role="risk_approver", on=DAY)


def test_newer_evidence_needs_a_new_judgement(
    home: Settings,
    judged: Callable[..., None],
    evidence: Callable[..., Evidence],
    signer: Callable[[str], Signer],
) -> None:
    judged()
    attest(home, evidence(auc=0.78), version=1, signer=signer("validator"))

    with pytest.raises(GateClosed, match="newer evidence"):
        approve(home, 1, role="risk_approver", on=DAY)


@pytest.mark.parametrize("role", ["developer", "validator", "ledger", "nobody"])
def test_other_roles_do_not_approve(home: Settings, judged: Callable[..., None], role: str) -> None:
    judged()

    with pytest.raises(GateClosed, match="may not approve"):
        approve(home, 1, role=role, on=DAY)


def test_an_approval_is_not_dated_before_the_decision(
    home: Settings, judged: Callable[..., None]
) -> None:
    judged()

    with pytest.raises(GateClosed, match="before that day"):
        approve(home, 1, role="risk_approver", on=DAY - timedelta(days=1))


@pytest.mark.parametrize("days", [0, -1, APPROVAL_MAX_DAYS + 1, 10**12, 10**40])
def test_an_approval_has_a_shortest_and_a_longest_term(
    home: Settings, judged: Callable[..., None], days: int
) -> None:
    judged()
    for accepted in (1, APPROVAL_MAX_DAYS):
        said = approve(home, 1, role="risk_approver", on=DAY, valid_days=accepted)
        assert said["seq"]
    with pytest.raises(UsageError, match="holds for 1 to 366 days; asked was"):
        approve(home, 1, role="business_approver", on=DAY, valid_days=days)
    arguments = ["approve", "--version", "1", "--as", "business_approver", "--on", str(DAY)]
    done = CliRunner().invoke(app, [*arguments, "--valid-days", str(days)])
    assert done.exit_code == 2, done.output


def test_an_approval_does_not_end_after_the_last_day_there_is(
    home: Settings, judged: Callable[..., None]
) -> None:
    judged()
    assert approve(home, 1, role="risk_approver", on=date.max - timedelta(days=90))["is_new"]
    with pytest.raises(UsageError, match="would end after 9999-12-31"):
        approve(home, 1, role="risk_approver", on=date.max)
