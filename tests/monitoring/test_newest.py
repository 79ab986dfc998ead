"""Of a customer with several days one row is judged: the newest whose outcome can be asked for."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from governance.contract import ColumnContract, Purpose
from governance.errors import ContractError
from governance.settings import Settings
from monitoring import maturity
from monitoring.maturity import LabelRule
from monitoring.watch import Sources
from monitoring.windows import read_plan
from privacy import gate, keyring
from privacy.feature_table import PSEUDONYM

JANUARY, FEBRUARY, MARCH = date(2025, 1, 31), date(2025, 2, 28), date(2025, 3, 31)
UNTIL_MAY = LabelRule(target="failed", horizon_months=3, vintage="as_of", cutoff=date(2025, 5, 31))


def rows(*told: tuple[str, date, int | None]) -> pa.Table:
    return pa.table(
        {
            PSEUDONYM: pa.array([name.ljust(16).encode() for name, _, _ in told], pa.binary(16)),
            "as_of": pa.array([day for _, day, _ in told], pa.date32()),
            "failed": pa.array([outcome for _, _, outcome in told], pa.int64()),
        }
    )


BOOK = rows(
    ("a", MARCH, 1),  # A default that is known early; its window still runs.
    ("b", FEBRUARY, None),  # Its window was over, and its outcome never came.
    ("a", JANUARY, 0),
    ("b", JANUARY, 1),
    ("c", MARCH, None),
    ("a", FEBRUARY, 0),
)


def test_the_newest_row_whose_window_was_over_is_taken_whatever_its_outcome() -> None:
    kept = maturity.one_of_each(BOOK, "as_of", UNTIL_MAY)
    found = [(name.strip(), day) for name, day, _ in zip(*kept.to_pydict().values(), strict=True)]
    # In the order of the table; who has no such row is judged by the newest of all.
    assert found == [(b"b", FEBRUARY), (b"c", MARCH), (b"a", FEBRUARY)]


def test_a_rule_that_reads_no_windows_takes_the_newest_known_outcome() -> None:
    rule = LabelRule(target="failed", horizon_months=3)
    kept = maturity.one_of_each(BOOK, "as_of", rule)
    assert kept["as_of"].to_pylist() == [MARCH, JANUARY, MARCH]
    assert kept["failed"].to_pylist() == [1, 1, None]


def test_what_was_not_measured_is_said() -> None:
    assert "the other 1,400 sealed rows were not measured" in maturity.describe_newest(700, 2_100)


def test_the_watch_refuses_a_table_of_several_days_of_a_customer(tmp_path: Path) -> None:
    here = Settings(home=tmp_path / "home")
    usual = {"sensitivity": "C1", "why": "Simulated.", "action": "keep", "purposes": ["decision"]}
    own = {"purposes": [], "role": "subject_id", "type": "string", "action": "pseudonymize"}
    declared = ColumnContract.model_validate(
        {
            "schema": "column-contract/1",
            "id": "days",
            "version": "1",
            "title": "Days",
            "source": "simulated",
            "row": ["who", "as_of"],
            "columns": [
                {**usual, **own, "name": "who"},
                {**usual, "name": "as_of", "type": "date32", "role": "time"},
            ],
        }
    )
    book = tmp_path / "book.parquet"
    days = pa.array([JANUARY, FEBRUARY], pa.date32())
    pq.write_table(pa.table({"who": ["one", "one"], "as_of": days}), book)
    gate.protect(
        book,
        declared,
        keyring=keyring.create(here.keyring),
        out=here.features,
        purpose=Purpose.DECISION,
        vault=here.vault,
    )
    plan = read_plan(None).model_copy(update={"contract": "days"})
    with pytest.raises(ContractError, match="several days of a customer"):
        Sources.open(here, plan)
