"""A made-up table with three vintages of each customer, from its file to a validated candidate."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from decisions import policy as policies
from governance import settings
from limitline.commands import app
from monitoring.validate import validate
from monitoring.watch import read_appetite
from tests.training.declared import LATE_AND_LOAD
from training import alternatives as making

PEOPLE = 700
DAYS = (date(2025, 1, 31), date(2025, 2, 28), date(2025, 3, 31))

CONTRACT = """
schema = "column-contract/1"
id = "stalls"
version = "1"
title = "Simulated credit lines of market stalls, month-ends"
source = "simulated"
row = ["stall", "as_of"]
"""

COLUMNS = {
    "stall": ("string", "subject_id", "pseudonymize"),
    "as_of": ("date32", "time", "keep"),
    "sex": ("string", "protected_attribute", "audit"),
    "line": ("int64", "feature", "keep"),
    "owed": ("int64", "feature", "keep"),
    "late": ("int64", "feature", "keep"),
    "failed": ("int64", "label", "keep"),
}

SPEC = (
    """
schema = "feature-spec/1"
id = "stalls"
version = "1"
title = "Simulated market stalls"
horizon_months = 3
currency = "CNY"
current_limit_column = "line"
"""
    + LATE_AND_LOAD
    + """
[inputs]
current_limit_minor = "line * 100"
balance_minor = "owed * 100"
utilization = "owed * 1.0 / line"
months_delinquent = "late"
months_since_raise = "NULL"
months_since_cut = "NULL"
segment = "'consumer'"
"""
)


def stalls(people: int = PEOPLE, seed: int = 4) -> pa.Table:
    """Three month-ends of each stall; the outcome of March is not known yet."""
    rng = np.random.default_rng(seed)
    parts = []
    frail = rng.normal(size=people)
    for day in DAYS:
        late, line = rng.poisson(0.5, people), rng.integers(5_000, 50_000, people)
        owed = (rng.beta(2, 3, people) * line).astype(np.int64)
        odds = -2.2 + 0.9 * late + 2.0 * owed / line + 0.5 * frail
        failed = (rng.random(people) < 1 / (1 + np.exp(-odds))).astype(np.int64)
        parts.append(
            pa.table(
                {
                    "stall": [f"stall {number}" for number in range(people)],
                    "as_of": pa.array([day] * people, pa.date32()),
                    "sex": ["F" if number % 2 else "M" for number in range(people)],
                    "line": line,
                    "owed": owed,
                    "late": pa.array(late, pa.int64()),
                    "failed": pa.array(failed, mask=np.full(people, day == DAYS[2])),
                }
            )
        )
    return pa.concat_tables(parts)


def contract_text() -> str:
    text = CONTRACT
    for name, (kind, role, action) in COLUMNS.items():
        text += f'\n[[columns]]\nname = "{name}"\ntype = "{kind}"\nsensitivity = "C2"\n'
        text += f'role = "{role}"\naction = "{action}"\nwhy = "Simulated."\n'
        text += 'purposes = ["training", "decision"]\n' if action == "keep" else ""
        text += "may_be_null = true\n" if role == "label" else ""
        if action == "audit":
            text += 'codes = { F = "female", M = "male" }\nreference_group = "female"\n'
    return text


def ok(ran: Result) -> dict[str, object]:
    assert ran.exit_code == 0, ran.output
    found: dict[str, object] = json.loads(ran.stdout)
    return found


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIMITLINE_HOME", str(tmp_path / "home"))
    assert CliRunner().invoke(app, ["keys", "init"]).exit_code == 0
    (tmp_path / "contract.toml").write_text(contract_text(), encoding="utf-8")
    (tmp_path / "features.toml").write_text(SPEC, encoding="utf-8")
    policy = policies.packaged("uci_demo").replace('currency = "TWD"', 'currency = "CNY"')
    (tmp_path / "policy.toml").write_text(policy, encoding="utf-8")
    pq.write_table(stalls(), tmp_path / "stalls.parquet")
    return tmp_path


def test_three_vintages_of_each_customer_go_from_a_file_to_a_validated_candidate(
    desk: Path,
) -> None:
    given = ["--contract", f"{desk}/contract.toml", "--input", f"{desk}/stalls.parquet"]
    released = ok(CliRunner().invoke(app, ["protect", *given, "--json"]))
    opened, sealed = int(str(released["open_rows"])), int(str(released["sealed_rows"]))
    assert opened % 3 == sealed % 3 == 0
    assert opened + sealed == 3 * PEOPLE

    declared = ["--spec", f"{desk}/features.toml", "--policy", f"{desk}/policy.toml"]
    rule = ["--vintage", "as_of", "--cutoff", "2025-06-01"]
    made = ok(
        CliRunner().invoke(app, ["train", "--contract", "stalls", *declared, *rule, "--json"])
    )
    lineage, caveats = made["lineage"], made["caveats"]
    assert isinstance(lineage, dict)
    assert isinstance(caveats, list)
    # January and February are learned from, of every open customer; March is awaited.
    assert int(lineage["data_rows_read"]) == opened
    assert int(lineage["data_rows"]) == opened * 2 // 3
    assert int(lineage["data_customers"]) == opened // 3
    assert lineage["data_rows_superseded"] == "0"
    assert lineage["data_sampling"] == "every row with a known outcome of every open customer"
    assert any(f"are of {opened // 3} customers" in said for said in caveats)
    assert any("learned from on an older day" in said for said in caveats)

    subject = making.take_up(settings.load(), "latest")
    assert subject.rows.number_of_customers == {"customers": opened // 3}
    again = ok(CliRunner().invoke(app, ["reproduce", "latest", "--json"]))
    assert not again["differences"]

    found = validate(
        settings.load(),
        "latest",
        contract="stalls",
        appetite=read_appetite(),
        on=date(2026, 1, 5),
    ).evidence
    measured = {(one.measure, one.scope.get("reason", "")): one for one in found.measurements}
    # One row of each sealed customer, of February: the newest whose window was over.
    assert measured["labels.unknown", ""].n == sealed // 3
    assert measured["labels.unknown", ""].value == 0
    assert measured["discrimination.auc", ""].n == sealed // 3
    assert any(f"other {sealed * 2 // 3:,} sealed rows" in said for said in found.not_evidenced)
