"""What a lender records of its accounts: the panel, the accounts, and every change of a limit.

Refused customers have an application and nothing else. A closed account has no rows after the month
in which it was written off. Faults that are declared for a column are planted here, in the record,
and not in the world behind it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from governance.errors import ContractError
from lab.world import anchors, book, climate, draws
from lab.world.book import Book
from lab.world.draws import Reals, Use
from lab.world.evolution import MINOR, State, basket
from lab.world.outcomes import wide
from lab.world.settings import CATEGORIES, Fault, WorldSettings

AMOUNTS = (
    "limit",
    "balance",
    "payment",
    "purchases",
    *(f"purchases_{category}" for category in CATEGORIES),
    "interest",
    "fee",
    "charged_off",
    "income",
)
PANEL = pa.schema(
    [
        ("account", pa.int64()),
        ("month", pa.date32()),
        ("status", pa.int64()),
        *((f"{name}_minor", pa.int64()) for name in AMOUNTS),
    ]
)
ACCOUNTS = pa.schema(
    [
        ("account", pa.int64()),
        ("segment", pa.string()),
        ("sex", pa.int64()),
        ("education", pa.int64()),
        ("marriage", pa.int64()),
        ("age", pa.int64()),
        ("income_source", pa.string()),
        ("stated_income_minor", pa.int64()),
        ("opened_on", pa.date32()),
        ("reference_limit_minor", pa.int64()),
        ("is_refused", pa.bool_()),
        ("is_accepted_anyway", pa.bool_()),
        ("arm", pa.string()),
    ]
)
EVENTS = pa.schema(
    [
        ("account", pa.int64()),
        ("effective_on", pa.date32()),
        ("noticed_on", pa.date32()),
        ("action", pa.string()),
        ("arm", pa.string()),
        ("limit_before_minor", pa.int64()),
        ("limit_after_minor", pa.int64()),
    ]
)
NOTICE_DAYS = 7

Flags = NDArray[np.bool_]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """What one month left to record; arrays have shape ``(n_accounts,)``, in whole units."""

    status: NDArray[np.int8]
    amounts: tuple[Reals, ...]
    is_recorded: Flags
    limit_before: Reals


def note(before: State, after: State) -> Month:
    """Take from a month what the panel and the events need of it."""
    flows = after.flows
    if flows is None:
        raise ContractError("Nothing was lived yet, so there is nothing to record. Advance first.")
    return Month(
        status=after.status,
        amounts=(
            after.limit,
            after.balance,
            flows.payment,
            flows.purchases,
            *basket(after, flows.purchases, before.month),
            flows.interest,
            flows.fee,
            flows.charged_off,
            flows.income,
        ),
        is_recorded=before.is_active & ~before.book.is_refused,
        limit_before=before.limit,
    )


def panel(accounts: Book, months: Sequence[Month]) -> pa.Table:
    """Return one row per open account and month, by account and then by month.

    Amounts are ``int64`` minor units; ``month`` is its first day; ``status`` is in UCI's codes.
    """
    calendar = climate.calendar(accounts.settings)[: len(months)].astype("datetime64[D]")
    kept = wide([month.is_recorded for month in months])
    columns: dict[str, pa.Array] = {
        "account": pa.array(np.repeat(accounts.account, len(months))[kept]),
        "month": pa.array(np.tile(calendar, len(accounts))[kept]),
        "status": pa.array(wide([month.status for month in months])[kept].astype(np.int64)),
    }
    for place, name in enumerate(AMOUNTS):
        values = wide([month.amounts[place] for month in months])[kept]
        columns[f"{name}_minor"] = pa.array(values.astype(np.int64) * MINOR)
    return pa.table(columns | _faulty(accounts, columns, kept), schema=PANEL)


def applications(accounts: Book) -> pa.Table:
    """Return one row per applicant, the refused included; their limit is the one asked for."""
    real, row, settings = anchors.load(), accounts.row, accounts.settings
    opened = np.datetime64(settings.starts_on, "M") - accounts.tenure_months
    stated = accounts.income.astype(np.int64) * MINOR
    columns = {
        "account": accounts.account,
        "segment": _words(book.SEGMENT_NAMES, accounts.segment),
        "sex": real.sex[row],
        "education": real.education[row],
        "marriage": real.marriage[row],
        "age": real.age[row],
        "income_source": _words(book.INCOME_SOURCES, accounts.source),
        "stated_income_minor": stated,
        "opened_on": opened.astype("datetime64[D]"),
        "reference_limit_minor": accounts.reference_limit * MINOR,
        "is_refused": accounts.is_refused,
        "is_accepted_anyway": accounts.is_accepted_anyway,
        "arm": _words(book.ARMS, accounts.arm),
    }
    return pa.table(columns, schema=ACCOUNTS)


def events(accounts: Book, months: Sequence[Month]) -> pa.Table:
    """Return one row per change of a limit, by account and then by month.

    A change holds from ``effective_on``; its notice went out on ``noticed_on``, a week earlier.
    """
    calendar = climate.calendar(accounts.settings)[: len(months)].astype("datetime64[D]")
    before = np.stack([month.limit_before for month in months], axis=1)
    after = np.stack([month.amounts[0] for month in months], axis=1)
    kept = np.stack([month.is_recorded for month in months], axis=1)
    place, when = np.nonzero((before != after) & kept)
    old, new = before[place, when].astype(np.int64), after[place, when].astype(np.int64)
    columns = {
        "account": accounts.account[place],
        "effective_on": calendar[when],
        "noticed_on": calendar[when] - NOTICE_DAYS,
        "action": _words(("cut", "raise"), (new > old).astype(np.int8)),
        "arm": _words(book.ARMS, accounts.arm[place]),
        "limit_before_minor": old * MINOR,
        "limit_after_minor": new * MINOR,
    }
    return pa.table(columns, schema=EVENTS)


def check_faults(settings: WorldSettings) -> None:
    """Refuse a world whose faults name columns that the panel does not have.

    Raises
    ------
    ContractError
        If a declared fault names no amount of the panel.
    """
    known = {f"{name}_minor" for name in AMOUNTS}
    named = {fault.column for fault in settings.breaks if fault.column is not None}
    if named - known:
        raise ContractError(
            f"A break names {', '.join(sorted(named - known))}; the panel's amounts are "
            f"{', '.join(sorted(known))}."
        )


def _faulty(accounts: Book, columns: Mapping[str, pa.Array], kept: Flags) -> dict[str, pa.Array]:
    """Return the columns that a declared fault changed, and only those."""
    calendar = climate.calendar(accounts.settings)
    changed: dict[str, pa.Array] = {}
    for fault in accounts.settings.breaks:
        if fault.column is None:
            continue
        month = np.tile(np.arange(len(calendar)), len(accounts))[kept]
        hit = month >= fault.from_month
        column = changed.get(fault.column, columns[fault.column])
        values, known = column.fill_null(0).to_numpy(), column.is_valid().to_numpy(False)
        if fault.kind is Fault.UNIT:
            values = np.where(hit, values * int(fault.amount), values)
        else:
            drawn = [
                draws.uniforms(draws.bits(accounts.key, Use.FAULT, lived))[0]
                for lived in range(len(calendar))
            ]
            known = known & ~(hit & (wide(drawn)[kept] < fault.amount))
        changed[fault.column] = pa.array(values, mask=~known)
    return changed


def _words(names: Sequence[str], codes: NDArray[np.int8]) -> pa.Array:
    return pa.array(names, pa.string()).take(pa.array(codes))
