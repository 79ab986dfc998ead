"""Publication: a record becomes a folder for people, whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from governance import durable
from monitoring import page
from monitoring.record import Record

if TYPE_CHECKING:
    from evidently.core.report import Snapshot

RECORD_FILE, PAGE_FILE = "record.json", "index.html"


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
        text = page.render(record, evidently=snapshot is not None)
        (temporary / PAGE_FILE).write_text(text, encoding="utf-8")
        for name, data in (attachments or {}).items():
            (temporary / name).write_bytes(data)
        if snapshot is not None:
            from monitoring import report

            report.save(snapshot, temporary)
    return True
