"""The real table that planted faults are planted in, and a small world of one's own."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

if TYPE_CHECKING:
    from tests.conftest import World

DATA = Path(__file__).parents[2] / "training" / "data" / "uci_credit_default.parquet"


@pytest.fixture(scope="session")
def uci() -> pa.Table:
    """The 30,000 customers of the bundled data, every column ``int64``, lower-case names."""
    table = pq.read_table(DATA)
    return pa.table({name.lower(): table[name].cast(pa.int64()) for name in table.column_names})


@pytest.fixture
def moved_world(own_world: World) -> World:
    """The own world with a catalogue that writes into it, and not into the shared one."""
    settings = own_world.settings
    with sqlite3.connect(settings.mlflow_database) as connection:
        place = settings.mlflow_artifacts.as_uri()
        connection.execute("UPDATE experiments SET artifact_location = ?", (place,))
    connection.close()
    return own_world
