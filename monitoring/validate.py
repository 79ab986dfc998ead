"""Validation: an independent run judges a model version on customers that training never saw.

It loads the version as it is registered, scores and decides with the model's own features and
policy, measures everything the appetite speaks about, and signs what it found with the validator's
key. It decides nothing: a breach is a finding for the gate, not a failure of the run.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from decisions import scoring
from decisions.features import FeatureSpec
from decisions.policy import LimitPolicy
from decisions.scoring import DEFAULT_PROBABILITY
from governance import canonical
from governance.appetite import RiskAppetite
from governance.contract import Purpose
from governance.evidence import Evidence
from governance.measurement import Measurement
from governance.outcome import Outcome
from governance.settings import Settings
from monitoring import maturity, pages
from monitoring.bins import Bins, fit_bins
from monitoring.counts import reduce
from monitoring.decisions import OUTCOME, Asking, confusion, measure_fairness, outcomes
from monitoring.drift import measure_drift
from monitoring.maturity import LabelRule, Maturity
from monitoring.misjudgment import BAD, measure_misjudgment
from monitoring.performance import (
    measure_feedback,
    measure_monotonicity,
    measure_performance,
)
from monitoring.record import Comparison, Record, compare, judge
from privacy import gate
from privacy.feature_table import PSEUDONYM, FeatureTable, Part
from privacy.keyring import Keyring
from registry.load import VerifiedModel, load_verified
from registry.signing import Role, Signer

FOLDER = "validation"

_MANDATE = "validation of a credit-limit model: fairness audit on the sealed customers"
_SEED = 20050930
_NOT_EVIDENCED = (
    "customers who were refused credit have no outcome and are not in the data",
    "the outcome is default within the model's horizon; later losses are not measured",
    "the effect of a limit change on the customer's later behavior is not observed",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """A finished validation: the evidence, the record for people, and where both are.

    Parameters
    ----------
    entry : int
        Place of the attestation in the ledger.
    folder : Path
        Where the page, the evidence and its attachments are.
    """

    version: int
    evidence: Evidence
    record: Record
    entry: int
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class _Subject:
    """A verified model with both parts of the table as it sees them.

    Parameters
    ----------
    left_out : tuple of str
        Which rows were not measured, where customers have several.
    """

    verified: VerifiedModel
    spec: FeatureSpec
    rows: pa.Table
    opened: pa.Table
    decided: pa.Table
    maturity: Maturity
    left_out: tuple[str, ...] = ()

    @property
    def not_evidenced(self) -> tuple[str, ...]:
        """What the evidence must say that it does not show."""
        return (*self.maturity.not_evidenced, *self.left_out, *_NOT_EVIDENCED)

    @property
    def matured(self) -> pa.Table:
        """The decisions that are judged by their outcome: of windows that have ended.

        Of a running one, or of a month whose outcomes are awaited, only the defaults are known.
        """
        return self.decided.filter(pa.array(~self.maturity.is_left_out))


def validate(
    settings: Settings, version: str, *, contract: str, appetite: RiskAppetite, on: date
) -> Validation:
    """Measure a model version on the sealed customers and attest the evidence.

    Parameters
    ----------
    version : str
        ``latest``, ``champion`` or a number.
    contract : str
        Id of the contract whose training table is used.
    appetite : RiskAppetite
        For the verdicts that people see; the evidence itself is not judged.

    Raises
    ------
    IntegrityError
        If the model or the table is not what was signed or sealed.
    ContractError
        If the table has no label, or the model or its label rule needs a column that it lacks.
    """
    keyring = Keyring.open(settings.keyring)
    path = gate.latest(
        settings.features, contract_id=contract, purpose=Purpose.TRAINING, keyring=keyring
    )
    sealed = FeatureTable.open(path, keyring=keyring, part=Part.SEALED)
    opened = FeatureTable.open(path, keyring=keyring, part=Part.OPEN)
    subject = _read(load_verified(settings, version), opened, sealed, on)
    bins = fit_bins(subject.opened, [*subject.spec.names, DEFAULT_PROBABILITY])
    drift, comparisons = _stability(subject, bins)
    asking = Asking(keyring=keyring, vault=settings.vault, purpose=sealed.purpose, mandate=_MANDATE)
    fairness = measure_fairness(subject.decided, subject.matured, asking=asking)
    misjudgment = measure_misjudgment(confusion(subject.matured))
    evidence = Evidence(
        kind="validation",
        subject={**subject.verified.subject, "data": sealed.digest, "bins": bins.digest},
        measurements=(
            *subject.maturity.measure(),
            *_model(subject),
            *drift,
            *misjudgment,
            *fairness,
        ),
        measured_on=on,
        not_evidenced=subject.not_evidenced,
    )
    record = _record(subject, evidence, appetite, comparisons)
    return _attested(settings, evidence, record, bins, version=subject.verified.version)


def _attested(
    settings: Settings, evidence: Evidence, record: Record, bins: Bins, *, version: int
) -> Validation:
    """Publish the record with its attachments, then sign the evidence into the ledger."""
    from registry.attestation import attest

    folder = settings.reports / FOLDER / f"version-{version}"
    attachments = {
        "evidence.json": canonical.dumps(evidence.model_dump(by_alias=True)) + b"\n",
        "bins.json": canonical.dumps(bins) + b"\n",
    }
    pages.publish(record, folder, attachments=attachments)
    signer = Signer.open(settings.keyring, Role.VALIDATOR)
    entry = attest(settings, evidence, version=version, signer=signer)
    return Validation(version=version, evidence=evidence, record=record, entry=entry, folder=folder)


def _record(
    subject: _Subject,
    evidence: Evidence,
    appetite: RiskAppetite,
    comparisons: tuple[Comparison, ...],
) -> Record:
    number, on = subject.verified.version, evidence.measured_on
    customers = (
        f"{subject.decided.num_rows:,} sealed customers, {subject.opened.num_rows:,} open ones as "
        "the reference of drift and stability"
    )
    return Record(
        window=f"validation of version {number}",
        title=f"Validation of credit-limit model, version {number}",
        title_zh=f"额度模型第 {number} 版独立验证",
        measured_on=on,
        subject={**evidence.subject, "evidence": evidence.digest},
        measurements=judge(evidence.measurements, appetite, on),
        comparisons=comparisons,
        decisions=confusion(subject.matured),
        notes=(
            customers,
            subject.maturity.describe(),
            *(f"Not evidenced: {item}" for item in (*subject.left_out, *_NOT_EVIDENCED)),
        ),
    )


def _read(
    verified: VerifiedModel, opened: FeatureTable, sealed: FeatureTable, on: date
) -> _Subject:
    """Score both parts and decide the sealed one with the model's own policy."""
    rule = LabelRule.of(verified.lineage, label=sealed.label, on=on)
    spec = FeatureSpec.parse(verified.features_text)
    policy = LimitPolicy.parse(verified.policy_text)
    rows, seen = sealed.read(), opened.reader()
    left_out: tuple[str, ...] = ()
    if sealed.day is not None:
        everything = rows.num_rows
        rows = maturity.one_of_each(rows, sealed.day, rule)
        seen = maturity.one_of_each(opened.read(), sealed.day, rule)
        left_out = (maturity.describe_newest(rows.num_rows, everything),)
    matured = maturity.find(rows, rule)
    scored = scoring.score(verified.estimator, spec, rows, [PSEUDONYM])
    decided = scoring.decide(policy, scored, as_of=on)
    return _Subject(
        verified=verified,
        spec=spec,
        rows=rows,
        opened=scoring.score(verified.estimator, spec, seen),
        decided=decided.append_column(OUTCOME, outcomes(matured.label)),
        maturity=matured,
        left_out=left_out,
    )


def _model(subject: _Subject) -> tuple[Measurement, ...]:
    """Measure what the model is: how it ranks, how true it is, whether it is sound."""
    decided = subject.decided.filter(pc.not_equal(subject.decided[OUTCOME], "pending"))
    score = decided[DEFAULT_PROBABILITY].to_numpy()
    defaulted = np.asarray(pc.equal(decided[OUTCOME], BAD).to_numpy(), dtype=np.int64)
    estimator, spec = subject.verified.estimator, subject.spec
    matrix = scoring.design_matrix(spec, subject.decided)
    return (
        *measure_performance(defaulted, score, seed=_SEED, doubt=subject.maturity.doubt),
        measure_monotonicity(estimator, spec, matrix),
        measure_feedback(estimator, spec, subject.rows, as_scored=subject.decided),
    )


def _stability(
    subject: _Subject, bins: Bins
) -> tuple[tuple[Measurement, ...], tuple[Comparison, ...]]:
    """Compare the open with the sealed customers: the score is judged, the features are shown."""
    reference, current = reduce(subject.opened, bins), reduce(subject.decided, bins)
    measured = []
    for found in measure_drift(reference, current):
        unjudged = found if found.value is None else found.judged(Outcome.INFO, found.reason)
        if found.scope["feature"] == DEFAULT_PROBABILITY:
            unjudged = unjudged.model_copy(update={"measure": "stability.score_psi", "scope": {}})
        measured.append(unjudged)
    score = bins.only([DEFAULT_PROBABILITY])
    return tuple(measured), compare(reference, current, score)
