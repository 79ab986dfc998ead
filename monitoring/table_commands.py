"""Verbs on anybody's tables: drift, misjudgment and fairness of plain files, without a home."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from governance import command
from governance.command import AsJson, Encoding, OnDay
from governance.errors import Breach, Inconclusive, UsageError
from governance.outcome import Outcome, worst
from governance.output import terminal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from governance.appetite import RiskAppetite
    from governance.measurement import Measurement
    from monitoring.plain_table import OutcomeDays
    from monitoring.record import Coverage

_app = typer.Typer()

Appetite = Annotated[Path | None, typer.Option(help="Risk appetite; the demonstration's.")]
Decisions = Annotated[Path, typer.Option(help="Parquet or CSV of decisions, anybody's.")]
Action = Annotated[
    str,
    typer.Option(
        help="Column: raise, hold, cut, refuse, review; or 1, yes = raise, 0, no = refuse."
    ),
]
Result = Annotated[
    str, typer.Option(help="Column: good, bad, pending; or 0, 1 or yes = bad, missing.")
]
Count = Annotated[
    str | None, typer.Option(help="Column of counts, if a row stands for several customers.")
]
DecidedOn = Annotated[
    str | None, typer.Option(help="Column: day of the decision; with it, early outcomes wait.")
]
ObservedOn = Annotated[
    str | None, typer.Option(help="Column: day on which the outcome was observed.")
]
PerformanceDays = Annotated[
    int | None, typer.Option(min=1, help="Days after a decision until its outcome has matured.")
]
_EXITS = " Exit 13: a breach; 14: cannot tell."


def register(app: typer.Typer) -> None:
    """Give the verbs to the room's list, in their place."""
    app.registered_commands += _app.registered_commands


@_app.command(help="Compare two tables column by column." + _EXITS)
@command.guarded
def drift(
    reference: Annotated[Path, typer.Option(help="Parquet or CSV: how it was.")],
    current: Annotated[Path, typer.Option(help="Parquet or CSV: how it is.")],
    tolerance: Annotated[float, typer.Option(min=0.0, help="Largest PSI that is no drift.")] = 0.01,
    leave_out: Annotated[
        list[str] | None, typer.Option(help="Column not to look at; may be given several times.")
    ] = None,
    encoding: Encoding = "",
    as_json: AsJson = False,
) -> None:
    """Compare two tables column by column."""
    from monitoring import plain_table
    from monitoring.counts import fit_bins, reduce
    from monitoring.drift import measure_drift
    from monitoring.record import Coverage

    before, now = plain_table.read_both(reference, current, encoding)
    bins = fit_bins(before, current=now)
    left_out = list(dict.fromkeys(leave_out or []))
    strange = [name for name in left_out if name not in bins.names]
    if strange:
        raise UsageError(f"Neither table has the column {', '.join(strange)} to leave out.")
    bins = bins.only([name for name in bins.names if name not in left_out])
    found = measure_drift(reduce(before, bins), reduce(now, bins), tolerance=tolerance)
    _answer("drift", found, as_json=as_json, coverage=Coverage.of(found, left_out))


@_app.command(help="Measure how often, and for how much, decisions were wrong." + _EXITS)
@command.guarded
def misjudgment(
    decisions: Decisions,
    action: Action,
    outcome: Result,
    amount: Annotated[
        str | None, typer.Option(help="Column: absolute limit change, whole minor units.")
    ] = None,
    count: Count = None,
    decided_on: DecidedOn = None,
    observed_on: ObservedOn = None,
    performance_days: PerformanceDays = None,
    appetite: Appetite = None,
    on: OnDay = "",
    encoding: Encoding = "",
    as_json: AsJson = False,
) -> None:
    """Measure how often, and for how much, decisions were wrong."""
    from monitoring import plain_table
    from monitoring.misjudgment import measure_misjudgment
    from monitoring.record import judge

    day = command.parse_day(on)
    days = _outcome_days(decided_on, observed_on, performance_days, until=day)
    named = (action, outcome, amount, count, decided_on, observed_on)
    table = plain_table.read(decisions, named, encoding)
    counts = plain_table.decisions(
        table, action=action, outcome=outcome, amount=amount, count=count, days=days
    )
    measured = (*measure_misjudgment(counts), plain_table.measure_pending(counts, days))
    found = judge(measured, appetite_of(appetite), day)
    _answer("misjudgment", found, as_json=as_json)


@_app.command(help="Compare groups: approved, raised, cut, and cut though good." + _EXITS)
@command.guarded
def fairness(
    decisions: Decisions,
    action: Action,
    outcome: Result,
    group: Annotated[str, typer.Option(help="Column of the groups to compare.")],
    reference_group: Annotated[
        str, typer.Option(help="The group to compare with; the largest if left out.")
    ] = "",
    count: Count = None,
    decided_on: DecidedOn = None,
    observed_on: ObservedOn = None,
    performance_days: PerformanceDays = None,
    appetite: Appetite = None,
    on: OnDay = "",
    encoding: Encoding = "",
    as_json: AsJson = False,
) -> None:
    """Compare groups: approved, raised, cut, and cut though good."""
    from monitoring import plain_table
    from monitoring.fairness import audit, is_known
    from monitoring.record import judge

    day = command.parse_day(on)
    days = _outcome_days(decided_on, observed_on, performance_days, until=day)
    named = (action, outcome, count, group, decided_on, observed_on)
    table = plain_table.read(decisions, named, encoding)
    counts = plain_table.decisions(
        table, action=action, outcome=outcome, count=count, group=group, days=days
    )
    groups = {str(name): counts.where(group=name).total() or 0 for name in counts.values("group")}
    known = [name for name in groups if is_known(name)] or list(groups)
    reference = reference_group or max(known, key=lambda name: (groups[name], name))
    if reference not in groups:
        raise UsageError(
            f"The column {group} has no group with the name that --reference-group has."
        )
    audited = audit(counts, attribute=group, reference_group=reference)
    measured = (*audited, plain_table.measure_pending(counts, days))
    found = judge(measured, appetite_of(appetite), day)
    _answer("fairness", found, as_json=as_json)


def _answer(
    what: str,
    found: Sequence[Measurement],
    *,
    as_json: bool,
    coverage: Coverage | None = None,
) -> None:
    """Print measurements and leave with the exit code of the gravest one."""
    outcome = worst(m.outcome for m in found)
    document: dict[str, Any] = {
        "schema": f"{what}/1",
        "outcome": outcome.value,
        "measurements": [m.as_json() for m in found],
    }
    if coverage is not None:
        document["coverage"] = coverage.as_json()

    def people(out: Any) -> None:
        terminal.show(out, what.capitalize(), found)
        if coverage is not None:
            out.print(f"Coverage: {coverage.line}.", markup=False, soft_wrap=True)

    command.emit(document, as_json=as_json, people=people)
    breaches = sum(m.outcome is Outcome.BREACH for m in found)
    silent = sum(m.outcome is Outcome.INCONCLUSIVE for m in found)
    if outcome is Outcome.BREACH:
        raise Breach(f"{breaches} of {len(found)} measurements lie outside what is allowed.")
    if outcome is Outcome.INCONCLUSIVE:
        raise Inconclusive(
            f"{silent} of {len(found)} measurements cannot tell; no breach is shown."
        )


def _outcome_days(
    decided_on: str | None, observed_on: str | None, performance_days: int | None, *, until: date
) -> OutcomeDays | None:
    """Return the days by which outcomes count; half of an answer is none."""
    from monitoring.plain_table import OutcomeDays

    if decided_on is None and observed_on is None and performance_days is None:
        return None
    if decided_on is None or observed_on is None or performance_days is None:
        raise UsageError(
            "Whether an outcome was observed in time needs --decided-on, --observed-on and "
            "--performance-days together."
        )
    return OutcomeDays(
        decided_on=decided_on,
        observed_on=observed_on,
        performance_days=performance_days,
        until=until,
    )


def appetite_of(path: Path | None) -> RiskAppetite:
    """Return the appetite of a file, or the demonstration's."""
    from monitoring.watch import read_appetite

    return read_appetite(str(path) if path else "uci_demo")
