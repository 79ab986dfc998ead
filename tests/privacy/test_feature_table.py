"""A feature table is whole and of its own ring, or it is not read."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from governance import canonical
from governance.contract import Purpose
from governance.errors import ContractError, IntegrityError, KeyringError, UsageError
from privacy import assignment, feature_table, gate, keyring, sealed_parquet
from privacy.feature_table import FeatureTable, Part, TableFacts
from privacy.sealed_parquet import Seal
from tests.planting import write_unchecked


@pytest.fixture
def table(world: Any, raw: Callable[..., pa.Table]) -> FeatureTable:
    return world.protect(raw(300))  # type: ignore[no-any-return]


def test_what_was_protected_is_read_again(
    world: Any, table: FeatureTable, raw: Callable[..., pa.Table]
) -> None:
    source = raw(300)
    read = world.all(table)
    features = source.column_names[source.column_names.index("limit_bal") : -1]
    assert read.schema.equals(table.schema)
    assert read.column_names == [
        "customer_pseudonym", "assignment", *features, "default_next_month",
    ]  # fmt: skip
    assert (table.label, table.feature_columns) == ("default_next_month", tuple(features))
    assert (table.purpose, table.contract_id) == (Purpose.TRAINING, "uci-credit")
    assert table.contract_digest == world.contract.digest
    key = [(name, "ascending") for name in features]
    kept = [*features, "default_next_month"]
    assert read.select(kept).sort_by(key).equals(source.select(kept).sort_by(key))


def test_the_parts_are_disjoint_and_follow_the_draw(world: Any, table: FeatureTable) -> None:
    parts = {part: FeatureTable.open(table.path, keyring=world.ring, part=part) for part in Part}
    rows = {part: opened.read() for part, opened in parts.items()}
    assert rows[Part.ALL].num_rows == 300
    assert {part: opened.num_rows for part, opened in parts.items()} == {
        part: read.num_rows for part, read in rows.items()
    }
    for part, is_sealed in ((Part.OPEN, False), (Part.SEALED, True)):
        assert rows[part].num_rows > 0
        assert set(assignment.is_sealed(rows[part]["assignment"]).to_pylist()) == {is_sealed}
    assert len({opened.digest for opened in parts.values()}) == 1


def test_columns_are_streamed_in_the_order_asked_for(table: FeatureTable) -> None:
    reader = table.reader(["pay_0", "limit_bal"])
    assert reader.schema.names == ["pay_0", "limit_bal"]
    assert sum(batch.num_rows for batch in reader) == table.num_rows
    with pytest.raises(ContractError, match="no column resident_id"):
        table.reader(["resident_id"])


def test_any_flipped_byte_of_the_folder_is_noticed(world: Any, table: FeatureTable) -> None:
    for file in sorted(table.path.iterdir()):
        good = file.read_bytes()
        step = 1 if file.name == "manifest.json" else max(1, len(good) // 60)
        for place in [*range(0, len(good), step), len(good) - 1]:
            changed = bytearray(good)
            changed[place] ^= 0x01
            file.write_bytes(changed)
            with pytest.raises(IntegrityError, match="was altered"):
                FeatureTable.open(table.path, keyring=world.ring, part=Part.ALL)
        for other in (good[:-1], good + b"\n", b""):
            file.write_bytes(other)
            with pytest.raises(IntegrityError, match="was altered"):
                FeatureTable.open(table.path, keyring=world.ring)
        file.write_bytes(good)
    assert world.all(table).num_rows == 300


def test_the_encryption_alone_notices_every_flip_too(world: Any, table: FeatureTable) -> None:
    """A digest that was forged as well must not make an altered page readable."""
    rows = world.all(table)
    path = world.home / "one.parquet"
    seal = Seal(keyring=world.ring, use="test", associated_data=b"one")
    writer = sealed_parquet.SealedWriter(path, rows.schema, seal)
    writer.write(rows)
    facts = writer.finish()
    good = path.read_bytes()
    unnoticed = 0
    for place in range(0, len(good), max(1, len(good) // 400)):
        changed = bytearray(good)
        changed[place] ^= 0x04
        path.write_bytes(changed)
        forged = dataclasses.replace(facts, sha256=hashlib.sha256(changed).hexdigest())
        try:
            reader = sealed_parquet.SealedReader(path, forged, seal)
            read = pa.Table.from_batches(reader.batches(rows.column_names))
        except IntegrityError:
            continue
        assert read.equals(rows), f"byte {place} was changed and the rows are silently wrong"
        unnoticed += 1
    # The first magic number is the only thing that Parquet does not look at.
    assert unnoticed <= 1


def test_files_cannot_take_each_others_place(
    world: Any, table: FeatureTable, raw: Callable[..., pa.Table]
) -> None:
    other = world.protect(world.write(raw(300, seed=8), "other.parquet"))
    for mine, theirs in (
        (table.path / "open.parquet", other.path / "open.parquet"),
        (table.path / "open.parquet", table.path / "sealed.parquet"),
        (table.path / "manifest.json", other.path / "manifest.json"),
    ):
        good = mine.read_bytes()
        shutil.copy(theirs, mine)
        with pytest.raises(IntegrityError, match=r"altered|holds another table"):
            FeatureTable.open(table.path, keyring=world.ring)
        mine.write_bytes(good)


def test_a_sealed_file_is_bound_to_its_place_by_the_encryption_itself(
    world: Any, table: FeatureTable
) -> None:
    rows = table.read()
    facts = {}
    for name in ("a", "b"):
        seal = Seal(keyring=world.ring, use="test", associated_data=name.encode())
        writer = sealed_parquet.SealedWriter(world.home / name, rows.schema, seal)
        writer.write(rows)
        facts[name] = writer.finish()
    with pytest.raises(IntegrityError, match="belongs to something else"):
        sealed_parquet.SealedReader(world.home / "b", facts["b"], seal=Seal(
            keyring=world.ring, use="test", associated_data=b"a"
        ))  # fmt: skip


def test_a_stray_or_missing_file_is_noticed(world: Any, table: FeatureTable) -> None:
    stray = table.path / ".more.parquet"
    pq.write_table(pa.table({"a": [1]}), stray)
    with pytest.raises(IntegrityError, match="other files"):
        FeatureTable.open(table.path, keyring=world.ring)
    stray.unlink()
    (table.path / "sealed.parquet").unlink()
    with pytest.raises(IntegrityError, match="other files"):
        FeatureTable.open(table.path, keyring=world.ring, part=Part.OPEN)


def test_a_page_altered_after_opening_is_noticed_while_reading(table: FeatureTable) -> None:
    path = table.path / "open.parquet"
    changed = bytearray(path.read_bytes())
    changed[len(changed) // 3] ^= 0x10
    path.write_bytes(changed)
    with pytest.raises(IntegrityError, match=r"open\.parquet .* was altered"):
        table.read()
    with pytest.raises(IntegrityError, match=r"open\.parquet .* was altered"):
        list(table.reader())


def test_another_ring_is_refused_as_another_ring(world: Any, table: FeatureTable) -> None:
    other = keyring.create(world.home / "other keys")
    with pytest.raises(KeyringError, match=world.ring.ring_id):
        FeatureTable.open(table.path, keyring=other)


def test_a_manifest_of_the_right_form_without_the_key_is_refused(
    world: Any, table: FeatureTable
) -> None:
    path = table.path / "manifest.json"
    sealed = json.loads(path.read_bytes())
    sealed["body"]["identity"]["purpose"] = "decision"
    text = json.dumps(sealed["body"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    sealed["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    whole = json.dumps(sealed, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    path.write_text(whole + "\n")
    with pytest.raises(IntegrityError, match="manifest"):
        FeatureTable.open(table.path, keyring=world.ring)


def test_where_no_table_is_the_message_says_so(world: Any) -> None:
    with pytest.raises(UsageError, match="no feature table"):
        FeatureTable.open(world.features / "nothing", keyring=world.ring)


def test_nothing_of_the_table_is_readable_without_the_key(table: FeatureTable) -> None:
    for name in ("open.parquet", "sealed.parquet"):
        data = (table.path / name).read_bytes()
        assert data[:4] == data[-4:] == b"PARE"
        assert b"limit_bal" not in data
        with pytest.raises(OSError, match="no decryption found"):
            pq.read_table(table.path / name)


def test_the_unchecked_writer_writes_what_the_gate_would_refuse(
    world: Any, raw: Callable[..., pa.Table]
) -> None:
    facts = TableFacts(contract=world.contract, purpose=Purpose.TRAINING, source="planted")
    rows = {
        field.name: pa.array([bytes([n] * 16) for n in range(9)], field.type)
        if field.name == "customer_pseudonym"
        else pa.array(
            [13812345678 if field.name == "bill_amt1" else n for n in range(9)], field.type
        )
        for field in facts.schema
    }
    batch = pa.record_batch(rows, schema=facts.schema)
    path = write_unchecked([batch], facts, keyring=world.ring, out=world.features)
    read = FeatureTable.open(path, keyring=world.ring, part=Part.ALL).read()
    assert set(read["bill_amt1"].to_pylist()) == {13812345678}


def test_a_table_does_not_print_its_keys(table: FeatureTable) -> None:
    assert repr(table) == f"FeatureTable({table.path.name!r}, part='open', rows={table.num_rows})"


def test_title_source_and_times_are_told_and_make_no_other_table(
    world: Any, raw: Callable[..., pa.Table], tmp_path: Path
) -> None:
    source = tmp_path / "raw.parquet"
    pq.write_table(raw(300), source)
    os.utime(source, (0, 86_400))
    common = {"keyring": world.ring, "purpose": Purpose.TRAINING, "vault": tmp_path / "vault"}

    def protected(out: str, **told: Any) -> FeatureTable:
        return gate.protect(source, world.contract, out=tmp_path / out, **common, **told)

    noon = datetime(2026, 1, 5, 12, tzinfo=UTC)
    first = protected("one", clock=lambda: noon)
    later = protected("two", clock=lambda: noon + timedelta(days=1), acquired_on=date(2005, 9, 30))
    assert first.digest == later.digest
    assert first.about == {
        "title": world.contract.title,
        "source": world.contract.source,
        "legal_basis": world.contract.legal_basis,
        "acquired_at": "1970-01-02T00:00:00+00:00",
        "acquired_at_is": gate.FILE_TIME,
        "released_at": "2026-01-05T12:00:00+00:00",
    }
    assert (later.about["acquired_at"], later.about["acquired_at_is"]) == (
        "2005-09-30",
        gate.DECLARED,
    )


def test_what_is_told_about_the_data_is_authenticated(table: FeatureTable, world: Any) -> None:
    path = table.path / feature_table.MANIFEST
    sealed = json.loads(path.read_bytes())
    sealed["body"]["about"]["acquired_at"] = "1999-01-01"
    sealed["sha256"] = hashlib.sha256(canonical.dumps(sealed["body"])).hexdigest()
    path.write_bytes(canonical.dumps(sealed) + b"\n")
    with pytest.raises(IntegrityError, match="was altered"):
        FeatureTable.open(table.path, keyring=world.ring)


def test_a_table_from_before_this_was_told_still_opens(table: FeatureTable, world: Any) -> None:
    path = table.path / feature_table.MANIFEST
    body = json.loads(path.read_bytes())["body"]
    del body["about"]
    text = canonical.dumps(body)
    mac = world.ring.mac(text, use="feature-table-manifest").hex()
    sealed = {"body": body, "sha256": hashlib.sha256(text).hexdigest(), "mac": mac}
    path.write_bytes(canonical.dumps(sealed) + b"\n")
    opened = FeatureTable.open(table.path, keyring=world.ring)
    assert (opened.digest, opened.about) == (table.digest, {})


def test_every_part_table_and_purpose_has_a_key_and_a_binding_of_its_own(
    world: Any, table: FeatureTable
) -> None:
    """Each of the two alone keeps a file from taking another's place, should a digest be forged."""
    body = json.loads((table.path / feature_table.MANIFEST).read_bytes())["body"]["identity"]
    seals = [
        feature_table._seal(world.ring, {**body, **changed}, part)
        for part in (Part.OPEN, Part.SEALED)
        for changed in ({}, {"purpose": "decision"})
    ]
    assert len({seal.use for seal in seals}) == len(seals)
    assert len({seal.associated_data for seal in seals}) == len(seals)
    other = feature_table._seal(world.ring, {**body, "source": "another"}, Part.OPEN)
    assert other.associated_data != seals[0].associated_data
