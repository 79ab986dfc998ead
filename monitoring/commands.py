"""Commands of the monitoring room."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from governance import command
from governance.command import AsJson, Encoding, OnDay
from governance.errors import Breach, Inconclusive, UsageError
from governance.outcome import Outcome, worst
from monitoring import alternatives_report, terminal
from monitoring.options import Action, Appetite, Count, Decisions, Result

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from governance.appetite import RiskAppetite
    from governance.measurement import Measurement
    from monitoring.coverage import Coverage
    from monitoring.plain_table import OutcomeDays
    from monitoring.tick import Done

app = typer.Typer()
alternatives_report.register(app)

DecidedOn = Annotated[
    str | None, typer.Option(help="Column: day of the decision; with it, early outcomes wait.")
]
ObservedOn = Annotated[
    str | None, typer.Option(help="Column: day on which the outcome was observed.")
]
PerformanceDays = Annotated[
    int | None, typer.Option(min=1, help="Days after a decision until its outcome has matured.")
]
Plan = Annotated[Path | None, typer.Option(help="Watch plan; the demonstration's.")]
_EXITS = " Exit 13: a breach; 14: cannot tell."


@app.command()
@command.guarded
def validate(
    version: Annotated[str, typer.Option(help="A version number, latest or champion.")] = "latest",
    on: OnDay = "",
    contract: Annotated[str, typer.Option(help="Contract id of the table.")] = "uci-credit",
    appetite: Appetite = None,
    as_json: AsJson = False,
) -> None:
    """Measure a model version on the sealed customers and sign the evidence; the gate judges."""
    settings = command.load_home()
    day = command.parse_day(on)
    with command.stderr.status("Validating on the sealed customers ..."):
        from monitoring import validate as validation

        done = validation.validate(
            settings, version, contract=contract, appetite=_appetite(appetite), on=day
        )
    document = {
        "schema": "validation/1",
        "version": done.version,
        "evidence": done.evidence.digest,
        "entry": done.entry,
        "outcome": done.record.outcome.value,
        "measurements": [m.as_json() for m in done.record.measurements],
        "page": str(done.folder / "index.html"),
    }

    def people(out: Any) -> None:
        hidden = ("drift.", "calibration.ece")
        title = f"Validation of version {done.version}"
        terminal.show(out, title, done.record.measurements, hidden=hidden)
        out.print(f"Evidence {done.evidence.digest[:16]}, ledger entry {done.entry}")
        out.print(f"Page: {document['page']}", soft_wrap=True)

    command.emit(document, as_json=as_json, people=people)


@app.command()
@command.guarded
def watch(
    on: OnDay = "",
    plan: Plan = None,
    acknowledge: Annotated[
        bool,
        typer.Option("--acknowledge", help="Say that you have seen the alarms found so far."),
    ] = False,
    print_schedule: Annotated[
        bool, typer.Option("--print-schedule", help="Print a cron line and a systemd timer.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Judge every due window that was not judged yet; exit 13 until each breach is acknowledged.

    Without a breach, exit 14 if a window that is judged now cannot tell. This is the command for
    cron too: safe to kill, and to run twice.
    """
    if print_schedule:
        _print_schedule(plan, as_json=as_json)
    else:
        _watch(on, plan, as_json=as_json, with_acknowledgement=acknowledge)


@app.command(help="Compare two tables column by column." + _EXITS)
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
    from monitoring.coverage import Coverage
    from monitoring.drift import measure_drift

    before, now = plain_table.read_both(reference, current, encoding)
    bins = fit_bins(before, current=now)
    left_out = list(dict.fromkeys(leave_out or []))
    strange = [name for name in left_out if name not in bins.names]
    if strange:
        raise UsageError(f"Neither table has the column {', '.join(strange)} to leave out.")
    bins = bins.only([name for name in bins.names if name not in left_out])
    found = measure_drift(reduce(before, bins), reduce(now, bins), tolerance=tolerance)
    _answer("drift", found, as_json=as_json, coverage=Coverage.of(found, left_out))


@app.command(help="Measure how often, and for how much, decisions were wrong." + _EXITS)
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
    found = judge(measured, _appetite(appetite), day)
    _answer("misjudgment", found, as_json=as_json)


@app.command(help="Compare groups: approved, raised, cut, and cut though good." + _EXITS)
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
    found = judge(measured, _appetite(appetite), day)
    _answer("fairness", found, as_json=as_json)


@app.command()
@command.guarded
def report(
    window: Annotated[
        str, typer.Option(help="A window that was judged, such as 2005-09; all if left out.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Say which windows were judged with which outcome, or show one; and where the pages are."""
    from monitoring.publication import PAGE_FILE
    from monitoring.tick import finished

    settings = command.load_home()
    done = finished(settings)
    if window:
        _show_window(settings.reports, window, [item.name for item in done], as_json=as_json)
        return
    page = str(settings.reports / PAGE_FILE)
    windows = [_window(item) for item in done]

    def people(out: Any) -> None:
        terminal.show_windows(out, done)
        out.print(f"Overview: {page}", soft_wrap=True)

    document = {"schema": "watch-status/1", "windows": windows, "page": page}
    command.emit(document, as_json=as_json, people=people)


def _show_window(reports: Path, name: str, known: Sequence[str], *, as_json: bool) -> None:
    from governance.measurement import Measurement
    from monitoring.publication import PAGE_FILE, RECORD_FILE

    if name not in known:
        named = ", ".join(known) or "none; run `limitline watch`"
        raise UsageError(f"No window of that name was judged. Judged so far: {named}.")
    document = json.loads((reports / name / RECORD_FILE).read_text(encoding="utf-8"))
    found = [Measurement.model_validate(m) for m in document["measurements"]]
    page = str(reports / name / PAGE_FILE)

    def people(out: Any) -> None:
        terminal.show(out, str(document["title"]), found)
        out.print(f"Page: {page}", soft_wrap=True)
        out.print(f"All windows: {reports / PAGE_FILE}", soft_wrap=True)

    command.emit({**document, "page": page}, as_json=as_json, people=people)


def _print_schedule(plan: Path | None, *, as_json: bool) -> None:
    from governance import settings
    from monitoring.schedule import schedule
    from monitoring.windows import read_plan

    text = schedule(settings.load(), plan=plan, time_zone=read_plan(plan).time_zone)
    document = {"schema": "schedule/1", "text": text}
    command.emit(
        document,
        as_json=as_json,
        people=lambda out: out.print(text, soft_wrap=True, markup=False, highlight=False),
    )


def _watch(on: str, plan: Path | None, *, as_json: bool, with_acknowledgement: bool) -> None:
    from monitoring.tick import acknowledge
    from monitoring.tick import tick as run
    from monitoring.windows import read_plan

    settings, watched = command.load_home(), read_plan(plan)
    day, today = (command.parse_day(text, time_zone=watched.time_zone) for text in (on, ""))
    if day > today:
        # Its sign of life would count on a day on which nobody looked.
        raise UsageError(f"Nobody can watch on {day}: today it is {today} in {watched.time_zone}.")
    # What is acknowledged was found before; what this run finds nobody can have seen.
    seen = acknowledge(settings, on=day) if with_acknowledgement else ()
    with command.stderr.status("Watching ...") as progress:
        found = run(
            settings,
            watched,
            on=day,
            say=lambda doing: progress.update(f"Watching: {doing} ..."),
        )
    alarms = [item.name for item in found.done if item.is_alarm]
    untold = [item.name for item in found.done if item.is_untold and item.name in found.judged]
    document = {
        "schema": "watch/1",
        "on": day.isoformat(),
        "judged": list(found.judged),
        "windows": [_window(item) for item in found.done],
        "waiting": {name: until.isoformat() for name, until in found.waiting.items()},
        "findings": list(found.findings),
        "alarms": alarms,
        "cannot_tell": untold,
        "acknowledged": list(seen),
        "page": str(settings.reports / "index.html"),
    }

    def people(out: Any) -> None:
        terminal.show_windows(out, found.done, new=found.judged)
        for name, until in found.waiting.items():
            out.print(f"Waiting: {name} is judged from {until} on.")
        if not found.judged:
            out.print("Nothing new: every window that is due was judged before.")
        if found.findings:
            out.print(f"Findings opened: {len(found.findings)}; limitline status")
        if seen:
            out.print(f"Acknowledged: {', '.join(seen)}. Their findings stay open.")
        out.print(f"Overview: {document['page']}", soft_wrap=True)

    command.emit(document, as_json=as_json, people=people)
    if alarms:
        raise Breach(
            f"Outside the risk appetite and not acknowledged: {', '.join(alarms)}. Look at the "
            "overview, then run `limitline watch --acknowledge`."
        )
    if untold:
        raise Inconclusive(
            f"Judged now, and cannot tell: {', '.join(untold)}. The overview says why; nothing "
            "that was judged before is an alarm."
        )


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


def _appetite(path: Path | None) -> RiskAppetite:
    from monitoring.watch import read_appetite

    return read_appetite(str(path) if path else "uci_demo")


def _window(done: Done) -> dict[str, Any]:
    return {
        "window": done.name,
        "outcome": done.outcome.value,
        "breaches": done.breaches,
        "due_on": done.due_on.isoformat(),
        "judged_on": done.done_on.isoformat(),
        "revision": done.revision,
        "acknowledged": done.is_acknowledged,
    }
