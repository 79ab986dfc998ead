"""Raises stop when something severe is open or nobody has looked for too long."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest

from governance.errors import GateClosed
from governance.evidence import Finding, Severity
from limits import book
from limits.engine import Freeze
from limits.policy import LimitPolicy, packaged
from limits.standing import standing
from registry import freeze
from registry.finding import close_finding, open_finding, record_heartbeat

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
    assert standing(own_world.settings, POLICY, PROMOTED).freeze is Freeze.NOTHING


def test_a_severe_finding_stops_raises_until_it_is_closed(own_world: World) -> None:
    here = own_world.settings
    open_finding(here, finding(Severity.SEVERE), version=own_world.champion)
    stopped = standing(here, POLICY, PROMOTED + DAY)
    assert stopped.freeze is Freeze.RAISES
    assert stopped.reasons == ("severe finding drift-1 is open",)
    close_finding(here, "drift-1", on=PROMOTED + 2 * DAY, note="the cause was mended")
    assert standing(here, POLICY, PROMOTED + 3 * DAY).freeze is Freeze.NOTHING


def test_a_medium_finding_stops_nothing(own_world: World) -> None:
    here = own_world.settings
    open_finding(here, finding(Severity.MEDIUM), version=own_world.champion)
    assert standing(here, POLICY, PROMOTED + DAY).freeze is Freeze.NOTHING


def test_a_silent_monitor_stops_raises_the_day_after_its_grace(own_world: World) -> None:
    here = own_world.settings
    last = PROMOTED + 45 * DAY
    assert standing(here, POLICY, last).freeze is Freeze.NOTHING
    silent = standing(here, POLICY, last + DAY)
    assert silent.freeze is Freeze.RAISES
    assert silent.reasons == ("monitoring has been silent for 46 days; 45 are allowed",)
    record_heartbeat(here, "watch", on=last, facts={})
    assert standing(here, POLICY, last + DAY).freeze is Freeze.NOTHING


def test_a_policy_without_supervision_asks_for_no_heartbeat(own_world: World) -> None:
    free = POLICY.model_copy(update={"supervision": None})
    assert standing(own_world.settings, free, date(2009, 1, 1)).freeze is Freeze.NOTHING


def test_a_stopped_book_is_decided_without_a_raise_and_says_why(own_world: World) -> None:
    here = own_world.settings
    open_finding(here, finding(Severity.SEVERE), version=own_world.champion)
    table = book.open_table(here, "uci-credit", keyring=own_world.keyring)
    decided = book.decide(here, table, keyring=own_world.keyring, as_of=PROMOTED)
    assert decided.log.manifest["counts"]["actions"]["raise"] == 0
    assert decided.log.manifest["counts"]["actions"]["cut"] > 0
    assert decided.log.identity["freeze"] == "raises"
    assert decided.reasons == ("severe finding drift-1 is open",)


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
    made = freeze.freeze(here, role="risk_approver", reason=why, on=PROMOTED)
    table = book.open_table(here, "uci-credit", keyring=ring)
    said = f"raises are frozen by the risk_approver since 2005-10-01 ({made.id})"

    with pytest.raises(GateClosed, match="two approvers do"):
        book.decide(here, table, keyring=ring, as_of=PROMOTED, freeze=Freeze.NOTHING)
    first = book.decide(here, table, keyring=ring, as_of=PROMOTED)
    assert first.log.manifest["counts"]["actions"]["raise"] == 0
    assert first.log.identity["freeze"] == "raises"
    assert first.reasons == (said,)

    next_month = date(2005, 11, 1)
    freeze.unfreeze(here, role="risk_approver", reason=why, on=next_month)
    assert standing(here, POLICY, next_month).reasons == (said,)
    freeze.unfreeze(here, role="business_approver", reason=why, on=next_month)
    second = book.decide(here, table, keyring=ring, as_of=next_month)
    assert second.log.manifest["counts"]["actions"]["raise"] > 0
    assert second.reasons == ()
