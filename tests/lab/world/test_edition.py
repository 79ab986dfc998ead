from __future__ import annotations

import json
import stat
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.errors import UsageError
from lab.world import edition, panel
from lab.world.content import Content
from lab.world.settings import WorldSettings
from privacy import keyring
from privacy.keyring import Keyring

N = 400


@pytest.fixture(scope="module")
def small(baseline: WorldSettings) -> WorldSettings:
    return baseline.changed(accounts=N, months=6)


@pytest.fixture
def ring(tmp_path: Path) -> Keyring:
    return keyring.create(tmp_path / "keyring")


def test_the_digest_is_of_the_world_and_not_of_how_it_was_cut(
    small: WorldSettings, ring: Keyring, tmp_path: Path
) -> None:
    whole = edition.publish(small, tmp_path / "whole", keyring=ring)
    other = keyring.create(tmp_path / "another ring")
    parts = edition.publish(small, tmp_path / "parts", keyring=other, at_once=97)
    assert whole.digest == parts.digest == edition.digest(small, at_once=150)
    assert edition.digest(small.changed(seed=1)) != whole.digest
    assert edition.digest(small.changed(bias={"limit_share": 0.9})) != whole.digest


def test_a_published_world_explains_itself(
    small: WorldSettings, ring: Keyring, tmp_path: Path
) -> None:
    heard: list[int] = []
    made = edition.publish(
        small, tmp_path / "raw" / "world", keyring=ring, at_once=150, done=heard.append
    )
    assert heard == [150, 150, 100]
    facts = json.loads((made.path / edition.FACTS).read_bytes())
    assert facts["is_simulated"] is True
    assert facts["digest"] == made.digest
    assert facts["settings_digest"] == small.digest
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o700
    chunk = panel.live(small, 0, N)
    for name, table in chunk.plain().items():
        found = pq.read_table(made.path / f"{name}.parquet")
        assert found.equals(table), name
        assert facts["tables"][name]["rows"] == made.rows[name] == table.num_rows
    assert pq.read_table(made.path / "identities.parquet").num_rows == N


def test_a_world_is_never_overwritten(small: WorldSettings, ring: Keyring, tmp_path: Path) -> None:
    (tmp_path / "world").mkdir()
    with pytest.raises(UsageError, match="already"):
        edition.publish(small, tmp_path / "world", keyring=ring)


def test_a_world_that_fails_leaves_nothing(
    small: WorldSettings, ring: Keyring, tmp_path: Path
) -> None:
    def stop(_: int) -> None:
        raise KeyboardInterrupt("half-way")

    with pytest.raises(KeyboardInterrupt, match="half-way"):
        edition.publish(small, tmp_path / "raw" / "world", keyring=ring, done=stop)
    assert list((tmp_path / "raw").iterdir()) == []


ROWS = st.lists(
    st.tuples(st.none() | st.integers(-5, 5), st.none() | st.text(max_size=3), st.booleans()),
    max_size=12,
)
SCHEMA = pa.schema([("a", pa.int64()), ("b", pa.string()), ("c", pa.bool_())])


def table_of(rows: list[tuple[int | None, str | None, bool]]) -> pa.Table:
    columns = [pa.array([row[place] for row in rows], SCHEMA.types[place]) for place in range(3)]
    return pa.table(columns, schema=SCHEMA)


def content(*tables: pa.Table) -> str:
    taken = Content(SCHEMA)
    for table in tables:
        taken.add(table)
    return taken.digest()


@given(rows=ROWS, other=ROWS, cut=st.integers(0, 12))
@settings(max_examples=120, deadline=None)
def test_content_is_the_rows_and_nothing_but_the_rows(
    rows: list[tuple[int | None, str | None, bool]],
    other: list[tuple[int | None, str | None, bool]],
    cut: int,
) -> None:
    whole = table_of(rows)
    assert content(whole) == content(whole.slice(0, cut), whole.slice(cut))
    assert (content(whole) == content(table_of(other))) == (rows == other)
