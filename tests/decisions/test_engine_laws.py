"""The engine obeys its laws on every packaged policy, and a planted fault breaks the right one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from decisions import engine, policy_cases
from decisions.plan import Climate, Freeze, Plan
from decisions.policy import LimitPolicy, packaged
from decisions.policy_cases import Case, Decide
from decisions.reasons import Reason
from tests.decisions.engine_laws import LAWS

POLICY = LimitPolicy.parse(packaged("consumer_sme"))
PACKAGED = ("consumer_sme", "uci_demo", "world_business", "world_demo")


def decided(
    policy: LimitPolicy, *, batches: int, seed: int, decide: Decide = engine.decide
) -> Iterator[Case]:
    """Make up customers at several moments and decide them."""
    rng = np.random.default_rng(seed)
    when = policy_cases.moments(policy, rng)
    for _ in range(batches):
        yield Case.of(policy, next(when), policy_cases.draw(policy, 4_096, rng), decide)


def breaks(law: str, decide: Decide) -> bool:
    """Tell whether a faulty engine is seen to break `law`."""
    cases = decided(POLICY, batches=56, seed=0, decide=decide)
    return any(LAWS[law](case)[1].any() for case in cases)


@pytest.mark.parametrize("name", PACKAGED)
def test_the_engine_breaks_no_law(name: str) -> None:
    policy = LimitPolicy.parse(packaged(name))
    broken = {
        law
        for case in decided(policy, batches=16, seed=1)
        for law, check in LAWS.items()
        if check(case)[1].any()
    }
    assert broken == set()


def test_every_law_has_something_to_say_about_the_complete_policy() -> None:
    concerned = dict.fromkeys(LAWS, 0)
    for case in decided(POLICY, batches=16, seed=2):
        for name, check in LAWS.items():
            concerned[name] += int(check(case)[0].sum())
    assert [name for name, n in concerned.items() if not n] == []


@pytest.mark.parametrize("seed", range(4))
def test_two_moments_are_enough_to_see_a_freeze(seed: int) -> None:
    when = policy_cases.moments(POLICY, np.random.default_rng(seed))
    assert Freeze.RAISES in {next(when).freeze for _ in range(2)}


def without(stage: str) -> Decide:
    """Return the engine with one stage left out: a planted fault."""
    kept = {name: run for name, run in engine.STAGES.items() if name != stage}

    def decide(
        policy: LimitPolicy, batch: pa.RecordBatch, *, as_of: date, freeze: Freeze, climate: Climate
    ) -> pa.RecordBatch:
        plan = Plan.of(policy, as_of=as_of, freeze=freeze, climate=climate)
        return engine._decided(plan, engine.carry(plan, *engine.read(plan, batch), steps=kept))

    return decide


FAULTS = {
    "band": "band_is_declared",
    "matrix": "risk_is_answered",
    "early_warning": "warned_gets_nothing",
    "business": "within_revenue",
    "affordability": "never_unaffordable",
    "over_indebtedness": "no_more_debt",
    "hold_out": "held_out_stays",
    "freeze": "frozen_gives_nothing",
    "raise_conditions": "consent_first",
    "cool_down": "raise_pause",
    "step": "cut_step",
    "cap": "never_above_cap",
    "aggregate_ceiling": "never_above_ceiling",
    "rounding_and_floors": "floors",
    "human_review": "refusal_reviewed",
}


SECOND = {
    "weak_business_gets_nothing": "business",
    "payments_within_income": "affordability",
    "freeze_cuts_nobody": "freeze",
    "assessment_first": "raise_conditions",
    "cut_pause": "cool_down",
    "raise_step": "step",
    "worth_it": "rounding_and_floors",
    "review_moves_nothing": "human_review",
}


@pytest.mark.parametrize(
    ("stage", "law"), [*FAULTS.items(), *((stage, law) for law, stage in SECOND.items())]
)
def test_an_engine_without_a_stage_is_caught(stage: str, law: str) -> None:
    assert breaks(law, without(stage))


def test_every_stage_of_the_engine_is_guarded() -> None:
    """What only gives is missed when it is gone; the others break a law."""
    assert {*FAULTS, "exploration", "seasonal_uplift"} == set(engine.STAGES)
    reasons = 0
    for case in decided(POLICY, batches=8, seed=0):
        reasons |= int(np.bitwise_or.reduce(case.decided["reasons"]))
    assert Reason.EXPLORATION & reasons
    assert Reason.SEASONAL_UPLIFT & reasons


Answers = dict[str, Any]
Change = Callable[[Answers, Answers], Any]


def altered(column: str, change: Change) -> Decide:
    """Return the engine with one of its answers altered afterwards: another planted fault."""

    def decide(policy: LimitPolicy, batch: pa.RecordBatch, **moment: Any) -> pa.RecordBatch:
        answer = engine.decide(policy, batch, **moment)
        place, kind = answer.schema.get_field_index(column), answer.schema.field(column).type
        told, given = (
            {n: each[n].to_numpy(zero_copy_only=False) for n in each.schema.names}
            for each in (answer, batch)
        )
        values = pa.array(change(told, given), kind)
        return answer.set_column(place, answer.schema.field(column), values)

    return decide


def more_where(test: Callable[[Answers], Any]) -> Change:
    """Give a raise of a tenth to the wrong people."""
    return lambda told, given: np.where(
        test(given) & (told["action"] != "review"),
        told["limit_after_minor"] // 10 * 11,
        told["limit_after_minor"],
    )


ALTERED: dict[str, tuple[str, Change]] = {
    "action_is_true": ("action", lambda told, _: ["hold"] * len(told["action"])),
    "sound_row_decided": ("action", lambda told, _: ["review"] * len(told["action"])),
    "broken_row_reviewed": (
        "action",
        lambda told, _: np.where(told["action"] == "review", "hold", told["action"]),
    ),
    "uplift_expires": ("uplift_expires_on", lambda told, _: [date(2027, 1, 1)] * len(told["band"])),
    "uplift_bounded": (
        "temporary_uplift_minor",
        lambda told, _: told["temporary_uplift_minor"] * 3,
    ),
    "uplift_stays_apart": (
        "limit_after_minor",
        lambda told, _: told["limit_after_minor"] + told["temporary_uplift_minor"],
    ),
    "company_does_not_matter": (
        "limit_after_minor",
        lambda told, _: told["limit_after_minor"] - np.arange(len(told["band"])),
    ),
    "matrix_is_obeyed": (
        "limit_after_minor",
        lambda told, _: np.where(
            told["action"] == "raise",
            told["limit_before_minor"] * 13 // 10,
            told["limit_after_minor"],
        ),
    ),
    "later_gets_no_more": ("limit_after_minor", more_where(lambda g: g["months_delinquent"] > 0)),
    "poorer_gets_no_more": ("limit_after_minor", more_where(lambda g: g["income_minor"] < 10**6)),
    "elsewhere_gets_no_more": (
        "limit_after_minor",
        more_where(lambda g: g["other_exposure_minor"] > 10**7),
    ),
    "sounder_gets_no_less": ("limit_after_minor", more_where(lambda g: g["altman_z"] < 2)),
    "affordability_cuts_nobody": (
        "limit_after_minor",
        lambda told, given: np.where(
            (given["income_minor"] < 10**6) & (told["action"] == "hold"),
            told["limit_after_minor"] // 2,
            told["limit_after_minor"],
        ),
    ),
}


@pytest.mark.parametrize("law", ALTERED)
def test_a_false_answer_is_caught(law: str) -> None:
    column, change = ALTERED[law]
    assert breaks(law, altered(column, change))


def test_every_law_was_seen_to_be_broken() -> None:
    """A law that no planted fault breaks may be one that nothing can break."""
    seen = {*FAULTS.values(), *SECOND, *ALTERED}
    of_policies = (Path(__file__).parent / "test_policy_check.py").read_text(encoding="utf-8")
    assert [name for name in LAWS if name not in seen and f'"{name}"' not in of_policies] == []
