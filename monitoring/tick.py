"""Tick: judge every window that is due and was not judged yet; safe to kill, safe to repeat.

Whoever calls it, cron or a timer or a person, is irrelevant: what has been done is in a ledger of
windows, one row per window, written after everything else of that window is in place. A run that
was killed leaves at most work that the next one finds done and passes over.
"""

from __future__ import annotations

import shlex
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from governance import canonical, durable
from governance.evidence import Finding
from governance.measurement import Measurement, describe_scope
from governance.outcome import Outcome
from governance.settings import Settings
from monitoring import page, publication
from monitoring.names import name_of
from monitoring.record import Record
from monitoring.watch import Job, Sources, jobs
from monitoring.windows import WatchPlan

if TYPE_CHECKING:
    from evidently.core.report import Snapshot

MONITOR = "watch"
DATABASE = "windows.db"

_TABLE = (
    "CREATE TABLE IF NOT EXISTS window (name TEXT PRIMARY KEY, inputs TEXT NOT NULL, "
    "outcome TEXT NOT NULL, title TEXT NOT NULL, due_on TEXT NOT NULL, done_on TEXT NOT NULL, "
    "revision INTEGER NOT NULL, breaches INTEGER NOT NULL)"
)
_UPSERT = (
    "INSERT INTO window VALUES (:name, :inputs, :outcome, :title, :due_on, :done_on, 1, :breaches) "
    "ON CONFLICT (name) DO UPDATE SET inputs = excluded.inputs, outcome = excluded.outcome, "
    "title = excluded.title, due_on = excluded.due_on, done_on = excluded.done_on, "
    "breaches = excluded.breaches, revision = revision + 1"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A window as the ledger of windows knows it."""

    name: str
    inputs: str
    outcome: Outcome
    title: str
    due_on: date
    done_on: date
    revision: int
    breaches: int


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
        known = {done.name: done for done in finished(settings)}
        every = list(jobs(sources))
        due = [job for job in every if job.due_on <= on]
        new = [job for job in due if known.get(job.name) is None or _differs(known, job)]
        findings = _work(sources, new, on, say) if new else ()
        done = finished(settings)
        if new:
            durable.write_bytes(settings.reports / "index.html", page.overview(done).encode())
        _heartbeat(settings, done, on)
    waiting = {job.name: job.due_on for job in every if job.due_on > on}
    judged = tuple(job.name for job in new)
    return Tick(judged=judged, done=done, waiting=waiting, findings=findings)


def finished(settings: Settings) -> tuple[Done, ...]:
    """Return the windows that were judged, in order of their due day."""
    if not (settings.reports / DATABASE).is_file():
        return ()
    with _ledger(settings) as connection:
        rows = connection.execute("SELECT * FROM window ORDER BY due_on, name").fetchall()
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
        )
        for row in rows
    )


def schedule(settings: Settings) -> str:
    """Return a cron line and a systemd timer that run the watch every morning.

    Every day is right for a monthly watch: a tick without a due window costs a second, and late
    data are picked up the next morning.
    """
    command = f"{shlex.quote(sys.executable)} -P -m monitoring tick"
    home = shlex.quote(str(settings.home))
    return (
        f"# cron: crontab -e, then\n"
        f"15 6 * * * LIMITLINE_HOME={home} {command}\n\n"
        f"# systemd: ~/.config/systemd/user/limitline-watch.service\n"
        f"[Unit]\nDescription=Limitline watch\n[Service]\nType=oneshot\n"
        f'Environment="LIMITLINE_HOME={settings.home}"\n'
        f"ExecStart={command}\n\n"
        f"# systemd: ~/.config/systemd/user/limitline-watch.timer; Persistent catches up after\n"
        f"# the machine was off\n"
        f"[Timer]\nOnCalendar=*-*-* 06:15\nPersistent=true\n[Install]\nWantedBy=timers.target\n"
    )


def _work(
    sources: Sources, new: list[Job], on: date, say: Callable[[str], None]
) -> tuple[str, ...]:
    """Judge and publish the new windows one after the other."""
    say("loading the catalogue and Evidently")
    from monitoring import report
    from registry.catalogue import Catalogue

    settings = sources.settings
    catalogue = Catalogue.open(settings)
    snapshots: list[Snapshot] = []
    findings: list[str] = []
    for job in new:
        say(f"judging {job.name}")
        record = job.compute()
        snapshot = report.draw(record)
        folder = settings.reports / job.name
        publication.publish(record, folder, snapshot=snapshot)
        snapshots.append(snapshot)
        findings += _open_findings(sources, job, record)
        place = folder / publication.PAGE_FILE
        catalogue.log_report(place, f"watch {job.name}", record.metrics)
        _remember(settings, job, record, on)
    say("updating the Evidently workspace")
    report.publish(settings.evidently, snapshots)
    return tuple(findings)


def _open_findings(sources: Sources, job: Job, record: Record) -> Iterator[str]:
    """Open a finding for every breach that is not known yet."""
    from registry.lifecycle import open_finding
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
            finding = finding.model_copy(update={"id": f"{finding.id}-{job.inputs[:6]}"})
        # Without any model there is nobody to answer; the record and the page still say it.
        if version is not None and finding.id not in known:
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
    from registry.lifecycle import record_heartbeat

    windows = canonical.digest([[item.name, item.inputs, item.outcome] for item in done])
    record_heartbeat(settings, MONITOR, on=on, facts={"windows": windows})


def _differs(known: dict[str, Done], job: Job) -> bool:
    return known[job.name].inputs != job.inputs


def _remember(settings: Settings, job: Job, record: Record, on: date) -> None:
    row = {
        "name": job.name,
        "inputs": job.inputs,
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
        yield connection
    finally:
        connection.close()
