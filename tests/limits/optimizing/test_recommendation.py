"""The verb: files in, a table of recommendations out, and a refusal that says why."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from governance.errors import ContractError
from limits.__main__ import app
from limits.optimizing.economics import Economics, packaged
from limits.policy import packaged as packaged_policy


def arranged(folder: Path, economics: str) -> list[str]:
    rng = np.random.default_rng(0)
    n = 3_000
    limit = rng.integers(2, 50, n) * 1_000_000
    utilization = rng.beta(1.2, 1.5, n)
    risk = rng.beta(0.8, 4.0, n)
    table = pa.table(
        {
            "default_probability": risk,
            "current_limit_minor": limit,
            "balance_minor": (limit * utilization).astype(np.int64),
            "utilization": utilization,
            "months_delinquent": np.zeros(n, np.int64),
            "months_since_raise": np.full(n, 12),
            "months_since_cut": np.full(n, 12),
            "segment": ["consumer"] * n,
        }
    )
    pq.write_table(table, folder / "book.parquet")
    past = pa.table(
        {
            "default_probability": risk,
            "utilization": utilization,
            "limit_before_minor": limit,
            "limit_after_minor": (limit * rng.uniform(0.6, 1.3, n)).astype(np.int64),
        }
    )
    pq.write_table(past, folder / "history.parquet")
    (folder / "policy.toml").write_text(packaged_policy("uci_demo"), encoding="utf-8")
    (folder / "economics.toml").write_text(economics, encoding="utf-8")
    files = {"policy": "policy.toml", "economics": "economics.toml", "input": "book.parquet"}
    files |= {"history": "history.parquet", "output": "out.parquet"}
    named = [part for name, file in files.items() for part in (f"--{name}", str(folder / file))]
    return ["optimize", *named, "--as-of", "2005-10-01", "--json"]


def test_the_verb_writes_every_row_with_policy_limit_recommendation_and_why(
    tmp_path: Path,
) -> None:
    asked = arranged(tmp_path, packaged("uci_stylized"))
    ran = CliRunner().invoke(app, asked)
    assert ran.exit_code == 0, ran.output
    said = json.loads(ran.stdout)
    written = pq.read_table(tmp_path / "out.parquet")
    assert written.num_rows == said["customers"] == sum(said["counts"].values()) == 3_000
    assert said["assumed"] == [
        "margin: stylized", "loss: stylized", "capital: stylized", "response: simulated",
    ]  # fmt: skip
    money = said["expected_profit_minor"]
    assert money["policy"] < money["recommended"] <= money["upper_bound"]
    total = sum(written["recommended_limit_minor"].to_pylist())
    limits = next(budget for budget in said["budgets"] if budget["budget"] == "limits")
    assert total == limits["recommended_minor"] <= limits["allowed_minor"]
    first = (tmp_path / "out.parquet").read_bytes()
    assert CliRunner().invoke(app, asked).exit_code == 0
    assert (tmp_path / "out.parquet").read_bytes() == first


def test_an_impossible_budget_ends_with_14_names_itself_and_writes_nothing(tmp_path: Path) -> None:
    text = packaged("uci_stylized").replace(
        "[budgets.limits]\nof_policy = 1.0", "[budgets.limits]\namount_minor = 100"
    )
    ran = CliRunner().invoke(app, arranged(tmp_path, text))
    assert ran.exit_code == 14
    assert json.loads(ran.stdout)["outcome"] == "INCONCLUSIVE"
    assert "budget limits" in ran.output
    assert not (tmp_path / "out.parquet").exists()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('kind = "simulated"', 'kind = "guessed"'),
        ("given_default = 0.15", "given_default = 1.5"),
        ("least = 0.02", "least = 0.0"),
        ("revolving_share = 0.60", ""),
        ("of_policy = 1.0", "of_policy = 1.0\namount_minor = 5"),
        ("horizon_months = 1", "horizon_months = 1\nunknown = 2"),
    ],
)
def test_an_economics_file_that_cannot_be_meant_is_refused(old: str, new: str) -> None:
    text = packaged("uci_stylized")
    assert old in text
    with pytest.raises(ContractError, match="economics file"):
        Economics.parse(text.replace(old, new, 1))


def test_another_currency_or_day_is_refused() -> None:
    found = Economics.parse(packaged("uci_stylized"))
    with pytest.raises(ContractError, match="counts in TWD"):
        found.require_for("CNY", date(2005, 10, 1))
    with pytest.raises(ContractError, match="does not hold"):
        found.require_for("TWD", date(2005, 1, 1))
