"""The engine against hand-worked rows, and against laws that no input may break."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decisions import engine
from decisions.engine import Freeze
from decisions.inputs import INPUT_TYPES
from decisions.policy import LimitPolicy, packaged
from decisions.reason_texts import explain
from decisions.reasons import Reason
from governance.errors import ContractError

POLICY = LimitPolicy.parse(packaged("uci_demo"))
AS_OF = date(2005, 10, 1)
NT = 100  # cents in one NT$


def batch(**columns: object) -> pa.RecordBatch:
    row = {
        "default_probability": 0.05,
        "current_limit_minor": 100_000 * NT,
        "balance_minor": 40_000 * NT,
        "utilization": 0.4,
        "months_delinquent": 0,
        "months_since_raise": 6,
        "months_since_cut": 6,
        "segment": "consumer",
    } | columns
    kinds = {**INPUT_TYPES, "default_probability": pa.float64()}
    arrays = {name: pa.array([value], kinds[name]) for name, value in row.items()}
    return pa.RecordBatch.from_pydict(arrays)


def decide(freeze: Freeze = Freeze.NOTHING, **columns: object) -> dict[str, object]:
    return engine.decide(POLICY, batch(**columns), as_of=AS_OF, freeze=freeze).to_pylist()[0]


# One row per line: what differs from the good customer above, the new limit in NT$, and why.
WORKED = [
    ({}, 130_000, "raise", Reason.LOW_RISK),  # band A, class 0.3-0.7: 1.30
    ({"utilization": 0.2}, 110_000, "raise", Reason.LOW_RISK),  # 1.10
    ({"default_probability": 0.06}, 130_000, "raise", Reason.LOW_RISK),  # the edge belongs to A
    ({"default_probability": 0.0601}, 120_000, "raise", Reason.LOW_RISK),  # B: 1.20
    ({"default_probability": 0.15}, 100_000, "hold", 0),  # C: 1.00
    ({"default_probability": 0.40}, 80_000, "cut", Reason.HIGH_RISK),  # E: 0.80
    # F: 0.50 would be 50,000, but 60,000 are in use.
    (
        {"default_probability": 0.9, "balance_minor": 60_000 * NT},
        60_000,
        "cut",
        Reason.HIGH_RISK | Reason.BALANCE_FLOOR,
    ),
    # The same with a crooked balance: the limit that covers it is a round one.
    (
        {"default_probability": 0.9, "balance_minor": 60_123 * NT + 45},
        61_000,
        "cut",
        Reason.HIGH_RISK | Reason.BALANCE_FLOOR,
    ),
    # F: 0.50 of 12,000 is 6,000, below the product's lowest limit.
    (
        {
            "default_probability": 0.9,
            "current_limit_minor": 12_000 * NT,
            "balance_minor": 0,
            "utilization": 0.0,
        },
        10_000,
        "cut",
        Reason.HIGH_RISK | Reason.MINIMUM_LIMIT,
    ),
    # Three months behind: to 0.70, although the band would raise.
    ({"months_delinquent": 3}, 70_000, "cut", Reason.LOW_RISK | Reason.EARLY_WARNING),
    ({"months_since_raise": 5}, 100_000, "hold", Reason.LOW_RISK | Reason.COOL_DOWN),
    ({"months_since_raise": None}, 100_000, "hold", Reason.LOW_RISK | Reason.HISTORY_UNKNOWN),
    # 900,000 x 1.30 = 1,170,000, above the cap of 1,000,000.
    (
        {"current_limit_minor": 900_000 * NT},
        1_000_000,
        "raise",
        Reason.LOW_RISK | Reason.POLICY_CAP,
    ),
    # Already above the cap: the cap alone does not cut.
    (
        {"current_limit_minor": 1_200_000 * NT},
        1_200_000,
        "hold",
        Reason.LOW_RISK | Reason.POLICY_CAP,
    ),
    # 13,000 x 1.30 = 16,900, rounded down to whole thousands.
    ({"current_limit_minor": 13_000 * NT}, 16_000, "raise", Reason.LOW_RISK),
    # 9,000 x 1.10 = 9,900, rounded down to 9,000: nothing is left of the raise.
    ({"current_limit_minor": 9_000 * NT, "utilization": 0.1}, 9_000, "hold", Reason.LOW_RISK),
    ({"default_probability": None}, 100_000, "review", Reason.INPUT_MISSING),
    ({"default_probability": float("nan")}, 100_000, "review", Reason.INPUT_MISSING),
    ({"default_probability": 1.2}, 100_000, "review", Reason.INPUT_MISSING),
    ({"utilization": float("inf")}, 100_000, "review", Reason.INPUT_MISSING),
    ({"balance_minor": -1}, 100_000, "review", Reason.INPUT_MISSING),
    ({"segment": None}, 100_000, "review", Reason.INPUT_MISSING),
]


@pytest.mark.parametrize(("differs", "limit", "action", "reasons"), WORKED)
def test_the_engine_decides_as_worked_by_hand(
    differs: dict[str, object], limit: int, action: str, reasons: int
) -> None:
    row = decide(**differs)
    assert (row["limit_after_minor"], row["action"]) == (limit * NT, action)
    assert row["reasons"] == reasons, explain(int(str(row["reasons"])))


def test_a_freeze_stops_raises_and_cuts_nobody() -> None:
    frozen = decide(Freeze.RAISES)
    assert (frozen["action"], frozen["limit_after_minor"]) == ("hold", 100_000 * NT)
    assert int(str(frozen["reasons"])) & Reason.RAISES_FROZEN
    cut = decide(Freeze.RAISES, default_probability=0.4)
    assert cut == decide(default_probability=0.4)


def test_a_day_before_the_policy_is_refused() -> None:
    with pytest.raises(ContractError, match="not in force on 2005-03-31"):
        engine.decide(POLICY, batch(), as_of=date(2005, 3, 31))


def test_a_segment_without_a_cap_is_refused() -> None:
    with pytest.raises(ContractError, match="no cap for at least one segment"):
        decide(segment="business")


def test_a_missing_column_is_named() -> None:
    with pytest.raises(ContractError, match="utilization"):
        engine.decide(POLICY, batch().drop_columns(["utilization"]), as_of=AS_OF)


rows = st.fixed_dictionaries(
    {
        "default_probability": st.floats(0, 1),
        "current_limit_minor": st.integers(0, 200_000_000),
        "balance_minor": st.integers(0, 200_000_000),
        "utilization": st.floats(0, 3),
        "months_delinquent": st.integers(0, 9),
        "months_since_raise": st.one_of(st.none(), st.integers(0, 24)),
        "months_since_cut": st.one_of(st.none(), st.integers(0, 24)),
        "segment": st.just("consumer"),
    }
)


@settings(max_examples=400, deadline=None)
@given(rows)
def test_no_limit_breaks_the_bounds_of_the_policy(row: dict[str, object]) -> None:
    decided = decide(**row)
    before, after = int(str(row["current_limit_minor"])), int(str(decided["limit_after_minor"]))
    assert after <= max(before, POLICY.caps_on(AS_OF)["consumer"])
    assert before * (10_000 - POLICY.step.max_cut) <= after * 10_000
    assert after * 10_000 <= before * (10_000 + POLICY.step.max_raise)
    if after < before:
        assert after >= min(before, int(str(row["balance_minor"])))
        assert after >= min(before, POLICY.minimum_limit_minor)
    if after > before:
        assert row["months_since_raise"] is not None
        assert int(str(row["months_since_raise"])) >= POLICY.cool_down.raise_months
    assert after == before or after % POLICY.rounding_minor == 0
    assert decided["action"] == ("raise" if after > before else "cut" if after < before else "hold")


@settings(max_examples=300, deadline=None)
@given(rows, st.floats(0, 1))
def test_more_risk_never_gives_a_higher_limit(row: dict[str, object], other: float) -> None:
    low, high = sorted([float(str(row["default_probability"])), other])
    safer = decide(**(row | {"default_probability": low}))
    riskier = decide(**(row | {"default_probability": high}))
    assert int(str(riskier["limit_after_minor"])) <= int(str(safer["limit_after_minor"]))


def test_one_row_and_many_rows_are_decided_alike() -> None:
    singles = [batch(**differs) for differs, *_ in WORKED]
    together = pa.Table.from_batches(singles).combine_chunks().to_batches()[0]
    alone = [engine.decide(POLICY, single, as_of=AS_OF).to_pylist()[0] for single in singles]
    assert engine.decide(POLICY, together, as_of=AS_OF).to_pylist() == alone


def test_what_is_remembered_of_one_policy_never_answers_for_another() -> None:
    """Plans and vocabularies are worked out once per policy; an edited policy is another one."""
    assert decide()["limit_after_minor"] == 130_000 * NT
    stricter = POLICY.model_copy(update={"matrix": {**POLICY.matrix, "A": (13_000, 11_500) * 2}})
    row = engine.decide(stricter, batch(), as_of=AS_OF).to_pylist()[0]
    assert row["limit_after_minor"] == 115_000 * NT
    renamed = POLICY.model_copy(
        update={"caps": tuple(c.model_copy(update={"segment": "other"}) for c in POLICY.caps)}
    )
    with pytest.raises(ContractError, match="it knows other"):
        engine.decide(renamed, batch(), as_of=AS_OF)
    assert decide()["limit_after_minor"] == 130_000 * NT


def test_an_empty_batch_is_decided() -> None:
    assert engine.decide(POLICY, batch().slice(0, 0), as_of=AS_OF).num_rows == 0


def test_a_segment_whose_cap_does_not_hold_on_the_day_is_refused() -> None:
    late = POLICY.model_copy(
        update={
            "caps": tuple(
                cap.model_copy(update={"effective_from": date(2005, 10, 2)}) for cap in POLICY.caps
            )
        }
    )
    with pytest.raises(ContractError, match="has no cap on this day"):
        engine.decide(late, batch(), as_of=AS_OF)
    after = engine.decide(late, batch(), as_of=date(2005, 10, 2)).to_pylist()[0]
    assert after["limit_after_minor"] == 130_000 * NT
