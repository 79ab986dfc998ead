"""Watch: from protected tables and decision logs to records, one per window that is due.

Nothing here writes or signs; `monitoring.tick` does. The same inputs give the same record on
whatever day the watch runs, because a record is dated by the day its window became due.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pyarrow as pa

from governance import canonical
from governance.appetite import RiskAppetite
from governance.contract import Purpose
from governance.errors import ContractError
from governance.measurement import Measurement
from governance.outcome import Outcome
from governance.settings import Settings
from limits import sql
from limits.decision_log import DecisionLog
from monitoring.bins import fit_bins
from monitoring.counts import reduce
from monitoring.decisions import OUTCOME, confusion, measure_fairness, outcomes
from monitoring.drift import measure_drift
from monitoring.misjudgment import measure_misjudgment
from monitoring.record import Comparison, Record, compare, judge
from monitoring.windows import WatchPlan, Window
from privacy import assignment, gate
from privacy.feature_table import ASSIGNMENT, PSEUDONYM, FeatureTable, Part
from privacy.keyring import Keyring

_MANDATE = "monthly watch: fairness of the decisions that were made"
_LABEL = "label"
_JOIN = (
    f"SELECT d.*, l.{_LABEL} FROM decisions AS d LEFT JOIN labels AS l "  # noqa: S608  (constants)
    f"ON d.{PSEUDONYM} = l.{PSEUDONYM}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One window that can be judged from `due_on` on.

    Parameters
    ----------
    inputs : str
        Digest of everything the record depends on; another digest is another revision.
    model_version : int or None
        The version that the window is about, if it is about decisions.
    """

    name: str
    due_on: date
    inputs: str
    model_version: int | None
    compute: Callable[[], Record]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What a watch reads: plan, appetite, keyring and the newest table for decisions."""

    settings: Settings
    plan: WatchPlan
    appetite: RiskAppetite
    keyring: Keyring
    table: FeatureTable
    views: dict[str, pa.Table] = field(default_factory=dict)

    @classmethod
    def open(cls, settings: Settings, plan: WatchPlan) -> Sources:
        """Open the sources of a plan.

        Raises
        ------
        UsageError
            If nothing was protected for decisions yet.
        ContractError
            If the table holds several days of a customer: a decision would be joined to each.
        """
        keyring = Keyring.open(settings.keyring)
        path = gate.latest(settings.features, contract_id=plan.contract, purpose=Purpose.DECISION)
        table = FeatureTable.open(path, keyring=keyring, part=Part.ALL)
        if table.day is not None:
            raise ContractError(
                f"The table {path.name} holds several days of a customer; the watch joins one row "
                "to each decision. Release the newest day of each under a contract without row."
            )
        return cls(
            settings=settings,
            plan=plan,
            appetite=read_appetite(plan.appetite),
            keyring=keyring,
            table=table,
        )

    def view(self, window: Window) -> pa.Table:
        """Return a window's columns, cut once per watch."""
        if window.name not in self.views:
            self.views[window.name] = window.view(self.table.reader())
        return self.views[window.name]


def read_appetite(name_or_path: str = "uci_demo") -> RiskAppetite:
    """Read the appetite in a TOML file, or the packaged one of that name.

    Raises
    ------
    ContractError
        If there is no such file or it is no appetite.
    """
    if name_or_path.endswith(".toml"):
        return RiskAppetite.load(Path(name_or_path))
    packaged = importlib.resources.files("governance") / "appetite" / f"{name_or_path}.toml"
    if not packaged.is_file():
        raise ContractError(f"No risk appetite named {name_or_path} ships with Limitline.")
    return RiskAppetite.parse(packaged.read_text(encoding="utf-8"))


def jobs(sources: Sources) -> Iterator[Job]:
    """Yield every window that the plan and the decision logs know, due or not, oldest first."""
    for window in sources.plan.windows:
        yield Job(
            name=window.name,
            due_on=sources.plan.due_on(window),
            inputs=canonical.digest([sources.plan.digest, sources.table.digest, window.name]),
            model_version=None,
            compute=lambda window=window: statement(sources, window),  # type: ignore[misc]
        )
    for folder in sorted(sources.settings.decisions.glob("*/manifest.json")):
        log = DecisionLog.open(folder.parent, keyring=sources.keyring)
        decided = [sources.plan.digest, sources.appetite.digest, sources.table.digest, log.manifest]
        yield Job(
            name=f"decisions-{log.identity['vintage']}",
            due_on=sources.plan.matured_on(date.fromisoformat(log.identity["as_of"])),
            inputs=canonical.digest(decided),
            model_version=int(log.identity["model_version"]),
            compute=lambda log=log: vintage(sources, log),  # type: ignore[misc]
        )


def statement(sources: Sources, window: Window) -> Record:
    """Compare a window's columns with those of the window before."""
    plan, before = sources.plan, sources.plan.before(window)
    current = sources.view(window)
    rows = Measurement(
        measure="window.rows", value=float(current.num_rows), n=current.num_rows, unit="count"
    )
    measured: tuple[Measurement, ...] = (rows,)
    comparisons: tuple[Comparison, ...] = ()
    notes = ["The first window: it is what the next one is compared with."]
    if before is not None:
        reference = sources.view(before)
        bins = fit_bins(reference)
        old, new = reduce(reference, bins), reduce(current, bins)
        found = measure_drift(old, new, tolerance=plan.tolerance)
        measured = (*(_shown(m, plan) for m in found), rows)
        comparisons = compare(old, new, bins)
        notes = [
            f"Compared with {before.name}; bins from there, digest {bins.digest[:16]}.",
            f"Judged with tolerance {plan.tolerance:g}: {', '.join(plan.judged)}.",
        ]
    return Record(
        window=window.name,
        title=window.title,
        title_zh=window.title_zh,
        measured_on=plan.due_on(window),
        subject={"table": sources.table.digest, "plan": plan.digest},
        measurements=measured,
        comparisons=comparisons,
        notes=tuple(notes),
    )


def vintage(sources: Sources, log: DecisionLog) -> Record:
    """Judge one month's decisions by their outcomes.

    Misjudgment is judged on the sealed customers, whom the model had never seen; fairness on every
    customer, because what was decided was decided for everybody.
    """
    decided = _with_outcomes(sources, log)
    name, on = log.identity["vintage"], date.fromisoformat(log.identity["as_of"])
    due_on = sources.plan.matured_on(on)
    sealed = decided.filter(assignment.is_sealed(decided[ASSIGNMENT]))
    scope = {"vintage": name}
    measured = (
        *measure_misjudgment(confusion(sealed), scope=scope),
        *measure_fairness(
            decided,
            keyring=sources.keyring,
            vault=sources.settings.vault,
            purpose=Purpose.DECISION,
            mandate=_MANDATE,
        ),
    )
    return Record(
        window=f"decisions-{name}",
        title=f"Decisions of {name}, judged by their outcome",
        title_zh=f"{name} 额度决策的事后检验",
        measured_on=due_on,
        subject={
            "model": log.identity["model_digest"],
            "policy": log.identity["policy_digest"],
            "table": sources.table.digest,
            "plan": sources.plan.digest,
            "appetite": sources.appetite.digest,
        },
        measurements=judge(measured, sources.appetite, due_on),
        decisions=confusion(sealed),
        notes=(
            f"Misjudgment on {sealed.num_rows:,} sealed customers.",
            f"Fairness on all {decided.num_rows:,} decisions.",
            f"Model {log.identity['model']}, policy {log.identity['policy']}.",
            *sources.plan.caveats,
        ),
    )


def _with_outcomes(sources: Sources, log: DecisionLog) -> pa.Table:
    """Join decisions with labels on the pseudonym that both share; no label yet is pending."""
    label = sources.table.label
    if label is None:
        raise ContractError(f"The table {sources.table.path.name} has no label to judge by.")
    wanted = [PSEUDONYM, ASSIGNMENT, "action", "limit_before_minor", "limit_after_minor"]
    labels = sources.table.read([PSEUDONYM, label]).rename_columns([PSEUDONYM, _LABEL])
    joined = sql.run(_JOIN, decisions=log.read(wanted), labels=labels)
    return joined.append_column(OUTCOME, outcomes(joined[_LABEL]))


def _shown(measurement: Measurement, plan: WatchPlan) -> Measurement:
    """Take the verdict off a column that the plan only shows; what it is stays readable."""
    if measurement.scope["feature"] in plan.judged or measurement.value is None:
        return measurement
    return measurement.judged(Outcome.INFO, measurement.reason)
