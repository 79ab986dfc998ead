"""Ratios of a firm, worked by hand; what cannot be computed goes to a person and is never zero."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pytest

from decisions import engine, features, inputs, model, policy
from decisions.features import FeatureSpec, compute
from decisions.policy import LimitPolicy
from decisions.reasons import Reason

SPEC = FeatureSpec.parse(features.packaged("world_business_features"))
POLICY = LimitPolicy.parse(policy.packaged("world_business"))

# Half a year of statements: flows are of two quarters, stocks of the last day.
FIRM = {
    "segment": "small_firm",
    "stated_income_minor": 500_000,
    "reference_limit_minor": 20_000_000,
    "limit_minor": 25_000_000,
    "tenure_months": 30,
    "months_since_raise": 12,
    "months_since_cut": 30,
    **{f"status_m{i}": 0 for i in range(6)},
    **{f"balance_m{i}": 5_000_000 for i in range(6)},
    **{f"payment_m{i}": 1_000_000 for i in range(6)},
    **{f"income_m{i}": 4_000_000 for i in range(6)},
    "statement_quarters": 2,
    "revenue_newest_minor": 1_100,
    "revenue_before_minor": 1_000,
    "revenue_minor": 2_100_000_000,
    "ebit_minor": 50,
    "interest_paid_minor": 10,
    "cash_flow_minor": 60,
    "debt_service_minor": 40,
    "working_capital_minor": 200,
    "retained_earnings_minor": 300,
    "equity_minor": 600,
    "liabilities_minor": 400,
    "total_assets_minor": 1_000,
}
BALANCE_SHEET = ("working_capital", "retained_earnings", "equity", "liabilities", "total_assets")

# 6.56 x 0.2 + 3.26 x 0.3 + 6.72 x (50 x 4 / 2) / 1,000 + 1.05 x 600 / 400, by hand.
Z = 1.312 + 0.978 + 0.672 + 1.575


def told(**changes: object) -> dict[str, object]:
    row = {**FIRM, **changes}
    numbers = {"segment": pa.string()}
    table = pa.table(
        {name: pa.array([value], numbers.get(name, pa.int64())) for name, value in row.items()}
    )
    return dict(compute(SPEC, table).to_pylist()[0])


def decided(**changes: object) -> dict[str, object]:
    row = told(**changes)
    table = pa.table({name: [row[name]] for name in SPEC.inputs})
    types = inputs.needed(POLICY)
    columns = {name: table[name].cast(kind) for name, kind in types.items()}
    columns["default_probability"] = pa.chunked_array([[0.01]])
    batch = pa.table(columns).to_batches()[0]
    found: dict[str, object] = engine.decide(POLICY, batch, as_of=date(2024, 9, 30)).to_pylist()[0]
    return found


def test_altman_z_is_what_a_hand_computes() -> None:
    row = told()
    assert row["altman_z"] == pytest.approx(Z) == pytest.approx(4.537)
    assert row["altman_z_score"] == pytest.approx(Z)
    assert row["debt_service_coverage"] == pytest.approx(1.5)
    assert row["interest_cover"] == pytest.approx(5.0)
    assert row["liabilities_to_assets"] == pytest.approx(0.4)
    assert row["equity_to_liabilities"] == pytest.approx(1.5)
    assert row["revenue_trend"] == pytest.approx(1.1)
    assert row["monthly_revenue_minor"] == 2_100_000_000 // 6
    assert row["utilization_now"] == pytest.approx(0.25)  # Of the reference limit.
    assert row["utilization"] == pytest.approx(0.2)  # Of the limit under decision.


# Only working capital moves: Z'' = Z + 6.56 x (WC / 1,000 - 0.2). The zones end at 1.10 and 2.60.
@pytest.mark.parametrize(
    ("working_capital", "z", "action", "reason"),
    [
        (200, 4.537, "raise", None),
        (-95, 2.6018, "raise", None),  # Just safe.
        (-96, 2.59524, "hold", Reason.BUSINESS_SOUNDNESS),  # Just gray: nothing is raised.
        (-323, 1.10612, "hold", Reason.BUSINESS_SOUNDNESS),
        (-324, 1.09956, "cut", Reason.BUSINESS_SOUNDNESS),  # Just distressed.
    ],
)
def test_the_published_zones_decide(
    working_capital: int, z: float, action: str, reason: Reason | None
) -> None:
    changed = {"working_capital_minor": working_capital}
    assert told(**changed)["altman_z"] == pytest.approx(z, abs=1e-9)
    decision = decided(**changed)
    assert decision["action"] == action
    assert bool(int(decision["reasons"]) & Reason.BUSINESS_SOUNDNESS) is (reason is not None)


@pytest.mark.parametrize(
    ("what", "changes", "unknown"),
    [
        ("no assets", {"total_assets_minor": 0}, "altman_z"),
        ("no liabilities", {"liabilities_minor": 0}, "altman_z"),
        ("no debt service", {"debt_service_minor": 0}, "debt_service_coverage"),
        ("no cash flow filed", {"cash_flow_minor": None}, "debt_service_coverage"),
        ("no revenue filed", {"revenue_minor": None}, "monthly_revenue_minor"),
        ("no balance sheet", {f"{n}_minor": None for n in BALANCE_SHEET}, "altman_z"),
        ("no statement", {"statement_quarters": 0, "ebit_minor": None}, "altman_z"),
    ],
)
def test_what_cannot_be_computed_goes_to_a_person(
    what: str, changes: dict[str, object], unknown: str
) -> None:
    row = told(**changes)
    assert row[unknown] is None, what
    # The model has its stated neutral value; no feature is empty or a silent zero.
    assert all(row[name] is not None for name in SPEC.names)
    decision = decided(**changes)
    assert decision["action"] == "review"
    assert int(decision["reasons"]) & Reason.INPUT_MISSING
    assert decision["limit_after_minor"] == decision["limit_before_minor"]


def test_unknown_ratios_are_neutral_for_the_model_and_not_the_worst_there_is() -> None:
    row = told(**{f"{name}_minor": None for name in BALANCE_SHEET})
    assert row["altman_z_score"] == 1.85
    assert row["equity_to_liabilities"] == 1.0
    assert row["liabilities_to_assets"] == 0.5


def test_a_sole_trader_needs_no_balance_sheet_but_coverage_and_revenue() -> None:
    trader: dict[str, object] = {f"{name}_minor": None for name in BALANCE_SHEET}
    trader["segment"] = "sole_trader"
    assert decided(**trader)["action"] == "raise"
    short = decided(**trader, cash_flow_minor=20)
    assert short["action"] == "hold"
    assert int(short["reasons"]) & Reason.DEBT_COVERAGE
    assert decided(**trader, debt_service_minor=0)["action"] == "review"


def test_revenue_bounds_the_limit_of_a_firm() -> None:
    # Five months of revenue of 5,000,000 are less than a raise of 25,000,000 would give.
    bounded = decided(revenue_minor=30_600_000)
    assert bounded["limit_after_minor"] <= 5 * (30_600_000 // 6)
    assert int(bounded["reasons"]) & Reason.BUSINESS_REVENUE


@pytest.mark.parametrize("name", ["world_business_features", "world_consumer_features"])
def test_no_feature_reads_the_limit_under_decision(name: str) -> None:
    assert not FeatureSpec.parse(features.packaged(name)).does_read_current_limit


def test_spec_and_policy_fit_together() -> None:
    model.require_fit(SPEC, POLICY)
