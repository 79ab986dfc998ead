"""The recommendation: a plain table in, the same table with recommended limits out.

It is written for people who decide whether to follow it. It is no decision: the decision log, the
notices and the customers never see it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from decisions import engine, plain_table
from decisions.engine import Freeze
from decisions.plain_table import Source
from decisions.plan import PLAIN, Climate, Plan
from decisions.policy import LimitPolicy
from decisions.reasons import Reason
from decisions.sections import REFERENCE
from governance import durable
from governance.errors import ContractError
from governance.outcome import Outcome
from governance.table import PlainFile
from lab.optimizer import optimization
from lab.optimizer.economics import Economics
from lab.optimizer.optimization import Optimization, Status
from lab.optimizer.support import HISTORY, Support

ADDED = (
    "policy_limit_minor",
    "recommended_limit_minor",
    "recommendation",
    "recommendation_reasons",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizationFiles:
    """The files of one optimization and its day."""

    policy: Path
    economics: Path
    table: Path
    history: Path
    as_of: date
    freeze: Freeze = Freeze.NOTHING
    climate: Climate = PLAIN
    encoding: str = ""


def recommend(files: OptimizationFiles, output: Path) -> dict[str, Any]:
    """Optimize a plain table and write it with `ADDED`; nothing is written if inconclusive.

    Raises
    ------
    ContractError
        If a file cannot be read or does not hold on the day, currencies differ, or the table
        already has one of the columns that are added.
    """
    policy = LimitPolicy.load(files.policy)
    economics = Economics.load(files.economics)
    economics.require_for(policy.currency, files.as_of)
    plan = Plan.of(policy, as_of=files.as_of, freeze=files.freeze, climate=files.climate)
    source = Source(path=files.table, policy=policy, encoding=files.encoding)
    past = PlainFile(path=files.history, what="history of limits", encoding=files.encoding)
    support = Support.fit(plan, past.batches(HISTORY))
    for read in (files.table, files.history):
        plain_table.refuse_to_replace(read, output)
    found = optimization.optimize(plan, economics, source.batches(), support=support)
    if not len(found.recommended):
        raise ContractError(f"The table {files.table.name} holds no rows.")
    if found.outcome is Outcome.PASS:
        _write(source.batches(), found, files, policy, output)
    return {
        **optimization.describe(found, policy, economics),
        "as_of": files.as_of.isoformat(),
        "freeze": files.freeze.value,
        "climate": files.climate.as_document(),
        "path": str(output) if found.outcome is Outcome.PASS else None,
    }


def in_words(document: dict[str, Any]) -> list[str]:
    """Return the document as lines for people."""
    money, currency = document["expected_profit_minor"], document["identity"]["currency"]
    earned = ", ".join(f"{name} {amount / 100:,.0f}" for name, amount in money.items())
    counted = ", ".join(f"{name} {count:,}" for name, count in document["counts"].items())
    lines = [
        f"{document['outcome']}: {document['customers']:,} customers, {counted}",
        f"Expected profit in {currency}, by the declared assumptions: {earned}",
    ]
    for budget in document["budgets"]:
        allowed = budget["allowed_minor"]
        said = "no budget" if allowed is None else f"allowed {allowed / 100:,.0f}"
        used = budget["recommended_minor"] / 100
        lines.append(f"  {budget['budget']}: {said}, recommended {used:,.0f}")
    if unknown := document["without_reference"]:
        lines.append(
            f"{unknown:,} customers without {REFERENCE}: not cut below the policy's decision"
        )
    if document["assumed"]:
        lines.append("Not measured: " + "; ".join(document["assumed"]))
    lines += [f"Not evidenced: {line}" for line in document["not_evidenced"]]
    if document["path"]:
        lines.append(f"Written to {document['path']}")
    return lines


def _write(
    batches: Iterator[pa.RecordBatch],
    found: Optimization,
    files: OptimizationFiles,
    policy: LimitPolicy,
    output: Path,
) -> None:
    names = pa.array([status.name.lower() for status in Status], pa.string())
    writer: pq.ParquetWriter | None = None
    start = 0
    with durable.replacing(output) as temporary:
        for batch in batches:
            rows = slice(start, start := start + batch.num_rows)
            if taken := [name for name in ADDED if name in batch.schema.names]:
                raise ContractError(
                    f"The table already has the columns {', '.join(taken)}, which a recommendation "
                    "adds. Rename or drop them."
                )
            kept, recommended = found.book.policy[rows], found.recommended[rows]
            decided = engine.decide(
                policy, batch, as_of=files.as_of, freeze=files.freeze, climate=files.climate
            )
            # A row that departs from the policy carries the lender's own reason beside the others.
            own = np.where(recommended != kept, int(Reason.WHOLE_BOOK), 0).astype(np.uint32)
            reasons = pa.array(decided["reasons"].to_numpy() | own)
            status = names.take(pa.array(found.book.status[rows]))
            table = pa.Table.from_batches([batch])
            for name, column in zip(
                ADDED, (pa.array(kept), pa.array(recommended), status, reasons), strict=True
            ):
                table = table.append_column(name, column)
            if writer is None:
                writer = pq.ParquetWriter(temporary, table.schema, compression="zstd")
            writer.write_table(table)
        if writer is not None:
            writer.close()
