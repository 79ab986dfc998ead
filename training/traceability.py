"""Traceability: what JR/T 0221-2021 asks to be recorded of a model, and where each answer stands.

An item without an answer is listed as not recorded, with the reason. A list that shows only what is
there would look complete.

References
----------
JR/T 0221-2021, traceability of modeling: acquisition time, source, volume, storage medium, checksum
and sampling of the data; script, hardware and software environment, operator, start and end time,
iterations and parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from training.lineage import SOFTWARE


class Standing(StrEnum):
    """How firmly an answer stands."""

    SIGNED = "signed"
    SHOWN = "shown with the run, not signed"
    MISSING = "not recorded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One item of the list.

    Parameters
    ----------
    asked, asked_zh : str
        What is asked for.
    names : tuple of str
        Facts that answer it.
    standing : Standing
    remark : str
        What a reader must know about the answer, or why there is none.
    """

    asked: str
    asked_zh: str
    names: tuple[str, ...] = ()
    standing: Standing = Standing.SIGNED
    remark: str = ""

    def answer(self, facts: Mapping[str, str]) -> str:
        """Return the answer as text; facts that are not at hand are named as such."""
        if self.standing is not Standing.SIGNED:
            named = f" ({', '.join(self.names)})" if self.names else ""
            return f"{self.standing}{named}. {self.remark}".strip()
        told = [f"{name} = {facts.get(name, 'not recorded')}" for name in self.names]
        return "; ".join(told) + (f". {self.remark}" if self.remark else "")


ITEMS: tuple[Item, ...] = (
    Item(
        asked="Data: acquisition time",
        asked_zh="数据:获取时间",
        names=("data_released_at",),
        standing=Standing.SHOWN,
        remark="It is the time of the feature table's files; the lender's own export time is only "
        "in the contract's text, if somebody wrote it there.",
    ),
    Item(
        asked="Data: source",
        asked_zh="数据:来源",
        names=("data_contract", "data_contract_digest"),
        remark="The contract states the source in words.",
    ),
    Item(
        asked="Data: volume",
        asked_zh="数据:数据量",
        names=("data_rows_read", "data_rows", "data_events"),
    ),
    Item(
        asked="Data: storage medium",
        asked_zh="数据:存储介质标识",
        standing=Standing.MISSING,
        remark="The table is known by its digest, wherever it is stored.",
    ),
    Item(asked="Data: checksum", asked_zh="数据:校验值", names=("data_digest",)),
    Item(
        asked="Data: sampling",
        asked_zh="数据:采样方法",
        names=(
            *("data_part", "data_sampling", "labels_missing", "labels_undated"),
            *("labels_after_cutoff", "labels_immature", "data_rows_superseded"),
        ),
    ),
    Item(
        asked="Modeling: script",
        asked_zh="建模:脚本",
        names=("script", "script_digest", "code_commit", "code_is_dirty"),
    ),
    Item(
        asked="Modeling: hardware",
        asked_zh="建模:硬件环境",
        names=("hardware_machine", "hardware_processors", "hardware_memory_gib"),
        standing=Standing.SHOWN,
        remark="The same model on another machine is the same candidate.",
    ),
    Item(
        asked="Modeling: software",
        asked_zh="建模:软件环境",
        names=("platform", "python", "lock_digest", *SOFTWARE),
    ),
    Item(
        asked="Modeling: operator",
        asked_zh="建模:操作者",
        names=("operator",),
        remark="The signature of the manifest names the key.",
    ),
    Item(
        asked="Modeling: start and end",
        asked_zh="建模:起止时间",
        names=("started_at", "finished_at"),
        standing=Standing.SHOWN,
        remark="A time of day would make every repetition another candidate.",
    ),
    Item(asked="Modeling: iterations", asked_zh="建模:迭代次数", names=("iterations",)),
    Item(
        asked="Modeling: parameters",
        asked_zh="建模:参数",
        names=("recipe", "recipe_parameters", "seed", "is_sigmoid_fitted", "allowances"),
    ),
)
