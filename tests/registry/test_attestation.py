from __future__ import annotations

from collections.abc import Callable

import pytest

from governance.errors import IntegrityError, KeyringError, UsageError
from governance.evidence import Evidence
from governance.settings import Settings
from registry.attestation import attest
from registry.record import Record, read_evidence
from registry.signing import Signer
from registry.submission import ModelVersion

SignerOf = Callable[[str], Signer]


def test_evidence_is_recorded_once_and_reads_back_the_same(
    home: Settings, evidence: Callable[..., Evidence], signer: SignerOf
) -> None:
    measured = evidence(auc=1 / 3 + 0.5)
    places = [attest(home, measured, version=1, signer=signer("validator")) for _ in range(2)]
    entry = Record.load(home).evidence(1)

    assert places == [4, 4]
    assert entry is not None
    assert read_evidence(entry).digest == measured.digest
    assert entry.statement.predicate["evidence"]["schema"] == "evidence/1"


def test_training_never_marks_its_own_homework(
    home: Settings, evidence: Callable[..., Evidence], signer: SignerOf
) -> None:
    with pytest.raises(KeyringError, match="developer may not sign validation-evidence"):
        attest(home, evidence(), version=1, signer=signer("developer"))


@pytest.mark.parametrize("role", ["model", "policy", "features"])
def test_evidence_about_other_bytes_is_refused(
    home: Settings,
    evidence: Callable[..., Evidence],
    signer: SignerOf,
    submitted: ModelVersion,
    role: str,
) -> None:
    subject = {"model": submitted.manifest_digest, role: "0" * 64}

    with pytest.raises(IntegrityError, match=f"another {role}"):
        attest(home, evidence(subject=subject), version=1, signer=signer("validator"))


def test_a_declared_policy_digest_counts_like_the_digest_of_its_file(
    home: Settings,
    evidence: Callable[..., Evidence],
    signer: SignerOf,
    submitted: ModelVersion,
) -> None:
    declared = Record.load(home).manifest(1).statement.predicate["declared"]
    subject = {
        "model": submitted.manifest_digest,
        "policy": declared["policy_digest"],
        "data": "d" * 64,
    }

    assert attest(home, evidence(subject=subject), version=1, signer=signer("validator")) == 4


def test_evidence_without_a_model_digest_is_refused(
    home: Settings, evidence: Callable[..., Evidence], signer: SignerOf
) -> None:
    with pytest.raises(IntegrityError, match="does not say which model"):
        attest(home, evidence(subject={"data": "d" * 64}), version=1, signer=signer("validator"))


def test_evidence_for_an_unknown_version_is_a_usage_error(
    home: Settings, evidence: Callable[..., Evidence], signer: SignerOf
) -> None:
    with pytest.raises(UsageError, match="no version 9"):
        attest(home, evidence(), version=9, signer=signer("validator"))
