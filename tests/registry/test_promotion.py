from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest

from governance import durable
from governance.appetite import RiskAppetite
from governance.errors import EnvironmentFault, GateClosed, IntegrityError
from governance.evidence import Evidence
from governance.settings import Settings
from registry import people
from registry.attestation import attest
from registry.catalogue import CHALLENGER, CHAMPION, Catalogue
from registry.judgement import approve, gate
from registry.load import load_verified
from registry.promotion import promote
from registry.record import ABANDONED, APPLIED, INTENT, Record, in_force
from registry.signing import Signer
from registry.submission import CandidateFiles, ModelVersion, RunFacts, submit
from registry.waivers import WaiverRequest, waive
from tests import appetites

DAY = date(2026, 1, 5)
ROOT = Path(__file__).parents[2]
APPROVERS = ("risk_approver", "business_approver")


@pytest.fixture
def ready(
    home: Settings,
    evidence: Callable[..., Evidence],
    signer: Callable[[str], Signer],
    appetite: RiskAppetite,
) -> Settings:
    """A home whose version 1 has an open gate and no approvals."""
    attest(home, evidence(), version=1, signer=signer("validator"))
    gate(home, 1, appetite=appetite, on=DAY)
    return home


@pytest.fixture
def approved(ready: Settings) -> Settings:
    for role in APPROVERS:
        approve(ready, 1, role=role, on=DAY)
    return ready


def _events(home: Settings) -> list[str]:
    found = Record.load(home).events(INTENT, APPLIED, ABANDONED)
    return [str(entry.statement.predicate["event"]) for entry in found]


def test_four_eyes_make_a_champion_and_again_changes_nothing(approved: Settings) -> None:
    first, again = (promote(approved, 1, on=DAY) for _ in range(2))
    catalogue = Catalogue.open(approved)

    assert (first.is_new, again.is_new) == (True, False)
    assert _events(approved) == [INTENT, APPLIED]
    assert catalogue.alias_version(CHAMPION) == 1
    assert catalogue.alias_version(CHALLENGER) is None
    assert load_verified(approved, "champion").version == 1


@pytest.mark.parametrize("roles", [[], ["risk_approver"], ["business_approver"]])
def test_one_approver_is_not_enough(ready: Settings, roles: list[str]) -> None:
    for role in roles:
        approve(ready, 1, role=role, on=DAY)

    with pytest.raises(GateClosed, match="lacks an approval"):
        promote(ready, 1, on=DAY)
    assert _events(ready) == []


def test_one_role_twice_is_not_two(ready: Settings) -> None:
    approve(ready, 1, role="risk_approver", on=DAY)
    approve(ready, 1, role="risk_approver", on=DAY + timedelta(days=100))

    with pytest.raises(GateClosed, match="business_approver"):
        promote(ready, 1, on=DAY + timedelta(days=100))


def test_one_person_in_two_roles_is_refused(ready: Settings) -> None:
    developer = Record.load(ready).manifest(1).statement.person.name
    people.rotate(ready, "risk_approver", name=f" {developer.upper()}", reason="A test of names")
    for role in APPROVERS:
        approve(ready, 1, role=role, on=DAY)

    with pytest.raises(GateClosed, match="one person in two roles"):
        promote(ready, 1, on=DAY)


def test_an_expired_approval_does_not_count(approved: Settings) -> None:
    with pytest.raises(GateClosed, match="lacks an approval in force"):
        promote(approved, 1, on=DAY + timedelta(days=91))


@pytest.mark.parametrize(("days", "holds"), [(-1, False), (0, True), (1, True), (2, False)])
def test_an_approval_holds_from_its_day_to_its_last(
    ready: Settings, days: int, holds: bool
) -> None:
    for role in APPROVERS:
        approve(ready, 1, role=role, on=DAY, valid_days=1)
    on = DAY + timedelta(days=days)
    assert [in_force(entry, on) for entry in Record.load(ready).approvals(1)] == [holds] * 2
    if holds:
        assert promote(ready, 1, on=on).is_new
        return
    with pytest.raises(GateClosed, match="before that day" if days < 0 else "lacks an approval"):
        promote(ready, 1, on=on)


def test_a_decision_made_after_the_approvals_needs_new_ones(
    approved: Settings,
    evidence: Callable[..., Evidence],
    signer: Callable[[str], Signer],
    appetite: RiskAppetite,
) -> None:
    attest(approved, evidence(auc=0.78), version=1, signer=signer("validator"))
    gate(approved, 1, appetite=appetite, on=DAY)

    with pytest.raises(GateClosed, match="lacks an approval"):
        promote(approved, 1, on=DAY)


def test_a_waiver_that_expired_since_the_approval_closes_the_promotion(
    home: Settings,
    evidence: Callable[..., Evidence],
    signer: Callable[[str], Signer],
    appetite: RiskAppetite,
) -> None:
    attest(home, evidence(raise_ratio={"male": 0.5}), version=1, signer=signer("validator"))
    gate(home, 1, appetite=appetite, on=DAY)
    request = WaiverRequest(
        measure="fairness.raise_ratio",
        scope={},
        owner="Head of Conduct",
        reason="a known gap, remediation under way",
        granted_on=DAY,
        expires_on=DAY + timedelta(days=10),
    )
    waive(home, 1, request)
    gate(home, 1, appetite=appetite, on=DAY)
    for role in APPROVERS:
        approve(home, 1, role=role, on=DAY)

    with pytest.raises(GateClosed, match=r"fairness\.raise_ratio"):
        promote(home, 1, on=DAY + timedelta(days=11))


def test_tampered_bytes_are_not_promoted(approved: Settings, submitted: ModelVersion) -> None:
    (submitted.folder / "MLmodel").write_text("edited")

    with pytest.raises(IntegrityError, match="MLmodel was changed"):
        promote(approved, 1, on=DAY)
    assert _events(approved) == []


def test_a_second_promotion_at_the_same_time_is_told_to_wait(approved: Settings) -> None:
    with (
        durable.locked(approved.ledger / ".promotion.lock", what="The test"),
        pytest.raises(EnvironmentFault, match="busy"),
    ):
        promote(approved, 1, on=DAY)


# A real process is killed inside a real promotion, right before or after the step that is named.
KILLED = """
import os, signal, sys
from datetime import date
from governance import settings
from registry import promotion
from registry.catalogue import Catalogue

stage = sys.argv[1]
move = Catalogue.set_alias

def die_around(self, alias, version):
    if stage == "before the alias":
        os.kill(os.getpid(), signal.SIGKILL)
    move(self, alias, version)
    if stage == "after the alias":
        os.kill(os.getpid(), signal.SIGKILL)

def die_before(settings, record, version, approvals, on):
    os.kill(os.getpid(), signal.SIGKILL)

Catalogue.set_alias = die_around
if stage == "before the intent":
    promotion._intend = die_before
promotion.promote(settings.load(), 1, on=date(2026, 1, 5))
"""


@pytest.mark.parametrize(
    ("stage", "left", "after"),
    [
        ("before the intent", [], [INTENT, APPLIED]),
        ("before the alias", [INTENT], [INTENT, ABANDONED, INTENT, APPLIED]),
        ("after the alias", [INTENT], [INTENT, APPLIED]),
    ],
)
def test_a_killed_promotion_converges_when_it_is_run_again(
    approved: Settings, stage: str, left: list[str], after: list[str]
) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, stage], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert _events(approved) == left

    assert promote(approved, 1, on=DAY).version == 1
    assert _events(approved) == after
    assert Catalogue.open(approved).alias_version(CHAMPION) == Record.load(approved).champion() == 1


def test_the_next_champion_retires_the_one_before(
    empty_home: Settings,
    candidate: Callable[..., CandidateFiles],
    appetite: RiskAppetite,
) -> None:
    from registry.card import state

    appetites.sign(empty_home, appetite, DAY)
    for policy in ("step = 1\n", "step = 2\n"):
        version = _through_the_gate(empty_home, candidate(policy=policy), appetite)
        done = promote(empty_home, version, on=DAY)
    record = Record.load(empty_home)

    assert (done.version, done.previous) == (2, 1)
    assert [state(record, version) for version in (1, 2)] == ["retired", "champion"]


def _through_the_gate(home: Settings, files: CandidateFiles, appetite: RiskAppetite) -> int:
    from governance.measurement import Measurement

    facts = RunFacts(run_name="run")
    made = submit(files, facts, {}, settings=home, signer=Signer.open(home.keyring, "developer"))
    numbers = {"value": 0.9, "low": 0.85, "high": 0.95, "n": 6000}
    measured = Evidence(
        kind="validation",
        subject={"model": made.manifest_digest},
        measurements=(
            Measurement(measure="accuracy.auc", **numbers),
            Measurement(
                measure="fairness.raise_ratio", scope={"attribute": "sex", "group": "f"}, **numbers
            ),
        ),
        measured_on=DAY,
    )
    attest(home, measured, version=made.version, signer=Signer.open(home.keyring, "validator"))
    gate(home, made.version, appetite=appetite, on=DAY)
    for role in APPROVERS:
        approve(home, made.version, role=role, on=DAY)
    return made.version
