"""What a lender records of its accounts: applications, the monthly panel, outcomes and identities.

Refused customers have an application and nothing else. A closed account has no rows after the month
in which it was written off. An outcome says who was 90 days late within a horizon; an account is
asked about at the end of a month in which it is open and less than 90 days late.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from governance import canonical, durable
from governance.errors import IntegrityError, UsageError
from lab.world import anchors, population, simulation, statements
from lab.world.anchors import SERIOUS, Integers
from lab.world.population import ARMS, INCOME_SOURCES, SEGMENTS, AccountTraits, Flags
from lab.world.settings import OutcomeRecording, WorldSettings
from lab.world.simulation import MINOR, WorldState

FACTS = "world.json"
ACCOUNTS_AT_ONCE = 65_536
FLOWS = ("purchases", "payment", "interest", "fee", "charged_off", "income")
OPENING = -1

_OUTCOMES = pa.schema(
    [
        ("account", pa.int64()),
        ("as_of", pa.date32()),
        ("horizon_months", pa.int64()),
        ("observed_at", pa.date32()),
        ("y", pa.int64()),
    ]
)


def applications(traits: AccountTraits) -> pa.Table:
    """Return one row per applicant, the refused included; their limit is the one asked for."""
    opened = np.datetime64(traits.settings.starts_on, "M") - traits.tenure_months
    columns: dict[str, Any] = {
        "account": traits.account,
        "segment": words(SEGMENTS, traits.segment),
        **{name: values[traits.row] for name, values in protected().items()},
        "income_source": words(INCOME_SOURCES, traits.source),
        "stated_income_minor": traits.income.astype(np.int64) * MINOR,
        "opened_on": opened.astype("datetime64[D]"),
        "reference_limit_minor": traits.reference_limit * MINOR,
        "is_refused": traits.is_refused,
        "is_accepted_anyway": traits.is_accepted_anyway,
        "arm": words(ARMS, traits.arm),
    }
    return pa.table(columns)


def protected() -> dict[str, Integers]:
    """Return the protected attributes of the real rows."""
    real = anchors.load()
    names = ("sex", "education", "marriage", "age")
    return {name: getattr(real, name) for name in names}


def panel(states: Sequence[WorldState]) -> pa.Table:
    """Return one row per open account and month, by account and then by month.

    Amounts are ``int64`` minor units; ``month`` is its first day; ``status`` is in UCI's codes.
    """
    traits, lived = states[0].traits, states[1:]
    kept = _wide([before.is_active & ~traits.is_refused for before in states[:-1]])
    calendar = traits.economy.months[: len(lived)].astype("datetime64[D]")
    columns = {
        "account": traits.account.repeat(len(lived))[kept],
        "month": np.tile(calendar, len(traits))[kept],
        "status": _wide([state.status for state in lived])[kept].astype(np.int64),
    }
    for name in ("limit", "balance"):
        columns[name] = _wide([getattr(state, name) for state in lived])[kept]
    for name in FLOWS:
        columns[name] = _wide([getattr(state.flows, name) for state in lived])[kept]
    for name in ("limit", "balance", *FLOWS):
        columns[f"{name}_minor"] = columns.pop(name).astype(np.int64) * MINOR
    return pa.table(columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """Outcomes of one month and horizon; arrays have shape ``(n_accounts,)``.

    Parameters
    ----------
    is_asked : ndarray of bool
        Open and less than 90 days late at the end of `month`; of others nothing is asked.
    y : ndarray of int64
        1 if 90 days late within the horizon.
    known_on : date
        Last day of the month in which they are known.
    """

    as_of: np.datetime64
    horizon: int
    is_asked: Flags
    y: Integers
    known_on: np.datetime64


def asked_months(recording: OutcomeRecording, months: int) -> range:
    """Return the months at whose end accounts are asked about; -1 is the day before the first.

    That day is the day of the application: its outcomes are what a model for new customers learns,
    and what is missing of the refused.
    """
    return range(OPENING, months, recording.every_months)


def measure_outcomes(states: Sequence[WorldState], month: int, horizon: int) -> Outcomes:
    """Look from the end of `month` over the `horizon` months after it.

    The refused have outcomes here: what would have happened. Nothing that a lender records has.

    Raises
    ------
    UsageError
        If the recorded months end before the window.
    """
    settings, now = states[0].traits.settings, month - OPENING
    if now + horizon >= len(states):
        raise UsageError(f"The world {settings.id} ends within {horizon} months of month {month}.")
    hit = np.zeros(len(states[0].traits), dtype=np.bool_)
    for before, after in zip(states[now:], states[now + 1 : now + 1 + horizon], strict=False):
        hit |= before.is_active & (after.place >= SERIOUS)
    start = np.datetime64(settings.starts_on, "M")
    return Outcomes(
        as_of=month_end(start + month),
        horizon=horizon,
        is_asked=states[now].is_active & (states[now].place < SERIOUS),
        y=hit.astype(np.int64),
        known_on=month_end(start + month + horizon + settings.labels.delay_months),
    )


def outcomes(states: Sequence[WorldState]) -> pa.Table:
    """Return the outcomes of accepted accounts that the recorded months decide, in time order."""
    traits, recording = states[0].traits, states[0].traits.settings.labels
    months = len(states) - 1
    tables = [_OUTCOMES.empty_table()]
    for month in asked_months(recording, months):
        for horizon in recording.horizons:
            if month + horizon >= months:
                continue
            found = measure_outcomes(states, month, horizon)
            kept = found.is_asked & ~traits.is_refused
            n = int(kept.sum())
            columns = {
                "account": traits.account[kept],
                "as_of": np.full(n, found.as_of),
                "horizon_months": np.full(n, horizon),
                "observed_at": np.full(n, found.known_on),
                "y": found.y[kept],
            }
            tables.append(pa.table(columns, schema=_OUTCOMES))
    return pa.concat_tables(tables)


def words(names: Sequence[str], places: NDArray[np.integer[Any]]) -> pa.Array:
    """Return the word at each place; a place of -1 has none."""
    kept = places.astype(np.int64)
    return pa.array(names, pa.string()).take(pa.array(kept, mask=kept < 0))


def month_end(months: Any) -> Any:
    """Return the last day of calendar months."""
    return (months + 1).astype("datetime64[D]") - 1


def _wide(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Lay arrays side by side and read them account by account: shape ``(n_accounts * n,)``."""
    return np.stack(parts, axis=1).ravel()


def publish(
    settings: WorldSettings, out: Path, *, done: Callable[[int], None] = lambda _: None
) -> dict[str, int]:
    """Write a world to the new folder `out` and return the rows of each table.

    It holds raw rows with identities and belongs below ``raw/``; it appears whole or not at all.

    Parameters
    ----------
    done : callable
        Called with the number of accounts after every block of them.

    Raises
    ------
    UsageError
        If `out` exists: a world is never overwritten.
    """
    if os.path.lexists(out):
        raise UsageError(f"There is something at {out} already. Give --out a new folder.")
    durable.make_folder(out.parent)
    rows: dict[str, int] = {}
    writers: dict[str, pyarrow.parquet.ParquetWriter] = {}
    with durable.replacing_folder(out) as folder:
        for first in range(0, settings.accounts, ACCOUNTS_AT_ONCE):
            last = min(first + ACCOUNTS_AT_ONCE, settings.accounts)
            for name, table in _tables(settings, first, last).items():
                if name not in writers:
                    path = folder / f"{name}.parquet"
                    writers[name] = pyarrow.parquet.ParquetWriter(path, table.schema)
                writers[name].write_table(table)
                rows[name] = rows.get(name, 0) + table.num_rows
            done(last - first)
        for writer in writers.values():
            writer.close()
        identities = population.people(settings)
        pyarrow.parquet.write_table(identities, folder / "identities.parquet")
        facts = {
            "schema": "limitline/world/2",
            "is_simulated": True,
            "settings": settings,
            "settings_digest": settings.digest,
        }
        (folder / FACTS).write_bytes(canonical.dumps(facts) + b"\n")
    return rows | {"identities": identities.num_rows}


def _tables(settings: WorldSettings, first: int, last: int) -> dict[str, pa.Table]:
    states = simulation.live(settings, first, last)
    return {
        "accounts": applications(states[0].traits),
        "panel": panel(states),
        "outcomes": outcomes(states),
        "statements": statements.statements(states[0].traits),
    }


def read_settings(folder: Path) -> WorldSettings:
    """Return the settings of the world in `folder`; with them it can be lived again.

    Raises
    ------
    UsageError
        If there is no world.
    IntegrityError
        If ``world.json`` is not what was written.
    """
    if not (folder / FACTS).is_file():
        raise UsageError(f"There is no world at {folder}. Run `limitline lab world`.")
    try:
        facts = json.loads((folder / FACTS).read_bytes())
        settings = WorldSettings.model_validate(facts["settings"])
        claimed = facts["settings_digest"]
    except (ValueError, KeyError, TypeError):
        settings, claimed = None, ""
    if settings is None or settings.digest != claimed:
        raise IntegrityError(
            f"{FACTS} in {folder.name} was altered. Make the world again from its settings."
        )
    return settings
