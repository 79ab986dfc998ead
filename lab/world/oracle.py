"""The oracle: what nobody who builds a model may know, sealed where training has no key.

Each row is an account, a day and a horizon with the true default probability, what happens (for
refused customers too: what would have happened), the marginal propensity to borrow and the
frailty. The file is sealed under a use of its own, ``audit-oracle``; keys of feature tables do not
open it and it is never written in clear.

A world is a function of its settings and its seed. The seal keeps the truth out of every training
path by mistake or convenience; against somebody who runs the simulator again with the seed it
protects only if the seed is kept secret.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from governance import canonical
from governance.errors import IntegrityError, UsageError
from lab.world.book import Book
from lab.world.outcomes import UNDECIDED, Outcomes, as_of_days, wide
from privacy import sealed_parquet
from privacy.keyring import Keyring
from privacy.sealed_parquet import Facts, Seal

FILE = "oracle.sealed"
FACTS = "oracle.json"
USE = "audit-oracle"

SCHEMA = pa.schema(
    [
        ("account", pa.int64()),
        ("as_of", pa.date32()),
        ("horizon_months", pa.int64()),
        ("true_default_probability", pa.float64()),
        ("true_outcome", pa.int64()),
        ("marginal_propensity_to_borrow", pa.float64()),
        ("frailty", pa.float64()),
        ("is_refused", pa.bool_()),
        ("uci_row", pa.int64()),
    ]
)

Floats = NDArray[np.float64]


def seal_of(keyring: Keyring, world: str) -> Seal:
    """Return what binds an oracle to the world with the digest `world`."""
    return Seal(keyring=keyring, use=USE, associated_data=canonical.dumps(["oracle/1", world]))


def rows(accounts: Book, found: Sequence[Outcomes], chances: Sequence[Floats]) -> pa.Table:
    """Return the truth about accounts, the refused included, by account.

    An outcome that the recorded months do not decide is null; its probability is known anyway.
    """
    if not found:
        return SCHEMA.empty_table()
    kept, y = wide([each.is_asked for each in found]), wide([each.y for each in found])
    whole = np.arange(len(accounts)).repeat(len(found))[kept]
    horizons = np.tile([each.horizon for each in found], len(accounts))
    columns = {
        "account": accounts.account[whole],
        "as_of": as_of_days(accounts.settings, found, len(accounts))[kept],
        "horizon_months": horizons[kept],
        "true_default_probability": wide(chances)[kept],
        "true_outcome": pa.array(y[kept], mask=y[kept] == UNDECIDED),
        "marginal_propensity_to_borrow": accounts.borrowing[whole].astype(np.float64),
        "frailty": accounts.frailty[whole].astype(np.float64),
        "is_refused": accounts.is_refused[whole],
        "uci_row": accounts.row[whole],
    }
    return pa.table(columns, schema=SCHEMA)


def open_oracle(
    folder: Path, *, keyring: Keyring, columns: Sequence[str] | None = None
) -> pa.RecordBatchReader:
    """Stream the oracle of the world in `folder`; only validation and backtests may ask for it.

    Raises
    ------
    UsageError
        If there is no world.
    IntegrityError
        If a byte differs, or the oracle belongs to another world or use.
    KeyringError
        If the ring is not the one that sealed it.
    """
    if not (folder / FACTS).is_file():
        raise UsageError(f"There is no world at {folder}. Run `python -m lab world`.")
    try:
        document = json.loads((folder / FACTS).read_bytes())
        facts, world = Facts.read(document["facts"]), str(document["world"])
    except (ValueError, KeyError, TypeError):
        raise IntegrityError(
            f"{FACTS} in {folder.name} was altered. Make the world again from its settings."
        ) from None
    wanted = list(columns) if columns is not None else SCHEMA.names
    reader = sealed_parquet.Reader(folder / FILE, facts, seal_of(keyring, world))
    schema = pa.schema([SCHEMA.field(name) for name in wanted])
    return pa.RecordBatchReader.from_batches(schema, reader.batches(wanted))
