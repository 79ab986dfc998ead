"""Nothing personal leaves: every identity of the demonstration is searched for, everywhere.

The red half shows that the search would find something: the same rows, written past the gate, are
found at once, in each kind of place.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from governance.contract import ColumnContract, Purpose
from governance.errors import ContractError
from privacy import feature_table, gate, leak_scan
from privacy.assignment import draw, keys
from privacy.feature_table import ASSIGNMENT, PSEUDONYM, FeatureTable, TableFacts
from privacy.keyring import Keyring
from tests.journeys.conftest import CUSTOMERS, Journey
from tests.planting import write_unchecked

pytestmark = pytest.mark.journey

IDENTITY = ("customer_id", "name", "mobile", "resident_id", "bank_card", "address")


def identities(journey: Journey) -> pa.Table:
    return pq.read_table(journey.home / "raw" / "uci_credit.parquet", columns=list(IDENTITY))


def canaries(journey: Journey) -> list[str]:
    table = identities(journey)
    found = [value for name in IDENTITY for value in table[name].to_pylist()]
    assert len(set(found)) > 4 * CUSTOMERS
    return found


def places(journey: Journey) -> list[Path]:
    """Everything that the demonstration left behind but the raw folder itself."""
    return [path for path in journey.home.iterdir() if path.name != "raw"]


def test_no_identity_is_anywhere_outside_the_raw_folder(journey: Journey) -> None:
    wanted = canaries(journey)
    for place in [*places(journey), journey.home.parent / "demo.log"]:
        report = leak_scan.scan(place, canaries=wanted)
        assert report.hits == (), place.name
        assert (report.unread, report.links) == ((), ()), place.name


def test_no_pseudonym_is_anywhere_outside_the_sealed_tables(journey: Journey) -> None:
    ring = Keyring.open(journey.home / "keyring")
    wanted = []
    for purpose in (Purpose.TRAINING, Purpose.DECISION):
        path = gate.latest(
            journey.home / "features", contract_id="uci-credit", purpose=purpose, keyring=ring
        )
        table = FeatureTable.open(path, keyring=ring, part=feature_table.Part.ALL)
        wanted += [value.hex() for value in table.read([PSEUDONYM])[PSEUDONYM].to_pylist()]
    for place in [*places(journey), journey.home.parent / "demo.log"]:
        assert leak_scan.scan(place, canaries=wanted).hits == (), place.name


def test_the_search_covers_every_kind_of_place(journey: Journey) -> None:
    seen = {path.name for path in places(journey)}
    assert {"mlflow.db", "mlartifacts", "ledger", "reports", "decisions", "features"} <= seen
    assert list(journey.home.rglob("*.html"))
    assert list(journey.home.rglob("*.skops"))


SMUGGLER = """
schema = "column-contract/1"
id = "smuggler"
version = "1"
title = "A contract that calls identities features"
source = "test"
[[columns]]
name = "customer_id"
type = "string"
sensitivity = "C2"
role = "subject_id"
action = "pseudonymize"
purposes = ["training"]
why = "test"
""" + "".join(
    f"""
[[columns]]
name = "{name}"
type = "string"
sensitivity = "C1"
role = "feature"
action = "keep"
purposes = ["training"]
why = "test"
"""
    for name in ("mobile", "resident_id", "bank_card")
)


def smuggled(journey: Journey, tmp_path: Path) -> tuple[Path, ColumnContract, pa.Table]:
    columns = ["customer_id", "mobile", "resident_id", "bank_card"]
    table = identities(journey).select(columns)
    source = tmp_path / "raw.parquet"
    pq.write_table(table, source)
    return source, ColumnContract.parse(SMUGGLER), table


def test_the_gate_refuses_identities_that_are_called_features(
    journey: Journey, tmp_path: Path
) -> None:
    source, contract, _ = smuggled(journey, tmp_path)
    ring = Keyring.open(journey.home / "keyring")
    out, vault = tmp_path / "features", tmp_path / "vault"
    with pytest.raises(ContractError, match="declared a feature but holds what looks like a"):
        gate.protect(source, contract, keyring=ring, out=out, purpose=Purpose.TRAINING, vault=vault)
    assert not out.exists()


def test_red_half_past_the_gate_the_search_finds_every_kind(
    journey: Journey, tmp_path: Path
) -> None:
    """Write with the low-level writer, do what a careless report does, and search."""
    _, contract, table = smuggled(journey, tmp_path)
    ring = Keyring.open(journey.home / "keyring")
    subjects = pa.array([number.to_bytes(16, "big") for number in range(table.num_rows)])
    subjects = subjects.cast(pa.binary(16))
    released = table.drop_columns(["customer_id"])
    released = released.add_column(0, ASSIGNMENT, draw(subjects, keys(ring, Purpose.TRAINING)))
    released = released.add_column(0, PSEUDONYM, subjects)
    facts = TableFacts(contract=contract, purpose=Purpose.TRAINING, source="00" * 32)
    path = write_unchecked(released.to_batches(), facts, keyring=ring, out=tmp_path / "features")
    careless = FeatureTable.open(path, keyring=ring).read(["mobile", "resident_id", "bank_card"])
    report = tmp_path / "artifacts"
    report.mkdir()
    sample = careless.slice(0, 20).to_pandas()
    (report / "input_example.json").write_text(sample.to_json(orient="split"))
    (report / "sample.html").write_text(sample.to_html())
    pq.write_table(careless, report / "sample.parquet")
    found = leak_scan.scan(report, canaries=canaries(journey))
    assert {hit.file for hit in found.hits} >= {
        "input_example.json",
        "sample.html",
        "sample.parquet",
    }
    assert "canary" in {hit.kind for hit in found.hits}
