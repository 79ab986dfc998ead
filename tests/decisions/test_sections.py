"""Every section of the complete example policy, worked by hand."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pytest

from decisions import engine, inputs
from decisions.plan import Climate, Freeze, Plan, Regime
from decisions.policy import LimitPolicy, packaged
from decisions.reason_texts import explain
from decisions.reasons import Reason
from governance.errors import ContractError, UsageError
from privacy import assignment

TEXT = packaged("consumer_sme")
POLICY = LimitPolicy.parse(TEXT)

AS_OF = date(2026, 4, 1)
MATRIX = POLICY.matrix
YUAN = 100

GOOD = {
    "default_probability": 0.01,
    "current_limit_minor": 100_000 * YUAN,
    "balance_minor": 0,
    "utilization": 0.5,
    "months_delinquent": 0,
    "months_since_raise": 12,
    "months_since_cut": 12,
    "segment": "consumer",
    "product": "card",
    "previous_band": None,
    "previous_probability": 0.01,
    "payment_ratio": 1.0,
    "income_minor": 100_000 * YUAN,
    "debt_service_minor": 0,
    "total_debt_minor": 0,
    "other_exposure_minor": 0,
    "altman_z": None,
    "debt_service_coverage": None,
    "monthly_revenue_minor": None,
    "refuses_automation": False,
    "has_consent": True,
    "months_since_assessment": 0,
    "arm": "policy",
    "assignment": 0,
}
TRADER = {
    "segment": "sole_trader",
    "product": None,
    "debt_service_coverage": 1.2,
    "monthly_revenue_minor": 100_000 * YUAN,
}
# A legal person has no household income; its accounts speak instead.
FIRM = TRADER | {
    "segment": "small_firm",
    "altman_z": 2.6,
    "income_minor": None,
    "debt_service_minor": None,
    "total_debt_minor": None,
}
LOW, HIGH = Reason.LOW_RISK, Reason.HIGH_RISK
# Band F with a jump ruled out, and band D with a limit that is nearly used up.
BAD = {"default_probability": 0.5, "previous_probability": 0.5}
DULL = {"default_probability": 0.15, "previous_probability": 0.15, "utilization": 0.91}


def batch(policy: LimitPolicy = POLICY, **columns: object) -> pa.RecordBatch:
    types = {"default_probability": pa.float64(), **inputs.needed(policy)}
    row = GOOD | columns
    return pa.RecordBatch.from_pydict({name: pa.array([row[name]], types[name]) for name in types})


def decide(
    as_of: date = AS_OF, climate: Climate | None = None, **columns: object
) -> dict[str, object]:
    climate = climate or Climate()
    return engine.decide(POLICY, batch(**columns), as_of=as_of, climate=climate).to_pylist()[0]


WORKED = [
    ({}, 130_000, "raise", LOW),
    # Hysteresis: 10 % around the edge 0.02 the previous band is kept.
    (
        {"previous_band": "B", "default_probability": 0.0195},
        120_000,
        "raise",
        LOW | Reason.BAND_KEPT,
    ),
    ({"previous_band": "B", "default_probability": 0.018}, 130_000, "raise", LOW),
    (
        {"previous_band": "A", "default_probability": 0.0215},
        130_000,
        "raise",
        LOW | Reason.BAND_KEPT,
    ),
    ({"previous_band": "A", "default_probability": 0.0221}, 120_000, "raise", LOW),
    ({"previous_band": "Z"}, 100_000, "review", Reason.INPUT_MISSING),
    # 180,000 x 1.30 = 234,000, above the legal cap of the product.
    (
        {"product": "internet_consumer", "current_limit_minor": 180_000 * YUAN},
        200_000,
        "raise",
        LOW | Reason.POLICY_CAP,
    ),
    # From 6 % to 12 % is twice; D would hold.
    (
        {"default_probability": 0.12, "previous_probability": 0.06},
        70_000,
        "cut",
        Reason.PROBABILITY_JUMP,
    ),
    ({"default_probability": 0.12, "previous_probability": 0.0601}, 100_000, "hold", 0),
    ({"previous_probability": None}, 100_000, "hold", LOW | Reason.HISTORY_UNKNOWN),
    ({"previous_probability": float("nan")}, 100_000, "review", Reason.INPUT_MISSING),
    # The drained class would raise to 1.30 at most; the stress cuts to 0.70.
    (
        {"utilization": 0.95, "payment_ratio": 0.10},
        70_000,
        "cut",
        LOW | Reason.PAYMENT_STRESS,
    ),
    # (20,000 x 0.80 x 0.50 - 2,000) / 0.05 = 120,000.
    (
        {"income_minor": 20_000 * YUAN, "debt_service_minor": 2_000 * YUAN},
        120_000,
        "raise",
        LOW | Reason.AFFORDABILITY,
    ),
    # No room at all: the raise is withheld, and nothing is cut.
    (
        {"income_minor": 20_000 * YUAN, "debt_service_minor": 9_000 * YUAN},
        100_000,
        "hold",
        LOW | Reason.AFFORDABILITY,
    ),
    ({"income_minor": None}, 100_000, "review", Reason.INPUT_MISSING),
    ({"income_minor": -1}, 100_000, "review", Reason.INPUT_MISSING),
    ({"income_minor": 10**13 + 1}, 100_000, "review", Reason.INPUT_MISSING),
    # 100,000 x 0.80 x 12 x 1.50 = 1,440,000.
    ({"total_debt_minor": 1_440_000 * YUAN}, 130_000, "raise", LOW),
    ({"total_debt_minor": 1_440_000 * YUAN + 1}, 100_000, "hold", LOW | Reason.OVER_INDEBTED),
    # 1,500,000 - 1,380,000 = 120,000.
    (
        {"other_exposure_minor": 1_380_000 * YUAN},
        120_000,
        "raise",
        LOW | Reason.AGGREGATE_CEILING,
    ),
    ({"has_consent": False}, 100_000, "hold", LOW | Reason.CONSENT_MISSING),
    ({"has_consent": None}, 100_000, "review", Reason.INPUT_MISSING),
    ({"months_since_assessment": 12}, 130_000, "raise", LOW),
    ({"months_since_assessment": 13}, 100_000, "hold", LOW | Reason.ASSESSMENT_STALE),
    ({"refuses_automation": True}, 100_000, "review", Reason.AUTOMATION_REFUSED),
    ({"arm": "hold_out"}, 100_000, "hold", LOW | Reason.HOLD_OUT),
    ({"arm": "nonsense"}, 100_000, "review", Reason.INPUT_MISSING),
    # Draw 6 >> 1 = 3 is the multiplier 1.20: 100,000 x 1.05 x 1.20.
    (
        {"arm": "explore", "assignment": 6, "default_probability": 0.03, "utilization": 0.2},
        126_000,
        "raise",
        LOW | Reason.EXPLORATION,
    ),
    # Band D is not open to the trial.
    (
        {
            "arm": "explore",
            "assignment": 6,
            "default_probability": 0.15,
            "previous_probability": 0.15,
        },
        100_000,
        "hold",
        0,
    ),
    (TRADER, 130_000, "raise", LOW),
    (TRADER | {"debt_service_coverage": 1.19}, 100_000, "hold", LOW | Reason.DEBT_COVERAGE),
    (
        TRADER | {"monthly_revenue_minor": 80_000 * YUAN},
        120_000,
        "raise",
        LOW | Reason.BUSINESS_REVENUE,
    ),
    # A sole trader answers with the household's income as well.
    (TRADER | {"income_minor": None}, 100_000, "review", Reason.INPUT_MISSING),
    (FIRM, 130_000, "raise", LOW),
    (FIRM | {"altman_z": 2.59}, 100_000, "hold", LOW | Reason.BUSINESS_SOUNDNESS),
    (FIRM | {"altman_z": 1.09}, 70_000, "cut", LOW | Reason.BUSINESS_SOUNDNESS),
    (FIRM | {"altman_z": None}, 100_000, "review", Reason.INPUT_MISSING),
    (FIRM | {"altman_z": -3.0}, 70_000, "cut", LOW | Reason.BUSINESS_SOUNDNESS),
    # Exactly on an edge.
    ({"previous_band": "B", "default_probability": 0.02 * (1 - 0.1)}, 130_000, "raise", LOW),
    (
        {"previous_band": "A", "default_probability": 0.02 * (1 + 0.1)},
        130_000,
        "raise",
        LOW | Reason.BAND_KEPT,
    ),
    ({"default_probability": 0.0}, 130_000, "raise", LOW),
    ({"default_probability": 1.0, "previous_probability": 1.0}, 60_000, "cut", HIGH),
    ({"utilization": 0.3}, 110_000, "raise", LOW),
    ({"utilization": 0.7}, 130_000, "raise", LOW),
    ({"utilization": 0.71}, 130_000, "raise", LOW | Reason.STEP_BOUND),
    (
        {"default_probability": 0.1, "previous_probability": 0.05},
        70_000,
        "cut",
        LOW | Reason.PROBABILITY_JUMP,
    ),
    ({"default_probability": 0.0999, "previous_probability": 0.01}, 110_000, "raise", LOW),
    (
        {"utilization": 0.9499, "payment_ratio": 0.1},
        130_000,
        "raise",
        LOW | Reason.STEP_BOUND,
    ),
    (
        {"utilization": 0.95, "payment_ratio": 0.1001},
        130_000,
        "raise",
        LOW | Reason.STEP_BOUND,
    ),
    ({"months_delinquent": 1}, 130_000, "raise", LOW),
    ({"months_delinquent": 2}, 70_000, "cut", LOW | Reason.EARLY_WARNING),
    (FIRM | {"altman_z": 1.1}, 100_000, "hold", LOW | Reason.BUSINESS_SOUNDNESS),
    (FIRM | {"debt_service_coverage": 1.19}, 100_000, "hold", LOW | Reason.DEBT_COVERAGE),
    ({"months_since_raise": 6, "months_since_cut": 6}, 130_000, "raise", LOW),
    ({"months_since_raise": 5}, 100_000, "hold", LOW | Reason.COOL_DOWN),
    # Raised or cut this very month is known, and recent.
    ({"months_since_raise": 0}, 100_000, "hold", LOW | Reason.COOL_DOWN),
    ({"months_since_cut": 0}, 100_000, "hold", LOW | Reason.COOL_DOWN),
    ({"months_since_cut": 5}, 100_000, "hold", LOW | Reason.COOL_DOWN),
    ({"months_since_cut": None}, 100_000, "hold", LOW | Reason.HISTORY_UNKNOWN),
    (BAD | {"months_since_cut": 0}, 100_000, "hold", HIGH | Reason.COOL_DOWN),
    (BAD | {"months_since_cut": 1}, 60_000, "cut", HIGH),
    # An unknown history stops a raise; a cut needs none.
    (BAD | {"months_since_cut": None}, 60_000, "cut", HIGH),
    ({"other_exposure_minor": 10**13}, 100_000, "hold", LOW | Reason.AGGREGATE_CEILING),
    ({"other_exposure_minor": 10**13 + 1}, 100_000, "review", Reason.INPUT_MISSING),
    # D, nearly used up: 0.95, and exactly the smallest change that is made.
    (DULL, 95_000, "cut", HIGH),
    # 95,095 is rounded up to 95,100, and 5,000 of 100,100 are less than 5 %.
    (
        DULL | {"current_limit_minor": 100_100 * YUAN},
        100_100,
        "hold",
        HIGH | Reason.SMALL_CHANGE,
    ),
    # One fen more than 100,000 yuan: half of it is no whole fen, and no cut takes more than half.
    (
        BAD | {"utilization": 0.2, "current_limit_minor": 100_000 * YUAN + 1},
        50_100,
        "cut",
        HIGH | Reason.STEP_BOUND,
    ),
    # Whoever shows a sign of distress explores nothing.
    (
        {"arm": "explore", "assignment": 6, "months_delinquent": 2},
        70_000,
        "cut",
        LOW | Reason.EARLY_WARNING,
    ),
    # Nobody knows what a row says that cannot be read, a refusal included.
    ({"refuses_automation": True, "income_minor": None}, 100_000, "review", Reason.INPUT_MISSING),
]


@pytest.mark.parametrize(("differs", "limit", "action", "reasons"), WORKED)
def test_every_section_decides_as_worked_by_hand(
    differs: dict[str, object], limit: int, action: str, reasons: int
) -> None:
    row = decide(**differs)
    assert (row["limit_after_minor"], row["action"]) == (limit * YUAN, action)
    assert row["reasons"] == reasons, explain(int(str(row["reasons"])))
    assert (row["temporary_uplift_minor"], row["uplift_expires_on"]) == (0, None)


def test_affordability_cuts_only_where_the_policy_says_so() -> None:
    strict = LimitPolicy.parse(TEXT.replace('applies_to = "raises"', 'applies_to = "all"'))
    poor = {"income_minor": 10_000 * YUAN, "debt_service_minor": 1_000 * YUAN}
    # (10,000 x 0.40 - 1,000) / 0.05 = 60,000.
    row = engine.decide(strict, batch(**poor), as_of=AS_OF).to_pylist()[0]
    assert (row["limit_after_minor"], row["action"]) == (60_000 * YUAN, "cut")
    assert decide(**poor)["action"] == "hold"


def test_a_downturn_tightens_and_says_so() -> None:
    down = Climate(regime=Regime.DOWNTURN)
    # B may not be raised: the logit of 3 % moves to 4.4 %, still B.
    held = decide(climate=down, default_probability=0.03)
    assert (held["action"], held["reasons"]) == ("hold", Reason.MACRO_REGIME)
    # 35 % moves to 44.6 %, band F: 0.60, and its cut is enlarged by 1.25 to 0.50.
    cut = decide(climate=down, default_probability=0.35, previous_probability=0.35)
    assert (cut["limit_after_minor"], cut["band"]) == (50_000 * YUAN, "F")
    assert cut["reasons"] == HIGH | Reason.MACRO_REGIME


def test_a_downturn_raises_the_best_by_half_and_says_nothing_where_it_changes_nothing() -> None:
    down = Climate(regime=Regime.DOWNTURN)
    best = decide(climate=down)
    assert best["limit_after_minor"] == 115_000 * YUAN
    assert best["reasons"] == LOW | Reason.MACRO_REGIME
    # 12 % moves to 16.9 %, still D, which holds in every regime.
    same = decide(climate=down, default_probability=0.12, previous_probability=0.12)
    assert (same["action"], same["reasons"]) == ("hold", 0)


@pytest.mark.parametrize(
    ("general", "by_product"),
    [
        (150_000, {"internet_consumer": 150_000, "card": 150_000}),
        (250_000, {"internet_consumer": 200_000, "card": 250_000}),
        (400_000, {"internet_consumer": 200_000, "card": 300_000}),
    ],
)
def test_of_the_caps_of_a_segment_and_of_a_product_the_lower_holds(
    general: int, by_product: dict[str, int]
) -> None:
    """The policy caps the internet loan at 200,000 and the card at 300,000."""
    policy = LimitPolicy.parse(
        f"{TEXT}\n[[caps]]\nsegment = 'consumer'\ncap_minor = {general * YUAN}\n"
        "effective_from = 2026-01-01\nkind = 'house'\nsource = 'test'\n"
    )
    for product, cap in by_product.items():
        near = batch(policy, product=product, current_limit_minor=(cap - 20_000) * YUAN)
        row = engine.decide(policy, near, as_of=AS_OF).to_pylist()[0]
        assert (row["limit_after_minor"], row["reasons"]) == (cap * YUAN, LOW | Reason.POLICY_CAP)


def test_a_boom_raises_good_customers_within_the_step() -> None:
    row = decide(climate=Climate(regime=Regime.BOOM))
    # 1 + 0.30 x 1.20 = 1.36, bounded at 1.30.
    assert row["limit_after_minor"] == 130_000 * YUAN
    assert row["reasons"] == LOW | Reason.MACRO_REGIME | Reason.STEP_BOUND


def test_a_regime_without_dials_is_refused() -> None:
    plain = POLICY.model_copy(update={"macro": None})
    with pytest.raises(ContractError, match="no dials for the regime boom"):
        engine.decide(plain, batch(), as_of=AS_OF, climate=Climate(regime=Regime.BOOM))


@pytest.mark.parametrize(
    ("as_of", "demand", "uplift", "expiry"),
    [
        (date(2026, 1, 31), None, 0, None),
        (date(2026, 2, 1), None, 26_000, date(2026, 3, 20)),  # 130,000 x 0.20
        (date(2026, 2, 23), None, 26_000, date(2026, 3, 20)),
        (date(2026, 2, 24), None, 0, None),
        (date(2026, 6, 1), 0.9, 0, None),
        (date(2026, 6, 1), 1.25, 13_000, date(2026, 7, 15)),  # half-way up the ramp
        (date(2026, 6, 1), 9.0, 26_000, date(2026, 7, 15)),
    ],
)
def test_a_season_lifts_beside_the_permanent_limit_until_its_day(
    as_of: date, demand: float | None, uplift: int, expiry: date | None
) -> None:
    row = decide(as_of, Climate(demand_index=demand))
    assert row["limit_after_minor"] == 130_000 * YUAN
    assert (row["temporary_uplift_minor"], row["uplift_expires_on"]) == (uplift * YUAN, expiry)
    assert bool(int(str(row["reasons"])) & Reason.SEASONAL_UPLIFT) == (uplift > 0)


SPRING = date(2026, 2, 10)


@pytest.mark.parametrize(
    "differs",
    [
        {"months_delinquent": 2},
        {"utilization": 0.95, "payment_ratio": 0.05},
        {"default_probability": 0.07, "previous_probability": 0.07},
        {"has_consent": False},
        {"months_since_cut": 3},
        {"months_since_cut": None},
        {"total_debt_minor": 2_000_000 * YUAN},
        {"arm": "hold_out"},
        {"refuses_automation": True},
        {"other_exposure_minor": 1_500_000 * YUAN},
        {"income_minor": 0},
        {"current_limit_minor": 400_000 * YUAN},
    ],
)
def test_an_uplift_is_withheld_where_a_raise_would_be(differs: dict[str, object]) -> None:
    assert decide(SPRING, **differs)["temporary_uplift_minor"] == 0


def test_a_customer_whose_limit_is_cut_gets_no_uplift_on_top_of_it() -> None:
    """The season is for band B, and this policy takes a tenth from a customer of that band."""
    tight = POLICY.model_copy(
        update={
            "matrix": {name: (9_000,) * 4 if name != "A" else row for name, row in MATRIX.items()}
        }
    )
    cut = batch(default_probability=0.03)
    row = engine.decide(tight, cut, as_of=SPRING).to_pylist()[0]
    assert (row["limit_after_minor"], row["temporary_uplift_minor"]) == (90_000 * YUAN, 0)
    # The same customer, whom the policy leaves alone, gets it.
    held = POLICY.model_copy(update={"matrix": dict.fromkeys(MATRIX, (10_000,) * 4)})
    row = engine.decide(held, cut, as_of=SPRING).to_pylist()[0]
    assert (row["limit_after_minor"], row["temporary_uplift_minor"]) == (
        100_000 * YUAN,
        20_000 * YUAN,
    )


def test_an_uplift_is_clipped_by_cap_and_affordability() -> None:
    capped = decide(SPRING, product="internet_consumer", current_limit_minor=140_000 * YUAN)
    # 182,000 after the raise; 36,400 would end above 200,000.
    assert capped["temporary_uplift_minor"] == 18_000 * YUAN
    carried = decide(SPRING, income_minor=17_500 * YUAN)  # carries 140,000
    assert carried["temporary_uplift_minor"] == 10_000 * YUAN
    # 140,008 are carried: whole hundreds, and never more than that.
    odd = decide(SPRING, income_minor=17_501 * YUAN)
    assert odd["temporary_uplift_minor"] == 10_000 * YUAN
    # 100,100 becomes 130,100, and a fifth more is 156,120.
    rounded = decide(SPRING, current_limit_minor=100_100 * YUAN)
    assert rounded["temporary_uplift_minor"] == 26_000 * YUAN


def test_a_frozen_book_gets_no_uplift() -> None:
    row = engine.decide(POLICY, batch(), as_of=SPRING, freeze=Freeze.RAISES).to_pylist()[0]
    assert (row["temporary_uplift_minor"], row["action"]) == (0, "hold")


def test_a_season_that_follows_demand_needs_the_index() -> None:
    with pytest.raises(ContractError, match="none was passed"):
        decide(date(2026, 6, 1))


def test_a_product_without_a_cap_is_refused_or_reviewed() -> None:
    assert decide(product="unheard_of")["action"] == "review"
    assert decide(product=None)["action"] == "review"


@pytest.mark.parametrize("name", sorted(set(inputs.needed(POLICY)) - set(inputs.INPUT_TYPES)))
def test_a_needed_column_that_is_missing_is_named(name: str) -> None:
    with pytest.raises(ContractError, match=name):
        engine.decide(POLICY, batch().drop_columns([name]), as_of=AS_OF)


def test_the_trace_shows_the_limit_after_each_stage() -> None:
    plan = Plan.of(POLICY, as_of=AS_OF, freeze=Freeze.NOTHING, climate=Climate())
    limits = engine.trace(plan, batch(income_minor=20_000 * YUAN, debt_service_minor=2_000 * YUAN))
    assert list(limits) == list(engine.STAGES)
    assert limits["matrix"][0] == 130_000 * YUAN
    assert limits["affordability"][0] == limits["human_review"][0] == 120_000 * YUAN


def test_large_batches_are_decided_like_small_ones() -> None:
    many = pa.Table.from_batches([batch(default_probability=p / 100) for p in range(100)])
    whole = pa.concat_tables([many] * 800).combine_chunks().to_batches()[0]
    decided = engine.decide(POLICY, whole, as_of=AS_OF)
    alone = engine.decide(POLICY, many.combine_chunks().to_batches()[0], as_of=AS_OF)
    assert decided.num_rows == 80_000
    assert decided.slice(65_500, 100).equals(alone)


def test_the_trial_draws_from_bits_that_neither_seal_nor_arm_uses() -> None:
    """Flipping bits 1-15 changes the drawn multiplier and nothing else."""
    numbers = pa.array([0xFFFF_0000 | draw << 1 | seal for draw in range(8) for seal in (0, 1)])
    numbers = numbers.cast(pa.uint32())
    assert set(assignment.arm(numbers).to_pylist()) == {"explore"}
    limits = [
        decide(arm="explore", assignment=number, default_probability=0.03, utilization=0.2)[
            "limit_after_minor"
        ]
        for number in numbers.to_pylist()
    ]
    assert limits[::2] == limits[1::2]
    assert len(set(limits)) == 4


def test_a_climate_survives_its_document() -> None:
    climate = Climate(regime=Regime.DOWNTURN, demand_index=1.25)
    assert Climate.read(climate.as_document()) == climate
    assert Climate.read({}) == Climate()
    assert Climate.read({"demand_index": 0}).demand_index == 0
    for wrong in ("much", -1, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="A demand index is a number from 0 up"):
            Climate.read({"demand_index": wrong})
    with pytest.raises(UsageError, match="one of neutral, downturn, boom"):
        Climate.read({"regime": "sunny"})


REFUSED = {
    "a season longer than its expiry": ("expires_on = 2026-03-20", "expires_on = 2026-02-20"),
    "a season that never ends": ("expires_on = 2026-03-20", "expires_on = 2027-03-20"),
    "two seasons on a day": ("starts_on = 2026-05-25", "starts_on = 2026-02-20"),
    "an unknown band in a season": ('bands = ["A", "B"]\n\n[[s', 'bands = ["AA"]\n\n[[s'),
    "an unknown segment": ('legal_persons = ["small_firm"]', 'legal_persons = ["firm"]'),
    "an income counted twice": ("income_haircut = 0.80\n\n[over", "income_haircut = 2\n\n[over"),
    "payments of nothing": ("minimum_payment_rate = 0.05", "minimum_payment_rate = 0"),
    "a cap without a source": ('source = "商业银行互联网贷款管理暂行办法 第六条"\n', ""),
    "a ramp that falls": ("starts_at = 1.0, full_at = 1.5", "starts_at = 2.0, full_at = 1.5"),
    "a jump that is none": ("ratio = 2.0", "ratio = 1.0"),
    "a refusal that is ignored": ('refusal = "review"', 'refusal = "ignore"'),
    "a segment that is both": ('sole_traders = ["sole_trader"]', 'sole_traders = ["small_firm"]'),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_section_that_cannot_be_meant_is_refused(name: str) -> None:
    old, new = REFUSED[name]
    assert old in TEXT
    with pytest.raises(ContractError, match="limit policy cannot be used"):
        LimitPolicy.parse(TEXT.replace(old, new))


def test_the_complete_example_has_every_section() -> None:
    """It is what people copy: a section that it lacks is a rule that they will lack."""
    said = POLICY.model_dump()
    assert [name for name, value in said.items() if value in (None, ())] == ["effective_to"]
