"""A table of several days of one customer: each day once, one identity, one part of the table."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from governance.contract import ColumnContract, Purpose
from governance.errors import ContractError
from privacy.audit import count
from privacy.feature_table import ASSIGNMENT, PSEUDONYM, FeatureTable, Part
from privacy.raw_table import packaged_contract
from privacy.subject_vault import SubjectVault

DAYS = (date(2025, 1, 31), date(1969, 12, 31), date(2025, 7, 31))
"""In the order of the file, which is not that of time."""

CONTRACT = """
schema = "column-contract/1"
id = "three-days"
version = "1"
title = "Three days of each customer"
source = "simulated"
row = ["customer_no", "as_of"]

[[columns]]
name = "customer_no"
type = "string"
sensitivity = "C2"
role = "subject_id"
action = "pseudonymize"
why = "Whose row it is."

[[columns]]
name = "as_of"
type = "date32"
sensitivity = "none"
role = "time"
action = "keep"
purposes = ["training", "decision"]
why = "The day of the row."

[[columns]]
name = "mobile"
type = "string"
sensitivity = "C2"
role = "identity"
action = "vault"
why = "How he is reached."

[[columns]]
name = "sex"
type = "string"
sensitivity = "C2"
role = "protected_attribute"
action = "audit"
codes = { F = "female", M = "male" }
reference_group = "female"
why = "Audited."

[[columns]]
name = "owed"
type = "int64"
sensitivity = "C1"
role = "feature"
action = "keep"
purposes = ["training", "decision"]
why = "Simulated."
"""
DECLARED = ColumnContract.parse(CONTRACT)
CUSTOMERS = 200


def book(customers: int = CUSTOMERS) -> pa.Table:
    """Three rows of each customer; the number of the first fifty changes with the days."""
    parts = []
    for place, day in enumerate(DAYS):
        number = np.arange(customers)
        said = [f"100{n:06d}{place if n < 50 else 0}" for n in number]
        parts.append(
            pa.table(
                {
                    "customer_no": [f"K{n:06d}" for n in number],
                    "as_of": pa.array([day] * customers, pa.date32()),
                    "mobile": said,
                    "sex": ["F" if n % 2 else "M" for n in number],
                    "owed": number + 1_000 * place,
                }
            )
        )
    return pa.concat_tables(parts)


def test_packaged_contracts_keep_the_digest_that_they_had_before_rows_could_be_declared() -> None:
    kept = {
        "uci_credit": "8e74a43a50f09d0d8e3823ec5640e59420df37b9a5a335a040d846cfa5a2c35f",
        "world_applicant": "f67df0166e4488f48870a46ba4863f5a4025d98944945d60ae50092228394e9a",
        "world_business": "8b283db986f3e29a20411122dd3d898f6b2f308e3b045258d3e8362e10d8b28a",
        "world_consumer": "697e9035ddf67bf6fdd0d05964452a2b6ed0d1bd6e5dafb109e445476251a59a",
    }
    for name, digest in kept.items():
        assert packaged_contract(name).digest == digest
    assert DECLARED.digest != ColumnContract.parse(CONTRACT.replace("row = [", "# row = [")).digest


@pytest.mark.parametrize(
    ("was", "becomes", "said"),
    [
        ('row = ["customer_no", "as_of"]', 'row = ["as_of", "customer_no"]', "row must be"),
        ('row = ["customer_no", "as_of"]', 'row = ["customer_no"]', "row must be"),
        ('row = ["customer_no", "as_of"]', 'row = ["customer_no", "day"]', "row must be"),
        ('row = ["customer_no", "as_of"]', 'row = ["customer_no", "owed"]', "must be a date32"),
        ('type = "date32"', 'type = "date32"\nmay_be_null = true', "without nulls"),
        (
            'purposes = ["training", "decision"]\nwhy = "The day',
            'purposes = ["training"]\nwhy = "The day',
            "kept for every purpose",
        ),
        (
            'action = "keep"\npurposes = ["training", "decision"]\nwhy = "The day',
            'action = "drop"\nwhy = "The day',
            "kept for every purpose",
        ),
    ],
)
def test_a_row_that_nobody_could_tell_apart_cannot_be_declared(
    was: str, becomes: str, said: str
) -> None:
    assert was in CONTRACT
    with pytest.raises(ContractError, match=said):
        ColumnContract.parse(CONTRACT.replace(was, becomes))


@pytest.mark.parametrize("batch_rows", [64, 65_536])
def test_every_row_of_a_customer_is_in_one_part_under_one_pseudonym(
    world: Any, monkeypatch: pytest.MonkeyPatch, batch_rows: int
) -> None:
    monkeypatch.setattr("governance.table.BATCH_ROWS", batch_rows)
    released = world.protect(book(), contract=DECLARED)
    parts = [
        FeatureTable.open(released.path, keyring=world.ring, part=part).read()
        for part in (Part.OPEN, Part.SEALED)
    ]
    assert released.day == "as_of"
    assert all(part.num_rows % 3 == 0 and part.num_rows for part in parts)
    assert sum(part.num_rows for part in parts) == 3 * CUSTOMERS
    for part in parts:
        counted = part.group_by(PSEUDONYM).aggregate(
            [("as_of", "count_distinct"), (ASSIGNMENT, "count_distinct")]
        )
        assert pc.unique(counted["as_of_count_distinct"]).to_pylist() == [3]
        assert pc.unique(counted[f"{ASSIGNMENT}_count_distinct"]).to_pylist() == [1]
    opened, sealed = (set(part[PSEUDONYM].to_pylist()) for part in parts)
    assert not opened & sealed
    assert len(opened | sealed) == CUSTOMERS


@pytest.mark.parametrize("batch_rows", [64, 65_536])
def test_a_customer_is_enrolled_once_and_the_newest_row_says_who_it_is(
    world: Any, monkeypatch: pytest.MonkeyPatch, batch_rows: int
) -> None:
    monkeypatch.setattr("governance.table.BATCH_ROWS", batch_rows)
    shuffled = book().take(np.random.default_rng(1).permutation(3 * CUSTOMERS))
    released = world.protect(shuffled, contract=DECLARED)
    with SubjectVault.opened(world.vault, keyring=world.ring) as subjects:
        assert subjects.count() == CUSTOMERS
        # The newest day is the third of the file; a customer without a change has its only number.
        assert subjects.record("K000007", DECLARED)["mobile"] == "1000000072"
        assert subjects.record("K000060", DECLARED)["mobile"] == "1000000600"
    assert released.about["customers"] == str(CUSTOMERS)
    assert released.about["differing_rows"] == "mobile of 50 customers: the newest row is held"


def test_a_protected_attribute_that_changes_is_named_and_the_newest_is_counted(
    world: Any,
) -> None:
    table = book()
    sex = table["sex"].to_pylist()
    # In the newest rows, the last third of the file, ten men are women.
    for row in range(2 * CUSTOMERS, 2 * CUSTOMERS + 20, 2):
        assert sex[row] == "M"
        sex[row] = "F"
    table = table.set_column(table.column_names.index("sex"), "sex", pa.array(sex))
    released = world.protect(table, contract=DECLARED)
    assert "sex of 10 customers" in released.about["differing_rows"]
    rows = world.all(released)
    newest = rows.filter(pc.equal(rows["as_of"], pa.scalar(DAYS[2])))
    counted = count(
        newest.select([PSEUDONYM, "as_of"]).set_column(1, "one", pa.array([1] * newest.num_rows)),
        keyring=world.ring,
        vault=world.vault,
        purpose=Purpose.TRAINING,
        attributes=["sex"],
        by=["one"],
        mandate="test",
    )["sex"]
    told = {row["group"]: row["n"] for row in counted.table.to_pylist()}
    assert (told["female"], told["male"]) == (CUSTOMERS // 2 + 10, CUSTOMERS // 2 - 10)


@pytest.mark.parametrize("batch_rows", [64, 65_536])
def test_a_customer_who_comes_twice_on_a_day_is_refused_and_nothing_is_written(
    world: Any, monkeypatch: pytest.MonkeyPatch, batch_rows: int
) -> None:
    monkeypatch.setattr("governance.table.BATCH_ROWS", batch_rows)
    twice = pa.concat_tables([book(), book().slice(5, 2)])
    with pytest.raises(ContractError, match="2 rows repeat a customer_no and as_of"):
        world.protect(twice, contract=DECLARED)
    assert not world.has_written()


def test_several_rows_of_a_customer_are_refused_as_before_where_none_were_declared(
    world: Any, raw: Callable[..., pa.Table]
) -> None:
    table = raw(60)
    with pytest.raises(ContractError, match="60 rows repeat a customer_id") as refused:
        world.protect(pa.concat_tables([table, table]))
    assert "row = [" in str(refused.value)
    assert world.protect(table).day is None


def test_protecting_again_gives_the_same_table_and_no_new_customer(world: Any) -> None:
    first = world.protect(book(), contract=DECLARED)
    assert world.protect(book(), contract=DECLARED).digest == first.digest
    decision = world.protect(book(), Purpose.DECISION, contract=DECLARED)
    with SubjectVault.opened(world.vault, keyring=world.ring) as subjects:
        assert subjects.count() == CUSTOMERS
        assert subjects.record("K000007", DECLARED)["mobile"] == "1000000072"
    seals = [
        FeatureTable.open(t.path, keyring=world.ring, part=Part.SEALED).num_rows
        for t in (first, decision)
    ]
    assert seals[0] == seals[1]
