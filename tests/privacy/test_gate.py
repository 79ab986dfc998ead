"""The gate lets through what the contract says, and writes nothing at all otherwise."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pytest

from governance import durable
from governance.contract import ColumnContract, Purpose
from governance.errors import (
    ContractError,
    EnvironmentFault,
    IntegrityError,
    KeyringError,
    UsageError,
)
from privacy import gate, keyring
from privacy.subject_vault import SubjectVault

Harm = Callable[[pa.Table], pa.Table]
SMALL_CONTRACT = """
schema = "column-contract/1"
id = "small"
version = "1"
title = "A small contract"
source = "tests"
minimum_rows = 3

[[columns]]
name = "business_id"
type = "string"
sensitivity = "C2"
role = "subject_id"
action = "pseudonymize"
why = "Whose row it is."

[[columns]]
name = "note"
type = "string"
sensitivity = "C1"
role = "feature"
action = "keep"
purposes = ["training"]
may_be_null = true
why = "A text feature."

[[columns]]
name = "income"
type = "float64"
sensitivity = "C2"
role = "feature"
action = "keep"
purposes = ["training"]
may_be_null = true
why = "A number feature."
"""


def replaced(table: pa.Table, name: str, values: Any) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values)


def with_value(name: str, value: object) -> Harm:
    def harm(table: pa.Table) -> pa.Table:
        values = table[name].to_pylist()
        values[len(values) // 2] = value
        return replaced(table, name, pa.array(values, type=table.schema.field(name).type))

    return harm


HARMS: dict[str, tuple[Harm, str]] = {
    "missing column": (lambda t: t.drop_columns(["pay_3"]), "pay_3 are missing"),
    "renamed column": (
        lambda t: t.rename_columns({"pay_3": "13812345678"}),
        "pay_3 are missing; the columns at position",
    ),
    "extra column": (lambda t: t.append_column("more", t["age"]), "position 32 are not declared"),
    "column twice": (lambda t: t.append_column("age", t["age"]), "age at positions 10, 32"),
    "narrower integer": (lambda t: replaced(t, "pay_0", t["pay_0"].cast("int32")), "is int32"),
    "float for integer": (lambda t: replaced(t, "age", t["age"].cast("float64")), "is double"),
    "number for text": (
        lambda t: replaced(t, "customer_id", pa.array(range(t.num_rows))), "is int64",
    ),
    "all null": (
        lambda t: replaced(t, "pay_0", pa.nulls(t.num_rows, pa.int64())), "empty values",
    ),
    "one null": (with_value("limit_bal", None), "1 empty values"),
    "null customer": (with_value("customer_id", None), "1 empty values"),
    "empty customer": (with_value("customer_id", ""), "empty ids"),
    "padded customer": (with_value("customer_id", " C000000001"), "space around"),
    "duplicate customer": (
        lambda t: pa.concat_tables([t, t.slice(5, 2)]), "2 rows repeat a customer_id",
    ),
    "too low": (with_value("pay_0", -3), "below the declared minimum of -2"),
    "too high": (with_value("default_next_month", 2), "above the declared maximum of 1"),
    "unknown code": (with_value("sex", 3), "code book (1, 2)"),
    "phone as a bill": (with_value("bill_amt3", 13812345678), "looks like a mobile number"),
    "reserved phone as a bill": (with_value("bill_amt3", -10012345678), "mobile number"),
    "resident id as a payment": (with_value("pay_amt1", 110105194912315103), "resident id"),
    "card as a payment": (with_value("pay_amt6", 6222021234567894), "bank card"),
    "no rows": (lambda t: t.slice(0, 0), "has 0 rows"),
}  # fmt: skip


@pytest.mark.parametrize("name", HARMS)
def test_a_table_that_breaks_the_contract_is_refused_and_nothing_is_written(
    world: Any, raw: Callable[..., pa.Table], name: str
) -> None:
    harm, words = HARMS[name]
    source = world.write(harm(raw(60)))
    with pytest.raises(ContractError, match=re.escape(words)) as refused:
        world.protect(source)
    assert "13812345678" not in str(refused.value)
    assert not world.has_written()


def test_a_second_batch_is_checked_like_the_first(
    world: Any, raw: Callable[..., pa.Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("governance.table.BATCH_ROWS", 64)
    table = raw(200)
    assert world.protect(table).num_rows > 100
    last = table.slice(0, 1)
    with pytest.raises(ContractError, match="1 rows repeat"):
        world.protect(pa.concat_tables([table, last]))
    late = replaced(table, "bill_amt1", pa.array([0] * 199 + [13912345678]))
    with pytest.raises(ContractError, match="bill_amt1 is declared a feature"):
        world.protect(late)


@pytest.mark.parametrize("size", [0, 3, 400, -1])
def test_an_empty_or_truncated_parquet_is_refused(
    world: Any, raw: Callable[..., pa.Table], size: int
) -> None:
    source = world.write(raw(60))
    source.write_bytes(source.read_bytes()[:size])
    with pytest.raises(ContractError, match=r"empty \(0 bytes\)|cannot be read as Parquet"):
        world.protect(source)
    assert not world.has_written()


def test_a_damaged_page_of_the_raw_table_is_refused(
    world: Any, raw: Callable[..., pa.Table]
) -> None:
    source = world.write(raw(60))
    data = bytearray(source.read_bytes())
    data[20:80] = bytes(60)
    source.write_bytes(data)
    with pytest.raises(ContractError, match="cannot be read as Parquet"):
        world.protect(source)
    assert not world.has_written()


def small(notes: list[str | None], incomes: list[float | None]) -> tuple[ColumnContract, pa.Table]:
    ids = pa.array([f"B{number}" for number in range(len(notes))])
    columns = {
        "business_id": ids,
        "note": pa.array(notes, type=pa.string()),
        "income": pa.array(incomes, type=pa.float64()),
    }
    return ColumnContract.parse(SMALL_CONTRACT), pa.table(columns)


@pytest.mark.parametrize(
    ("note", "income", "words"),
    [
        ("call 13812345678", 1.0, "note is declared a feature but holds what looks like a mobile"),
        ("１３８ 1234 5678", 1.0, "mobile number"),
        ("a", 13812345678.0, "income is declared a feature but holds what looks like a mobile"),
        ("a", 110105194912315103.0, "resident id"),
        ("a", float("inf"), "infinite"),
        ("wang@example.com", 1.0, "e-mail"),
    ],
)
def test_personal_data_in_text_and_float_features_are_refused(
    world: Any, note: str, income: float, words: str
) -> None:
    contract, table = small(["x", note, None], [1.5, income, None])
    with pytest.raises(ContractError, match=words):
        world.protect(table, contract=contract)
    assert not world.has_written()


def test_nan_counts_as_empty(world: Any) -> None:
    contract, table = small(["a", "b", "c"], [float("nan")] * 3)
    with pytest.raises(ContractError, match="income is empty in every row"):
        world.protect(table, contract=contract)
    contract, table = small(["a", "b", "c"], [float("nan"), 1.0, 2.0])
    assert world.all(world.protect(table, contract=contract)).num_rows == 3


def test_too_few_rows_are_refused(world: Any) -> None:
    contract, table = small(["a", "b"], [1.0, 2.0])
    with pytest.raises(ContractError, match="has 2 rows; the contract needs at least 3"):
        world.protect(table, contract=contract)


def test_amounts_declared_to_be_large_pass_unless_many_look_like_mobiles(world: Any) -> None:
    rng = np.random.default_rng(1)
    text = SMALL_CONTRACT + "maximum = 1e13\n"
    contract = ColumnContract.parse(text)
    incomes = list(rng.uniform(0, 1e12, 500).round())
    incomes[3] = 1.2e10
    _, table = small(["a"] * 500, incomes)
    assert world.protect(table, contract=contract).num_rows > 300
    _, phones = small(["a"] * 500, [13_800_000_000.0 + n for n in range(500)])
    with pytest.raises(ContractError, match="in at least 500 of its values"):
        world.protect(phones, contract=contract)
    _, ids = small(["a"] * 3, [1.0, 2.0, 110105194912315103.0])
    with pytest.raises(ContractError, match="income holds values above the declared maximum"):
        world.protect(ids, contract=contract)


def test_a_contract_that_cannot_be_carried_out_is_refused(
    world: Any, raw: Callable[..., pa.Table]
) -> None:
    sex = next(column for column in world.contract.columns if column.name == "sex")
    for change in ({"reference_group": None}, {"reference_group": "woman"}):
        other = [
            c if c is not sex else sex.model_copy(update=change) for c in world.contract.columns
        ]
        contract = world.contract.model_copy(update={"columns": tuple(other)})
        with pytest.raises(ContractError, match="reference_group"):
            world.protect(raw(30), contract=contract)
    with pytest.raises(ContractError, match="releases no column for the purpose audit"):
        world.protect(raw(30), Purpose.AUDIT)
    assert not world.has_written()


def test_csv_and_parquet_of_the_same_rows_give_the_same_features(
    world: Any, raw: Callable[..., pa.Table]
) -> None:
    table = raw(120)
    path = world.home / "raw.csv"
    pa_csv.write_csv(table, path)
    shuffled = table.select(list(reversed(table.column_names)))
    other = world.home / "shuffled.csv"
    pa_csv.write_csv(shuffled, other)
    first = world.all(world.protect(table)).drop_columns(["assignment"])
    for source in (path, other):
        again = world.all(world.protect(source)).drop_columns(["assignment"])
        by_customer = [("customer_pseudonym", "ascending")]
        assert again.sort_by(by_customer).equals(first.sort_by(by_customer))


CSV_HARMS: dict[str, tuple[Callable[[str], str], str]] = {
    "missing column": (lambda s: s.replace('"age",', "", 1), "age are missing"),
    "renamed column": (lambda s: s.replace('"age"', '"alter"', 1), "age are missing"),
    "extra column": (lambda s: s.replace('"age"', '"age","more"', 1), "position 11"),
    "no header": (lambda s: s.split("\n", 1)[1], "the columns at position 1, 2, 3"),
    "text for number": (lambda s: s.replace("1664089", "13812345678x", 1), "is not int64"),
    "decimal for integer": (lambda s: s.replace("1664089", "13812345678.5", 1), "is not int64"),
    "ragged line": (
        lambda s: s.rstrip("\n") + ",1\n",
        "Row 30 of raw.csv has 32 cells; the header has 31",
    ),
    "unclosed quote": (
        lambda s: s + '"C1',
        "quotation mark that is never closed|Row 31 of raw.csv has",
    ),
    "header only": (lambda s: s.split("\n", 1)[0] + "\n", "0 rows|cannot be read"),
    "blank": (lambda _: "\n\n", "has no header"),
}


@pytest.mark.parametrize("name", CSV_HARMS)
def test_a_csv_that_breaks_the_contract_is_refused_without_repeating_it(
    world: Any, raw: Callable[..., pa.Table], name: str
) -> None:
    harm, words = CSV_HARMS[name]
    path = world.home / "raw.csv"
    pa_csv.write_csv(raw(30), path)
    path.write_text(harm(path.read_text()))
    with pytest.raises(ContractError, match=words) as refused:
        world.protect(path)
    assert "13812345678" not in str(refused.value)
    assert not any(value in str(refused.value) for value in raw(30)["name"].to_pylist())
    assert not world.has_written()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_csv_says_the_same_in_every_encoding_that_can_be_told(
    world: Any, raw: Callable[..., pa.Table], encoding: str
) -> None:
    path = world.home / "raw.csv"
    pa_csv.write_csv(raw(60), path)
    plain = world.all(world.protect(path)).drop_columns(["assignment"])
    path.write_bytes(path.read_text(encoding="utf-8").encode(encoding))
    again = world.all(world.protect(path)).drop_columns(["assignment"])
    by_customer = [("customer_pseudonym", "ascending")]
    assert again.sort_by(by_customer).equals(plain.sort_by(by_customer))


def test_a_declared_encoding_makes_another_table_of_the_same_bytes(
    world: Any, raw: Callable[..., pa.Table]
) -> None:
    path = world.home / "raw.csv"
    pa_csv.write_csv(raw(60), path)
    told = world.protect(path)
    assert world.protect(path).path == told.path
    assert gate.RawTable(path, "utf-8").digest() != gate.RawTable(path).digest()
    with pytest.raises(ContractError, match="not text throughout"):
        world.protect(path, encoding="ascii")


def test_text_may_come_as_large_strings_or_as_a_dictionary(
    world: Any, raw: Callable[..., pa.Table]
) -> None:
    table = raw(60)
    table = replaced(table, "name", pc.dictionary_encode(table["name"].combine_chunks()))
    table = replaced(table, "customer_id", table["customer_id"].cast(pa.large_string()))
    assert world.all(world.protect(table)).num_rows == 60


def test_the_same_input_gives_the_same_table_and_another_purpose_another(
    world: Any, raw: Callable[..., pa.Table]
) -> None:
    source = world.write(raw(200))
    first = world.protect(source)
    stamp = (first.path / "manifest.json").stat()
    again = world.protect(source)
    assert (again.path, again.digest) == (first.path, first.digest)
    assert (first.path / "manifest.json").stat() == stamp
    assert first.path.name == f"uci-credit-training-{first.digest[:12]}"
    other = world.protect(source, Purpose.DECISION)
    assert other.digest != first.digest


def test_tables_of_two_purposes_do_not_join_by_pseudonym_assignment_or_order(
    world: Any, raw: Callable[..., pa.Table]
) -> None:
    source = world.write(raw(400))
    training = world.all(world.protect(source))
    decision = world.all(world.protect(source, Purpose.DECISION))
    for name in ("customer_pseudonym", "assignment"):
        assert not set(training[name].to_pylist()) & set(decision[name].to_pylist())
    assert not training["bill_amt2"].equals(decision["bill_amt2"])


def test_a_customer_keeps_pseudonym_and_part_next_month(
    world: Any, raw: Callable[..., pa.Table]
) -> None:
    table = raw(200)
    before = world.all(world.protect(table))
    later = replaced(table, "bill_amt1", pa.array(range(200)))
    newcomer = replaced(table.slice(0, 1), "customer_id", pa.array(["C-new"]))
    later = pa.concat_tables([later, newcomer.select(later.column_names)])
    after = world.all(world.protect(world.write(later, "later.parquet")))
    parts = dict(
        zip(before["customer_pseudonym"].to_pylist(), before["assignment"].to_pylist(), strict=True)
    )
    now = dict(
        zip(after["customer_pseudonym"].to_pylist(), after["assignment"].to_pylist(), strict=True)
    )
    assert len(now) == 201
    assert {key: now[key] for key in parts} == parts


def test_no_identity_and_no_protected_attribute_is_in_a_feature_table(
    world: Any, raw: Callable[..., pa.Table]
) -> None:
    table = raw(60)
    read = world.all(world.protect(table))
    hidden = {"customer_id", "name", "mobile", "resident_id", "bank_card", "address"}
    assert not {*hidden, "sex", "education", "marriage", "age"} & set(read.column_names)
    text = repr(read.to_pylist())
    for name in hidden:
        assert not any(value in text for value in table[name].to_pylist())


def test_the_latest_table_is_the_one_protected_last(
    world: Any, raw: Callable[..., pa.Table]
) -> None:
    def latest() -> Path:
        return gate.latest(
            world.features, contract_id="uci-credit", purpose=Purpose.TRAINING, keyring=world.ring
        )

    with pytest.raises(UsageError, match="no feature table of uci-credit for training"):
        latest()
    first_source, second_source = (
        world.write(raw(60), "1.parquet"),
        world.write(raw(70), "2.parquet"),
    )
    first, second = world.protect(first_source), world.protect(second_source)
    assert latest() == second.path
    world.protect(first_source)
    assert latest() == first.path
    for text in ('{"folder":"../raw"}', '{"folder":"nothing"}', "{}", "x", '{"folder":".."}'):
        (world.features / "uci-credit-training.latest.json").write_text(text)
        with pytest.raises(IntegrityError, match="pointer"):
            latest()


def test_a_vault_of_another_ring_is_not_used(world: Any, raw: Callable[..., pa.Table]) -> None:
    world.protect(raw(60))
    other = keyring.create(world.home / "other keys")
    with pytest.raises(KeyringError, match="belongs to the ring"):
        gate.protect(
            world.write(raw(60)), world.contract, keyring=other, out=world.features,
            purpose=Purpose.TRAINING, vault=world.vault,
        )  # fmt: skip


def test_a_vault_lost_for_good_means_new_tables_not_orphaned_ones(
    world: Any, raw: Callable[..., pa.Table]
) -> None:
    source = world.write(raw(60))
    first = world.protect(source)
    for file in world.vault.glob("subjects.db*"):
        file.unlink()
    with pytest.raises(IntegrityError, match="If it is lost for good, delete last-seen/") as told:
        world.protect(source)
    note = str(told.value).partition("delete ")[2].split()[0]
    (world.home / "keyring" / note).unlink()
    second = world.protect(source)
    assert second.path != first.path
    with SubjectVault.opened(world.vault, keyring=world.ring) as vault:
        assert vault.count() == 60


def test_a_table_altered_since_is_not_returned_again(
    world: Any, raw: Callable[..., pa.Table]
) -> None:
    source = world.write(raw(60))
    table = world.protect(source)
    with (table.path / "sealed.parquet").open("ab") as file:
        file.write(b"x")
    with pytest.raises(IntegrityError, match=r"sealed\.parquet .* was altered"):
        world.protect(source)


def test_two_runs_at_once_do_not_mix(world: Any, raw: Callable[..., pa.Table]) -> None:
    source = world.write(raw(60))
    with (
        durable.locked(world.vault / ".lock", what="The vault"),
        pytest.raises(EnvironmentFault, match="busy"),
    ):
        world.protect(source)
    assert world.protect(source).num_rows > 0


def test_a_missing_raw_table_is_said_to_be_missing(world: Any) -> None:
    with pytest.raises(UsageError, match="no raw table"):
        world.protect(world.home / "nothing.parquet")


@pytest.mark.parametrize("rows", ["the same number", "more"])
def test_a_raw_table_that_changes_between_the_two_passes_is_not_released(
    world: Any, raw: Callable[..., pa.Table], monkeypatch: pytest.MonkeyPatch, rows: str
) -> None:
    source = world.write(raw(60))
    look = gate.inspect

    def inspect_and_exchange(*asked: Any, **more: Any) -> Any:
        found = look(*asked, **more)
        world.write(raw(60 if rows == "the same number" else 61, seed=8))
        return found

    monkeypatch.setattr(gate, "inspect", inspect_and_exchange)
    with pytest.raises(ContractError, match="changed while it was read"):
        world.protect(source)
    assert not [path for path in world.features.glob("*") if path.is_dir()]
    with SubjectVault.opened(world.vault, keyring=world.ring) as vault:
        assert vault.count() == 0


def test_nothing_is_released_for_the_audit_vaults_own_purpose(
    world: Any, raw: Callable[..., pa.Table]
) -> None:
    """A table under audit pseudonyms would join protected attributes, whoever declared it."""
    kept = [
        column.model_copy(update={"purposes": frozenset(Purpose)}) if column.purposes else column
        for column in world.contract.columns
    ]
    contract = world.contract.model_copy(update={"columns": tuple(kept)})
    with pytest.raises(ContractError, match="releases no column for the purpose audit"):
        world.protect(raw(60), Purpose.AUDIT, contract)
    assert not world.features.exists()
