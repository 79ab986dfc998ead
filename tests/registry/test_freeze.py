"""One person stops raises; two different approvers let them go on, and nobody else."""

from __future__ import annotations

import io
from datetime import date
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from governance import canonical
from governance.errors import GateClosed, IntegrityError, KeyringError, UsageError
from governance.settings import Settings
from limitline.commands import app
from registry import evidence as pack
from registry import findings, people, rules, signing, status
from registry.findings import in_force
from registry.ledger import Ledger
from registry.record import Record, append
from registry.signing import DsseEnvelope, Kind, People, Role, Signer

DAY, NEXT, LATER = date(2026, 1, 5), date(2026, 1, 6), date(2026, 1, 9)
WHY, WELL = "Cuts and raises look swapped in one region", "The cause was found and mended"
RISK, BUSINESS = "risk_approver", "business_approver"


def frozen(home: Settings, on: date = DAY) -> list[str]:
    return [found.id for found in in_force(Record.load(home), on)]


def release(home: Settings, role: str, on: date = NEXT) -> findings.RaiseFreeze:
    return findings.unfreeze(home, role=role, reason=WELL, on=on)


@pytest.mark.parametrize("role", [RISK, BUSINESS])
def test_one_approver_freezes_from_that_day_on(empty_home: Settings, role: str) -> None:
    made = findings.freeze(empty_home, role=role, reason=WHY, on=NEXT)
    assert frozen(empty_home, DAY) == []
    assert frozen(empty_home, NEXT) == frozen(empty_home, LATER) == [made.id]


def test_one_person_cannot_unfreeze_and_the_same_person_twice_cannot(empty_home: Settings) -> None:
    made = findings.freeze(empty_home, role=RISK, reason=WHY, on=DAY)
    for _ in range(2):
        assert release(empty_home, RISK).lifted_on is None
    assert frozen(empty_home, LATER) == [made.id]
    assert len(tuple(Record.load(empty_home).of(Kind.FREEZE))) == 2


def test_two_approvers_unfreeze_from_the_later_of_their_days(empty_home: Settings) -> None:
    made = findings.freeze(empty_home, role=BUSINESS, reason=WHY, on=DAY)
    release(empty_home, BUSINESS, LATER)
    assert release(empty_home, RISK, NEXT).lifted_on == LATER
    assert frozen(empty_home, NEXT) == [made.id]
    assert frozen(empty_home, LATER) == []


def test_two_signatures_by_one_person_with_two_keys_do_not_count(empty_home: Settings) -> None:
    for role, name in ((RISK, "One Person"), (BUSINESS, "ONE PERSON ")):
        people.rotate(empty_home, role, name=name, reason="A test of names")
    made = findings.freeze(empty_home, role=RISK, reason=WHY, on=DAY)
    release(empty_home, RISK)
    assert release(empty_home, BUSINESS).lifted_on is None
    assert frozen(empty_home, LATER) == [made.id]


@pytest.mark.parametrize("role", ["developer", "validator", "ledger"])
def test_no_other_role_freezes_or_releases(empty_home: Settings, role: str) -> None:
    with pytest.raises(UsageError, match="business_approver, risk_approver"):
        findings.freeze(empty_home, role=role, reason=WHY, on=DAY)
    findings.freeze(empty_home, role=RISK, reason=WHY, on=DAY)
    with pytest.raises(UsageError, match=f"given: {role}"):
        release(empty_home, role)


def forged(home: Settings, signer: Signer, predicate: dict[str, object]) -> DsseEnvelope:
    """Sign a release past the check that refuses to sign it."""
    said = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "raises", "digest": {"sha256": canonical.digest(predicate)}}],
        "predicateType": Kind.FREEZE.predicate_type,
        "predicate": predicate,
    }
    return signer.sign(canonical.dumps(said))


@pytest.mark.parametrize("role", ["developer", "validator", "ledger"])
def test_a_release_forged_under_another_role_does_not_enter(
    empty_home: Settings, role: str
) -> None:
    made = findings.freeze(empty_home, role=RISK, reason=WHY, on=DAY)
    release(empty_home, RISK)
    signer = Signer.open(empty_home.keyring, role)
    predicate = {"event": "released", "freeze": made.digest, "on": str(NEXT), "role": BUSINESS}
    with pytest.raises(KeyringError, match="may not sign freeze"):
        signing.make("raises", "0" * 64, kind=Kind.FREEZE, predicate=predicate, signer=signer)
    keeper = Signer.open(empty_home.keyring, Role.LEDGER)
    ledger = Ledger.open(empty_home.ledger, keeper, people=People.load(empty_home.keyring))
    envelope = forged(empty_home, signer, predicate)
    with pytest.raises(IntegrityError, match="may not sign"):
        ledger.append(envelope, kind="freeze", subject="raises")
    assert frozen(empty_home, LATER) == [made.id]


def test_a_claimed_role_says_nothing_only_the_key_does(empty_home: Settings) -> None:
    made = findings.freeze(empty_home, role=RISK, reason=WHY, on=DAY)
    release(empty_home, RISK)
    said = {"event": "released", "freeze": made.digest, "on": str(NEXT), "reason": WELL}
    said |= {"role": BUSINESS, "by": "Business approver (simulated)"}
    signer = Signer.open(empty_home.keyring, RISK)
    subject = ("raises", canonical.digest(said))
    with pytest.raises(IntegrityError, match="says that the business_approver signed"):
        append(empty_home, Kind.FREEZE, subject=subject, predicate=said, signer=signer)
    assert frozen(empty_home, LATER) == [made.id]


def test_a_release_of_something_else_or_signed_in_advance_does_not_count(
    empty_home: Settings,
) -> None:
    first = findings.freeze(empty_home, role=RISK, reason=WHY, on=DAY)
    for role in (RISK, BUSINESS):
        release(empty_home, role)
    again = findings.freeze(empty_home, role=RISK, reason=WHY, on=DAY)
    assert again.id != first.id
    assert frozen(empty_home, LATER) == [again.id]
    backdated = {"event": "released", "freeze": again.digest, "on": "2026-01-01", "reason": WELL}
    for role in (RISK, BUSINESS):
        signer = Signer.open(empty_home.keyring, role)
        subject = ("raises", canonical.digest(backdated))
        append(empty_home, Kind.FREEZE, subject=subject, predicate=backdated, signer=signer)
    assert frozen(empty_home, LATER) == [again.id]


def test_a_release_that_was_recorded_before_its_freeze_does_not_count(empty_home: Settings) -> None:
    signer = Signer.open(empty_home.keyring, RISK)
    coming = {"event": "frozen", "number": 1, "on": str(DAY), "reason": WHY}
    digest = canonical.digest({**coming, "key_id": signer.key_id})
    early = {"event": "released", "freeze": digest, "on": str(NEXT), "reason": WELL}
    for role in (RISK, BUSINESS):
        keys = Signer.open(empty_home.keyring, role)
        subject = ("raises", canonical.digest(early))
        append(empty_home, Kind.FREEZE, subject=subject, predicate=early, signer=keys)
    assert findings.freeze(empty_home, role=RISK, reason=WHY, on=DAY).digest == digest
    assert len(frozen(empty_home, LATER)) == 1


def test_freezing_again_in_the_same_words_is_freezing_once(empty_home: Settings) -> None:
    made = [findings.freeze(empty_home, role=RISK, reason=WHY, on=DAY).id for _ in range(2)]
    assert made[0] == made[1]
    assert len(frozen(empty_home)) == 1


def test_of_two_freezes_each_is_released_by_name(empty_home: Settings) -> None:
    one = findings.freeze(empty_home, role=RISK, reason=WHY, on=DAY)
    two = findings.freeze(empty_home, role=BUSINESS, reason=WHY, on=DAY)
    with pytest.raises(UsageError, match="Name the one freeze"):
        release(empty_home, RISK)
    for role in (RISK, BUSINESS):
        findings.unfreeze(empty_home, role=role, reason=WELL, on=NEXT, freeze_id=one.id)
    assert frozen(empty_home, LATER) == [two.id]


def test_what_is_not_frozen_is_not_released_and_not_before_its_day(empty_home: Settings) -> None:
    with pytest.raises(UsageError, match="none"):
        release(empty_home, RISK)
    findings.freeze(empty_home, role=RISK, reason=WHY, on=NEXT)
    with pytest.raises(GateClosed, match="before it"):
        release(empty_home, RISK, DAY)
    with pytest.raises(UsageError, match="reason"):
        findings.freeze(empty_home, role=RISK, reason="  ", on=DAY)


def test_the_verbs_freeze_and_unfreeze_and_status_shows_it(empty_home: Settings) -> None:
    def say(verb: str, role: str) -> str:
        arguments = [verb, "--as", role, "--reason", WHY, "--on", "2026-01-05"]
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, done.output
        return done.output

    assert "Raises are frozen from 2026-01-05" in say("freeze", RISK)
    shown = io.StringIO()
    status.render(status.status(empty_home, DAY), Console(file=shown, width=200))
    assert "Raises are frozen" in shown.getvalue()
    assert WHY in shown.getvalue()
    assert "still holds" in say("unfreeze", RISK)
    assert "is lifted from 2026-01-05" in say("unfreeze", BUSINESS)
    assert status.status(empty_home, DAY)["freezes"] == []


def test_an_outsider_verifies_a_pack_that_holds_a_freeze(home: Settings, tmp_path: Path) -> None:
    findings.freeze(home, role=RISK, reason=WHY, on=DAY)
    found = pack.write_pack(home, tmp_path / "evidence.zip", on=DAY)
    assert found["entries"] == 5


def test_what_outsiders_read_of_a_freeze_is_what_the_product_reads_on_every_day(
    empty_home: Settings,
) -> None:
    made = findings.freeze(empty_home, role=RISK, reason=WHY, on=NEXT)
    early = {"event": "released", "freeze": made.digest, "on": str(DAY), "reason": WELL}
    keys = Signer.open(empty_home.keyring, BUSINESS)
    subject = ("raises", canonical.digest(early))
    append(empty_home, Kind.FREEZE, subject=subject, predicate=early, signer=keys)
    for role, on in ((RISK, NEXT), (BUSINESS, LATER)):
        release(empty_home, role, on)
    history = Record.load(empty_home).history
    days = [date(2026, 1, day) for day in range(4, 12)]
    held = [day for day in days if frozen(empty_home, day)]
    assert held == [day for day in days if NEXT <= day < LATER]
    (told,) = rules.freezes(history)
    assert rules.freeze_name(told) == made.id
    assert held == [day for day in days if told.holds(day.isoformat())]
