from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from governance.errors import IntegrityError, KeyringError
from registry import offline, signing
from registry.signing import Kind, People, Signer

SHA = "a" * 64


@pytest.fixture
def people(tmp_path: Path) -> People:
    return signing.create_people(tmp_path)


@pytest.fixture
def signer(people: People, tmp_path: Path) -> Callable[[str], Signer]:
    return lambda role: Signer.open(tmp_path, role)


def _approval(signer: Signer) -> signing.DsseEnvelope:
    return signing.make(
        "credit-limit@1", SHA, kind=Kind.APPROVAL, predicate={"share": 0.5}, signer=signer
    )


def verify(envelope: signing.DsseEnvelope, people: People) -> signing.Statement:
    with signing.checked():
        said, person = offline.verify_statement(envelope.as_json(), people.by_key)
    return signing.Statement.of(said, person)


def test_a_statement_comes_back_as_it_was_signed(
    people: People, signer: Callable[[str], Signer]
) -> None:
    read = verify(_approval(signer("risk_approver")), people)

    assert (read.kind, read.subject_name, read.sha256) == (Kind.APPROVAL, "credit-limit@1", SHA)
    assert read.predicate == {"share": "0.5"}
    assert read.person.role == "risk_approver"


def test_the_same_statement_is_the_same_bytes(signer: Callable[[str], Signer]) -> None:
    assert _approval(signer("risk_approver")) == _approval(signer("risk_approver"))


def test_a_payload_is_an_in_toto_statement(signer: Callable[[str], Signer]) -> None:
    payload = json.loads(_approval(signer("risk_approver")).payload)

    assert payload["_type"] == "https://in-toto.io/Statement/v1"
    assert payload["predicateType"] == "https://limitline.dev/approval/v1"
    assert payload["subject"] == [{"name": "credit-limit@1", "digest": {"sha256": SHA}}]


@pytest.mark.parametrize("position", [0, 40, -1])
def test_a_changed_payload_is_refused(
    people: People, signer: Callable[[str], Signer], position: int
) -> None:
    envelope = _approval(signer("risk_approver"))
    payload = bytearray(envelope.payload)
    payload[position] ^= 1

    with pytest.raises(IntegrityError, match="does not fit"):
        verify(dataclasses.replace(envelope, payload=bytes(payload)), people)


def test_a_signature_under_another_persons_name_is_refused(
    people: People, signer: Callable[[str], Signer]
) -> None:
    forged = dataclasses.replace(
        _approval(signer("risk_approver")), key_id=signer("business_approver").key_id
    )

    with pytest.raises(IntegrityError, match="does not fit"):
        verify(forged, people)


def test_a_stranger_is_refused(people: People, tmp_path: Path) -> None:
    signing.create_people(tmp_path / "strangers")
    stranger = Signer.open(tmp_path / "strangers", "risk_approver")

    with pytest.raises(IntegrityError, match="not in force"):
        verify(_approval(stranger), people)


@pytest.mark.parametrize("role", ["developer", "validator", "ledger"])
def test_only_approvers_sign_approvals(signer: Callable[[str], Signer], role: str) -> None:
    with pytest.raises(KeyringError, match="may not sign approval"):
        _approval(signer(role))


def test_a_developers_signature_under_an_approval_is_refused_when_read(
    people: People, signer: Callable[[str], Signer]
) -> None:
    payload = _approval(signer("risk_approver")).payload

    with pytest.raises(IntegrityError, match="developer may not sign approval"):
        verify(signer("developer").sign(payload), people)
