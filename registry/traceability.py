"""Traceability: what JR/T 0221-2021 asks to be recorded of a model, and where each answer stands.

An item without an answer is listed as not recorded, with the reason if there is one. A list that
shows only what is there would look complete.

References
----------
JR/T 0221-2021, traceability of modeling: acquisition time, source, volume, storage medium, checksum
and sampling of the data; script, hardware and software environment, operator, start and end time,
iterations and parameters; and of deployment: deployer, time, script and environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict
from rich.console import Console
from rich.table import Table

from registry import pages
from registry.record import APPLIED, Record

NOT_RECORDED = "not recorded"
NOT_RECORDED_ZH = "未记录"

LINEAGE = "manifest: lineage"
OBSERVED = "manifest: observed"
LEDGER = "ledger: promotion"


class Item(BaseModel):
    """One item: what is asked for, the facts that answer it, and what to know about the answer.

    Facts in `where_it_applies` stand only in the lineage of a candidate that they apply to; without
    one there is nothing to answer, and no gap.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    asked: str
    asked_zh: str
    names: tuple[str, ...]
    where_it_applies: tuple[str, ...] = ()
    remark: str = ""


class Answer(NamedTuple):
    """One fact that answers an item: the place that holds it, and its value, None if nowhere."""

    item: Item
    name: str
    where: str
    value: str | None

    def as_document(self) -> dict[str, str | None]:
        """Return the answer as one row of JSON."""
        item, said = self.item, {"fact": self.name, "where": self.where, "value": self.value}
        return {"item": item.asked, "item_zh": item.asked_zh, **said, "remark": item.remark}


MODELING, DEPLOYMENT = (
    tuple(map(Item.model_validate, pages.texts("traceability")[part]))
    for part in ("modeling", "deployment")
)
"""What is asked about how a model was made, and about how it went live."""


def trace(items: tuple[Item, ...], sources: Mapping[str, Mapping[str, Any]]) -> tuple[Answer, ...]:
    """Return every fact that the items ask for, with the first of `sources` that holds it.

    Parameters
    ----------
    sources : mapping of str to mapping
        Name of a place to the facts in it, in the order in which they are asked.
    """
    found = []
    for item in items:
        for name in (*item.names, *item.where_it_applies):
            where = next((place for place, facts in sources.items() if name in facts), None)
            if where is not None:
                found.append(Answer(item, name, where, str(sources[where][name])))
            elif name in item.names:
                found.append(Answer(item, name, NOT_RECORDED, None))
    return tuple(found)


def of(record: Record, version: int) -> tuple[Answer, ...]:
    """Answer the whole list for a version, from signed statements alone.

    Raises
    ------
    UsageError
        If there is no such version.
    """
    predicate = record.manifest(version).statement.predicate
    sources = {
        LINEAGE: predicate["lineage"],
        OBSERVED: predicate["observed"],
        LEDGER: _deployment(record, version),
    }
    return trace(MODELING + DEPLOYMENT, sources)


def _deployment(record: Record, version: int) -> dict[str, str]:
    """Return what the ledger knows of the version's last promotion; nothing if there was none."""
    promoted = [e for e in record.events(APPLIED) if e.statement.predicate["version"] == version]
    if not promoted:
        return {}
    said = promoted[-1].statement.predicate
    approvers = [record.entries[seq].statement.person.name for seq in said["approvals"]]
    return {
        "deployed_by": ", ".join(sorted(approvers)),
        "deployed_on": said["on"],
        "deployed_at": promoted[-1].recorded_at,
    }


def as_markdown(record: Record, version: int) -> str:
    """Return the list of a version as a page of the evidence pack."""
    items, answers = MODELING + DEPLOYMENT, of(record, version)
    return pages.render("traceability.md", version=version, items=items, answers=answers)


def render(version: str, answers: list[Mapping[str, Any]], console: Console) -> None:
    """Print the list of a version for people."""
    table = Table(
        title=f"Version {version}: traceability as JR/T 0221-2021 lists it", title_justify="left"
    )
    for name in ("item", "fact", "where", "value"):
        table.add_column(name, overflow="fold")
    before = ""
    for answer in answers:
        item = "" if answer["item"] == before else answer["item"]
        value = NOT_RECORDED if answer["value"] is None else answer["value"]
        where = "" if answer["value"] is None else answer["where"]
        table.add_row(item, answer["fact"], where, value)
        before = answer["item"]
    console.print(table)
