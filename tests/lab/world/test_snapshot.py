from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from governance.contract import ColumnContract, Purpose
from governance.errors import UsageError
from lab.world import panel, persons, snapshot
from lab.world.panel import Chunk
from lab.world.settings import Break, WorldSettings
from lab.world.snapshot import OUTCOME, Moment
from privacy import gate, keyring
from privacy.feature_table import FeatureTable

SEEN = Moment(as_of=date(2024, 9, 30), horizon_months=12, known_on=date(2025, 10, 31))


@pytest.fixture(scope="module")
def taken(baseline: WorldSettings, lived: Chunk) -> pa.Table:
    people = persons.block(baseline, 0, baseline.accounts)
    return snapshot.take(lived, people, baseline, SEEN)


def test_the_newest_month_is_the_one_that_was_asked_for(taken: pa.Table, lived: Chunk) -> None:
    rows = lived.panel.to_pandas()
    accounts = lived.accounts.to_pandas()
    people = set(taken["customer_id"].to_pylist())
    assert len(people) == taken.num_rows
    for age, month in ((0, date(2024, 9, 1)), (5, date(2024, 4, 1))):
        then = rows[rows.month == month].set_index("account")
        newest = rows[rows.month == date(2024, 9, 1)]
        open_now = newest[newest.status < 3].account
        assert taken.num_rows == len(open_now)
        for name in ("status", "balance", "income"):
            column = name if name == "status" else f"{name}_minor"
            expected = then.loc[open_now, column].to_numpy()
            assert np.array_equal(taken[f"{name}_m{age}"].to_numpy(), expected)
    assert not accounts.is_refused[accounts.account.isin(open_now)].any()


def test_outcomes_that_were_not_known_yet_are_null(
    baseline: WorldSettings, lived: Chunk, taken: pa.Table
) -> None:
    assert taken[OUTCOME].null_count == 0
    labels = lived.labels.to_pandas().query("horizon_months == 12")
    labels = labels[labels.as_of == SEEN.as_of]
    assert taken[OUTCOME].to_numpy().sum() == labels.y.sum() > 0
    early = Moment(as_of=SEEN.as_of, horizon_months=12, known_on=date(2025, 10, 30))
    people = persons.block(baseline, 0, baseline.accounts)
    blind = snapshot.take(lived, people, baseline, early)
    assert blind[OUTCOME].null_count == blind.num_rows


def test_what_a_fault_emptied_stays_empty(baseline: WorldSettings) -> None:
    fault = Break(kind="missing", from_month=7, amount=0.5, column="balance_minor")
    world = baseline.changed(accounts=400, months=22, breaks=(fault,))
    chunk = panel.live(world, 0, 400)
    found = snapshot.take(chunk, persons.block(world, 0, 400), world, SEEN)
    assert 0.4 < found["balance_m0"].null_count / found.num_rows < 0.6
    assert found["balance_m2"].null_count == found["payment_m0"].null_count == 0


@pytest.mark.parametrize(
    "moment",
    [
        Moment(as_of=date(2024, 9, 29), horizon_months=12, known_on=date(2026, 1, 1)),
        Moment(as_of=date(2024, 3, 31), horizon_months=12, known_on=date(2026, 1, 1)),
        Moment(as_of=date(2024, 9, 30), horizon_months=11, known_on=date(2026, 1, 1)),
    ],
)
def test_a_moment_at_which_nothing_was_asked_is_refused(
    baseline: WorldSettings, tmp_path: Path, moment: Moment
) -> None:
    with pytest.raises(UsageError, match="2024-09-30"):
        snapshot.write(baseline, tmp_path / "x.parquet", moment)
    assert list(tmp_path.iterdir()) == []


def test_the_gate_takes_a_snapshot(baseline: WorldSettings, tmp_path: Path) -> None:
    small = baseline.changed(accounts=300)
    raw = tmp_path / "raw" / "book.parquet"
    assert snapshot.write(small, raw, SEEN) == pq.read_table(raw).num_rows > 200
    released = gate.protect(
        raw,
        ColumnContract.parse(contract(pq.read_schema(raw))),
        keyring=keyring.create(tmp_path / "keyring"),
        out=tmp_path / "features",
        purpose=Purpose.TRAINING,
        vault=tmp_path / "vault",
    )
    table = FeatureTable.open(released.path, keyring=keyring.Keyring.open(tmp_path / "keyring"))
    assert table.label == OUTCOME
    assert "name" not in table.schema.names
    assert "frailty" not in table.schema.names


def contract(schema: pa.Schema) -> str:
    roles = {"customer_id": ("subject_id", "pseudonymize"), OUTCOME: ("label", "keep")}
    roles |= dict.fromkeys(persons.SCHEMA.names[2:], ("identity", "vault"))
    roles |= dict.fromkeys(("sex", "education", "marriage", "age"), ("protected_attribute", "drop"))
    text = 'schema = "column-contract/1"\nid = "simulated-book"\nversion = "1"\n'
    text += 'title = "Simulated book"\nsource = "simulated"\n'
    for field in schema:
        role, action = roles.get(field.name, ("feature", "keep"))
        kind = "date32" if pa.types.is_date32(field.type) else str(field.type)
        text += f'[[columns]]\nname = "{field.name}"\ntype = "{kind}"\nsensitivity = "C2"\n'
        text += f'role = "{role}"\naction = "{action}"\nwhy = "Simulated."\n'
        text += 'purposes = ["training"]\nmay_be_null = true\n' if action == "keep" else ""
    return text
