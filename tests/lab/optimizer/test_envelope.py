"""The declared envelope: worked by hand, refused where it cannot be meant, and never left."""

from __future__ import annotations

import re
from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decisions import engine, inputs
from decisions import policy_cases as cases
from decisions.plan import Climate, Freeze, Moment, Plan, Regime
from decisions.policy import LimitPolicy
from decisions.policy import packaged as packaged_policy
from decisions.policy_cases import Case
from decisions.policy_review import diff
from decisions.sections import REFERENCE
from governance.errors import ContractError
from lab.optimizer import optimization
from lab.optimizer.economics import Economics, packaged
from lab.optimizer.envelope import LimitBounds, find_envelope
from tests.decisions.engine_laws import LAWS
from tests.lab.optimizer.envelope_laws import BOUNDS, breaks, recommended

TEXT, SME_TEXT = packaged_policy("uci_demo"), packaged_policy("consumer_sme")
UCI, SME = LimitPolicy.parse(TEXT), LimitPolicy.parse(SME_TEXT)
THOUSAND = 100_000
SECTION = re.compile(r"\[envelope\].*?(?=\n\[cool_down\])", re.DOTALL)
WITHOUT = SECTION.sub("", TEXT)

PLAIN_ROW = {
    "default_probability": 0.03,
    "current_limit_minor": 100 * THOUSAND,
    "balance_minor": 0,
    "utilization": 0.2,
    "months_delinquent": 0,
    "months_since_raise": 12,
    "months_since_cut": 12,
    "segment": "consumer",
    REFERENCE: 100 * THOUSAND,
}
SME_ROW = PLAIN_ROW | {
    "default_probability": 0.01,
    "utilization": 0.5,
    "product": "card",
    "previous_band": None,
    "previous_probability": 0.01,
    "payment_ratio": 1.0,
    "income_minor": 10_000 * THOUSAND,
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


def rows(policy: LimitPolicy, *, without: str = "", **columns: object) -> pa.RecordBatch:
    row = (PLAIN_ROW if policy.id == UCI.id else SME_ROW) | columns
    types = {"default_probability": pa.float64(), **inputs.needed(policy), REFERENCE: pa.int64()}
    found = {name: pa.array([row[name]], types[name]) for name in types if name != without}
    return pa.RecordBatch.from_pydict(found)


def plan_of(
    policy: LimitPolicy = UCI,
    *,
    freeze: Freeze = Freeze.NOTHING,
    regime: Regime = Regime.NEUTRAL,
) -> Plan:
    day = date(2005, 10, 1) if policy.id == UCI.id else date(2026, 4, 1)
    return Plan.of(policy, as_of=day, freeze=freeze, climate=Climate(regime=regime))


def in_thousands(found: LimitBounds) -> tuple[float, float, float]:
    lower, policy, upper = (int(a[0]) / THOUSAND for a in (found.lower, found.policy, found.upper))
    return lower, policy, upper


# Today's limit is 100 (thousand) unless the row says otherwise; lower, policy's decision, upper.
WORKED = [
    ({}, (100, 110, 130)),
    ({"default_probability": 0.08}, (100, 105, 130)),
    ({"default_probability": 0.15}, (100, 100, 120)),
    ({"default_probability": 0.25}, (100, 100, 100)),
    ({"default_probability": 0.40}, (60, 80, 100)),
    ({"default_probability": 0.70}, (50, 50, 100)),
    ({"default_probability": 0.70, "utilization": 0.8}, (50, 60, 100)),
    # The floor: half of the limit once granted, rounded up to the unit.
    ({"default_probability": 0.40, REFERENCE: 140 * THOUSAND}, (70, 80, 100)),
    ({"default_probability": 0.40, REFERENCE: 131 * THOUSAND}, (66, 80, 100)),
    # Below the floor only the policy itself cuts.
    ({"default_probability": 0.40, REFERENCE: 180 * THOUSAND}, (80, 80, 100)),
    ({"default_probability": 0.70, REFERENCE: 140 * THOUSAND}, (50, 50, 100)),
    ({"default_probability": 0.40, REFERENCE: None}, (80, 80, 100)),
    ({"default_probability": 0.40, REFERENCE: 0}, (80, 80, 100)),
    # The floor never asks for a raise.
    ({REFERENCE: 900 * THOUSAND}, (100, 110, 130)),
    # Every other stage stands: balance, warning, pauses, cap, lowest limit.
    ({"default_probability": 0.40, "balance_minor": 75 * THOUSAND}, (75, 80, 100)),
    ({"default_probability": 0.40, "months_delinquent": 3}, (60, 70, 70)),
    ({"months_delinquent": 3}, (70, 70, 70)),
    ({"default_probability": 0.15, "months_since_raise": 3}, (100, 100, 100)),
    ({"default_probability": 0.40, "months_since_cut": 0}, (100, 100, 100)),
    ({"current_limit_minor": 900 * THOUSAND}, (900, 990, 1000)),
    ({"default_probability": 0.7, "current_limit_minor": 12 * THOUSAND, REFERENCE: 12 * THOUSAND},
     (10, 10, 12)),
    # A missing probability goes to a person: no choice.
    ({"default_probability": None}, (100, 100, 100)),
]  # fmt: skip


@pytest.mark.parametrize(("columns", "expected"), WORKED)
def test_the_envelope_worked_by_hand(
    columns: dict[str, object], expected: tuple[float, float, float]
) -> None:
    assert in_thousands(find_envelope(plan_of(), rows(UCI, **columns))) == expected


SME_WORKED = [
    (Regime.NEUTRAL, {}, (100, 130, 130)),
    # A floor two percent below today's limit leaves no change that is worth making.
    (Regime.NEUTRAL, {"default_probability": 0.15}, (90, 100, 100)),
    (Regime.NEUTRAL, {"default_probability": 0.15, REFERENCE: 196 * THOUSAND}, (100, 100, 100)),
    # A downturn halves what is given, to band A alone: 30 % become 15 %, and 40 % become 20 %.
    (Regime.DOWNTURN, {"default_probability": 0.005}, (100, 115, 115)),
    (Regime.DOWNTURN, {"default_probability": 0.005, "utilization": 0.8}, (100, 120, 120)),
    (Regime.DOWNTURN, {"default_probability": 0.04}, (100, 100, 100)),
    # It deepens cuts by a quarter: of band E 20 % become 25 %, the matrix's 10 % become 12.5 %.
    (Regime.DOWNTURN, {"default_probability": 0.2, "previous_probability": 0.2}, (75, 87.5, 100)),
    # A boom gives a fifth more, and the step bounds it.
    (Regime.BOOM, {"default_probability": 0.08}, (100, 112, 124)),
]


@pytest.mark.parametrize(("regime", "columns", "expected"), SME_WORKED)
def test_the_dial_of_a_regime_turns_the_envelope_as_it_turns_the_matrix(
    regime: Regime, columns: dict[str, object], expected: tuple[float, float, float]
) -> None:
    same = {"previous_probability": columns.get("default_probability", 0.01)}
    found = find_envelope(plan_of(SME, regime=regime), rows(SME, **{**same, **columns}))
    assert in_thousands(found) == expected


def test_a_freeze_leaves_cuts_and_takes_raises() -> None:
    frozen = plan_of(freeze=Freeze.RAISES)
    assert in_thousands(find_envelope(frozen, rows(UCI))) == (100, 100, 100)
    risky = rows(UCI, default_probability=0.4)
    assert in_thousands(find_envelope(frozen, risky)) == (60, 80, 100)


def span(band: str, least: str, most: str) -> str:
    return f"{band} = {{ least = {least}, most = {most} }}"


# What the file says, what it says instead, and the error.
REFUSED = {
    "above the matrix row": (
        span("A", "1.00", "1.30"), span("A", "1.15", "1.30"), "A leaves out its matrix row",
    ),
    "below the matrix row": (
        span("B", "1.00", "1.30"), span("B", "1.00", "1.15"), "B leaves out its matrix row",
    ),
    "without no change": (
        span("F", "0.50", "1.00"), span("F", "0.50", "0.90"), "F leaves out no change",
    ),
    "a worse band above a better one": (
        span("D", "1.00", "1.00"), span("D", "1.00", "1.25"), "D is worse than C but its envelope",
    ),
    "a worse band cut less": (
        span("C", "1.00", "1.20"), span("C", "0.90", "1.20"), "D is worse than C but its envelope",
    ),
    "beyond the largest raise": (
        span("A", "1.00", "1.30"), span("A", "1.00", "1.31"), "A reaches beyond one step",
    ),
    "beyond the largest cut": (
        span("F", "0.50", "1.00"), span("F", "0.49", "1.00"), "F reaches beyond one step",
    ),
    "a band that does not exist": (
        span("D", "1.00", "1.00"), span("Z", "1.00", "1.00"), "exactly one span",
    ),
    "a band without a span": (span("D", "1.00", "1.00"), "", "exactly one span"),
    "least above most": (
        span("D", "1.00", "1.00"), span("D", "1.10", "1.00"), "least must not lie above most",
    ),
    "an unknown key": (
        "floor_of_reference = 0.50", "floor_of_reference = 0.50\nreach = 2", "key envelope.reach",
    ),
    "no floor": ("floor_of_reference = 0.50 ", "# ", "envelope.floor_of_reference is missing"),
    "a floor above the limit": (
        "floor_of_reference = 0.50", "floor_of_reference = 1.10", "between 0 and 1",
    ),
    "a grain too fine": (
        span("E", "0.60", "1.00"), span("E", "0.60001", "1.00"), "four decimals",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_an_envelope_that_cannot_be_meant_is_refused_by_name(name: str) -> None:
    old, new, problem = REFUSED[name]
    assert old in TEXT
    with pytest.raises(ContractError, match=problem):
        LimitPolicy.parse(TEXT.replace(old, new, 1))


def test_a_policy_without_an_envelope_keeps_the_digest_it_was_approved_with() -> None:
    older = LimitPolicy.parse(WITHOUT.replace('"1.1.0"', '"1.0.0"'))
    assert older.digest == "dff26e954cab6f9e7d0f133c51e8bc79f16d553223494d07747ed1ec76dd4435"
    assert LimitPolicy.parse(WITHOUT).digest != UCI.digest


@pytest.mark.parametrize("policy", [UCI, SME], ids=["uci_demo", "consumer_sme"])
def test_the_envelope_changes_no_decision(policy: LimitPolicy) -> None:
    batch = cases.draw(policy, 20_000, np.random.default_rng(3))
    bare = policy.model_copy(update={"envelope": None})
    day = plan_of(policy)
    climate = Climate(demand_index=1.2)
    as_of = date(2005, 10, 1) if policy is UCI else date(2026, 11, 1)
    one, two = (
        engine.decide(each, batch, as_of=as_of, freeze=day.freeze, climate=climate)
        for each in (policy, bare)
    )
    assert one.equals(two)


def test_without_an_envelope_a_band_keeps_to_its_row_and_to_no_change() -> None:
    bare = LimitPolicy.parse(WITHOUT)
    # Somewhere in its row band A gets 1.10 to 1.30, band E 0.80; no change is always left.
    assert in_thousands(find_envelope(plan_of(bare), rows(bare))) == (100, 110, 130)
    risky = rows(bare, default_probability=0.4)
    assert in_thousands(find_envelope(plan_of(bare), risky)) == (80, 80, 100)
    assert in_thousands(find_envelope(plan_of(), risky)) == (60, 80, 100)


def test_without_the_column_nobody_is_cut_below_the_policy_and_all_are_counted() -> None:
    batch = rows(UCI, without=REFERENCE, default_probability=0.4)
    found = find_envelope(plan_of(), batch)
    assert in_thousands(found) == (80, 80, 100)
    assert found.has_no_reference.all()


def test_a_reference_that_is_no_whole_number_is_refused_without_its_value() -> None:
    batch = rows(UCI, without=REFERENCE)
    odd = batch.append_column(REFERENCE, pa.array([98765.4321]))
    with pytest.raises(ContractError, match="whole numbers") as refused:
        find_envelope(plan_of(), odd)
    assert "98765" not in str(refused.value)


def test_the_envelope_is_told_in_words_in_two_languages() -> None:
    new = LimitPolicy.parse(
        TEXT.replace("C = { least = 1.00, most = 1.20", "C = { least = 1.00, most = 1.10").replace(
            "floor_of_reference = 0.50", "floor_of_reference = 0.60"
        )
    )
    changes = diff(UCI, new)
    assert [change.in_words() for change in changes] == [
        "envelope of the optimizer, floor as a share of the limit once granted: 0.5 -> 0.6",
        "envelope of the optimizer, risk bands, C, largest multiplier: 1.2 -> 1.1",
    ]
    assert changes[1].in_words("zh") == "优化器许可范围 / 风险等级 / C / 最高倍数:1.2 → 1.1"
    gone = diff(UCI, LimitPolicy.parse(WITHOUT))
    assert len(gone) == 13
    assert all(change.new is None for change in gone)


def deepest_cut(policy: LimitPolicy, months: int) -> float:
    """Follow the optimizer month after month; return the lowest limit as a share of what it may be.

    That is half of the limit once granted, or the policy's own decision if that is lower.
    """
    rng = np.random.default_rng(0)
    n = 500
    granted = rng.integers(20, 50, n) * 10 * THOUSAND
    risk = rng.uniform(0.31, 0.49, n)
    economics = Economics.parse(packaged("uci_stylized"))
    limit, lowest = granted.copy(), np.inf
    for _ in range(months):
        columns = {name: [value] * n for name, value in PLAIN_ROW.items()}
        columns |= {"default_probability": risk, "current_limit_minor": limit, REFERENCE: granted}
        rows_now = pa.RecordBatch.from_pydict(columns)
        found = optimization.optimize(plan_of(policy), economics, [rows_now], support=None)
        limit, decided = found.recommended, found.book.policy
        lowest = min(lowest, float((limit / np.minimum(granted / 2, decided)).min()))
    return lowest


def test_repeated_optimization_never_cuts_below_the_floor_by_itself() -> None:
    assert deepest_cut(UCI, months=6) >= 1.0
    memoryless = TEXT.replace("floor_of_reference = 0.50", "floor_of_reference = 0")
    assert deepest_cut(LimitPolicy.parse(memoryless), months=6) < 0.9


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Draw a valid envelope for the complete example policy."""
    share = st.integers(50, 130)
    bands, step = list(SME.bands.names), SME.step
    top = 10_000 + step.max_raise
    least, most = {}, {}
    for so_far, band in enumerate(bands):
        row = SME.matrix[band]
        wished = min(draw(share) * 100, min(row), 10_000)
        least[band] = min([wished, *(least[b] for b in bands[:so_far])])
    for band in reversed(bands):
        row = min(max(SME.matrix[band]), top)
        most[band] = max([min(draw(share) * 100, top), row, 10_000, *most.values()])
    spans = [f"{b} = {{ least = {least[b] / 1e4}, most = {most[b] / 1e4} }}" for b in bands]
    floor = draw(st.integers(0, 100)) / 100
    section = [f"[envelope]\nfloor_of_reference = {floor}\n[envelope.bands]", *spans, ""]
    return SECTION.sub("\n".join(section), SME_TEXT)


@settings(max_examples=30, deadline=None)
@given(
    text=texts(),
    seed=st.integers(0, 10_000),
    regime=st.sampled_from(list(Regime)),
    freeze=st.sampled_from(list(Freeze)),
)
def test_no_valid_envelope_lets_a_recommendation_break_a_law(
    text: str, seed: int, regime: Regime, freeze: Freeze
) -> None:
    policy = LimitPolicy.parse(text)
    batch = cases.draw(policy, 600, np.random.default_rng(seed))
    moment = Moment(
        as_of=date(2026, 11, 1), freeze=freeze, climate=Climate(regime=regime, demand_index=1.2)
    )
    case = Case.of(policy, moment, batch, engine.decide)
    assert [name for name, hit in breaks(case).items() if hit.any()] == []


@settings(max_examples=30, deadline=None)
@given(
    text=texts(),
    seed=st.integers(0, 10_000),
    regime=st.sampled_from(list(Regime)),
    share=st.floats(0.85, 1.15),
)
def test_what_is_recommended_under_a_budget_breaks_no_bound_of_a_decision(
    text: str, seed: int, regime: Regime, share: float
) -> None:
    policy = LimitPolicy.parse(text)
    batch = cases.draw(policy, 400, np.random.default_rng(seed))
    moment = Moment(as_of=date(2026, 4, 1), climate=Climate(regime=regime))
    case = Case.of(policy, moment, batch, engine.decide)
    said = Economics.parse(packaged("uci_stylized")).model_dump(by_alias=True)
    said["budgets"] = {"limits": {"of_policy": share}}
    plan, terms = plan_of(policy, regime=regime), Economics.model_validate(said)
    limit = optimization.optimize(plan, terms, [batch], support=None).recommended
    ruled = recommended(case, limit)
    assert [name for name in BOUNDS if LAWS[name](ruled)[1].any()] == []


def test_the_laws_of_bounds_are_those_that_were_meant() -> None:
    assert len(BOUNDS) == 19
