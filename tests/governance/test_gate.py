"""The gate opens for one reason only, and says every reason for which it does not."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from governance import canonical
from governance.appetite import RiskAppetite, Threshold
from governance.errors import ContractError
from governance.evidence import Evidence, Waiver
from governance.gate import judge
from governance.measurement import Measurement
from governance.outcome import Outcome, worst
from tests.appetites import appetite_text, threshold

ON = date(2026, 1, 15)

APPETITE = RiskAppetite.parse(
    appetite_text(
        threshold("accuracy.auc", "at_least = 0.70"),
        threshold(
            "fairness.raise_ratio",
            'scope = { attribute = "*" }',
            "at_least = 0.80",
            "at_most = 1.25",
            "minimum_n = 100",
        ),
        threshold(
            "soundness.feedback_falls", "at_most = 0", 'basis = "point"', "is_waivable = false"
        ),
        threshold("accuracy.ks", "at_least = 0.30", 'need = "reported"'),
    )
)

YOUNG = {"attribute": "age_band", "group": "<=25"}


def measured(
    *, auc: float = 0.78, ratio: float = 1.0, falls: float = 0.0, n: int = 1_000
) -> tuple[Measurement, ...]:
    return (
        Measurement(measure="accuracy.auc", value=auc, low=auc - 0.02, high=auc + 0.02, n=n),
        Measurement(
            measure="fairness.raise_ratio",
            scope=YOUNG,
            value=ratio,
            low=ratio - 0.05,
            high=ratio + 0.05,
            n=n,
        ),
        Measurement(measure="soundness.feedback_falls", value=falls, n=n),
    )


def evidence(measurements: tuple[Measurement, ...]) -> Evidence:
    subject = {"model": "a" * 64}
    return Evidence(kind="validation", subject=subject, measurements=measurements, measured_on=ON)


def waiver(**changed: object) -> Waiver:
    known = {
        "measure": "fairness.raise_ratio",
        "scope": YOUNG,
        "owner": "risk officer",
        "reason": "accepted for one quarter",
        "granted_on": date(2026, 1, 1),
        "expires_on": date(2026, 3, 31),
    }
    return Waiver.model_validate(known | changed)


def test_sound_evidence_opens_the_gate() -> None:
    decision = judge(evidence(measured()), APPETITE, [], ON)
    assert decision.is_open
    assert decision.refusals == ()


def test_a_breach_closes_the_gate_and_is_named() -> None:
    decision = judge(evidence(measured(ratio=0.6)), APPETITE, [], ON)
    assert decision.outcome is Outcome.BREACH
    assert "fairness.raise_ratio (attribute=age_band, group=<=25) = 0.6" in decision.refusals[0]


def test_an_interval_that_crosses_the_line_is_inconclusive_and_closes() -> None:
    decision = judge(evidence(measured(ratio=0.82)), APPETITE, [], ON)
    assert decision.outcome is Outcome.INCONCLUSIVE
    assert not decision.is_open


def test_a_small_group_is_inconclusive_however_good_it_looks() -> None:
    decision = judge(evidence(measured(n=99)), APPETITE, [], ON)
    assert decision.outcome is Outcome.INCONCLUSIVE
    assert "n = 99 is below the minimum of 100" in decision.refusals[0]


def test_what_was_not_measured_closes_the_gate() -> None:
    decision = judge(evidence(measured()[1:]), APPETITE, [], ON)
    assert decision.outcome is Outcome.INCONCLUSIVE
    assert decision.refusals == ("accuracy.auc was not measured.",)


def test_no_evidence_at_all_closes_the_gate() -> None:
    assert judge(evidence(()), APPETITE, [], ON).outcome is Outcome.INCONCLUSIVE


def test_an_appetite_that_requires_nothing_closes_the_gate() -> None:
    decision = judge(evidence(measured()), APPETITE, [], date(2004, 12, 31))
    assert decision.outcome is Outcome.INCONCLUSIVE


def test_a_reported_threshold_does_not_close_the_gate() -> None:
    low_ks = Measurement(measure="accuracy.ks", value=0.1, low=0.05, high=0.15, n=1_000)
    decision = judge(evidence((*measured(), low_ks)), APPETITE, [], ON)
    assert decision.is_open
    assert decision.judged[-1].outcome is Outcome.BREACH


def test_a_waiver_answers_for_exactly_one_measure_and_scope() -> None:
    breached = evidence(measured(ratio=0.6))
    decision = judge(breached, APPETITE, [waiver()], ON)
    assert decision.is_open
    assert decision.waived == (waiver(),)
    assert decision.judged[1].outcome is Outcome.BREACH


@pytest.mark.parametrize(
    "changed",
    [
        {"scope": {"attribute": "age_band", "group": "56+"}},
        {"scope": {"attribute": "age_band"}},
        {"scope": {}},
        {"measure": "fairness.cut_ratio"},
        {"expires_on": date(2026, 1, 14)},
        {"granted_on": date(2026, 1, 16)},
    ],
)
def test_a_waiver_for_something_else_or_another_day_does_not_help(
    changed: dict[str, object],
) -> None:
    decision = judge(evidence(measured(ratio=0.6)), APPETITE, [waiver(**changed)], ON)
    assert decision.outcome is Outcome.BREACH


def test_what_is_not_waivable_stays_closed() -> None:
    answer = waiver(measure="soundness.feedback_falls", scope={})
    decision = judge(evidence(measured(falls=0.2)), APPETITE, [answer], ON)
    assert decision.outcome is Outcome.BREACH
    assert "not waivable" in decision.refusals[0]


def test_a_waiver_without_an_end_or_a_reason_cannot_be_written() -> None:
    with pytest.raises(ValidationError, match="expire after"):
        waiver(expires_on=date(2026, 1, 1))
    with pytest.raises(ValidationError, match="reason"):
        waiver(reason="ok")


def test_the_same_input_gives_the_same_bytes() -> None:
    first, second = (judge(evidence(measured()), APPETITE, [], ON) for _ in range(2))
    assert first.digest == second.digest
    assert first.digest != judge(evidence(measured(auc=0.79)), APPETITE, [], ON).digest


@given(st.lists(st.tuples(st.floats(0.3, 1.9), st.integers(1, 2_000)), max_size=6))
def test_more_evidence_never_opens_a_closed_gate(extra: list[tuple[float, int]]) -> None:
    """Adding measurements cannot outvote the one that closes the gate."""
    closed = measured(ratio=0.6)
    more = tuple(
        Measurement(
            measure="fairness.raise_ratio",
            scope={"attribute": "sex", "group": str(k)},
            value=value,
            low=value - 0.01,
            high=value + 0.01,
            n=n,
        )
        for k, (value, n) in enumerate(extra)
    )
    assert not judge(evidence(closed + more), APPETITE, [], ON).is_open


def test_a_specific_threshold_goes_before_a_general_one_and_both_must_find_something() -> None:
    text = appetite_text(
        threshold("m", 'scope = { group = "a" }', "at_least = 0.9", 'need = "reported"'),
        threshold("m", "at_least = 0.5"),
    )
    appetite = RiskAppetite.parse(text)
    only_a = Measurement(measure="m", scope={"group": "a"}, value=0.7, low=0.7, high=0.7, n=9)
    decision = judge(evidence((only_a,)), appetite, [], ON)
    assert not decision.is_open
    assert decision.refusals == ("m was not measured.",)


def test_a_refusal_names_the_attribute_that_nobody_measured() -> None:
    scoped = appetite_text(
        *(
            threshold(
                "m",
                f'scope = {{ attribute = "{attribute}", group = "*" }}',
                "at_least = 0.5",
                'basis = "point"',
            )
            for attribute in ("sex", "age_band")
        )
    )
    found = Measurement(measure="m", scope={"attribute": "sex", "group": "a"}, value=0.7, n=9)
    decision = judge(evidence((found,)), RiskAppetite.parse(scoped), [], ON)
    assert decision.refusals == ("m (attribute=age_band, group=*) was not measured.",)


def test_an_unusable_appetite_is_named_without_its_values() -> None:
    with pytest.raises(ContractError, match=r"thresholds\.0"):
        RiskAppetite.parse(
            'schema = "risk-appetite/1"\nid = "x"\nversion = "1"\n[[thresholds]]\nmeasure = "m"'
        )


def test_an_undefined_value_can_neither_pass_nor_breach() -> None:
    with pytest.raises(ValidationError, match="neither pass nor breach"):
        Measurement(measure="m", value=None, n=0, outcome=Outcome.PASS)
    assert Measurement(measure="m", value=float("nan"), n=0).value is None


def test_the_worst_outcome_wins_and_nothing_is_not_a_pass() -> None:
    assert worst([Outcome.PASS, Outcome.BREACH, Outcome.INCONCLUSIVE]) is Outcome.BREACH
    assert worst([]) is Outcome.INCONCLUSIVE


def test_of_each_kind_of_evidence_there_is_one() -> None:
    own, drift = evidence(measured()), evidence(()).model_copy(update={"kind": "drift"})
    decision = judge(own, APPETITE, [], ON, attached=[drift])
    assert decision.is_open
    assert decision.subject == {"model": "a" * 64, "drift": drift.digest}
    with pytest.raises(ValueError, match="two things called drift"):
        judge(own, APPETITE, [], ON, attached=[drift, drift])
    model = drift.model_copy(update={"kind": "model"})
    with pytest.raises(ValueError, match="two things called model"):
        judge(own, APPETITE, [], ON, attached=[model])


def test_attached_evidence_closes_the_gate_as_the_validators_does() -> None:
    *sound, falls = measured(falls=1.0)
    attached = evidence((falls,)).model_copy(update={"kind": "policy-check"})
    decision = judge(evidence(tuple(sound)), APPETITE, [], ON, attached=[attached])
    assert decision.outcome is Outcome.BREACH
    assert len(decision.judged) == 3


def test_one_lucky_seed_is_not_three() -> None:
    appetite = RiskAppetite(
        schema="risk-appetite/1",
        id="seeds",
        version="1",
        thresholds=(
            Threshold(
                measure="backtest.profit",
                scope={"seed": "*"},
                at_least=0,
                basis="point",
                minimum_count=3,
                kind="house",
                owner="tests",
                source="tests",
                effective_from=date(2020, 1, 1),
            ),
        ),
    )

    def seeds(*numbers: str) -> Evidence:
        found = [
            Measurement(measure="backtest.profit", scope={"seed": number}, value=0.1, n=100)
            for number in numbers
        ]
        return evidence(tuple(found))

    few = judge(seeds("101", "102", "102"), appetite, [], ON)
    assert few.outcome is Outcome.INCONCLUSIVE
    assert few.refusals == ("backtest.profit (seed=*) was measured 2 times; 3 are needed.",)
    assert judge(seeds("101", "102", "103"), appetite, [], ON).is_open


def test_a_field_that_came_later_leaves_old_digests_alone() -> None:
    (first, *_) = APPETITE.thresholds
    plain = canonical.plain(first)
    assert "minimum_count" not in plain
    assert canonical.plain(first.model_copy(update={"minimum_count": 3}))["minimum_count"] == 3
