"""Raises stop when something severe is open or nobody has looked for too long."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pyarrow.compute as pc
import pytest
from rich.console import Console

from decisions import book, printing
from decisions.engine import Freeze
from decisions.policy import LimitPolicy, packaged
from decisions.raise_stops import find_stops
from decisions.reasons import Reason
from governance.errors import GateClosed
from governance.evidence import Evidence, Finding, Severity
from governance.measurement import Measurement
from registry import attestation, findings, judgement, promotion, waivers
from registry.findings import close_finding, open_finding, record_heartbeat
from registry.record import Record
from registry.signing import Role, Signer
from tests.conftest import APPETITE

if TYPE_CHECKING:
    from tests.conftest import World

POLICY = LimitPolicy.parse(packaged("uci_demo"))
PROMOTED = date(2005, 10, 1)
DAY = timedelta(days=1)


def finding(severity: Severity) -> Finding:
    return Finding(
        id="drift-1",
        measure="drift.stability_index",
        severity=severity,
        text="a test",
        owner="on call",
        opened_on=PROMOTED,
    )


def test_a_champion_that_was_just_promoted_may_raise(own_world: World) -> None:
    assert find_stops(own_world.settings, POLICY, PROMOTED).freeze is Freeze.NOTHING


def test_a_severe_finding_stops_raises_until_it_is_closed(own_world: World) -> None:
    here = own_world.settings
    open_finding(here, finding(Severity.SEVERE), version=own_world.champion)
    stopped = find_stops(here, POLICY, PROMOTED + DAY)
    assert stopped.freeze is Freeze.RAISES
    assert stopped.reasons == ("severe finding drift-1 is open",)
    close_finding(here, "drift-1", on=PROMOTED + 2 * DAY, note="the cause was mended")
    assert find_stops(here, POLICY, PROMOTED + 3 * DAY).freeze is Freeze.RAISES
    close_finding(
        here, "drift-1", on=PROMOTED + 2 * DAY, note="seen and agreed to", role="risk_approver"
    )
    assert find_stops(here, POLICY, PROMOTED + 3 * DAY).freeze is Freeze.NOTHING


def test_a_medium_finding_stops_nothing(own_world: World) -> None:
    here = own_world.settings
    open_finding(here, finding(Severity.MEDIUM), version=own_world.champion)
    assert find_stops(here, POLICY, PROMOTED + DAY).freeze is Freeze.NOTHING


def test_a_silent_monitor_stops_raises_the_day_after_its_grace(own_world: World) -> None:
    here = own_world.settings
    last = PROMOTED + 45 * DAY
    assert find_stops(here, POLICY, last).freeze is Freeze.NOTHING
    silent = find_stops(here, POLICY, last + DAY)
    assert silent.freeze is Freeze.RAISES
    assert silent.reasons == ("monitoring has been silent for 46 days; 45 are allowed",)
    record_heartbeat(here, "watch", on=last, facts={})
    assert find_stops(here, POLICY, last + DAY).freeze is Freeze.NOTHING


def test_a_policy_without_supervision_asks_for_no_heartbeat(own_world: World) -> None:
    free = POLICY.model_copy(update={"supervision": None})
    assert find_stops(own_world.settings, free, PROMOTED + 90 * DAY).freeze is Freeze.NOTHING


@pytest.mark.parametrize("is_supervised", [True, False])
def test_a_person_reads_that_nobody_has_to_watch(own_world: World, *, is_supervised: bool) -> None:
    here, ring = own_world.settings, own_world.keyring
    table = book.open_table(here, "uci-credit", keyring=ring)
    decided = book.decide(here, table, keyring=ring, as_of=PROMOTED)
    assert decided.is_supervised
    manifest = {name: decided.log.manifest[name] for name in ("identity", "counts")}
    said = io.StringIO()
    out = Console(file=said, width=200)
    printing.decided(out, {**manifest, "path": "", "is_supervised": is_supervised})
    assert ("falls silent stops no raise" in said.getvalue()) is not is_supervised


def test_approvals_that_ran_out_stop_raises_until_both_are_given_again(own_world: World) -> None:
    here, free = own_world.settings, POLICY.model_copy(update={"supervision": None})
    late = PROMOTED + 91 * DAY
    assert find_stops(here, free, late - DAY).reasons == ()
    assert find_stops(here, free, late).reasons == (
        "the approval of version 1 by the business_approver ended on 2005-12-30",
        "the approval of version 1 by the risk_approver ended on 2005-12-30",
    )
    judgement.approve(here, own_world.champion, role="risk_approver", on=late)
    assert len(find_stops(here, free, late).reasons) == 1
    judgement.approve(here, own_world.champion, role="business_approver", on=late)
    assert find_stops(here, free, late).freeze is Freeze.NOTHING


def test_approvals_of_another_decision_keep_nobody_raising_until_it_is_promoted(
    own_world: World,
) -> None:
    here, free = own_world.settings, POLICY.model_copy(update={"supervision": None})
    late, version = PROMOTED + 91 * DAY, own_world.champion
    evidence = Evidence(
        kind="validation",
        subject={"model": Record.load(here).manifest(version).statement.sha256},
        measurements=(Measurement(measure="accuracy.auc", value=0.76, n=400),),
        measured_on=late,
    )
    validator = Signer.open(here.keyring, Role.VALIDATOR)
    attestation.attest(here, evidence, version=version, signer=validator)
    judgement.gate(here, version, on=late)
    for role in ("risk_approver", "business_approver"):
        judgement.approve(here, version, role=role, on=late)
    assert [line.split(" by ")[1] for line in find_stops(here, free, late).reasons] == [
        "the business_approver ended on 2005-12-30",
        "the risk_approver ended on 2005-12-30",
    ]
    promotion.promote(here, version, on=late)
    assert find_stops(here, free, late).freeze is Freeze.NOTHING


def test_a_waiver_that_ran_out_stops_raises_and_one_given_again_lets_them_go(
    own_world: World,
) -> None:
    here = own_world.settings
    measure = Measurement(measure="accuracy.auc", value=0.5, n=400)
    evidence = Evidence(
        kind="validation",
        subject={"model": Record.load(here).manifest(own_world.champion).statement.sha256},
        measurements=(measure,),
        measured_on=PROMOTED + DAY,
    )
    validator = Signer.open(here.keyring, Role.VALIDATOR)
    attestation.attest(here, evidence, version=own_world.champion, signer=validator)
    judgement.gate(here, own_world.champion, appetite=APPETITE, on=PROMOTED + DAY)
    asked = waivers.WaiverRequest(
        measure="accuracy.auc",
        scope={},
        owner="head of credit risk",
        reason="known and watched closely",
        granted_on=PROMOTED + DAY,
        expires_on=PROMOTED + 30 * DAY,
    )
    waivers.waive(here, own_world.champion, asked)
    judgement.gate(here, own_world.champion, appetite=APPETITE, on=PROMOTED + 2 * DAY)
    # Until it is promoted again, the champion rests on what it was promoted by.
    assert find_stops(here, POLICY, PROMOTED + 31 * DAY).reasons == ()
    for role in ("risk_approver", "business_approver"):
        judgement.approve(here, own_world.champion, role=role, on=PROMOTED + 2 * DAY)
    assert promotion.promote(here, own_world.champion, on=PROMOTED + 2 * DAY).is_new
    assert find_stops(here, POLICY, PROMOTED + 30 * DAY).reasons == ()
    late = PROMOTED + 31 * DAY
    assert find_stops(here, POLICY, late).reasons == (
        "the waiver of accuracy.auc (whole book) ended on 2005-10-31",
    )
    table = book.open_table(here, "uci-credit", keyring=own_world.keyring)
    decided = book.decide(here, table, keyring=own_world.keyring, as_of=late)
    assert decided.log.manifest["counts"]["actions"]["raise"] == 0
    waivers.waive(
        here, own_world.champion, replace(asked, granted_on=late, expires_on=late + 9 * DAY)
    )
    assert find_stops(here, POLICY, late).reasons == ()


def test_a_stopped_book_is_decided_without_a_raise_and_says_why(own_world: World) -> None:
    here = own_world.settings
    open_finding(here, finding(Severity.SEVERE), version=own_world.champion)
    table = book.open_table(here, "uci-credit", keyring=own_world.keyring)
    decided = book.decide(here, table, keyring=own_world.keyring, as_of=PROMOTED)
    assert decided.log.manifest["counts"]["actions"]["raise"] == 0
    assert decided.log.manifest["counts"]["actions"]["cut"] > 0
    assert decided.log.identity["freeze"] == "raises"
    assert decided.reasons == ("severe finding drift-1 is open",)
    assert decided.log.identity["freeze_reasons"] == ["severe finding drift-1 is open"]
    rows = decided.log.read(["limit_before_minor", "limit_after_minor", "reasons"])
    before, after, mask = (rows[name].to_numpy() for name in rows.column_names)
    withheld = (mask & int(Reason.RAISES_FROZEN)) != 0
    assert withheld.sum() > 100
    assert (after[withheld] <= before[withheld]).all()


def test_cuts_are_those_of_the_policy_whether_raises_are_stopped_or_not(own_world: World) -> None:
    here, ring = own_world.settings, own_world.keyring
    table = book.open_table(here, "uci-credit", keyring=ring)
    free = book.decide(here, table, keyring=ring, as_of=PROMOTED).log.read()
    open_finding(here, finding(Severity.SEVERE), version=own_world.champion)
    stopped = book.decide(here, table, keyring=ring, as_of=date(2005, 11, 1)).log.read()
    for name in ("limit_after_minor", "action"):
        cut = pc.equal(free["action"], "cut")
        assert stopped[name].filter(cut).equals(free[name].filter(cut))
    assert pc.sum(pc.equal(stopped["action"], "cut")) == pc.sum(pc.equal(free["action"], "cut"))


@pytest.mark.parametrize("late", [0, 60])
def test_no_option_lets_raises_go_on_while_something_stops_them(
    own_world: World, late: int
) -> None:
    here, ring = own_world.settings, own_world.keyring
    if not late:
        open_finding(here, finding(Severity.SEVERE), version=own_world.champion)
    table = book.open_table(here, "uci-credit", keyring=ring)
    with pytest.raises(GateClosed, match="An option does not lift that"):
        book.decide(here, table, keyring=ring, as_of=PROMOTED + late * DAY, freeze=Freeze.NOTHING)


def test_a_finding_that_comes_later_does_not_change_what_was_decided(own_world: World) -> None:
    here = own_world.settings
    table = book.open_table(here, "uci-credit", keyring=own_world.keyring)
    first = book.decide(here, table, keyring=own_world.keyring, as_of=PROMOTED)
    open_finding(here, finding(Severity.SEVERE), version=own_world.champion)
    again = book.decide(here, table, keyring=own_world.keyring, as_of=PROMOTED)
    assert not again.is_new
    assert again.log.manifest == first.log.manifest


def test_a_frozen_book_has_no_raise_until_two_approvers_unfroze(own_world: World) -> None:
    here, ring = own_world.settings, own_world.keyring
    why = "Raises look wrong in one segment"
    made = findings.freeze(here, role="risk_approver", reason=why, on=PROMOTED)
    table = book.open_table(here, "uci-credit", keyring=ring)
    said = f"raises are frozen by the risk_approver since 2005-10-01 ({made.id})"

    with pytest.raises(GateClosed, match="two approvers do"):
        book.decide(here, table, keyring=ring, as_of=PROMOTED, freeze=Freeze.NOTHING)
    first = book.decide(here, table, keyring=ring, as_of=PROMOTED)
    assert first.log.manifest["counts"]["actions"]["raise"] == 0
    assert first.log.identity["freeze"] == "raises"
    assert first.reasons == (said,)

    next_month = date(2005, 11, 1)
    findings.unfreeze(here, role="risk_approver", reason=why, on=next_month)
    assert find_stops(here, POLICY, next_month).reasons == (said,)
    findings.unfreeze(here, role="business_approver", reason=why, on=next_month)
    second = book.decide(here, table, keyring=ring, as_of=next_month)
    assert second.log.manifest["counts"]["actions"]["raise"] > 0
    assert second.reasons == ()
