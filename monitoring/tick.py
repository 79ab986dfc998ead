"""Tick: judge every window that is due and was not judged yet; safe to kill, safe to repeat.

Whoever calls it, cron or a timer or a person, is irrelevant: what has been done is in a ledger of
windows, one row per window, written after everything else of that window is in place. A run that
was killed leaves at most work that the next one finds done and passes over. A breach stays an
alarm, whichever run found it, until a person has acknowledged it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

from governance import canonical, durable
from governance.evidence import Finding
from governance.measurement import Measurement, describe_scope
from governance.outcome import Outcome
from governance.output.texts import name_of
from governance.settings import Settings
from monitoring import pages
from monitoring.record import Record
from monitoring.watch import Job, Sources, jobs
from monitoring.windows import WatchPlan

MONITOR = "watch"
DATABASE = "windows.db"

_TABLE = (
    "CREATE TABLE IF NOT EXISTS window (name TEXT PRIMARY KEY, inputs TEXT NOT NULL, "
    "outcome TEXT NOT NULL, title TEXT NOT NULL, due_on TEXT NOT NULL, done_on TEXT NOT NULL, "
    "revision INTEGER NOT NULL, breaches INTEGER NOT NULL)"
)
_ACKNOWLEDGED = (
    "CREATE TABLE IF NOT EXISTS acknowledged (name TEXT NOT NULL, inputs TEXT NOT NULL, "
    "on_day TEXT NOT NULL, PRIMARY KEY (name, inputs))"
)
_FINISHED = (
    "SELECT w.*, a.on_day IS NOT NULL AS is_acknowledged FROM window AS w LEFT JOIN acknowledged "
    "AS a ON a.name = w.name AND a.inputs = w.inputs ORDER BY w.due_on, w.name"
)
_UPSERT = (
    "INSERT INTO window VALUES (:name, :inputs, :outcome, :title, :due_on, :done_on, 1, :breaches) "
    "ON CONFLICT (name) DO UPDATE SET inputs = excluded.inputs, outcome = excluded.outcome, "
    "title = excluded.title, due_on = excluded.due_on, done_on = excluded.done_on, "
    "breaches = excluded.breaches, revision = revision + 1"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A window as the ledger of windows knows it.

    Parameters
    ----------
    is_acknowledged : bool
        Whether a person has said to have seen this revision's breaches.
    """

    name: str
    inputs: str
    outcome: Outcome
    title: str
    due_on: date
    done_on: date
    revision: int
    breaches: int
    is_acknowledged: bool = False

    @property
    def is_alarm(self) -> bool:
        """Whether somebody still has to look at it."""
        return self.outcome is Outcome.BREACH and not self.is_acknowledged

    @property
    def is_untold(self) -> bool:
        """Whether it cannot tell."""
        return self.outcome is Outcome.INCONCLUSIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """What one tick did.

    Parameters
    ----------
    judged : tuple of str
        Windows that this tick judged; empty if everything due had been judged before.
    waiting : mapping of str to date
        Windows that are not due yet, and when they will be.
    findings : tuple of str
        Ids of the findings that were opened or had been open.
    """

    judged: tuple[str, ...]
    done: tuple[Done, ...]
    waiting: dict[str, date]
    findings: tuple[str, ...]


def tick(
    settings: Settings, plan: WatchPlan, *, on: date, say: Callable[[str], None] = lambda _: None
) -> Tick:
    """Judge what is due on the day `on`, publish it, open findings and leave a heartbeat.

    Parameters
    ----------
    say : callable
        Told what is being done, for a progress display.

    Raises
    ------
    EnvironmentFault
        If another tick is at work.
    """
    durable.make_folder(settings.reports)
    with durable.locked(settings.reports / ".tick.lock", what="The monitor"):
        sources = Sources.open(settings, plan)
        known = {done.name: done.inputs for done in finished(settings)}
        every = list(jobs(sources))
        due = [(job, job.inputs()) for job in every if job.due_on <= on]
        new = [(job, inputs) for job, inputs in due if known.get(job.name) != inputs]
        findings = _work(sources, new, on, say) if new else ()
        done = finished(settings)
        _complete_workspace(settings, done, say)
        if new:
            durable.write_bytes(settings.reports / "index.html", pages.overview(done).encode())
        _heartbeat(settings, done, on)
    waiting = {job.name: job.due_on for job in every if job.due_on > on}
    judged = tuple(job.name for job, _ in new)
    return Tick(judged=judged, done=done, waiting=waiting, findings=findings)


def acknowledge(settings: Settings, *, on: date) -> tuple[str, ...]:
    """Record that a person has seen every alarm so far, and return the names of those windows.

    The findings stay open, and what breaches later is an alarm anew.

    Raises
    ------
    EnvironmentFault
        If a tick is at work.
    """
    durable.make_folder(settings.reports)
    with durable.locked(settings.reports / ".tick.lock", what="The monitor"):
        seen = [done for done in finished(settings) if done.is_alarm]
        rows = [(done.name, done.inputs, on.isoformat()) for done in seen]
        if rows:
            with _ledger(settings) as connection, connection:
                connection.executemany("INSERT INTO acknowledged VALUES (?, ?, ?)", rows)
    return tuple(done.name for done in seen)


def finished(settings: Settings) -> tuple[Done, ...]:
    """Return the windows that were judged, in order of their due day."""
    if not (settings.reports / DATABASE).is_file():
        return ()
    with _ledger(settings) as connection:
        rows = connection.execute(_FINISHED).fetchall()
    return tuple(
        Done(
            name=row["name"],
            inputs=row["inputs"],
            outcome=Outcome(row["outcome"]),
            title=row["title"],
            due_on=date.fromisoformat(row["due_on"]),
            done_on=date.fromisoformat(row["done_on"]),
            revision=row["revision"],
            breaches=row["breaches"],
            is_acknowledged=bool(row["is_acknowledged"]),
        )
        for row in rows
    )


def _work(
    sources: Sources, new: list[tuple[Job, str]], on: date, say: Callable[[str], None]
) -> tuple[str, ...]:
    """Judge and publish the new windows one after the other."""
    say("loading the catalogue and Evidently")
    from monitoring import report
    from registry.catalogue import Catalogue

    settings = sources.settings
    catalogue = Catalogue.open(settings)
    findings: list[str] = []
    for job, inputs in new:
        say(f"judging {job.name}")
        record = job.compute()
        snapshot = report.draw(record)
        folder = settings.reports / job.name
        pages.publish(record, folder, snapshot=snapshot)
        findings += _open_findings(sources, job, inputs, record)
        place = folder / pages.PAGE_FILE
        catalogue.log_report(place, f"watch {job.name}", record.metrics)
        report.publish(settings.evidently, [snapshot])
        # Whatever stands above is there before the window counts as done.
        _remember(settings, (job, inputs), record, on)
    return tuple(findings)


def _complete_workspace(
    settings: Settings, done: tuple[Done, ...], say: Callable[[str], None]
) -> None:
    """Draw the windows that the Evidently workspace lacks from their records; it is only a view."""
    shown = list(settings.evidently.glob("*/snapshots/*.json"))
    if len(shown) >= len(done):
        return
    say("completing the Evidently workspace")
    from monitoring import report

    places = [settings.reports / item.name / pages.RECORD_FILE for item in done]
    records = [Record.parse(path.read_bytes()) for path in places if path.is_file()]
    report.publish(settings.evidently, [report.draw(record) for record in records])


def _open_findings(sources: Sources, job: Job, inputs: str, record: Record) -> Iterator[str]:
    """Open a finding for every breach that is not known yet."""
    from registry.findings import open_finding
    from registry.record import Record as History

    breaches = record.with_outcome(Outcome.BREACH)
    if not breaches:
        return
    history = History.load(sources.settings)
    known = {finding.id: finding for finding in history.findings()}
    version = job.model_version or history.champion() or max(history.versions(), default=None)
    for measurement in breaches:
        finding = _finding(sources.plan, job, record, measurement)
        if finding.id in known and known[finding.id].closed_on is not None:
            # What comes back after somebody closed it is news, under a name of its own.
            finding = finding.model_copy(update={"id": f"{finding.id}-{inputs[:6]}"})
        # Without any model there is nobody to answer; the record and the page still say it.
        if version is not None and (
            finding.id not in known or finding.outweighs(known[finding.id])
        ):
            open_finding(sources.settings, finding, version=version)
        yield finding.id


def _finding(plan: WatchPlan, job: Job, record: Record, measurement: Measurement) -> Finding:
    what = canonical.digest([job.name, measurement.measure, dict(measurement.scope)])[:10]
    return Finding(
        id=f"{job.name}-{what}",
        measure=measurement.measure,
        scope=measurement.scope,
        severity=plan.severity(measurement.measure),
        text=(
            f"{name_of(measurement.measure)[0]} ({describe_scope(measurement.scope)}) in "
            f"{job.name}: {measurement.value:.4g}; {measurement.reason}"
        ),
        owner=plan.owner,
        opened_on=record.measured_on,
    )


def _heartbeat(settings: Settings, done: tuple[Done, ...], on: date) -> None:
    """Leave a signed sign of life; a decision run reads it and freezes raises if it is too old."""
    from registry.findings import record_heartbeat

    windows = canonical.digest([[item.name, item.inputs, item.outcome] for item in done])
    record_heartbeat(settings, MONITOR, on=on, facts={"windows": windows})


def _remember(settings: Settings, judged: tuple[Job, str], record: Record, on: date) -> None:
    job, inputs = judged
    row = {
        "name": job.name,
        "inputs": inputs,
        "outcome": record.outcome.value,
        "title": record.title,
        "due_on": job.due_on.isoformat(),
        "done_on": on.isoformat(),
        "breaches": len(record.with_outcome(Outcome.BREACH)),
    }
    with _ledger(settings) as connection, connection:
        connection.execute(_UPSERT, row)


@contextmanager
def _ledger(settings: Settings) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(settings.reports / DATABASE, timeout=10)
    connection.row_factory = sqlite3.Row
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(_TABLE)
        connection.execute(_ACKNOWLEDGED)
        yield connection
    finally:
        connection.close()
