"""Watch: from protected tables and decision logs to records, one per window that is due.

Nothing here writes or signs; `monitoring.tick` does. The same inputs give the same record on
whatever day the watch runs, because a record is dated by the day its window became due.
"""

from __future__ import annotations

import hashlib
import importlib.resources
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from decisions import sql
from decisions.decision_log import DecisionLog
from governance import canonical
from governance.appetite import RiskAppetite
from governance.contract import Purpose
from governance.errors import ContractError
from governance.measurement import Measurement
from governance.outcome import Outcome
from governance.settings import Settings
from monitoring.bins import fit_bins
from monitoring.counts import reduce
from monitoring.decisions import (
    OUTCOME,
    Asking,
    confusion,
    measure_fairness,
    observed_in_time,
    outcomes,
)
from monitoring.drift import measure_drift
from monitoring.misjudgment import measure_misjudgment
from monitoring.record import Comparison, Record, compare, judge
from monitoring.windows import WatchPlan, Window
from privacy import assignment, gate
from privacy.feature_table import ASSIGNMENT, PSEUDONYM, FeatureTable, Part
from privacy.keyring import Keyring

_MANDATE = "monthly watch: fairness of the decisions that were made"
_LABEL, _OBSERVED = "label", "observed_on"
_JOIN = (
    f"SELECT d.*, l.{_LABEL}, l.{_OBSERVED} "  # noqa: S608  (constants)
    f"FROM decisions AS d LEFT JOIN labels AS l ON d.{PSEUDONYM} = l.{PSEUDONYM}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One window that can be judged from `due_on` on.

    Parameters
    ----------
    inputs : callable
        Returns the digest of everything the record depends on, its own rows and no others of the
        table; another digest is another revision.
    model_version : int or None
        The version that the window is about, if it is about decisions.
    """

    name: str
    due_on: date
    inputs: Callable[[], str]
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
    views: dict[str, pa.Table | str] = field(default_factory=dict)

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
        path = gate.latest(
            settings.features, contract_id=plan.contract, purpose=Purpose.DECISION, keyring=keyring
        )
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

    def view(self, window: Window) -> pa.Table | str:
        """Return a window's columns, or why the table does not hold it; cut once per watch."""
        if window.name not in self.views:
            try:
                self.views[window.name] = window.view(self.table.reader())
            except ContractError as error:
                self.views[window.name] = str(error)
        return self.views[window.name]

    @property
    def acquired_on(self) -> date | None:
        """The day on which the data behind the table were acquired, if the table knows it."""
        told = self.table.about.get("acquired_at", "")
        return date.fromisoformat(told[:10]) if told else None


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
            inputs=lambda window=window: _statement_inputs(sources, window),  # type: ignore[misc]
            model_version=None,
            compute=lambda window=window: statement(sources, window),  # type: ignore[misc]
        )
    for folder in sorted(sources.settings.decisions.glob("*/manifest.json")):
        log = DecisionLog.open(folder.parent, keyring=sources.keyring)
        yield Job(
            name=f"decisions-{log.identity['vintage']}",
            due_on=sources.plan.matured_on(date.fromisoformat(log.identity["as_of"])),
            inputs=lambda log=log: _vintage_inputs(sources, log),  # type: ignore[misc]
            model_version=int(log.identity["model_version"]),
            compute=lambda log=log: vintage(sources, log),  # type: ignore[misc]
        )


def statement(sources: Sources, window: Window) -> Record:
    """Compare a window's columns with those of an earlier one; one that never came is a breach."""
    plan, before = sources.plan, sources.plan.before(window)
    current = sources.view(window)
    comparisons: tuple[Comparison, ...] = ()
    if isinstance(current, str):
        measured: tuple[Measurement, ...] = (_never_came(plan, window, current),)
        notes = ["There is nothing to compare; the window is judged once a table holds it."]
    else:
        rows = Measurement(
            measure="window.rows", value=float(current.num_rows), n=current.num_rows, unit="count"
        )
        drift, comparisons, notes = _compared(sources, current, before)
        measured = (*drift, rows)
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


def _compared(
    sources: Sources, current: pa.Table, before: Window | None
) -> tuple[tuple[Measurement, ...], tuple[Comparison, ...], list[str]]:
    """Measure drift against the window `before`; a first window has nothing to drift from."""
    if before is None:
        return (), (), ["The first window: it is what the next one is compared with."]
    plan, reference = sources.plan, sources.view(before)
    if isinstance(reference, str):
        why = f"The table does not hold {before.name}, with which it would be compared. {reference}"
        silent = Measurement(
            measure="window.reference", n=0, outcome=Outcome.INCONCLUSIVE, reason=why
        )
        return (silent,), (), []
    bins = fit_bins(reference, current=current)
    old, new = reduce(reference, bins), reduce(current, bins)
    found = measure_drift(old, new, tolerance=plan.tolerance)
    notes = [
        f"Compared with {before.name}; bins from there, digest {bins.digest[:16]}.",
        f"Judged with tolerance {plan.tolerance:g}: {', '.join(plan.judged)}.",
    ]
    return tuple(_shown(m, plan) for m in found), compare(old, new, bins), notes


def _never_came(plan: WatchPlan, window: Window, why: str) -> Measurement:
    return Measurement(
        measure="window.rows",
        value=0.0,
        n=0,
        unit="count",
        outcome=Outcome.BREACH,
        reason=f"{window.name} was due on {plan.due_on(window)} and is not in the table. {why}",
    )


def _statement_inputs(sources: Sources, window: Window) -> str:
    """Return the digest of a window's rows, of its reference's, and of what the plan says."""
    plan, before = sources.plan, sources.plan.before(window)
    rows = [
        rows_digest(view) if isinstance(view, pa.Table) else view
        for view in (sources.view(one) for one in (window, before) if one is not None)
    ]
    told = [window, before, plan.due_on(window), plan.tolerance, sorted(plan.judged)]
    return canonical.digest([*told, dict(plan.severities), *rows])


def _vintage_inputs(sources: Sources, log: DecisionLog) -> str:
    """Return the digest of a vintage's decisions with their outcomes, and of who judges them."""
    plan, decided = sources.plan, _with_outcomes(sources, log)
    told = [plan.performance_days, list(plan.caveats), dict(plan.severities)]
    return canonical.digest([*told, sources.appetite.digest, log.manifest, rows_digest(decided)])


def rows_digest(table: pa.Table) -> str:
    """Return the digest of a table's rows, whatever their order."""
    names = ", ".join(
        f"CAST({sql.quoted(name)} AS VARCHAR) AS c{place}"
        for place, name in enumerate(table.column_names)
    )
    text = sql.run(f"SELECT {names} FROM source ORDER BY ALL", source=table)  # noqa: S608
    types = [[field.name, str(field.type)] for field in table.schema]
    found = hashlib.sha256(canonical.dumps([table.num_rows, types]))
    for column in text.itercolumns():
        # A length before each text, or -1 where there is none, tells ab, c from a, bc.
        lengths = pc.fill_null(pc.cast(pc.binary_length(column), pa.int64()), -1)
        found.update(lengths.to_numpy().tobytes())
        found.update("".join(column.drop_null().to_pylist()).encode())
    return found.hexdigest()


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
    asking = Asking(
        keyring=sources.keyring,
        vault=sources.settings.vault,
        purpose=Purpose.DECISION,
        mandate=_MANDATE,
    )
    measured = (
        *measure_misjudgment(confusion(sealed), scope=scope),
        *measure_fairness(decided, decided, asking=asking),
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
            _told_when(sources),
            f"Model {log.identity['model']}, policy {log.identity['policy']}.",
            *sources.plan.caveats,
        ),
    )


def _with_outcomes(sources: Sources, log: DecisionLog) -> pa.Table:
    """Join a vintage's decisions with the outcomes that the table knows of them."""
    label, day = sources.table.label, sources.plan.outcome_observed_at
    if label is None:
        raise ContractError(f"The table {sources.table.path.name} has no label to judge by.")
    wanted = [PSEUDONYM, ASSIGNMENT, "action", "limit_before_minor", "limit_after_minor"]
    labels = sources.table.read([PSEUDONYM, label, *([day] if day else [])])
    observed = labels[day] if day else _all_on(sources.acquired_on, labels.num_rows)
    if observed.type != pa.date32():
        raise ContractError(f"The column {day} is {observed.type}; outcome_observed_at is of days.")
    known = pa.table({PSEUDONYM: labels[PSEUDONYM], _LABEL: labels[label], _OBSERVED: observed})
    return with_outcomes(
        log.read(wanted),
        known,
        decided_on=date.fromisoformat(log.identity["as_of"]),
        performance_days=sources.plan.performance_days,
        until=sources.acquired_on,
    )


def with_outcomes(
    decided: pa.Table,
    labels: pa.Table,
    *,
    decided_on: date,
    performance_days: int,
    until: date | None,
) -> pa.Table:
    """Join decisions with labels on the pseudonym that both share.

    A decision without a label, or whose label was observed before it and its performance window
    had passed, or after the day `until`, is pending.

    Parameters
    ----------
    labels : pyarrow.Table
        ``customer_pseudonym``, ``label`` and ``observed_on``, a day or missing.
    """
    joined = sql.run(_JOIN, decisions=decided, labels=labels)
    counted = observed_in_time(
        outcomes(joined[_LABEL]),
        decided_on=pa.scalar(decided_on),
        observed_on=joined[_OBSERVED],
        performance_days=performance_days,
        until=until,
    )
    return joined.drop_columns([_OBSERVED]).append_column(OUTCOME, counted)


def _all_on(day: date | None, rows: int) -> pa.Array:
    return pa.repeat(pa.scalar(day, pa.date32()), rows)


def _told_when(sources: Sources) -> str:
    """Say in a sentence as of when the outcomes are."""
    plan = sources.plan
    if plan.outcome_observed_at:
        when = f"on the day in {plan.outcome_observed_at}"
    elif sources.acquired_on is None:
        when = "on a day that the table does not know, so none counts"
    else:
        basis = sources.table.about.get("acquired_at_is", "")
        when = f"as of {sources.acquired_on} ({basis}), when the table's data were acquired"
    return (
        f"Outcomes were observed {when}; one counts {plan.performance_days} days after its "
        "decision, before that it is pending."
    )


def _shown(measurement: Measurement, plan: WatchPlan) -> Measurement:
    """Take the verdict off a column that the plan only shows; what it is stays readable."""
    if measurement.scope["feature"] in plan.judged or measurement.value is None:
        return measurement
    return measurement.judged(Outcome.INFO, measurement.reason)
