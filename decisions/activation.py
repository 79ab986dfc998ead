"""Activation: a registered version's own policy is checked and weighed, and the evidence attached.

The gate asks for this evidence before a version decides anybody. It is signed by the developer,
who runs these commands; the validator's evidence stays separate and is never replaced by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from decisions import book, inputs, model, policy_check, policy_review
from decisions.book import Engine
from decisions.plain_table import Customers
from decisions.plan import PLAIN, Climate
from decisions.policy import LimitPolicy
from decisions.scoring import DEFAULT_PROBABILITY, score
from governance import canonical
from governance.contract import Purpose
from governance.errors import ContractError
from governance.evidence import Evidence
from governance.settings import Settings
from privacy import assignment
from privacy.feature_table import ASSIGNMENT, PSEUDONYM, FeatureTable
from privacy.keyring import Keyring
from registry.attestation import attach
from registry.catalogue import CHAMPION
from registry.load import load_verified, resolve
from registry.record import Record
from registry.signing import Role

SAME_RISK = (
    "What another default model changes: both policies read the probabilities of this version.",
)
NO_CHAMPION = ("A change from another policy: no other version is champion, so limits stay.",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """Evidence on a version's policy, and where it stands in the ledger."""

    version: int
    entry: int
    evidence: Evidence

    def as_document(self) -> dict[str, Any]:
        """Return the attachment as JSON."""
        return {
            "version": self.version,
            "entry": self.entry,
            "digest": self.evidence.digest,
            "signed_by": Role.DEVELOPER.value,
        }

    def in_words(self) -> str:
        """Return the attachment in one line."""
        return (
            f"Attached to version {self.version} as {self.evidence.kind}, ledger entry "
            f"{self.entry}, signed by the developer."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """How the laws are searched for a breach."""

    inputs: int
    seed: int
    progress: Callable[[int], None] = lambda _: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The day and climate of an impact, and the columns to count by."""

    as_of: date
    by: Sequence[str] = ()
    climate: Climate = PLAIN


def check(
    settings: Settings, which: str, *, search: Search, on: date
) -> tuple[dict[str, Any], Attached]:
    """Search for inputs by which the version's own policy breaks a law; attach what was found.

    A breach and a search that could not tell are attached as well: the gate judges them.

    Returns
    -------
    dict, Attached
        The document of `decisions.policy_check.check`, and the attachment.

    Raises
    ------
    IntegrityError
        If the version's bytes are not what the developer signed.
    """
    verified = load_verified(settings, which)
    policy = LimitPolicy.parse(verified.policy_text)
    document = policy_check.check(
        policy, inputs=search.inputs, seed=search.seed, progress=search.progress
    )
    subject = {
        "policy": policy.digest,
        "model": verified.manifest_digest,
        "engine": model.code_digest(),
        "search": canonical.digest([search.inputs, search.seed]),
    }
    evidence = policy_check.as_evidence(document, on=on).model_copy(update={"subject": subject})
    return document, _attached(settings, verified.version, evidence)


def weigh(settings: Settings, which: str, *, table: Path | str, question: Question) -> Attached:
    """Say whom the version's own policy would concern, on the book that `decide` reads.

    It is compared with the champion's policy or, while no other version is champion, with the book
    in which every limit stays. Both read the default probabilities of this version.

    Parameters
    ----------
    table : Path or str
        The folder of a feature table, or a contract id for its newest decision table.

    Raises
    ------
    IntegrityError
        If the version, the champion or the table is not what was signed.
    ContractError
        If the table is not for decisions, or the champion's policy reads an input that this
        version does not compute.
    """
    engine = Engine.of(load_verified(settings, which))
    against = _champions(settings, engine)
    keyring = Keyring.open(settings.keyring)
    opened = book.open_table(settings, table, keyring=keyring)
    if opened.purpose is not Purpose.DECISION:
        raise ContractError(
            f"A table of purpose {opened.purpose} cannot be decided on; protect it for decision."
        )
    scored = ScoredBook(engine=engine, table=opened, policy=against, keep=tuple(question.by))
    found = policy_review.measure_impact(
        engine.policy, scored, as_of=question.as_of, by=question.by, climate=question.climate
    )
    more = SAME_RISK + (NO_CHAMPION if against is None else ())
    digests = {"model": engine.verified.manifest_digest, "data": opened.digest}
    evidence = found.model_copy(
        update={
            "subject": {**found.subject, **digests},
            "not_evidenced": found.not_evidenced + more,
        }
    )
    return _attached(settings, engine.verified.version, evidence)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredBook:
    """A decision table scored by a version, batch by batch: the rows of an impact."""

    engine: Engine
    table: FeatureTable
    policy: LimitPolicy | None
    keep: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What messages call the table."""
        return self.table.path.name

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Stream what both policies read, and the columns to count by.

        Raises
        ------
        ContractError
            If a customer appears twice, or the table lacks a column to count by.
        """
        policies = [self.engine.policy, *([self.policy] if self.policy else [])]
        wanted = {DEFAULT_PROBABILITY, *self.keep}
        wanted.update(*(inputs.needed(policy) for policy in policies))
        customers = Customers()
        scored = (self._scored(customers.seen(batch)) for batch in self.table.reader())
        for rows in customers.checked(scored):
            yield from rows.select(sorted(wanted)).combine_chunks().to_batches()

    def _scored(self, batch: pa.RecordBatch) -> pa.Table:
        missing = [name for name in self.keep if name not in batch.schema.names]
        if missing:
            raise ContractError(
                f"The feature table lacks the columns {', '.join(missing)} to count by. Protected "
                "attributes are not in it; `limitline validate` counts by those."
            )
        keep = dict.fromkeys([PSEUDONYM, ASSIGNMENT, *self.keep])
        rows = pa.Table.from_batches([batch])
        scored = score(self.engine.verified.estimator, self.engine.spec, rows, list(keep))
        return scored.append_column("arm", assignment.arm(scored[ASSIGNMENT]))


def _champions(settings: Settings, engine: Engine) -> LimitPolicy | None:
    record = Record.load(settings)
    champion = record.champion()
    if champion is None or champion == engine.verified.version:
        return None
    verified = load_verified(settings, resolve(record, CHAMPION))
    policy = LimitPolicy.parse(verified.policy_text)
    model.require_fit(engine.spec, policy)
    return policy


def _attached(settings: Settings, version: int, evidence: Evidence) -> Attached:
    entry = attach(settings, version, evidence, role=Role.DEVELOPER)
    return Attached(version=version, entry=entry, evidence=evidence)
