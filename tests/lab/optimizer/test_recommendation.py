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

from decisions import notices
from decisions.policy import packaged as packaged_policy
from decisions.reasons import Reason
from governance.errors import ContractError
from lab.commands import app
from lab.optimizer.economics import Economics, packaged


def arranged(folder: Path, economics: str, policy: str = "uci_demo") -> list[str]:
    rng = np.random.default_rng(0)
    n = 3_000
    limit = rng.integers(2, 50, n) * 1_000_000
    utilization = rng.beta(1.2, 1.5, n)
    risk = rng.beta(0.8, 4.0, n)
    table = pa.table(
        {
            "default_probability": risk,
            "current_limit_minor": limit,
            "reference_limit_minor": limit,
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
    (folder / "policy.toml").write_text(packaged_policy(policy), encoding="utf-8")
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


def test_a_departure_carries_the_lenders_own_reason_and_nothing_else_does(tmp_path: Path) -> None:
    assert CliRunner().invoke(app, arranged(tmp_path, packaged("uci_stylized"))).exit_code == 0
    rows = pq.read_table(tmp_path / "out.parquet").to_pylist()
    departs = [row["recommended_limit_minor"] != row["policy_limit_minor"] for row in rows]
    told = [bool(row["recommendation_reasons"] & Reason.WHOLE_BOOK) for row in rows]
    assert told == departs
    assert 500 < sum(departs) < len(rows)
    # The bit is appended: no mask of an older log means another thing now.
    assert Reason.WHOLE_BOOK == max(Reason) == 1 << 28


def test_a_followed_cut_is_announced_as_the_lenders_own_action(tmp_path: Path) -> None:
    assert CliRunner().invoke(app, arranged(tmp_path, packaged("uci_stylized"))).exit_code == 0
    rows = pq.read_table(tmp_path / "out.parquet").to_pylist()
    deeper = next(
        row
        for row in rows
        if row["recommended_limit_minor"] < row["policy_limit_minor"] < row["current_limit_minor"]
        and row["months_delinquent"] == 0
    )
    decided = {
        "action": "cut",
        "reasons": deeper["recommendation_reasons"],
        "limit_before_minor": deeper["current_limit_minor"],
        "limit_after_minor": deeper["recommended_limit_minor"],
        "temporary_uplift_minor": 0,
        "uplift_expires_on": None,
    }
    lender = notices.Lender(name_en="Example Bank", name_zh="示例银行")
    said = notices.Announcement(lender=lender, language="en", on=date(2005, 10, 1))
    written = notices.write(decided, said, currency="TWD")
    app_text = next(notice.text for notice in written if notice.channel == "app")
    assert "your repayment risk as assessed: Raised assessed repayment risk" in app_text
    assert "an adjustment by the lender: The lender's adjustment of all its limits" in app_text


def test_a_freeze_recommends_no_raise(tmp_path: Path) -> None:
    asked = arranged(tmp_path, packaged("uci_stylized"))
    assert CliRunner().invoke(app, [*asked, "--freeze", "raises"]).exit_code == 0
    written = pq.read_table(tmp_path / "out.parquet")
    after, before = (
        written[name].to_numpy() for name in ("recommended_limit_minor", "current_limit_minor")
    )
    assert (after <= before).all()
    assert (after < before).any()


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (["--regime", "downturn"], 10, "has no dials for the regime downturn"),
        (["--regime", "gloom"], 2, "A macro regime is one of"),
        (["--demand-index", "-1"], 2, "A demand index is a number"),
        (["--freeze", "cuts"], 2, "--freeze takes nothing or raises"),
    ],
)
def test_climate_and_freeze_are_taken_as_the_other_verbs_take_them(
    tmp_path: Path, more: list[str], code: int, said: str
) -> None:
    ran = CliRunner().invoke(app, [*arranged(tmp_path, packaged("uci_stylized")), *more])
    assert ran.exit_code == code
    assert said in " ".join(ran.output.split())
    assert not (tmp_path / "out.parquet").exists()


def test_a_downturn_recommends_less_and_a_season_needs_its_demand_index(tmp_path: Path) -> None:
    economics = packaged("uci_stylized").replace('"TWD"', '"CNY"')
    asked = arranged(tmp_path, economics, "consumer_sme")
    book = pq.read_table(tmp_path / "book.parquet").drop_columns(["default_probability"])
    n = book.num_rows
    extra = {
        "default_probability": pa.array(np.random.default_rng(1).beta(0.5, 12.0, n)),
        "product": ["card"] * n,
        "previous_band": pa.nulls(n, pa.string()),
        "previous_probability": [0.5] * n,
        "payment_ratio": [1.0] * n,
        "income_minor": [10**9] * n,
        **dict.fromkeys(("debt_service_minor", "total_debt_minor"), [0] * n),
        "other_exposure_minor": [0] * n,
        **dict.fromkeys(("altman_z", "debt_service_coverage"), pa.nulls(n, pa.float64())),
        "monthly_revenue_minor": pa.nulls(n, pa.int64()),
        "refuses_automation": [False] * n,
        "has_consent": [True] * n,
        "months_since_assessment": [0] * n,
        "arm": ["policy"] * n,
        "assignment": pa.array([0] * n, pa.uint32()),
    }
    for name, values in extra.items():
        book = book.append_column(name, [pa.array(values) if isinstance(values, list) else values])
    pq.write_table(book, tmp_path / "book.parquet")
    asked[asked.index("2005-10-01")] = "2026-11-01"
    ran = CliRunner().invoke(app, asked)
    assert ran.exit_code == 10
    assert "follows the demand index, and none was passed" in " ".join(ran.output.split())
    totals = {}
    for regime in ("neutral", "downturn"):
        ran = CliRunner().invoke(app, [*asked, "--demand-index", "1.2", "--regime", regime])
        assert ran.exit_code == 0, ran.output
        said = json.loads(ran.stdout)
        assert said["climate"] == {"regime": regime, "demand_index": "1.2"}
        totals[regime] = sum(
            pq.read_table(tmp_path / "out.parquet")["recommended_limit_minor"].to_pylist()
        )
    assert totals["downturn"] < totals["neutral"]


def test_customers_without_a_limit_once_granted_are_counted_and_said(tmp_path: Path) -> None:
    asked = arranged(tmp_path, packaged("uci_stylized"))
    book = pq.read_table(tmp_path / "book.parquet").drop_columns(["reference_limit_minor"])
    pq.write_table(book, tmp_path / "book.parquet")
    ran = CliRunner().invoke(app, asked)
    assert json.loads(ran.stdout)["without_reference"] == 3_000
    people = CliRunner().invoke(app, [part for part in asked if part != "--json"])
    assert "3,000 customers without reference_limit_minor" in " ".join(people.output.split())


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


def test_an_economics_file_in_a_currency_without_hundredths_is_refused() -> None:
    text = packaged("uci_stylized").replace('currency = "TWD"', 'currency = "KRW"', 1)
    with pytest.raises(ContractError, match="KRW is not divided into a hundred parts"):
        Economics.parse(text)


def test_another_currency_or_day_is_refused() -> None:
    found = Economics.parse(packaged("uci_stylized"))
    with pytest.raises(ContractError, match="counts in TWD"):
        found.require_for("CNY", date(2005, 10, 1))
    with pytest.raises(ContractError, match="does not hold"):
        found.require_for("TWD", date(2005, 1, 1))
