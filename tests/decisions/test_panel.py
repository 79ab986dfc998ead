"""A table of several days of a customer is no book: a run decides each customer once."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from decisions import activation
from governance.contract import ColumnContract, Purpose
from governance.errors import ContractError
from limitline.commands import app
from privacy import gate
from privacy.keyring import Keyring
from privacy.raw_table import packaged_contract

if TYPE_CHECKING:
    from tests.conftest import World


def test_neither_a_run_nor_an_impact_reads_several_days_of_a_customer(own_world: World) -> None:
    here = own_world.settings
    rows = pq.read_table(here.raw / "uci_credit.parquet")
    days = [pa.array([date(2005, month, 1)] * rows.num_rows, pa.date32()) for month in (8, 9)]
    book = here.raw / "days.parquet"
    pq.write_table(pa.concat_tables([rows.append_column("as_of", day) for day in days]), book)
    text = packaged_contract("uci_credit").model_dump(by_alias=True)
    day = {"name": "as_of", "type": "date32", "sensitivity": "none", "role": "time"}
    use = {"action": "keep", "purposes": ["training", "decision"], "why": "The day."}
    declared = ColumnContract.model_validate(
        text
        | {"id": "uci-days", "row": ["customer_id", "as_of"]}
        | {"columns": [*text["columns"], day | use]}
    )
    released = gate.protect(
        book,
        declared,
        keyring=Keyring.open(here.keyring),
        out=here.features,
        purpose=Purpose.DECISION,
        vault=here.vault,
    )
    assert released.day == "as_of"
    logs = sorted(here.decisions.rglob("*.parquet"))
    ran = CliRunner().invoke(app, ["decide", "--contract", "uci-days", "--as-of", "2005-10-01"])
    assert ran.exit_code == 10, ran.output
    assert "appear more than once" in " ".join(ran.stderr.split())
    assert sorted(here.decisions.rglob("*.parquet")) == logs
    question = activation.Question(as_of=date(2005, 10, 1))
    with pytest.raises(ContractError, match="appear more than once"):
        activation.weigh(here, "champion", table="uci-days", question=question)
