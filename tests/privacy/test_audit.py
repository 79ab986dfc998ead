"""Only counts leave the audit vault, and small ones stay in."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from governance.contract import Purpose
from governance.counts import Counts
from governance.errors import ContractError, IntegrityError, UsageError
from monitoring import fairness
from privacy import audit, audit_vault, disclosure
from privacy.keyring import KeyMap

BANDS = ((25, "<=25"), (35, "26-35"), (45, "36-45"), (55, "46-55"), (200, "56+"))
BOOKS: dict[str, dict[int, str]] = {
    "sex": {1: "male", 2: "female"},
    "education": {
        0: "unknown", 1: "graduate", 2: "university", 3: "high_school", 4: "other", 5: "unknown",
        6: "unknown",
    },
    "marriage": {0: "unknown", 1: "married", 2: "single", 3: "other"},
}  # fmt: skip


def group_of(row: dict[str, Any], attribute: str) -> str:
    if attribute == "age_band":
        return next(name for upper, name in BANDS if row["age"] <= upper)
    return BOOKS[attribute][row[attribute]]


@pytest.fixture
def source(raw: Callable[..., pa.Table]) -> pa.Table:
    return raw(2_000)


@pytest.fixture
def decided(world: Any, source: pa.Table) -> pa.Table:
    return world.all(world.protect(source, Purpose.DECISION))


def count(world: Any, table: pa.Table, **changes: Any) -> dict[str, Counts]:
    request: dict[str, Any] = {
        "keyring": world.ring,
        "vault": world.vault,
        "purpose": Purpose.DECISION,
        "attributes": ["sex", "age_band", "education", "marriage"],
        "by": ["default_next_month"],
        "mandate": "fairness audit, standing order 1",
    }
    return audit.count(table, **{**request, **changes})


def cells(counts: Counts) -> dict[tuple[Any, ...], int | None]:
    rows = counts.table.to_pylist()
    return {
        (row["group"], *(row[k] for k in counts.keys if k != "group")): row["n"] for row in rows
    }


def test_counts_are_those_of_the_raw_rows(world: Any, source: pa.Table, decided: pa.Table) -> None:
    result = count(world, decided)
    rows = source.to_pylist()
    for attribute, counts in result.items():
        groups = [group_of(row, attribute) for row in rows]
        if counts.told:
            largest = Counter(groups).most_common(1)[0][0]
            groups = [largest if group == "unknown" else group for group in groups]
        outcomes = [row["default_next_month"] for row in rows]
        expected = Counter(zip(groups, outcomes, strict=True))
        shown = {cell: n for cell, n in cells(counts).items() if n is not None}
        assert all(expected[cell] == n for cell, n in shown.items())
        assert all(n is not None for cell, n in cells(counts).items()) or attribute != "sex"
    women = result["sex"].where(group="female")
    assert women.total() == sum(r["sex"] == 2 for r in rows)
    assert result["age_band"].total() == 2_000


def test_the_groups_and_their_references_are_those_of_the_contract(
    world: Any, decided: pa.Table
) -> None:
    infos = audit.groups(world.vault, world.ring)
    assert {name: info.reference_group for name, info in infos.items()} == {
        "sex": "female", "education": "university", "marriage": "single", "age_band": "26-35",
    }  # fmt: skip
    assert infos["age_band"].groups == ("<=25", "26-35", "36-45", "46-55", "56+")
    assert infos["sex"].groups == ("male", "female")


@pytest.mark.parametrize(("age", "band"), [(25, "<=25"), (26, "26-35"), (55, "46-55"), (56, "56+")])
def test_band_edges_are_inclusive_upwards(
    world: Any, raw: Callable[..., pa.Table], age: int, band: str
) -> None:
    table = raw(40)
    ages = pa.array([age] * 40)
    table = table.set_column(table.column_names.index("age"), "age", ages)
    read = world.all(world.protect(table, Purpose.DECISION))
    result = count(world, read, attributes=["age_band"], by=[])
    assert {group for (group,), n in cells(result["age_band"]).items() if n} == {band}


def test_a_small_cell_and_its_complement_are_withheld(
    world: Any, source: pa.Table, decided: pa.Table
) -> None:
    few = decided.slice(0, 60)
    result = count(world, few, attributes=["education"], by=[])["education"]
    shown = cells(result)
    hidden = [cell for cell, n in shown.items() if n is None]
    assert len(hidden) >= 2
    assert all(n is None or n >= 10 for n in shown.values())
    assert result.total() is None


def test_a_single_customer_does_not_give_away_the_group(world: Any, decided: pa.Table) -> None:
    """Neither asked for alone nor singled out by a column may one row be told."""
    alone = count(world, decided.slice(3, 1), by=[])
    for attribute, counts in alone.items():
        groups = set(audit.groups(world.vault, world.ring)[attribute].groups)
        assert {group for (group,) in cells(counts)} == groups
        assert set(cells(counts).values()) == {None}
    numbered = decided.append_column("row", pa.array(range(decided.num_rows))).slice(0, 50)
    singled = count(world, numbered, attributes=["sex"], by=["row"])["sex"]
    assert set(cells(singled).values()) == {None}


def test_customers_that_the_vault_does_not_know_are_unknown(world: Any, decided: pa.Table) -> None:
    strangers = pa.table(
        {"customer_pseudonym": pa.array([bytes([n] * 16) for n in range(30)], pa.binary(16))}
    )
    result = count(world, strangers, attributes=["sex"], by=[])["sex"]
    assert cells(result) == {("male",): 0, ("female",): 0, ("unknown",): 30}


def test_a_few_strangers_silence_nobody_and_are_said_to_be_counted(
    world: Any, decided: pa.Table
) -> None:
    """Four of 304 would take a cell of either sex with theirs."""
    known = decided.select(["customer_pseudonym"]).slice(0, 300)
    others = pa.array([bytes([n] * 16) for n in range(4)], pa.binary(16))
    table = pa.concat_tables([known, pa.table({"customer_pseudonym": others})])
    actions = ["raise" if n % 2 else "hold" for n in range(304)]
    table = table.append_column("action", pa.array(actions))
    counts = count(world, table, attributes=["sex"], by=["action"])["sex"]
    assert None not in cells(counts).values()
    sizes = {str(group): counts.where(group=group).total() or 0 for group in ("male", "female")}
    assert counts.total() == sum(sizes.values()) == 304
    largest = max(sizes, key=lambda group: sizes[group])
    assert counts.told == (
        f"the few customers of no known group are counted with {largest}, the largest"
    )
    told = fairness.audit(counts, attribute="sex", reference_group="female", columns=("raise",))
    assert counts.told in told[0].reason
    assert [m.measure for m in told if m.value is None] == []


@pytest.mark.parametrize(
    ("few", "known", "is_joined"),
    [(5, 95, True), (6, 94, False), (99, 1_881, True), (100, 5_000, False), (0, 100, False)],
)
def test_as_many_as_can_be_judged_stay_a_group_of_their_own(
    few: int, known: int, *, is_joined: bool
) -> None:
    groups = pa.chunked_array([["a"] * (known // 3) + ["b"] * (known - known // 3)])
    groups = pa.chunked_array([*groups.chunks, pa.array(["unknown"] * few, pa.string())])
    everybody = pa.array([True] * len(groups))
    joined, told = disclosure.with_few_unknown(groups, "unknown", answered=everybody)
    right = [("b" if is_joined and one == "unknown" else one) for one in groups.to_pylist()]
    assert joined.to_pylist() == right
    assert bool(told) is is_joined
    nobody = pa.chunked_array([["unknown"] * 50])
    told = disclosure.with_few_unknown(nobody, "unknown", answered=pa.array([True] * 50))[1]
    assert told == ""


def test_pseudonyms_of_another_purpose_find_nobody(world: Any, decided: pa.Table) -> None:
    result = count(world, decided, purpose=Purpose.TRAINING, attributes=["sex"], by=[])["sex"]
    assert result.where(group="unknown").total() == 2_000


def test_every_question_is_logged_and_the_log_cannot_be_changed(
    world: Any, decided: pa.Table
) -> None:
    count(world, decided)
    count(world, decided, mandate="another mandate", by=[])
    with closing(sqlite3.connect(world.vault / audit_vault.FILE)) as connection:
        query = "SELECT mandate, request, request_digest, at, user_id FROM access_log"
        log = connection.execute(query).fetchall()
        assert [row[0] for row in log] == ["fairness audit, standing order 1", "another mandate"]
        assert json.loads(log[0][1])["rows"] == 2_000
        assert log[0][2] != log[1][2]
        for statement in ("UPDATE access_log SET mandate = 'x'", "DELETE FROM access_log"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)


def test_a_question_without_a_mandate_or_with_tiny_cells_is_not_answered(
    world: Any, decided: pa.Table
) -> None:
    wrong: dict[str, Any]
    for wrong, words in (
        ({"mandate": " "}, "mandate"),
        ({"minimum_cell": 1}, "at least 5"),
    ):
        with pytest.raises(UsageError, match=words):
            count(world, decided, **wrong)
    for wrong, words in (
        ({"attributes": ["religion"]}, "no attribute religion"),
        ({"by": ["nothing"]}, "lacks the columns nothing"),
        ({"by": ["half"]}, "whole numbers"),
    ):
        table = decided.append_column("half", pa.array(np.full(2_000, 0.5)))
        with pytest.raises(ContractError, match=words):
            count(world, table, **wrong)


def test_without_a_vault_there_is_no_answer(world: Any) -> None:
    with pytest.raises(UsageError, match="no vault"):
        audit.groups(world.vault, world.ring)


def test_an_altered_record_is_noticed(world: Any, decided: pa.Table) -> None:
    with closing(sqlite3.connect(world.vault / audit_vault.FILE)) as connection, connection:
        connection.execute(
            "UPDATE member SET sealed = (SELECT sealed FROM member ORDER BY 1 DESC LIMIT 1)"
        )
    with pytest.raises(IntegrityError, match="altered"):
        count(world, decided)


def test_records_of_all_customers_look_alike(world: Any, decided: pa.Table) -> None:
    with closing(sqlite3.connect(world.vault / audit_vault.FILE)) as connection:
        query = "SELECT count(DISTINCT length(sealed)), count(DISTINCT sealed) FROM member"
        assert connection.execute(query).fetchone() == (1, 2_000)


@pytest.mark.parametrize(("few", "is_told"), [(9, False), (10, True)])
def test_a_cell_of_nine_is_withheld_unless_another_minimum_is_asked_for(
    world: Any, source: pa.Table, decided: pa.Table, few: int, is_told: bool
) -> None:
    """Ten is the default, and it is the exact edge."""
    asked = audit._audit_pseudonyms(decided, world.ring, purpose=Purpose.DECISION)
    with audit_vault.AuditVault.opened(world.vault, keyring=world.ring) as vault:
        sex = vault.group_of(asked, ["sex"]).groups["sex"].to_pylist()
    men = [row for row, group in enumerate(sex) if group == "male"][:50]
    women = [row for row, group in enumerate(sex) if group == "female"][:few]
    table = decided.take([*men, *women])
    default = cells(count(world, table, attributes=["sex"], by=[])["sex"])
    assert default == ({("male",): 50, ("female",): 10} if is_told else dict.fromkeys(default))
    smaller = cells(count(world, table, attributes=["sex"], by=[], minimum_cell=5)["sex"])
    assert smaller == {("male",): 50, ("female",): few}


def test_a_record_from_before_an_attribute_was_declared_is_unknown_in_it(
    world: Any, source: pa.Table, decided: pa.Table, raw: Callable[..., pa.Table]
) -> None:
    sex = next(column for column in world.contract.columns if column.name == "sex")
    more = sex.model_copy(update={"group_name": "sex_as_told"})
    columns = tuple(more if column is sex else column for column in world.contract.columns)
    later = world.contract.model_copy(update={"columns": columns, "id": "uci-later"})
    world.protect(world.write(raw(50, seed=99), "later.parquet"), contract=later)
    told = cells(count(world, decided, attributes=["sex_as_told"], by=[])["sex_as_told"])
    assert told == {("male",): 0, ("female",): 0, ("unknown",): 2_000}


def test_groups_that_a_later_contract_adds_do_not_change_what_is_stored(
    world: Any, source: pa.Table, decided: pa.Table, raw: Callable[..., pa.Table]
) -> None:
    before = cells(count(world, decided, attributes=["sex"], by=[])["sex"])
    sex = next(column for column in world.contract.columns if column.name == "sex")
    book = {"3": "other", "2": "female", "1": "male"}
    other = sex.model_copy(update={"codes": book})
    columns = tuple(other if c is sex else c for c in world.contract.columns)
    later = world.contract.model_copy(update={"columns": columns, "id": "uci-later"})
    world.protect(world.write(raw(50, seed=99), "later.parquet"), contract=later)
    after = cells(count(world, decided, attributes=["sex"], by=[])["sex"])
    assert after == {**before, ("other",): 0}
    assert audit.groups(world.vault, world.ring)["sex"].groups == ("male", "female", "other")


@pytest.mark.parametrize(("slices", "is_told"), [(64, True), (65, False)])
def test_sixty_four_slices_are_counted_and_one_more_is_not(
    world: Any, decided: pa.Table, slices: int, is_told: bool
) -> None:
    numbers = pa.array([row % slices for row in range(decided.num_rows)])
    table = decided.append_column("slice", numbers)
    if is_told:
        counts = count(world, table, attributes=["sex"], by=["slice"])["sex"]
        assert len(counts.values("slice")) == slices
    else:
        with pytest.raises(ContractError, match="tell 65 slices apart; at most 64"):
            count(world, table, attributes=["sex"], by=["slice"])


def test_records_of_an_older_key_version_are_counted_beside_those_of_the_newest(
    world: Any, decided: pa.Table, raw: Callable[..., pa.Table]
) -> None:
    before = cells(count(world, decided, attributes=["sex"], by=[])["sex"])
    secrets = {**world.ring._secrets, "2": bytes(range(32))}
    newer = dataclasses.replace(world.ring, key_version=2, _secrets=KeyMap(secrets))
    with audit_vault.AuditVault.opened(world.vault, keyring=newer) as vault:
        members, codes = vault._unsealed(4)
    assert len(members) == len(codes) == 2_000
    assert sum(n or 0 for n in before.values()) == 2_000
