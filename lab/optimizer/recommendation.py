"""The recommendation: a plain table in, the same table with recommended limits out.

It is written for people who decide whether to follow it. It is no decision: the decision log, the
notices and the customers never see it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from governance import durable
from governance.errors import ContractError
from governance.outcome import Outcome
from governance.table import PlainFile
from lab.optimizer import optimization
from lab.optimizer.economics import Economics
from lab.optimizer.envelope import Reach
from lab.optimizer.optimization import Optimization
from lab.optimizer.support import HISTORY, Support
from lab.optimizer.survey import Book, Status
from limits import engine, plain_table
from limits.engine import Freeze
from limits.inputs import Flags
from limits.plain_table import Source
from limits.policy import LimitPolicy
from limits.reasons import Reason
from limits.sections import REFERENCE
from limits.stages.climate import PLAIN, Climate
from limits.stages.plan import Plan

ADDED = (
    "policy_limit_minor",
    "recommended_limit_minor",
    "recommendation",
    "recommendation_reasons",
)

_STATUSES = pa.array([status.name.lower() for status in Status], pa.string())


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The files of one optimization and its day."""

    policy: Path
    economics: Path
    table: Path
    history: Path
    as_of: date
    reach: Reach = Reach.DECLARED
    freeze: Freeze = Freeze.NOTHING
    climate: Climate = PLAIN
    encoding: str = ""


def recommend(request: Request, output: Path) -> dict[str, Any]:
    """Optimize a plain table and write it with `ADDED`; nothing is written if inconclusive.

    Raises
    ------
    ContractError
        If a file cannot be read or does not hold on the day, currencies differ, or the table
        already has one of the columns that are added.
    """
    policy = LimitPolicy.load(request.policy)
    economics = Economics.load(request.economics)
    economics.require_for(policy.currency, request.as_of)
    plan = Plan.of(policy, as_of=request.as_of, freeze=request.freeze, climate=request.climate)
    source = Source(path=request.table, policy=policy, encoding=request.encoding)
    book = Book(
        plan=plan,
        economics=economics,
        batches=source.batches,
        support=Support.fit(plan, _history(request.history, request.encoding)),
        reach=request.reach,
    )
    for read in (request.table, request.history):
        plain_table.refuse_to_replace(read, output)
    with tempfile.TemporaryFile() as spool:
        found = optimization.optimize(book, spool)
        if not found.found.customers:
            raise ContractError(f"The table {request.table.name} holds no rows.")
        if found.outcome is Outcome.PASS:
            _write(book, found, request, output)
    document = optimization.describe(found, book)
    document["as_of"] = request.as_of.isoformat()
    document["freeze"] = request.freeze.value
    document["climate"] = request.climate.as_document()
    document["path"] = str(output) if found.outcome is Outcome.PASS else None
    return document


def in_words(document: dict[str, Any]) -> list[str]:
    """Return the document as lines for people."""
    money, currency = document["expected_profit_minor"], document["identity"]["currency"]
    earned = ", ".join(f"{name} {amount / 100:,.0f}" for name, amount in money.items())
    lines = [
        f"{document['outcome']}: {document['customers']:,} customers, "
        + ", ".join(f"{name} {count:,}" for name, count in document["counts"].items()),
        f"Reach: {document['identity']['reach']}",
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


def _write(book: Book, found: Optimization, request: Request, output: Path) -> None:
    writer: pq.ParquetWriter | None = None
    with durable.replacing(output) as temporary:
        # The survey cut the same stream into the same chunks, so the two run side by side.
        for batch, answer in zip(book.chunks(), found.recommendations(), strict=True):
            taken = [name for name in ADDED if name in batch.schema.names]
            if taken:
                raise ContractError(
                    f"The table already has the columns {', '.join(taken)}, which a recommendation "
                    "adds. Rename or drop them."
                )
            policy, recommended, status = answer
            reasons = _reasons(request, book.plan.policy, batch, recommended != policy)
            columns = (
                pa.array(policy),
                pa.array(recommended),
                _STATUSES.take(pa.array(status)),
                reasons,
            )
            table = pa.Table.from_batches([batch])
            for name, column in zip(ADDED, columns, strict=True):
                table = table.append_column(name, column)
            if writer is None:
                writer = pq.ParquetWriter(temporary, table.schema, compression="zstd")
            writer.write_table(table)
        if writer is not None:
            writer.close()


def _reasons(
    request: Request, policy: LimitPolicy, batch: pa.RecordBatch, departs: Flags
) -> pa.Array:
    """Return the reasons of the policy's decision, with the lender's own where a row departs."""
    decided = engine.decide(
        policy, batch, as_of=request.as_of, freeze=request.freeze, climate=request.climate
    )
    reasons = decided["reasons"].to_numpy()
    found = np.where(departs, reasons | np.uint32(Reason.WHOLE_BOOK), reasons)
    return pa.array(found.astype(np.uint32))


def _history(path: Path, encoding: str) -> Iterator[pa.RecordBatch]:
    """Stream the history of limits.

    Raises
    ------
    ContractError
        If it is missing or cannot be read.
    """
    yield from PlainFile(path=path, what="history of limits", encoding=encoding).batches(HISTORY)
