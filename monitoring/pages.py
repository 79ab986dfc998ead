"""Pages: a record becomes a folder for people, whole or not at all.

The page is for whoever is on call and for auditors: what is wrong, how surely, for whom, and where
the signed numbers are. Everything on it comes from a record, which holds no row and no small cell.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from governance import durable
from governance.counts import Counts
from governance.outcome import worst
from governance.output import page, picture
from governance.output.page import Cells, Page, Section
from monitoring.bins import MINIMUM_CELL
from monitoring.record import Coverage, Record

if TYPE_CHECKING:
    from evidently.core.report import Snapshot

    from monitoring.tick import Done

RECORD_FILE, PAGE_FILE = "record.json", "index.html"

_SECTIONS: Mapping[str, tuple[str, ...]] = {
    "drift": ("drift.", "window."),
    "misjudgment": ("misjudgment.", "labels."),
    "fairness": ("fairness.",),
}


def publish(
    record: Record,
    folder: Path,
    *,
    attachments: Mapping[str, bytes] | None = None,
    snapshot: Snapshot | None = None,
) -> bool:
    """Write the record, its page and its attachments to `folder`; tell whether anything was new.

    A folder that holds the same record already is left alone. One that holds another record, such
    as an earlier revision of the window, is replaced; a kill between the two leaves no folder, and
    the next run writes it.
    """
    existing = folder / RECORD_FILE
    if existing.is_file() and existing.read_bytes() == record.as_bytes():
        return False
    durable.make_folder(folder.parent)
    if folder.exists():
        shutil.rmtree(folder)
    with durable.replacing_folder(folder) as temporary:
        (temporary / RECORD_FILE).write_bytes(record.as_bytes())
        text = render(record, evidently=snapshot is not None)
        (temporary / PAGE_FILE).write_text(text, encoding="utf-8")
        for name, data in (attachments or {}).items():
            (temporary / name).write_bytes(data)
        if snapshot is not None:
            from monitoring import report

            report.save(snapshot, temporary)
    return True


def render(record: Record, *, evidently: bool) -> str:
    """Return the page of a record; with `evidently`, ``evidently.html`` lies beside it."""
    links = {RECORD_FILE: "the numbers of this page"}
    if evidently:
        links["evidently.html"] = "the same in Evidently"
    return page.render(
        Page(
            kicker=f"{record.window} · measured on {record.measured_on}",
            title=record.title,
            title_zh=record.title_zh,
            outcome=record.outcome,
            sections=tuple(_section(name, record) for name in ("model", *_SECTIONS)),
            notes=record.notes,
            subject=record.subject,
            links=links,
        )
    )


def overview(windows: Sequence[Done]) -> str:
    """Return the page that lists every judged window, the newest first."""
    return page.write("overview.html", windows=windows, outcome=worst(w.outcome for w in windows))


def _section(name: str, record: Record) -> Section:
    others = tuple(prefix for prefixes in _SECTIONS.values() for prefix in prefixes)
    found = record.measurements
    if name in _SECTIONS:
        found = tuple(m for m in found if m.measure.startswith(_SECTIONS[name]))
    else:
        # Whatever is named otherwise is shown too: nothing that was measured may vanish.
        found = tuple(m for m in found if not m.measure.startswith(others))
    is_drift = name == "drift" and bool(record.about("drift."))
    return Section(
        name=name,
        measurements=found,
        line=f"{Coverage.of(found).line}." if is_drift else "",
        histograms=tuple(
            picture.histogram(c.feature.replace("_", " "), c.labels, c.reference, c.current)
            for c in record.comparisons
        )
        if is_drift
        else (),
        cells=_decisions(record.decisions) if name == "misjudgment" and record.decisions else None,
    )


def _decisions(decisions: Counts) -> Cells:
    """Show decisions by outcome; what is below ten is not told apart."""
    outcomes = [str(value) for value in decisions.values("outcome")]
    return Cells(
        heads=("decision", *outcomes),
        rows=tuple(
            (str(action), *(_told(decisions.where(action=action, outcome=o)) for o in outcomes))
            for action in decisions.values("action")
        ),
    )


def _told(cell: Counts) -> str:
    n = cell.total()
    return f"{n:,}" if n is not None and (n >= MINIMUM_CELL or n == 0) else "-"
