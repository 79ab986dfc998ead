"""Deciding a book: a verified champion, a feature table and a day become a decision log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from governance.contract import Purpose
from governance.errors import ContractError
from governance.settings import Settings
from limits import decision_log, model, scoring
from limits.decision_log import DecisionLog
from limits.engine import ENGINE_VERSION, Freeze
from limits.features import FeatureSpec
from limits.policy import LimitPolicy
from privacy import gate
from privacy.feature_table import ASSIGNMENT, PSEUDONYM, FeatureTable, Part
from privacy.keyring import Keyring
from registry.load import VerifiedModel, load_verified


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A vintage of decisions; `is_new` is False if it had been decided before."""

    log: DecisionLog
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A verified model, read and ready to decide."""

    verified: VerifiedModel
    spec: FeatureSpec
    policy: LimitPolicy

    @classmethod
    def of(cls, verified: VerifiedModel) -> Engine:
        """Read the declarations of a verified model."""
        return cls(
            verified=verified,
            spec=FeatureSpec.parse(verified.features_text),
            policy=LimitPolicy.parse(verified.policy_text),
        )

    def decide(self, batch: pa.RecordBatch, *, as_of: date, freeze: Freeze) -> pa.Table:
        """Decide released rows; returns a table of `limits.decision_log.SCHEMA`."""
        rows = pa.Table.from_batches([batch])
        scored = scoring.score(self.verified.estimator, self.spec, rows, [PSEUDONYM, ASSIGNMENT])
        decided = scoring.decide(self.policy, scored, as_of=as_of, freeze=freeze)
        for name, stamp in (("model_stamp", self.stamp), ("policy_stamp", self.policy.stamp)):
            decided = decided.append_column(name, pa.array([stamp] * decided.num_rows, pa.string()))
        return decided.select(decision_log.SCHEMA.names)

    @property
    def stamp(self) -> str:
        """What every decision row says about its model."""
        return f"credit-limit@{self.verified.version}#{self.verified.manifest_digest[:16]}"


def decide(
    settings: Settings, table: FeatureTable, *, keyring: Keyring, as_of: date, freeze: Freeze
) -> Decided:
    """Decide every customer of `table` with the verified champion.

    Raises
    ------
    GateClosed
        If there is no champion.
    IntegrityError
        If the champion or the table is not what was signed.
    ContractError
        If the table is not for decisions, or the vintage was decided by something else.
    """
    if table.purpose is not Purpose.DECISION:
        raise ContractError(
            f"A table of purpose {table.purpose} cannot be decided on; protect it for decision."
        )
    champion = Engine.of(load_verified(settings, "champion"))
    identity = identify(champion, table, as_of=as_of, freeze=freeze)
    folder = settings.decisions / identity["vintage"]
    if folder.exists():
        log = DecisionLog.open(folder, keyring=keyring)
        _require_same(log.identity, identity)
        return Decided(log=log, is_new=False)
    rows = _decided(champion, table, as_of=as_of, freeze=freeze)
    return Decided(
        log=decision_log.write(folder, rows, identity, keyring=keyring),
        is_new=True,
    )


def identify(
    champion: Engine, table: FeatureTable, *, as_of: date, freeze: Freeze
) -> dict[str, Any]:
    """Return what makes two runs of `decide` the same run."""
    return {
        "vintage": as_of.strftime("%Y-%m"),
        "as_of": as_of.isoformat(),
        "model": champion.stamp,
        "model_version": champion.verified.version,
        "model_digest": champion.verified.manifest_digest,
        "policy": champion.policy.stamp,
        "policy_digest": champion.policy.digest,
        "features_digest": champion.spec.digest,
        "table": table.path.name,
        "table_digest": table.digest,
        "engine_version": ENGINE_VERSION,
        "code_digest": model.code_digest(),
        "freeze": freeze.value,
        "currency": champion.policy.currency,
    }


def open_table(settings: Settings, chosen: Path | str, *, keyring: Keyring) -> FeatureTable:
    """Open the feature table in a folder, or the newest decision table of a contract id."""
    if isinstance(chosen, str):
        chosen = gate.latest(settings.features, contract_id=chosen, purpose=Purpose.DECISION)
    return FeatureTable.open(chosen, keyring=keyring, part=Part.ALL)


def _decided(
    champion: Engine, table: FeatureTable, *, as_of: date, freeze: Freeze
) -> Iterator[pa.Table]:
    for batch in table.reader():
        yield champion.decide(batch, as_of=as_of, freeze=freeze)


def _require_same(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Refuse a second, different decision of one vintage.

    Newer code alone is no second decision: what was decided stands, and replay shows whether the
    newer code would decide alike.
    """
    compared = sorted(set(wanted) - {"code_digest", "engine_version"})
    differs = [name for name in compared if found.get(name) != wanted[name]]
    if differs:
        raise ContractError(
            f"The vintage {wanted['vintage']} is already decided, with another "
            f"{', '.join(differs)}. Decisions are not rewritten; decide another vintage."
        )
