"""One signature is never enough: what somebody with one key, or with the files, tries alone.

Every attack is tried twice. Through the product: the ledger refuses the entry. Past the product,
written into the ledger's file with its own key under a fresh head and a fresh witness: then
deciding, `limitline verify` and the stand-alone verifier each end with 15 and say what contradicts.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from decisions import book
from governance import canonical
from governance.errors import GateClosed, IntegrityError, UsageError
from governance.settings import Settings
from registry import evidence, judgement, offline, people, promotion, rules, signing
from registry.attestation import attach
from registry.ledger import DATABASE, Ledger
from registry.record import Record, append
from registry.signing import FOLDER, PEOPLE_FILE, Kind, People, Role, Signer
from tests.conftest import APPETITE, ON, World
from tests.registry.conftest import DAY, policy_evidence
from tests.registry.forging import forge

ALONE = """
import json, pathlib, runpy, sys
verify = runpy.run_path(sys.argv[1])
rules = verify["load_rules"]()
ledger, people = map(pathlib.Path, sys.argv[2:4])
bodies = (ledger / "bodies.jsonl").read_bytes().splitlines()
try:
    copied = verify["read_people"](people.read_bytes())
    rules.verify_ledger(bodies, (ledger / "checkpoint.txt").read_text(), copied)
except verify["VerificationError"] as error:
    sys.exit(f"NOT VERIFIED: {error}")
"""


@dataclass
class Forgery:
    """A statement that somebody signs alone."""

    kind: Kind
    said: dict[str, Any]
    signer: str
    version: int = 1
    subject: tuple[str, str] | None = None
    after: list[Forgery] = field(default_factory=list)


@pytest.fixture(scope="module")
def _copy(world: World, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = tmp_path_factory.mktemp("mine") / "home"
    shutil.copytree(world.settings.home, home)
    return Settings(home=home)


@pytest.fixture
def mine(world: World, _copy: Settings) -> Iterator[World]:
    """A copy of the small world; its ledger and keys are put back after each test."""
    yield World(settings=_copy, champion=world.champion)
    for name in ("ledger", "keyring", "decisions"):
        shutil.rmtree(_copy.home / name, ignore_errors=True)
        if (world.settings.home / name).exists():
            shutil.copytree(world.settings.home / name, _copy.home / name)


def bodies(home: Settings) -> list[bytes]:
    return Ledger(home.ledger, people=People.load(home.keyring)).bodies()


def alone(home: Settings, place: Path) -> str:
    """Return what the stand-alone verifier says of a home's ledger; empty if it agrees."""
    place.mkdir(exist_ok=True)
    shutil.copy(offline.__file__, place / "verify.py")
    shutil.copy(rules.__file__, place / "rules.py")
    shutil.copy(home.ledger / "checkpoint.txt", place)
    (place / "bodies.jsonl").write_bytes(b"\n".join(bodies(home)) + b"\n")
    listed = home.keyring / FOLDER / PEOPLE_FILE
    done = subprocess.run(
        [sys.executable, "-I", "-c", ALONE, *map(str, (place / "verify.py", place, listed))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.stderr


def decide(world: World, on: date = ON) -> book.Decided:
    table = book.open_table(world.settings, "uci-credit", keyring=world.keyring)
    return book.decide(world.settings, table, keyring=world.keyring, as_of=on)


def refused_by_all(world: World, place: Path, words: str) -> None:
    with pytest.raises(IntegrityError, match=words):
        decide(world)
    with pytest.raises(IntegrityError, match=words):
        evidence.verify_home(world.settings)
    assert words in alone(world.settings, place)


def test_a_sound_ledger_is_agreed_on_by_all_three(mine: World, tmp_path: Path) -> None:
    assert alone(mine.settings, tmp_path / "outside") == ""
    assert evidence.verify_home(mine.settings)["champion"] == mine.champion
    assert decide(mine).log.manifest["counts"]["customers"] > 0


def test_nobody_decides_a_day_on_which_there_was_no_champion(mine: World) -> None:
    with pytest.raises(GateClosed, match="There was no champion on 2005-09-30"):
        decide(mine, ON - timedelta(days=1))


# What is forged, by whom, and what the three say.


def _said(home: Settings, kind: Kind) -> dict[str, Any]:
    *_, entry = Record.load(home).of(kind)
    return deepcopy(dict(entry.statement.predicate))


def _event(home: Settings, **changed: Any) -> dict[str, Any]:
    intent = Record.load(home).events("promotion-intent")[-1].statement.predicate
    return {**deepcopy(dict(intent)), "previous": 1, **changed}


def other_bytes(home: Settings) -> Forgery:
    """The developer signs a second manifest of the champion's number, over other bytes."""
    said = _said(home, Kind.MANIFEST)
    said["files"] = [*said["files"], {"path": "zzz", "sha256": "0" * 64, "size": 1}]
    subject = ("credit-limit@1", offline.manifest_digest(said["files"]))
    return Forgery(Kind.MANIFEST, said, "developer", subject=subject)


def same_bytes_again(home: Settings) -> Forgery:
    return Forgery(Kind.MANIFEST, _said(home, Kind.MANIFEST), "developer")


def another_spelling(home: Settings) -> Forgery:
    """A number that reads as the champion's and is another subject."""
    sha256 = Record.load(home).manifest(1).statement.sha256
    said = _said(home, Kind.MANIFEST)
    return Forgery(Kind.MANIFEST, said, "developer", subject=("credit-limit@01", sha256))


def other_files(home: Settings) -> Forgery:
    """A manifest whose list is not the bytes that it is about."""
    sha256 = Record.load(home).manifest(1).statement.sha256
    said = _said(home, Kind.MANIFEST)
    said["files"] = said["files"][1:]
    return Forgery(Kind.MANIFEST, said, "developer", subject=("credit-limit@2", sha256))


def without_the_run_that_it_came_from(home: Settings) -> Forgery:
    """A manifest that leaves nothing to hold the pages of its run against."""
    sha256 = Record.load(home).manifest(1).statement.sha256
    said = _said(home, Kind.MANIFEST)
    del said["run"]
    return Forgery(Kind.MANIFEST, said, "developer", subject=("credit-limit@2", sha256))


def applied_alone(home: Settings) -> Forgery:
    """The ledger's key writes that a promotion was applied, and nothing before."""
    said = {**_event(home), "event": "promotion-applied", "intent": 0}
    return Forgery(Kind.LIFECYCLE, said, "ledger")


def of_an_unjudged_version(home: Settings) -> Forgery:
    """The ledger's key promotes a version that nobody measured or approved."""
    second = same_bytes_again(home)
    second.subject = ("credit-limit@2", Record.load(home).manifest(1).statement.sha256)
    return Forgery(
        Kind.LIFECYCLE, _event(home, version=2), "ledger", subject=second.subject, after=[second]
    )


def of_another_version(home: Settings) -> Forgery:
    """A promotion about version 1 that says it is of version 2."""
    return Forgery(Kind.LIFECYCLE, _event(home, version=2), "ledger")


def without_approvals(home: Settings) -> Forgery:
    return Forgery(Kind.LIFECYCLE, _event(home, approvals=[]), "ledger")


def by_one_approval_twice(home: Settings) -> Forgery:
    one = _event(home)["approvals"][0]
    return Forgery(Kind.LIFECYCLE, _event(home, approvals=[one, one]), "ledger")


def of_a_forgotten_champion(home: Settings) -> Forgery:
    return Forgery(Kind.LIFECYCLE, _event(home, previous=None), "ledger")


def of_yesterday(home: Settings) -> Forgery:
    """A promotion for a day before the one that it follows."""
    on = (ON - timedelta(days=1)).isoformat()
    return Forgery(Kind.LIFECYCLE, _event(home, on=on), "ledger")


def after_the_approvals_ended(home: Settings) -> Forgery:
    on = (ON + timedelta(days=91)).isoformat()
    return Forgery(Kind.LIFECYCLE, _event(home, on=on), "ledger")


def bound_to_another_appetite(home: Settings) -> Forgery:
    said = _event(home)
    said["binds"]["appetite"] = "0" * 64
    return Forgery(Kind.LIFECYCLE, said, "ledger")


def judged_leniently(home: Settings) -> Forgery:
    """The ledger's key records an open decision by thresholds that nobody signed."""
    said = _said(home, Kind.DECISION)
    said["appetite"]["thresholds"][0]["at_least"] = "0.1"
    said["decision"]["appetite"] = canonical.digest(said["appetite"])
    said["digest"] = canonical.digest(said["decision"])
    return Forgery(Kind.DECISION, said, "ledger")


def judged_on_other_evidence(home: Settings) -> Forgery:
    said = _said(home, Kind.DECISION)
    said["decision"]["evidence"] = "0" * 64
    said["digest"] = canonical.digest(said["decision"])
    return Forgery(Kind.DECISION, said, "ledger")


def another_decision_under_its_digest(home: Settings) -> Forgery:
    said = _said(home, Kind.DECISION)
    said["decision"]["decided_on"] = "2005-10-02"
    return Forgery(Kind.DECISION, said, "ledger")


def softened_by_one(home: Settings) -> Forgery:
    """One approver signs milder thresholds under the id and version that both had signed."""
    said = _said(home, Kind.APPETITE)
    said["appetite"]["thresholds"][0]["at_least"] = "0.1"
    said |= {"digest": canonical.digest(said["appetite"]), "role": "risk_approver"}
    subject = (f"appetite:{said['appetite']['id']}", said["digest"])
    return Forgery(Kind.APPETITE, said, "risk_approver", subject=subject)


def another_appetite_under_its_digest(home: Settings) -> Forgery:
    said = _said(home, Kind.APPETITE)
    subject = (f"appetite:{said['appetite']['id']}", said["digest"])
    said["appetite"]["thresholds"][0]["at_least"] = "0.1"
    said["role"] = "risk_approver"
    return Forgery(Kind.APPETITE, said, "risk_approver", subject=subject)


def approved_for_the_other_role(home: Settings) -> Forgery:
    """The risk approver's key signs what says that the business approver did."""
    said = {**_said(home, Kind.APPROVAL), "role": "business_approver"}
    return Forgery(Kind.APPROVAL, said, "risk_approver")


def approved_for_other_digests(home: Settings) -> Forgery:
    said = {**_said(home, Kind.APPROVAL), "role": "risk_approver"}
    said["binds"]["evidence"] = "0" * 64
    return Forgery(Kind.APPROVAL, said, "risk_approver")


def approved_backwards(home: Settings) -> Forgery:
    said = {**_said(home, Kind.APPROVAL), "role": "risk_approver", "expires_on": "2005-01-01"}
    return Forgery(Kind.APPROVAL, said, "risk_approver")


def approved_for_ever(home: Settings) -> Forgery:
    said = {**_said(home, Kind.APPROVAL), "role": "risk_approver"}
    last = date.fromisoformat(said["approved_on"]) + timedelta(days=rules.APPROVAL_MAX_DAYS + 1)
    return Forgery(Kind.APPROVAL, {**said, "expires_on": last.isoformat()}, "risk_approver")


def approved_before_the_decision(home: Settings) -> Forgery:
    early = (ON - timedelta(days=1)).isoformat()
    said = {**_said(home, Kind.APPROVAL), "role": "risk_approver", "approved_on": early}
    return Forgery(Kind.APPROVAL, said, "risk_approver")


def judged_before_it_was_measured(home: Settings) -> Forgery:
    """An appetite of an earlier day, and a decision that is dated before its own figures."""
    adopted = [
        Forgery(
            Kind.APPETITE,
            {**_said(home, Kind.APPETITE), "role": role, "on": "2005-01-01"},
            role,
            subject=(f"appetite:{APPETITE.id}", APPETITE.digest),
        )
        for role in ("risk_approver", "business_approver")
    ]
    measured = Forgery(Kind.EVIDENCE, {**_said(home, Kind.EVIDENCE), "again": 1}, "validator")
    said = _said(home, Kind.DECISION)
    said["decision"]["decided_on"] = (ON - timedelta(days=1)).isoformat()
    said["digest"] = canonical.digest(said["decision"])
    return Forgery(Kind.DECISION, said, "ledger", after=[*adopted, measured])


def approved_on_no_day(home: Settings) -> Forgery:
    said = {**_said(home, Kind.APPROVAL), "role": "risk_approver", "expires_on": "9"}
    return Forgery(Kind.APPROVAL, said, "risk_approver")


def approved_without_the_history(home: Settings) -> Forgery:
    """An approval that hides what was refused before."""
    said = {**_said(home, Kind.APPROVAL), "role": "risk_approver"}
    said["closed_before"] = ["0" * 64]
    return Forgery(Kind.APPROVAL, said, "risk_approver")


def measured_about_another_model(home: Settings) -> Forgery:
    said = _said(home, Kind.EVIDENCE)
    said["evidence"]["subject"]["model"] = "0" * 64
    said["digest"] = canonical.digest(said["evidence"])
    return Forgery(Kind.EVIDENCE, said, "validator")


def other_figures_under_their_digest(home: Settings) -> Forgery:
    said = _said(home, Kind.EVIDENCE)
    said["evidence"]["measurements"][0]["value"] = "0.99"
    return Forgery(Kind.EVIDENCE, said, "validator")


def measured_about_other_bytes(home: Settings) -> Forgery:
    said = _said(home, Kind.EVIDENCE)
    return Forgery(Kind.EVIDENCE, said, "validator", subject=("credit-limit@1", "0" * 64))


def a_second_risk_approver(home: Settings) -> Forgery:
    """The ledger's key lists somebody: only the root may."""
    key = Signer.open(home.keyring, "risk_approver").public_key
    person = offline.Person("Somebody Else", "risk_approver", "", bytes(reversed(key)))
    said = {"add": [signing.listed(person)], "revoke": [], "reason": "one more approver"}
    return Forgery(Kind.PEOPLE, said, "ledger", subject=("people", canonical.digest(said)))


def _closed_decision(home: Settings) -> Forgery:
    """The ledger's key records that the gate was closed after all."""
    said = _said(home, Kind.DECISION)
    said["decision"] |= {"outcome": "BREACH", "refusals": ["accuracy.auc = 0.5: BREACH."]}
    said["digest"] = canonical.digest(said["decision"])
    return Forgery(Kind.DECISION, said, "ledger")


def approved_behind_a_closed_gate(home: Settings) -> Forgery:
    closed = _closed_decision(home)
    said = {**_said(home, Kind.APPROVAL), "role": "risk_approver"}
    said["binds"]["decision"] = closed.said["digest"]
    said["closed_before"] = [closed.said["digest"]]
    return Forgery(Kind.APPROVAL, said, "risk_approver", after=[closed])


def behind_a_closed_gate(home: Settings) -> Forgery:
    closed, said = _closed_decision(home), _event(home)
    said["binds"]["decision"] = closed.said["digest"]
    return Forgery(Kind.LIFECYCLE, said, "ledger", after=[closed])


def before_the_gate_decided(home: Settings) -> Forgery:
    """A promotion for today by a decision of tomorrow."""
    made, said = _said(home, Kind.DECISION), _event(home)
    made["decision"]["decided_on"] = (ON + timedelta(days=1)).isoformat()
    made["digest"] = said["binds"]["decision"] = canonical.digest(made["decision"])
    return Forgery(Kind.LIFECYCLE, said, "ledger", after=[Forgery(Kind.DECISION, made, "ledger")])


def _other_appetite(home: Settings) -> list[Forgery]:
    """Both approvers sign other thresholds, as they may."""
    said = _said(home, Kind.APPETITE)
    said["appetite"]["version"] = "other"
    said["digest"] = canonical.digest(said["appetite"])
    subject = (f"appetite:{said['appetite']['id']}", said["digest"])
    return [
        Forgery(Kind.APPETITE, {**said, "role": role}, role, subject=subject)
        for role in ("risk_approver", "business_approver")
    ]


def by_an_appetite_that_no_longer_held(home: Settings) -> Forgery:
    return Forgery(Kind.LIFECYCLE, _event(home), "ledger", after=_other_appetite(home))


def judged_by_thresholds_after_figures(home: Settings) -> Forgery:
    """The evidence was there when the thresholds that judge it were signed."""
    other, said = _other_appetite(home), _said(home, Kind.DECISION)
    said["appetite"] = other[0].said["appetite"]
    said["decision"]["appetite"] = other[0].said["digest"]
    said["digest"] = canonical.digest(said["decision"])
    return Forgery(Kind.DECISION, said, "ledger", after=other)


def judged_on_policy_evidence_from_before_its_appetite(home: Settings) -> Forgery:
    """The validator measured anew after the thresholds; what the developer attached is older."""
    old, other = _attached(home), _other_appetite(home)
    measured = Forgery(Kind.EVIDENCE, {**_said(home, Kind.EVIDENCE), "again": 1}, "validator")
    said = _said(home, Kind.DECISION)
    said["appetite"] = other[0].said["appetite"]
    said["decision"]["appetite"] = other[0].said["digest"]
    said["decision"]["subject"]["policy-check"] = old.said["digest"]
    said["digest"] = canonical.digest(said["decision"])
    return Forgery(Kind.DECISION, said, "ledger", after=[old, *other, measured])


def on_other_evidence_than_it_says(home: Settings) -> Forgery:
    return Forgery(Kind.LIFECYCLE, _event(home, evidence=0), "ledger")


def with_an_approval_that_is_none(home: Settings) -> Forgery:
    """Two approvals that count, and a third entry that is none."""
    given = [*_event(home)["approvals"], 0]
    return Forgery(Kind.LIFECYCLE, _event(home, approvals=given), "ledger")


def measured_about_another_policy(home: Settings) -> Forgery:
    said = _said(home, Kind.EVIDENCE)
    said["evidence"]["subject"]["policy"] = "0" * 64
    said["digest"] = canonical.digest(said["evidence"])
    return Forgery(Kind.EVIDENCE, said, "validator")


def _waived(home: Settings, **changed: str) -> Forgery:
    """One approver signs a waiver past the command."""
    waiver = {
        "measure": "accuracy.auc",
        "scope": {},
        "owner": "Head of Cards",
        "reason": "Too few cases in this group",
        "granted_on": "2005-10-01",
        "expires_on": "2005-12-01",
        **changed,
    }
    waiver = {name: said for name, said in waiver.items() if said is not None}
    return Forgery(
        Kind.WAIVER, {"waiver": waiver, "role": "risk_approver", "decision": ""}, "risk_approver"
    )


def waived_by_nobody(home: Settings) -> Forgery:
    return _waived(home, owner=" \u200b ")


def waived_without_a_word(home: Settings) -> Forgery:
    return _waived(home, reason=" . . . . . . . ")


def waived_backwards(home: Settings) -> Forgery:
    return _waived(home, expires_on="2005-10-01")


def waived_on_no_day(home: Settings) -> Forgery:
    return _waived(home, granted_on="whenever")


def waived_with_more_than_a_waiver_holds(home: Settings) -> Forgery:
    return _waived(home, scopes="*")


def _finding(**changed: Any) -> dict[str, Any]:
    held = {
        "id": "F-1",
        "measure": "drift.psi",
        "scope": {},
        "severity": "severe",
        "text": "Far",
        "owner": "Head of Cards",
        "opened_on": "2005-10-01",
        "closed_on": None,
        **changed,
    }
    return {"event": "closed" if held["closed_on"] else "opened", "finding": held, "note": "Done"}


def found_gravely_in_no_words(home: Settings) -> Forgery:
    return Forgery(Kind.FINDING, _finding(severity="very"), "validator")


def closed_before_it_was_opened(home: Settings) -> Forgery:
    """A closing that would make a finding one that was never open."""
    opened = Forgery(Kind.FINDING, _finding(), "validator")
    said = _finding(closed_on="2005-09-30")
    return Forgery(Kind.FINDING, said, "risk_approver", after=[opened])


def closed_as_a_milder_one(home: Settings) -> Forgery:
    opened = Forgery(Kind.FINDING, _finding(), "validator")
    said = _finding(closed_on="2005-10-02", severity="low")
    return Forgery(Kind.FINDING, said, "risk_approver", after=[opened])


def closed_by_saying_something_else(home: Settings) -> Forgery:
    """Neither an opening nor a closing, which readers once took for a closing."""
    opened = Forgery(Kind.FINDING, _finding(), "validator")
    said = {**_finding(closed_on="2005-10-02"), "event": "noted"}
    return Forgery(Kind.FINDING, said, "risk_approver", after=[opened])


def _frozen() -> Forgery:
    said = {"event": "frozen", "number": 1, "on": "2005-10-01", "reason": "Losses in one branch"}
    return Forgery(Kind.FREEZE, said, "risk_approver", subject=("raises", canonical.digest(said)))


def frozen_again_under_the_same_digest(home: Settings) -> Forgery:
    """A freeze of a later day that takes the place of the first in whoever looks it up."""
    later = _frozen()
    later.said["on"] = "2999-01-01"
    later.after = [_frozen()]
    return later


def frozen_in_the_same_words_again(home: Settings) -> Forgery:
    again = _frozen()
    again.after = [_frozen()]
    return again


def _attached(home: Settings, kind: str = "policy-check", **changed: Any) -> Forgery:
    """The developer signs policy evidence past the command."""
    declared = Record.load(home).manifest(1).statement.predicate["declared"]
    measured = {
        "measure": "policy.violations",
        "scope": {},
        "n": 9,
        "unit": "count",
        "reason": "",
        "value": "0",
        "low": None,
        "high": None,
        "outcome": "INFO",
        **changed,
    }
    evidence = {
        "schema": "evidence/1",
        "kind": kind,
        "measurements": [measured],
        "subject": {"policy": declared["policy_digest"]},
        "measured_on": "2005-10-01",
        "not_evidenced": [],
    }
    said = {"evidence": evidence, "digest": canonical.digest(evidence), "role": "developer"}
    return Forgery(Kind.POLICY, said, "developer")


def measured_by_the_developer(home: Settings) -> Forgery:
    """Own homework: a figure that is the validator's, as evidence on a policy."""
    return _attached(home, measure="accuracy.auc", value="0.99")


def attached_as_another_kind(home: Settings) -> Forgery:
    return _attached(home, kind="validation")


def attached_to_no_policy(home: Settings) -> Forgery:
    forgery = _attached(home)
    forgery.said["evidence"]["subject"] = {}
    forgery.said["digest"] = canonical.digest(forgery.said["evidence"])
    return forgery


def _measured(home: Settings, **changed: Any) -> Forgery:
    said = _said(home, Kind.EVIDENCE)
    said["evidence"] |= changed
    said["digest"] = canonical.digest(said["evidence"])
    return Forgery(Kind.EVIDENCE, said, "validator")


def an_appetite_about_other_bytes(home: Settings) -> Forgery:
    said = {**_said(home, Kind.APPETITE), "role": "risk_approver"}
    subject = (f"appetite:{said['appetite']['id']}", "0" * 64)
    return Forgery(Kind.APPETITE, said, "risk_approver", subject=subject)


def revoked_unknown(home: Settings) -> Forgery:
    said = {"add": [], "revoke": ["0" * 64], "reason": "a key that nobody holds"}
    return Forgery(Kind.PEOPLE, said, "root", subject=("people", canonical.digest(said)))


def measured_about_other_features(home: Settings) -> Forgery:
    subject = _said(home, Kind.EVIDENCE)["evidence"]["subject"]
    return _measured(home, subject={**subject, "features": "0" * 64})


def measured_as_another_kind(home: Settings) -> Forgery:
    return _measured(home, kind="policy-check")


def measured_in_no_numbers(home: Settings) -> Forgery:
    (first, *others) = _said(home, Kind.EVIDENCE)["evidence"]["measurements"]
    return _measured(home, measurements=[{**first, "value": "nan"}, *others])


def judged_about_another_model(home: Settings) -> Forgery:
    """A decision on the right evidence that names another model in its subject."""
    said = _said(home, Kind.DECISION)
    said["decision"]["subject"]["model"] = "0" * 64
    said["digest"] = canonical.digest(said["decision"])
    return Forgery(Kind.DECISION, said, "ledger")


def opened_with_a_refusal(home: Settings) -> Forgery:
    said = _said(home, Kind.DECISION)
    said["decision"]["refusals"] = ["accuracy.auc = 0.5: BREACH; not waivable."]
    said["digest"] = canonical.digest(said["decision"])
    return Forgery(Kind.DECISION, said, "ledger")


def promoted_as_a_text(home: Settings) -> Forgery:
    return Forgery(Kind.LIFECYCLE, _event(home, version="1"), "ledger")


def an_event_that_nobody_knows(home: Settings) -> Forgery:
    said = {"event": "champion-changed", "version": 1, "on": "2005-10-01"}
    return Forgery(Kind.LIFECYCLE, said, "ledger")


def said_again_by_who_keeps_the_ledger(home: Settings) -> Forgery:
    """Old figures once more, under the validator's old signature."""
    return Forgery(Kind.EVIDENCE, _said(home, Kind.EVIDENCE), "validator")


def _softened(home: Settings, **named: str) -> Forgery:
    said = _said(home, Kind.APPETITE)
    said["appetite"] |= {
        name: spelt.format(said["appetite"][name]) for name, spelt in named.items()
    }
    said["appetite"]["thresholds"][0]["at_least"] = "0.1"
    said |= {"digest": canonical.digest(said["appetite"]), "role": "risk_approver"}
    subject = (f"appetite:{said['appetite']['id']}", said["digest"])
    return Forgery(Kind.APPETITE, said, "risk_approver", subject=subject)


def softened_behind_a_blank(home: Settings) -> Forgery:
    return _softened(home, version="{}\u00a0")


def softened_behind_what_does_not_print(home: Settings) -> Forgery:
    return _softened(home, id="\u200b{}")


def softened_in_full_width(home: Settings) -> Forgery:
    version = _said(home, Kind.APPETITE)["appetite"]["version"]
    wide = "".join(chr(ord(sign) + 0xFEE0) for sign in version)
    return _softened(home, version=wide)


def adopted_under_another_name(home: Settings) -> Forgery:
    forgery = _softened(home, version="{}.1")
    forgery.subject = ("appetite:other", forgery.said["digest"])
    return forgery


SHAPE = "does not say what a statement of its kind must say"

ATTACKS: Mapping[Callable[[Settings], Forgery], str] = {
    other_bytes: "is a second manifest of credit-limit@1",
    same_bytes_again: "is a second manifest of credit-limit@1",
    another_spelling: "is a manifest of no version number",
    other_files: "lists other files than the bytes of credit-limit@2",
    without_the_run_that_it_came_from: SHAPE,
    applied_alone: "is a promotion that was not intended so",
    of_an_unjudged_version: "credit-limit@2 was not judged by the gate",
    of_another_version: "names another version than it is about",
    without_approvals: "lacks an approval by each approver role",
    by_one_approval_twice: "lacks an approval by each approver role",
    of_a_forgotten_champion: "names another champion before it than there was",
    of_yesterday: "is for a day before the promotion that it follows",
    after_the_approvals_ended: "rests on an approval that was not in force",
    bound_to_another_appetite: "is not bound to the present model, evidence, appetite",
    judged_leniently: "was not judged by the risk appetite that both approvers signed",
    judged_on_other_evidence: "is a gate decision on other evidence than the newest",
    another_decision_under_its_digest: "is a gate decision that is not what its digest says",
    softened_by_one: "which was signed with other thresholds",
    another_appetite_under_its_digest: "holds another risk appetite than its digest says",
    approved_for_the_other_role: "says that the business_approver signed; it was the risk_approver",
    approved_for_other_digests: "approves other digests than the present ones",
    approved_backwards: "ends before it begins",
    approved_for_ever: "approves for longer than may be",
    approved_before_the_decision: "begins before the gate decided",
    judged_before_it_was_measured: "was decided before its evidence was measured",
    approved_on_no_day: "does not say what a statement of its kind must say",
    approved_without_the_history: "does not name every closed decision that came before",
    measured_about_another_model: "is evidence about another model than its subject",
    other_figures_under_their_digest: "is evidence that is not what its digest says",
    measured_about_other_bytes: "is about other bytes than the manifest of credit-limit@1",
    a_second_risk_approver: "The role ledger may not sign people",
    approved_behind_a_closed_gate: "approves behind a closed gate",
    behind_a_closed_gate: "is a promotion that had no open gate",
    before_the_gate_decided: "is a promotion that had no open gate",
    by_an_appetite_that_no_longer_held: "by another risk appetite than the one that held",
    judged_on_policy_evidence_from_before_its_appetite: "older than the signing of its",
    judged_by_thresholds_after_figures: "older than the signing of its risk appetite",
    on_other_evidence_than_it_says: "rests on another manifest or other evidence",
    with_an_approval_that_is_none: "rests on an approval that was not in force",
    measured_about_another_policy: "is evidence about another policy than its subject",
    an_appetite_about_other_bytes: "holds another risk appetite than its digest says",
    revoked_unknown: "revokes a key that is not in force",
    waived_by_nobody: "is a waiver of nobody or without a reason",
    waived_without_a_word: "is a waiver of nobody or without a reason",
    waived_backwards: "is a waiver that ends before it begins",
    waived_on_no_day: SHAPE,
    waived_with_more_than_a_waiver_holds: SHAPE,
    found_gravely_in_no_words: SHAPE,
    closed_before_it_was_opened: "closes a finding before it was opened",
    closed_as_a_milder_one: "closes another finding than was opened",
    closed_by_saying_something_else: SHAPE,
    frozen_again_under_the_same_digest: "is about another freeze than its digest says",
    said_again_by_who_keeps_the_ledger: "was signed before; the same words do not count twice",
    frozen_in_the_same_words_again: "was signed before; the same words do not count twice",
    measured_by_the_developer: "measures what is not its kind's",
    attached_as_another_kind: "measures what is not its kind's",
    attached_to_no_policy: "is evidence that does not say which policy it is about",
    measured_about_other_features: "is evidence about another features than its subject's",
    measured_as_another_kind: "is evidence of another kind than the validator's",
    measured_in_no_numbers: SHAPE,
    judged_about_another_model: "is a gate decision on other evidence than the newest",
    opened_with_a_refusal: "is a gate decision that is open with refusals",
    promoted_as_a_text: "names another version than it is about",
    an_event_that_nobody_knows: SHAPE,
    softened_behind_a_blank: "which was signed with other thresholds",
    softened_behind_what_does_not_print: "which was signed with other thresholds",
    softened_in_full_width: "which was signed with other thresholds",
    adopted_under_another_name: "is about another risk appetite than it holds",
}

each_attack = pytest.mark.parametrize(
    ("attack", "words"), ATTACKS.items(), ids=[attack.__name__ for attack in ATTACKS]
)


def _subject(home: Settings, forgery: Forgery) -> tuple[str, str]:
    held = Record.load(home).manifest(forgery.version).statement
    return forgery.subject or (held.subject_name, held.sha256)


@each_attack
def test_the_ledger_refuses_it_through_the_product(
    mine: World, attack: Callable[[Settings], Forgery], words: str
) -> None:
    home = mine.settings
    forgery = attack(home)
    for before in forgery.after:
        append(
            home,
            before.kind,
            subject=_subject(home, before),
            predicate=before.said,
            signer=Signer.open(home.keyring, before.signer),
        )
    count = len(bodies(home))
    signer = Signer.open(home.keyring, forgery.signer)
    keeper = Signer.open(home.keyring, "ledger")
    ledger = Ledger.open(home.ledger, keeper, people=People.load(home.keyring))
    name, sha256 = _subject(home, forgery)
    said = {
        "_type": offline.STATEMENT_TYPE,
        "predicate": forgery.said,
        "subject": [{"name": name, "digest": {"sha256": sha256}}],
        "predicateType": forgery.kind.predicate_type,
    }
    envelope = signer.sign(canonical.dumps(said))
    with pytest.raises(IntegrityError, match=words):
        ledger.append(envelope, kind=forgery.kind, subject=name)
    assert len(bodies(home)) == count
    assert Record.load(home).champion() == mine.champion


@each_attack
def test_past_the_product_all_three_find_it(
    mine: World, tmp_path: Path, attack: Callable[[Settings], Forgery], words: str
) -> None:
    home = mine.settings
    forgery = attack(home)
    for one in (*forgery.after, forgery):
        forge(home, one.kind, one.said, subject=_subject(home, one), signer=one.signer)

    refused_by_all(mine, tmp_path / "outside", words)


def _forge_about(home: Settings, kind: Kind, said: dict[str, Any], signer: Signer | str) -> None:
    held = Record.load(home).manifest(1).statement
    forge(home, kind, said, subject=(held.subject_name, held.sha256), signer=signer)


# People: who may sign is the root's word, and nobody else's.


def add_to_people_file(home: Settings, name: str) -> Signer:
    """List one more risk approver in ``people.json`` alone, the way an administrator could."""
    signing.create_people(home.keyring / "elsewhere")
    stranger = Signer.open(home.keyring / "elsewhere", "risk_approver")
    path = home.keyring / FOLDER / PEOPLE_FILE
    listed = json.loads(path.read_text())
    key = offline.Person(name, "risk_approver", stranger.key_id, stranger.public_key)
    listed["people"].append(signing.listed(key))
    path.write_text(json.dumps(listed))
    return stranger


def test_a_second_signer_hidden_in_the_people_file_is_found_by_all_three(
    mine: World, tmp_path: Path
) -> None:
    add_to_people_file(mine.settings, "Hidden Second")

    refused_by_all(mine, tmp_path / "outside", "A key is listed that is not in the ledger")
    with pytest.raises(IntegrityError, match="'Hidden Second' as risk_approver"):
        people.found(mine.settings)


@pytest.mark.parametrize("changed", ["name", "role"])
def test_a_person_who_is_listed_otherwise_is_found_by_all_three(
    mine: World, tmp_path: Path, changed: str
) -> None:
    path = mine.settings.keyring / FOLDER / PEOPLE_FILE
    listed = json.loads(path.read_text())
    listed["people"][3][changed] = {"name": "Somebody Else", "role": "developer"}[changed]
    path.write_text(json.dumps(listed))

    refused_by_all(mine, tmp_path / "outside", "A key is listed otherwise than the ledger")


def test_a_key_that_is_missing_from_an_auditors_own_list_is_named(
    mine: World, tmp_path: Path
) -> None:
    path = mine.settings.keyring / FOLDER / PEOPLE_FILE
    listed = json.loads(path.read_text())
    gone = listed["people"].pop()
    path.write_text(json.dumps(listed))

    refused_by_all(mine, tmp_path / "outside", "A key is listed that is not in people.json")
    assert f"as {gone['role']}" in alone(mine.settings, tmp_path / "outside")
    people.found(mine.settings)
    assert alone(mine.settings, tmp_path / "outside") == ""


def test_an_approval_by_a_hidden_signers_key_counts_nowhere(mine: World, tmp_path: Path) -> None:
    home = mine.settings
    signing.create_people(tmp_path / "elsewhere")
    stranger = Signer.open(tmp_path / "elsewhere", "risk_approver")
    said = {**_said(home, Kind.APPROVAL), "role": "risk_approver"}
    forge(
        home,
        Kind.APPROVAL,
        said,
        subject=_subject(home, Forgery(Kind.APPROVAL, {}, "")),
        signer=stranger,
    )

    refused_by_all(mine, tmp_path / "outside", "signed by a key that is not in force")


SPELLINGS = [
    "Li Wei",
    "Li Wei ",
    " li  WEI",
    "LI WEI",
    "Li\u00a0Wei",
    "Li\u200bWei",
    "\uff2c\uff49 \uff37\uff45\uff49",
    "Li-Wei.",
    "L\u00ed We\u00ef",
    "\U0001d40b\U0001d422 \U0001d416\U0001d41e\U0001d422",
    "Li Wei\u3164",
    "L1 We1",
    "Li Wei\ufe0f",
    "Li We\u20ddi",
    "Li \u1e98ei",
    "\u029fi Wei",
    "\u026bi Wei",
    "Li\u02bc Wei",
    "Li Wei\ua78c",
    "Li Wei\u180b",
    "L\u034fi Wei",
]
"""One person, as the keyboard of somebody writes it who wants to be two."""

TWO_ALPHABETS = ["Li W\u0435i", "L\u0456 Wei", "Li W\u03b5i", "\u0405un Li"]


@pytest.mark.parametrize("name", SPELLINGS)
def test_one_person_under_two_spellings_is_one(name: str) -> None:
    assert rules.holder(name) == rules.holder("Li Wei")


@pytest.mark.parametrize(
    ("latin", "other"),
    [
        ("Bopoc Cakap", "\u0412\u043e\u0440\u043e\u0441 \u0421\u0430\u043a\u0430\u0440"),
        ("Tom Oak", "\u0422\u043e\u043c \u041e\u0430\u043a"),
        ("Nina Zita", "\u039d\u03b9\u03bd\u03b1 \u0396\u03b9\u03c4\u03b1"),
    ],
)
def test_a_name_in_look_alike_letters_of_another_alphabet_is_the_same_name(
    latin: str, other: str
) -> None:
    assert rules.holder(other) == rules.holder(latin)


@pytest.mark.parametrize(
    "name",
    [
        "Li Wen",
        "Wei Li",
        "\u0939\u0930\u093f",
        "\u0939\u0930\u0947",
        "\u674e\u4f1f",
        "\u674e\u5a01",
        "Li Wei (Risk)",
        "Jos\u00e9 Li",
    ],
)
def test_other_people_stay_other_people(name: str) -> None:
    assert rules.holder(name) not in ("", rules.holder("Li Wei"))


@pytest.mark.parametrize(
    "name", ["\ua4e1\ua4f2 \ua4ea\ua4f0\ua4f2", "\u13de\u13a5 \u13b3\u13ac\u13a5"]
)
def test_a_name_in_an_alphabet_that_only_looks_like_another_is_not_listed(
    empty_home: Settings, name: str
) -> None:
    with pytest.raises(IntegrityError, match="letters that look like those of another alphabet"):
        people.rotate(empty_home, "risk_approver", name=name, reason="A test of names")


@pytest.mark.parametrize("name", TWO_ALPHABETS)
def test_a_name_in_two_alphabets_is_not_listed(empty_home: Settings, name: str) -> None:
    with pytest.raises(IntegrityError, match="letters of two alphabets"):
        people.rotate(empty_home, "risk_approver", name=name, reason="A test of names")


@pytest.mark.parametrize(
    "name",
    [
        *("\u674e\u4f1f (Risk)", "\u041b\u0438 \u0412\u044d\u0439", "O\u2019Neill", "\u0141ukasz"),
        *("\u0939\u0930\u093f", "\uc774\uc601\ud76c", "\u0e2a\u0e21\u0e0a\u0e32\u0e22"),
    ],
)
def test_names_of_one_alphabet_and_east_asian_ones_are_listed(
    empty_home: Settings, name: str
) -> None:
    made = people.rotate(empty_home, "risk_approver", name=name, reason="A test of names")
    assert Record.load(empty_home).history.roll.active[made.key_id].name == name


@pytest.mark.parametrize(
    "name", ["  ", "...", "Li\nWei", "Li\u202eWei", "Li \x1b[1mWei", "\u3164", "\u200b"]
)
def test_a_key_that_nobody_holds_is_not_listed(empty_home: Settings, name: str) -> None:
    with pytest.raises(IntegrityError, match="without letters or with signs that do not print"):
        people.rotate(empty_home, "risk_approver", name=name, reason="A test of names")


def made_elsewhere(place: Path, role: str = "risk_approver") -> str:
    signing.create_people(place)
    listed = json.loads((place / FOLDER / PEOPLE_FILE).read_text())["people"]
    return str(next(one["public_key"] for one in listed if one["role"] == role))


@pytest.mark.parametrize("name", ["Li Wei", "LI  WEI ", "L\u00ed Wei"])
def test_one_holder_has_one_key_of_a_role(empty_home: Settings, tmp_path: Path, name: str) -> None:
    why = "A second approver for holidays"
    people.rotate(empty_home, "risk_approver", name="Li Wei", reason=why)
    key = made_elsewhere(tmp_path / "elsewhere")
    with pytest.raises(IntegrityError, match="who holds a key of that role already"):
        people.add(empty_home, "risk_approver", name=name, public_key=key, reason=why)
    people.add(empty_home, "risk_approver", name="Wang Fang", public_key=key, reason=why)

    held = rules.signers(Record.load(empty_home).history)
    assert [one["name"] for one in held if one["role"] == "risk_approver" and one["is_active"]] == [
        "Li Wei",
        "Wang Fang",
    ]


def test_a_key_is_listed_once_in_whatever_role(empty_home: Settings) -> None:
    key = Signer.open(empty_home.keyring, "developer").public_key
    said = signing.listed(offline.Person("Other Name", "validator", "", key))["public_key"]
    with pytest.raises(IntegrityError, match="with a key that was listed before"):
        people.add(
            empty_home, "validator", name="Other Name", public_key=said, reason="A test of keys"
        )


@pytest.mark.parametrize("role", ["root", "ledger"])
def test_the_root_and_the_ledger_always_have_a_holder(empty_home: Settings, role: str) -> None:
    key_id = Signer.open(empty_home.keyring, role).key_id
    with pytest.raises(IntegrityError, match=f"leaves nobody with the key of the {role}"):
        people.revoke(empty_home, key_id, reason="A test of the last key")


def test_a_revoked_key_signs_nothing_more_and_what_it_signed_stays(
    mine: World, tmp_path: Path
) -> None:
    home = mine.settings
    old = Signer.open(home.keyring, "risk_approver")
    people.rotate(home, "risk_approver", name="Wang Fang", reason="The key was on a lost laptop")
    assert Record.load(home).champion() == mine.champion
    assert alone(home, tmp_path / "outside") == ""
    (revoked,) = [one for one in rules.signers(Record.load(home).history) if not one["is_active"]]
    assert (revoked["key_id"], revoked["signed"]) == (old.key_id, 2)

    said = {**_said(home, Kind.APPROVAL), "role": "risk_approver"}
    forge(
        home,
        Kind.APPROVAL,
        said,
        subject=_subject(home, Forgery(Kind.APPROVAL, {}, "")),
        signer=old,
    )
    refused_by_all(mine, tmp_path / "outside", "signed by a key that is not in force")


def test_an_approval_by_a_key_that_was_revoked_since_promotes_nothing(
    mine: World, tmp_path: Path
) -> None:
    home = mine.settings
    people.rotate(home, "risk_approver", name="Wang Fang", reason="The key was on a lost laptop")
    with pytest.raises(GateClosed, match="lacks an approval in force"):
        promotion.check(Record.load(home), mine.champion, ON)
    _forge_about(home, Kind.LIFECYCLE, _event(home), "ledger")
    refused_by_all(mine, tmp_path / "outside", "rests on an approval that was not in force")


def test_the_ledgers_key_is_handed_over_and_both_heads_verify(mine: World, tmp_path: Path) -> None:
    home = mine.settings
    people.rotate(home, "ledger", name="New Keeper", reason="The old keeper left the firm")
    assert evidence.verify_home(home)["champion"] == mine.champion
    people.rotate(home, "reviewer", name="New Reviewer", reason="The first entry by the new key")
    assert evidence.verify_home(home)["champion"] == mine.champion
    assert alone(home, tmp_path / "outside") == ""


def test_a_rotation_that_was_killed_is_finished_by_running_it_again(empty_home: Settings) -> None:
    role, asked = "validator", {"name": "Wang Fang", "reason": "The old validator left the firm"}
    place = empty_home.keyring / FOLDER / f"{role}.pem"
    before = place.read_bytes()
    made = people.rotate(empty_home, role, **asked)
    place.rename(place.with_name(f"{role}.next.pem"))
    place.write_bytes(before)
    place.chmod(0o600)
    count = len(bodies(empty_home))

    assert people.rotate(empty_home, role, **asked) == made
    assert len(bodies(empty_home)) == count
    assert Signer.open(empty_home.keyring, role).key_id == made.key_id


def test_one_person_who_holds_both_approver_keys_promotes_nothing(
    mine: World, tmp_path: Path
) -> None:
    home, version = mine.settings, mine.champion
    for role, name in (("risk_approver", "Li Wei"), ("business_approver", "LI WEI ")):
        people.rotate(home, role, name=name, reason="A test of names")
        judgement.approve(home, version, role=role, on=ON)
    with pytest.raises(GateClosed, match="has one person in two roles"):
        promotion.promote(home, version, on=ON)

    given = [entry.seq for entry in Record.load(home).approvals(version)[-2:]]
    _forge_about(home, Kind.LIFECYCLE, _event(home, approvals=given[::-1]), "ledger")
    refused_by_all(mine, tmp_path / "outside", "has one person in two roles")


def test_an_approver_who_signed_policy_evidence_promotes_nothing(
    home: Settings, judged: Callable[..., None], tmp_path: Path
) -> None:
    people.rotate(home, "developer", name="Li Wei", reason="Another developer took over")
    attach(home, 1, policy_evidence(home, "policy-check", 0.0), role=Role.DEVELOPER)
    people.rotate(home, "risk_approver", name="LI WEI", reason="And approves on the side")
    judged()
    for role in ("risk_approver", "business_approver"):
        judgement.approve(home, 1, role=role, on=DAY)

    with pytest.raises(GateClosed, match="one person who measured the policy and approved it"):
        promotion.promote(home, 1, on=DAY)


def test_the_people_behind_a_promotion_are_four_and_measure_or_approve() -> None:
    def one(name: str, role: str) -> offline.Person:
        return offline.Person(name, role, f"{name} {role}", b"")

    approvers = [one("Li Wei", "risk_approver"), one("Wang Fang", "business_approver")]
    makers = [one("Zhao Lei", "developer"), one("Sun Li", "validator")]
    assert rules.people_problem(approvers, makers, []) == ""
    assert rules.people_problem(approvers, makers, [one("Zhao Lei", "developer")]) == ""
    said = rules.people_problem(approvers, makers, [one("LI WEI", "validator")])
    assert said == "has one person who measured the policy and approved it"
    for maker in makers:
        same = [approvers[0], one(maker.name.upper(), "business_approver")]
        assert rules.people_problem(same, makers, []) == "has one person in two roles"


def test_a_ledger_that_does_not_begin_with_the_root_is_no_ledger(
    mine: World, tmp_path: Path
) -> None:
    with pytest.raises(offline.VerificationError, match="Ledger entry 0 is not the root's list"):
        rules.read_history([offline.canonical({**json.loads(bodies(mine.settings)[1]), "seq": 0})])


def test_a_key_that_was_revoked_is_never_listed_again(empty_home: Settings) -> None:
    old = Signer.open(empty_home.keyring, "reviewer")
    people.rotate(empty_home, "reviewer", name="Wang Fang", reason="The key was on a lost laptop")
    said = signing.listed(offline.Person("Li Wei", "reviewer", "", old.public_key))["public_key"]
    with pytest.raises(IntegrityError, match="with a key that was listed before"):
        people.add(empty_home, "reviewer", name="Li Wei", public_key=said, reason="It was found")


def test_two_signatures_are_of_two_roles_two_people_and_two_keys() -> None:
    def one(name: str, role: str, key: str) -> offline.Person:
        return offline.Person(name, role, key, b"")

    first = one("Li Wei", "risk_approver", "k1")
    assert rules.are_two(first, one("Wang Fang", "business_approver", "k2"))
    for other in (
        one("Wang Fang", "risk_approver", "k2"),
        one("Wang Fang", "business_approver", "k1"),
        one("LI WEI", "business_approver", "k2"),
    ):
        assert not rules.are_two(first, other)


def test_a_revocation_names_its_key_by_something(empty_home: Settings) -> None:
    """Every key begins with nothing at all, and those of root and ledger are always in force."""
    with pytest.raises(UsageError, match="keys in force begin with ''"):
        people.revoke(empty_home, "", reason="A test of no name")


# Entries that are no statements: whoever owns the file and the ledger's key writes any bytes.


def _without_a_time(entry: dict[str, Any]) -> bytes:
    del entry["recorded_at"]
    return offline.canonical(entry)


def _at_no_time(entry: dict[str, Any]) -> bytes:
    return offline.canonical({**entry, "recorded_at": "soon"})


def _with_a_word_that_nobody_signed(entry: dict[str, Any]) -> bytes:
    return offline.canonical({**entry, "approved_by": "everybody"})


def _endlessly_nested(entry: dict[str, Any]) -> bytes:
    return b"[" * 200_000


def _validator(home: Settings) -> Signer:
    return Signer.open(home.keyring, "validator")


@pytest.mark.parametrize(
    "bend",
    [
        _without_a_time,
        _at_no_time,
        _with_a_word_that_nobody_signed,
        _endlessly_nested,
    ],
)
def test_an_entry_of_other_parts_is_refused_in_words(
    mine: World, tmp_path: Path, bend: Callable[[dict[str, Any]], bytes]
) -> None:
    home = mine.settings
    beat = {"monitor": "m", "on": ON.isoformat(), "facts": {}}
    about = ("monitor:m", canonical.digest(beat))
    append(home, Kind.HEARTBEAT, subject=about, predicate=beat, signer=_validator(home))
    *held, last = bodies(home)
    entry = json.loads(last)
    bent = bend(entry)
    with closing(sqlite3.connect(home.ledger / DATABASE)) as connection:
        row = (len(held), entry["kind"], entry["subject"], bent)
        connection.execute("DROP TRIGGER entry_is_never_deleted")
        connection.execute("DELETE FROM entry WHERE seq = ?", (len(held),))
        connection.execute("INSERT INTO entry VALUES (?, ?, ?, ?)", row)
        connection.commit()
    leaves = [offline.leaf_hash(one) for one in [*held, bent]]
    head = Signer.open(home.keyring, "ledger").sign_checkpoint(
        len(leaves), offline.tree_root(leaves)
    )
    (home.ledger / "checkpoint.txt").write_text(head)
    (home.ledger / "witness" / "checkpoint.txt").write_text(head)

    with pytest.raises(IntegrityError, match=f"Ledger entry {len(held)}"):
        evidence.verify_home(home)
    with pytest.raises(offline.VerificationError, match=f"Ledger entry {len(held)}"):
        rules.verify_ledger([*held, bent], head)


@pytest.mark.parametrize("kept", ["", "\ud800", "x\n\n", "a\nb\nc\n\nd"])
def test_a_head_of_other_words_is_refused_in_words(mine: World, kept: str) -> None:
    for place in (mine.settings.ledger, mine.settings.ledger / "witness"):
        (place / "checkpoint.txt").write_bytes(kept.encode("utf-8", "surrogatepass"))
    with pytest.raises(IntegrityError, match="checkpoint"):
        evidence.verify_home(mine.settings)


def test_an_endlessly_nested_payload_is_refused_in_words(mine: World) -> None:
    signer = _validator(mine.settings)
    people = People.load(mine.settings.keyring)
    envelope = signer.sign(b"[" * 200_000)
    with pytest.raises(offline.VerificationError, match="is not an in-toto statement"):
        offline.verify_statement(envelope.as_json(), people.by_key)
