"""Policy evidence: what it may say, who may sign it, and what stays closed without it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from governance import canonical
from governance import gate as pure_gate
from governance.appetite import RiskAppetite
from governance.errors import (
    ContractError,
    GateClosed,
    Inconclusive,
    IntegrityError,
    KeyringError,
)
from governance.evidence import Evidence
from governance.settings import Settings
from registry import card, judgement, offline, rules
from registry.attestation import KINDS, attach, attest, how_to_measure
from registry.evidence import verify, write_pack
from registry.judgement import approve, gate
from registry.load import POLICY_FILE
from registry.promotion import promote
from registry.record import Record, file_digest
from registry.signing import Kind, Role, Signer
from registry.status import status
from tests import appetites
from tests.registry.conftest import (
    DAY,
    POLICY_APPETITE,
    attach_policy_evidence,
    policy_evidence,
)
from tests.registry.forging import forge, forge_event

WANTED = RiskAppetite.parse(POLICY_APPETITE)


@pytest.fixture
def validated(
    home: Settings, evidence: Callable[..., Evidence], signer: Callable[[str], Signer]
) -> Settings:
    appetites.sign(home, WANTED, DAY)
    attest(home, evidence(), version=1, signer=signer("validator"))
    return home


def _attached(home: Settings) -> int:
    return len(tuple(Record.load(home).of(Kind.POLICY)))


def test_attached_evidence_is_signed_once_and_says_who_signed(home: Settings) -> None:
    found = policy_evidence(home, "policy-check", 0.0)
    places = {attach(home, 1, found, role=Role.DEVELOPER) for _ in range(2)}
    entry = Record.load(home).attached(1)["policy-check"]

    assert places == {entry.seq}
    assert entry.statement.predicate["role"] == entry.statement.person.role == "developer"
    assert entry.statement.predicate["digest"] == found.digest


def test_the_newest_of_each_kind_counts(home: Settings) -> None:
    attach_policy_evidence(home)
    newer = policy_evidence(home, "policy-check", 3.0)
    attach(home, 1, newer, role=Role.VALIDATOR)
    attached = Record.load(home).attached(1)

    assert list(attached) == sorted(KINDS)
    assert attached["policy-check"].statement.predicate["digest"] == newer.digest
    assert attached["policy-check"].statement.person.role == "validator"


def test_the_digest_of_the_policy_file_names_the_policy_too(home: Settings) -> None:
    file = file_digest(Record.load(home).manifest(1), POLICY_FILE)

    assert attach(
        home, 1, policy_evidence(home, "policy-check", 0.0, policy=file), role=Role.DEVELOPER
    )


@pytest.mark.parametrize(
    ("subject", "said"),
    [({"policy": "e" * 64}, "another policy"), ({"model": "e" * 64}, "another model")],
)
def test_evidence_about_another_policy_or_model_is_refused(
    home: Settings, subject: dict[str, str], said: str
) -> None:
    with pytest.raises(IntegrityError, match=said):
        attach(home, 1, policy_evidence(home, "policy-check", 0.0, **subject), role=Role.DEVELOPER)
    assert _attached(home) == 0


def test_evidence_that_names_no_policy_is_refused(home: Settings) -> None:
    found = policy_evidence(home, "policy-check", 0.0).model_copy(update={"subject": {}})

    with pytest.raises(IntegrityError, match="does not say which policy"):
        attach(home, 1, found, role=Role.DEVELOPER)


def test_a_developer_cannot_attach_what_only_the_validator_may_measure(home: Settings) -> None:
    found = policy_evidence(home, "policy-check", 0.99, measure="accuracy.auc")

    with pytest.raises(ContractError, match=r"speaks of accuracy\.auc"):
        attach(home, 1, found, role=Role.DEVELOPER)
    with pytest.raises(ContractError, match="measures nothing"):
        attach(home, 1, policy_evidence(home, "policy-check"), role=Role.DEVELOPER)
    other = policy_evidence(home, "policy-check", 0.0).model_copy(update={"kind": "validation"})
    with pytest.raises(ContractError, match="not about a policy"):
        attach(home, 1, other, role=Role.DEVELOPER)


@pytest.mark.parametrize("role", [Role.RISK_APPROVER, Role.BUSINESS_APPROVER, Role.LEDGER])
def test_whoever_approves_or_keeps_the_ledger_does_not_measure(home: Settings, role: Role) -> None:
    with pytest.raises(KeyringError, match="may not sign policy-evidence"):
        attach(home, 1, policy_evidence(home, "policy-check", 0.0), role=role)


def test_without_policy_evidence_the_gate_names_what_is_missing_and_the_command(
    validated: Settings,
) -> None:
    decision = gate(validated, 1, appetite=WANTED, on=DAY)
    missing = judgement.unmeasured(1, decision)

    assert decision.refusals == (
        "policy.violations was not measured.",
        "policy.impact.moved (segment=*) was not measured.",
    )
    assert missing[0].endswith("Run `limitline policy check --version 1`.")
    assert missing[1].endswith("Run `limitline policy impact --version 1`.")
    with pytest.raises(Inconclusive, match=r"limitline policy check --version 1"):
        raise judgement.closed(1, decision)
    assert how_to_measure("accuracy.auc", 1) == ""


def test_with_all_of_it_a_version_goes_live_and_an_outsider_can_check_it(
    validated: Settings, tmp_path: Path
) -> None:
    attach_policy_evidence(validated)
    decision = gate(validated, 1, appetite=WANTED, on=DAY)
    for role in ("risk_approver", "business_approver"):
        said = approve(validated, 1, role=role, on=DAY)
    promote(validated, 1, on=DAY)
    found = write_pack(validated, tmp_path / "pack.zip", on=DAY)
    digests = {
        kind: entry.statement.predicate["digest"]
        for kind, entry in Record.load(validated).attached(1).items()
    }

    assert decision.is_open
    assert {kind: decision.subject[kind] for kind in KINDS} == digests
    assert {kind: said["binds"][kind] for kind in KINDS} == digests
    assert found["promotions"] == verify(tmp_path / "pack.zip")["promotions"] == 1
    shown = status(validated, DAY)["versions"][0]["policy_evidence"]
    assert [item["kind"] for item in shown] == sorted(KINDS)
    assert "more than was asked" in card.describe(Record.load(validated), 1)


@pytest.mark.parametrize("values", [(0.08, -0.01, 0.10), (-0.01,)])
def test_one_segment_beyond_the_line_closes_the_gate(
    validated: Settings, values: tuple[float, ...]
) -> None:
    attach_policy_evidence(validated)
    worse = policy_evidence(validated, "policy-impact", *values)
    attach(validated, 1, worse, role=Role.DEVELOPER)
    decision = gate(validated, 1, appetite=WANTED, on=DAY)

    (refusal,) = decision.refusals
    assert refusal.startswith("policy.impact.moved (segment=")
    with pytest.raises(GateClosed, match=r"policy\.impact\.moved .*BREACH"):
        raise judgement.closed(1, decision)


def test_an_approval_for_other_policy_evidence_does_not_count(validated: Settings) -> None:
    attach_policy_evidence(validated)
    gate(validated, 1, appetite=WANTED, on=DAY)
    for role in ("risk_approver", "business_approver"):
        approve(validated, 1, role=role, on=DAY)
    other = policy_evidence(validated, "policy-impact", 0.5, 0.5, 0.5)
    attach(validated, 1, other, role=Role.DEVELOPER)

    with pytest.raises(GateClosed, match="newer evidence"):
        promote(validated, 1, on=DAY)
    gate(validated, 1, appetite=WANTED, on=DAY)
    with pytest.raises(GateClosed, match="lacks an approval"):
        promote(validated, 1, on=DAY)


def test_an_appetite_that_asks_for_none_is_open_without_any(
    home: Settings, judged: Callable[..., None]
) -> None:
    judged()
    decision = gate(home, 1, on=DAY)

    assert decision.is_open
    assert not set(KINDS) & set(decision.subject)


def test_the_pure_gate_refuses_two_attachments_of_one_kind(validated: Settings) -> None:
    twice = [policy_evidence(validated, "policy-check", value) for value in (0.0, 1.0)]
    (measured,) = [
        Evidence.model_validate(entry.statement.predicate["evidence"])
        for entry in Record.load(validated).of(Kind.EVIDENCE)
    ]

    with pytest.raises(ValueError, match="two things called policy-check"):
        pure_gate.judge(measured, WANTED, [], DAY, attached=twice)


def test_the_closed_loop_is_no_evidence_about_a_policy(home: Settings) -> None:
    other = policy_evidence(home, "policy-impact", 0.1).model_copy(
        update={"kind": "policy-backtest"}
    )
    with pytest.raises(ContractError, match="known: policy-check, policy-impact"):
        attach(home, 1, other, role=Role.DEVELOPER)
    assert how_to_measure("backtest.profit_over_static", 1) == ""


def test_the_offline_verifier_knows_the_same_kinds() -> None:
    assert sorted(rules.POLICY_EVIDENCE) == sorted(KINDS)
    assert json.dumps(sorted(offline.SIGNERS["policy-evidence/v1"])) == '["developer", "validator"]'


@pytest.fixture
def promoted(validated: Settings) -> Settings:
    """A version that went live with policy evidence."""
    attach_policy_evidence(validated)
    gate(validated, 1, on=DAY)
    for role in ("risk_approver", "business_approver"):
        approve(validated, 1, role=role, on=DAY)
    promote(validated, 1, on=DAY)
    return validated


def _drop_the_list(home: Settings) -> None:
    forge_event(home, 1, previous=1, policy_evidence=[])


def _point_elsewhere(home: Settings) -> None:
    forge_event(home, 1, previous=1, policy_evidence=[Record.load(home).manifest(1).seq])


def _forge_about(home: Settings, kind: Kind, said: dict[str, Any], signer: str) -> None:
    subject = ("credit-limit@1", Record.load(home).manifest(1).statement.sha256)
    forge(home, kind, said, subject=subject, signer=signer)


def _better_the_impact(home: Settings) -> None:
    said = copy.deepcopy(dict(Record.load(home).attached(1)["policy-impact"].statement.predicate))
    said["evidence"]["measurements"][0]["value"] = "0.5"
    _forge_about(home, Kind.POLICY, said, "developer")


def _judge_something_else(home: Settings) -> None:
    decision = Record.load(home).decision(1)
    assert decision is not None
    said = copy.deepcopy(dict(decision.statement.predicate))
    said["decision"]["subject"]["policy-check"] = "0" * 64
    said["digest"] = canonical.digest(said["decision"])
    _forge_about(home, Kind.DECISION, said, "ledger")


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (_drop_the_list, "other policy evidence than the newest"),
        (_point_elsewhere, "other policy evidence than the newest"),
        (_better_the_impact, "not what its digest says"),
        (_judge_something_else, "on other evidence than the newest"),
    ],
)
def test_the_verifier_sees_what_the_policy_evidence_under_a_promotion_was(
    promoted: Settings, tamper: Callable[[Settings], None], said: str
) -> None:
    assert len(Record.load(promoted).history.promotions) == 1
    tamper(promoted)
    with pytest.raises(IntegrityError, match=said):
        Record.load(promoted)
