"""Deciding a book: a verified champion, a feature table and a day become a decision log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from decisions import decision_log, history, model, scoring
from decisions.decision_log import DecisionLog
from decisions.engine import ENGINE_VERSION, Action, Freeze
from decisions.features import FeatureSpec
from decisions.history import History
from decisions.plain_table import Customers
from decisions.plan import PLAIN, Climate, Moment
from decisions.policy import LimitPolicy
from decisions.raise_stops import RaiseStops, find_stops
from governance.contract import Purpose
from governance.errors import ContractError, GateClosed, IntegrityError
from governance.settings import Settings
from privacy import assignment, gate
from privacy.feature_table import ASSIGNMENT, PSEUDONYM, FeatureTable, Part
from privacy.keyring import Keyring
from registry.load import VerifiedModel, load_verified

FREEZE_REASONS = "freeze_reasons"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A vintage of decisions.

    Parameters
    ----------
    is_new : bool
        False if it had been decided before.
    reasons : tuple of str
        Why raises were stopped, if the ledger stopped them.
    is_supervised : bool
        False if the policy lets a monitor be silent for as long as it likes.
    """

    log: DecisionLog
    is_new: bool
    is_supervised: bool
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A verified model, read and ready to decide."""

    verified: VerifiedModel
    spec: FeatureSpec
    policy: LimitPolicy

    @classmethod
    def of(cls, verified: VerifiedModel) -> Engine:
        """Read the declarations of a verified model.

        Raises
        ------
        ContractError
            If features and policy count in different currencies, or the policy reads an input that
            the feature spec does not compute.
        """
        spec = FeatureSpec.parse(verified.features_text)
        policy = LimitPolicy.parse(verified.policy_text)
        model.require_fit(spec, policy)
        return cls(verified=verified, spec=spec, policy=policy)

    def decide(
        self, batch: pa.RecordBatch, moment: Moment, *, history: History | None = None
    ) -> pa.Table:
        """Decide released rows; returns a table of `decisions.decision_log.SCHEMA`.

        Without `history`, the rows say themselves what was decided before, as far as they do.
        """
        rows = pa.Table.from_batches([batch])
        scored = scoring.score(self.verified.estimator, self.spec, rows, [PSEUDONYM, ASSIGNMENT])
        if self.policy.experiment is not None:
            scored = scored.append_column("arm", assignment.arm(scored[ASSIGNMENT]))
        scored = (history or History.nothing()).applied(scored, self.policy)
        decided = scoring.decide(
            self.policy,
            scored,
            as_of=moment.as_of,
            freeze=moment.freeze,
            climate=moment.climate,
        )
        stamps = {
            "model_stamp": self.stamp,
            "policy_stamp": self.policy.stamp,
            "features_stamp": self.spec.stamp,
        }
        for name, stamp in stamps.items():
            decided = decided.append_column(name, pa.array([stamp] * decided.num_rows, pa.string()))
        asked = pc.if_else(pc.equal(decided["action"], Action.REVIEW.value), "requested", "none")
        decided = decided.append_column("human_involvement", asked)
        return decided.select(decision_log.SCHEMA.names)

    @property
    def stamp(self) -> str:
        """What every decision row says about its model."""
        return f"credit-limit@{self.verified.version}#{self.verified.manifest_digest[:16]}"


def decide(
    settings: Settings,
    table: FeatureTable,
    *,
    keyring: Keyring,
    as_of: date,
    freeze: Freeze | None = None,
    climate: Climate = PLAIN,
) -> Decided:
    """Decide every customer of `table` with the verified champion.

    Parameters
    ----------
    freeze : Freeze, optional
        Whether raises are stopped; left out, the ledger says (`decisions.raise_stops`).

    Raises
    ------
    GateClosed
        If nothing was champion on the day, or `freeze` is ``NOTHING`` while something stops raises.
    IntegrityError
        If the champion or the table is not what was signed.
    ContractError
        If the table is not for decisions or holds a customer twice, currencies differ, or the
        vintage was decided by something else.
    """
    if table.purpose is not Purpose.DECISION:
        raise ContractError(
            f"A table of purpose {table.purpose} cannot be decided on; protect it for decision."
        )
    champion = Engine.of(load_verified(settings, "champion", on=as_of))
    is_supervised = champion.policy.supervision is not None
    stands = find_stops(settings, champion.policy, as_of)
    in_force = stands.freeze if freeze is None else freeze
    known = history.survey(settings.decisions, as_of, champion.policy, keyring=keyring)
    moment = Moment(as_of=as_of, freeze=in_force, climate=climate)
    identity = identify(champion, table, moment, known)
    folder = settings.decisions / identity["vintage"]
    if folder.exists():
        log = DecisionLog.open(folder, keyring=keyring)
        # What the ledger says later does not make an earlier decision another one.
        asked = identity if freeze is not None else {**identity, "freeze": log.identity["freeze"]}
        _require_same(log.identity, asked)
        return Decided(log=log, is_new=False, is_supervised=is_supervised)
    if freeze is Freeze.NOTHING:
        _require_free(stands)
    why = ["asked for by this run"] if freeze is Freeze.RAISES else list(stands.reasons)
    identity = {**identity, FREEZE_REASONS: why}
    history.require_order(settings.decisions, as_of)
    before = History.read(settings.decisions, identity, champion.policy, keyring=keyring)
    customers = Customers()
    rows = (
        champion.decide(customers.seen(batch), moment, history=before) for batch in table.reader()
    )
    return Decided(
        log=decision_log.write(
            folder, reconciled(customers.checked(rows), table.num_rows), identity, keyring=keyring
        ),
        is_new=True,
        is_supervised=is_supervised,
        reasons=stands.reasons if freeze is None else (),
    )


def reconciled(decided: Iterable[pa.Table], customers: int) -> Iterator[pa.Table]:
    """Pass decisions on, and refuse the whole vintage if they are not one for each row.

    Raises
    ------
    IntegrityError
        Naming both numbers, before the vintage is there.
    """
    passed = 0
    for rows in decided:
        passed += rows.num_rows
        yield rows
    if passed != customers:
        raise IntegrityError(
            f"The table holds {customers} rows, and {passed} decisions were made. Nothing was "
            "written; decide again from a table that `limitline verify` finds whole."
        )


def identify(
    champion: Engine, table: FeatureTable, moment: Moment, known: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what makes two runs of `decide` the same run; `known` is the history they read."""
    return {
        "vintage": moment.as_of.strftime("%Y-%m"),
        "as_of": moment.as_of.isoformat(),
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
        "freeze": moment.freeze.value,
        **moment.climate.as_document(),
        "currency": champion.policy.currency,
        **history.comparability(champion.spec, champion.policy),
        "history": dict(known),
    }


def open_table(settings: Settings, chosen: Path | str, *, keyring: Keyring) -> FeatureTable:
    """Open the feature table in a folder, or the newest decision table of a contract id."""
    if isinstance(chosen, str):
        chosen = gate.latest(
            settings.features, contract_id=chosen, purpose=Purpose.DECISION, keyring=keyring
        )
    return FeatureTable.open(chosen, keyring=keyring, part=Part.ALL)


def _require_free(stands: RaiseStops) -> None:
    """Refuse a run that asks for raises although something stops them."""
    if stands.freezes:
        raise GateClosed(
            f"Raises are frozen by {', '.join(stands.freezes)}. An option does not lift that; two "
            "approvers do, with `limitline unfreeze`."
        )
    if stands.reasons:
        raise GateClosed(
            f"Raises are stopped: {'; '.join(stands.reasons)}. An option does not lift that: close "
            "the finding, let monitoring look, or approve anew."
        )


def _require_same(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Refuse a second, different decision of one vintage.

    Newer code alone is no second decision: what was decided stands, and replay shows whether the
    newer code would decide alike.
    """
    compared = sorted(set(wanted) - {"code_digest", "engine_version", FREEZE_REASONS})
    differs = [name for name in compared if found.get(name) != wanted[name]]
    if differs:
        raise ContractError(
            f"The vintage {wanted['vintage']} is already decided, with another "
            f"{', '.join(differs)}. Decisions are not rewritten; decide another vintage."
        )
