"""Commands of the monitoring room."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from governance import command
from governance.command import AsJson, OnDay
from governance.errors import Breach, Inconclusive, UsageError
from governance.output import terminal
from monitoring import alternatives_report, table_commands

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitoring.tick import Done

app = typer.Typer()
alternatives_report.register(app)
table_commands.register(app)

Plan = Annotated[Path | None, typer.Option(help="Watch plan; the demonstration's.")]


@app.command()
@command.guarded
def validate(
    version: Annotated[str, typer.Option(help="A version number, latest or champion.")] = "latest",
    on: OnDay = "",
    contract: Annotated[str, typer.Option(help="Contract id of the table.")] = "uci-credit",
    appetite: table_commands.Appetite = None,
    as_json: AsJson = False,
) -> None:
    """Measure a model version on the sealed customers and sign the evidence; the gate judges."""
    settings = command.load_home()
    day = command.parse_day(on)
    with command.stderr.status("Validating on the sealed customers ..."):
        from monitoring import validate as validation

        done = validation.validate(
            settings,
            version,
            contract=contract,
            appetite=table_commands.appetite_of(appetite),
            on=day,
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


@app.command()
@command.guarded
def report(
    window: Annotated[
        str, typer.Option(help="A window that was judged, such as 2005-09; all if left out.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Say which windows were judged with which outcome, or show one; and where the pages are."""
    from monitoring.pages import PAGE_FILE
    from monitoring.tick import finished

    settings = command.load_home()
    done = finished(settings)
    if window:
        _show_window(settings.reports, window, [item.name for item in done], as_json=as_json)
        return
    page = str(settings.reports / PAGE_FILE)
    windows = [_window(item) for item in done]

    def people(out: Any) -> None:
        if not done:
            out.print("No window was judged yet; `limitline watch` judges those that are due.")
            return
        _show_windows(out, done)
        out.print(f"Overview: {page}", soft_wrap=True)

    document = {"schema": "watch-status/1", "windows": windows, "page": page}
    command.emit(document, as_json=as_json, people=people)


@app.command()
@command.guarded
def dashboard(
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port on this machine.")] = 8000,
    as_json: AsJson = False,
) -> None:
    """Show the watched windows in Evidently's web page, on the loopback address only."""
    settings = command.load_home()
    if not list(settings.evidently.glob("*/snapshots/*.json")):
        raise UsageError("No window was judged yet, so there is nothing to show: run the watch.")
    url = f"http://127.0.0.1:{port}"
    document = {"schema": "dashboard/1", "url": url}
    line = f"Evidently on the loopback address; Ctrl+C ends it: {url}"
    command.emit(document, as_json=as_json, people=lambda out: out.print(line, soft_wrap=True))
    from monitoring import report as drawing

    drawing.serve(settings.evidently, port=port)


def _show_windows(out: Any, windows: Sequence[Done], *, new: Sequence[str] = ()) -> None:
    """Print the judged windows; those that were judged just now are marked."""
    names = ("window", "verdict", "breaches", "due", "judged", "")
    table = terminal.table_of("Windows", [(name, "left") for name in names])
    for item in windows:
        fresh = "new" if item.name in new else "acknowledged" if item.is_acknowledged else ""
        days = (str(item.due_on), str(item.done_on))
        verdict = terminal.colored(item.outcome)
        table.add_row(item.name, verdict, str(item.breaches or ""), *days, fresh)
    out.print(table)


def _show_window(reports: Path, name: str, known: Sequence[str], *, as_json: bool) -> None:
    from governance.measurement import Measurement
    from monitoring.pages import PAGE_FILE, RECORD_FILE

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
    from monitoring.windows import read_plan, schedule

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
        _show_windows(out, found.done, new=found.judged)
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
