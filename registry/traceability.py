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

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from registry.record import APPLIED, Record

NOT_RECORDED = "not recorded"
NOT_RECORDED_ZH = "未记录"

LINEAGE = "manifest: lineage"
OBSERVED = "manifest: observed"
LEDGER = "ledger: promotion"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One item of the list.

    Parameters
    ----------
    asked, asked_zh : str
        What is asked for.
    names : tuple of str
        Facts that answer it.
    where_it_applies : tuple of str
        Facts that stand only in the lineage of a candidate that they apply to; without one there
        is nothing to answer, and no gap.
    remark : str
        What a reader must know about the answer, or why there may be none.
    """

    asked: str
    asked_zh: str
    names: tuple[str, ...]
    where_it_applies: tuple[str, ...] = ()
    remark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One fact that answers an item: where it stands and what it says.

    Parameters
    ----------
    where : str
        The place that holds the fact, or ``not recorded``.
    value : str or None
        None where nothing was recorded.
    """

    item: Item
    name: str
    where: str
    value: str | None

    def as_document(self) -> dict[str, str | None]:
        """Return the answer as one row of JSON."""
        return {
            "item": self.item.asked,
            "item_zh": self.item.asked_zh,
            "fact": self.name,
            "where": self.where,
            "value": self.value,
            "remark": self.item.remark,
        }


MODELING: tuple[Item, ...] = (
    Item(
        asked="Data: acquisition time",
        asked_zh="数据:获取时间",
        names=("data_acquired_at", "data_acquired_at_is", "data_released_at"),
        remark="Whether it was declared, or is the time of the raw file, is said beside it.",
    ),
    Item(
        asked="Data: source",
        asked_zh="数据:来源",
        names=("data_title", "data_source", "data_contract", "data_contract_digest"),
    ),
    Item(
        asked="Data: volume",
        asked_zh="数据:数据量",
        names=("data_rows_read", "data_rows", "data_events"),
        where_it_applies=("data_customers",),
        remark="Customers are counted where one may have several rows.",
    ),
    Item(
        asked="Data: storage medium",
        asked_zh="数据:存储介质标识",
        names=("data_storage_medium",),
        remark="The file system that held the feature table when it was read for the fit.",
    ),
    Item(asked="Data: checksum", asked_zh="数据:校验值", names=("data_digest",)),
    Item(
        asked="Data: sampling",
        asked_zh="数据:采样方法",
        names=(
            *("data_part", "data_sampling", "labels_missing", "labels_undated"),
            *("labels_after_cutoff", "labels_immature", "data_rows_superseded"),
        ),
        where_it_applies=("labels_awaited", "data_rows_identical", "data_selection"),
    ),
    Item(
        asked="Modeling: script",
        asked_zh="建模:脚本",
        names=("script", "script_digest", "code_commit", "code_is_dirty"),
    ),
    Item(
        asked="Modeling: hardware",
        asked_zh="建模:硬件环境",
        names=(
            *("hardware_machine", "hardware_processors", "hardware_memory_gib"),
            "hardware_system",
        ),
        remark="The same model on another machine is the same candidate.",
    ),
    Item(
        asked="Modeling: software",
        asked_zh="建模:软件环境",
        names=(
            *("platform", "python", "lock_digest"),
            *("scikit_learn", "numpy", "pyarrow", "duckdb", "skops"),
        ),
    ),
    Item(
        asked="Modeling: operator",
        asked_zh="建模:操作者",
        names=("operator", "operator_key_id"),
        remark="The key that signed the manifest; people.json says who holds it.",
    ),
    Item(
        asked="Modeling: start and end",
        asked_zh="建模:起止时间",
        names=("started_at", "finished_at"),
        remark="Of the run that was submitted; repeating it makes no other candidate.",
    ),
    Item(asked="Modeling: iterations", asked_zh="建模:迭代次数", names=("iterations",)),
    Item(
        asked="Modeling: parameters",
        asked_zh="建模:参数",
        names=("recipe", "recipe_parameters", "seed", "allowances"),
    ),
)
"""What is asked about how a model was made."""

DEPLOYMENT: tuple[Item, ...] = (
    Item(
        asked="Deployment: deployer",
        asked_zh="部署:部署人员",
        names=("deployed_by",),
        remark="Who approved; the ledger's own key records the promotion.",
    ),
    Item(
        asked="Deployment: time",
        asked_zh="部署:时间",
        names=("deployed_on", "deployed_at"),
    ),
    Item(
        asked="Deployment: script",
        asked_zh="部署:脚本",
        names=("deployment_script",),
        remark="The promotion moves an alias; what a lender's own system runs is not seen here.",
    ),
    Item(
        asked="Deployment: environment",
        asked_zh="部署:软硬件环境",
        names=("deployment_environment",),
        remark="Only the requirements in the model folder are signed.",
    ),
)
"""What is asked about how a model went live; only the registry can know it."""


def trace(items: tuple[Item, ...], sources: Mapping[str, Mapping[str, Any]]) -> tuple[Answer, ...]:
    """Return every fact that the items ask for, with the first of `sources` that holds it.

    Parameters
    ----------
    sources : mapping of str to mapping
        Name of a place to the facts in it, in the order in which they are asked.
    """
    return tuple(_answers(items, sources))


def _answers(items: tuple[Item, ...], sources: Mapping[str, Mapping[str, Any]]) -> Iterator[Answer]:
    for item in items:
        for name in (*item.names, *item.where_it_applies):
            where = next((place for place, facts in sources.items() if name in facts), None)
            if where is None and name in item.where_it_applies:
                continue
            yield Answer(
                item=item,
                name=name,
                where=where or NOT_RECORDED,
                value=None if where is None else str(sources[where][name]),
            )


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
        # Versions that were submitted before this was recorded have no such facts.
        OBSERVED: predicate.get("observed", {}),
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
    origin = (
        "Item by item as JR/T 0221-2021 lists them. Every answer is in a signed statement of the "
        f"ledger; `{NOT_RECORDED}` means that nobody recorded it, and nothing was made up."
    )
    lines = [
        f"# Traceability of version {version} / 第 {version} 版可追溯性",
        "",
        origin,
        "",
        "| item | 要求 | fact | where | value |",
        "|---|---|---|---|---|",
    ]
    for answer in of(record, version):
        value = NOT_RECORDED if answer.value is None else answer.value
        cells = (answer.item.asked, answer.item.asked_zh, answer.name, answer.where, value)
        lines.append(
            "| " + " | ".join(" ".join(c.split()).replace("|", "\\|") for c in cells) + " |"
        )
    remarks = [f"- {item.asked}: {item.remark}" for item in MODELING + DEPLOYMENT if item.remark]
    return "\n".join([*lines, "", *remarks]) + "\n"


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
