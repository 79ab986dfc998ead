"""The search must stay silent on sound policies and find what was planted, and make it small."""

from __future__ import annotations

import importlib.resources
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from decisions import engine
from decisions.checking.lawbook import Decide
from decisions.checking.policy_check import check
from decisions.checking.search import ALL_LAWS
from decisions.policy import LimitPolicy, packaged
from decisions.stages.climate import Climate, Freeze
from decisions.stages.plan import Plan

TEXT = packaged("consumer_sme")
POLICY = LimitPolicy.parse(TEXT)
BATCHES = 28


def found(law: str, policy: LimitPolicy, decide: Decide = engine.decide) -> dict[str, Any]:
    """Search batch by batch until `law` is seen to be broken."""
    for seed in range(BATCHES):
        document = check(policy, inputs=8_192, seed=seed, decide=decide)
        for example in document["counterexamples"]:
            if example["law"] == law:
                return {**document, "example": example}
    raise AssertionError(f"{law} was never seen to be broken")


FILED = sorted(
    item.name.removesuffix(".toml")
    for item in (importlib.resources.files("decisions") / "policies").iterdir()
    if item.name.endswith(".toml")
)


@pytest.mark.parametrize("name", FILED)
def test_the_packaged_policies_break_no_law(name: str) -> None:
    document = check(LimitPolicy.parse(packaged(name)), inputs=65_536, seed=1)
    assert document["counterexamples"] == []
    assert document["never_acted"] == []
    assert document["outcome"] == "PASS"


SMALLEST = """
schema = "limit-policy/2"
id = "smallest"
version = "1"
title = "Two bands, one class"
currency = "CNY"
effective_from = 2026-01-01
rounding_minor = 1_000
minimum_limit_minor = 10_000
bands = { names = ["good", "bad"], upper = [0.1] }
utilization = { upper = [0.5] }
matrix = { good = [1.2, 1.3], bad = [0.8, 0.9] }
step = { max_raise = 0.3, max_cut = 0.4, minimum_change = 0.02 }
cool_down = { raise_months = 6, cut_months = 1 }
early_warning = { months_delinquent = 2, cut_to = 0.7 }

[[caps]]
segment = "consumer"
cap_minor = 20_000_000
effective_from = 2026-01-01
kind = "house"
source = "Example"
"""


def test_the_smallest_policy_is_searched_too() -> None:
    document = check(LimitPolicy.parse(SMALLEST), inputs=32_768, seed=0)
    assert document["outcome"] == "PASS"


def test_every_law_has_something_to_say_about_the_complete_policy() -> None:
    document = check(POLICY, inputs=65_536, seed=2)
    assert [item["scope"]["law"] for item in document["measurements"] if item["n"] == 0] == []


@pytest.mark.parametrize("seed", range(4))
def test_a_short_search_sees_a_freeze(seed: int) -> None:
    document = check(POLICY, inputs=2 * 16_384, seed=seed)
    concerned = {item["scope"]["law"]: item["n"] for item in document["measurements"]}
    assert concerned["frozen_gives_nothing"] > 0


def test_the_same_seed_finds_the_same() -> None:
    first, second = (check(POLICY, inputs=5_000, seed=7) for _ in range(2))
    assert first == second


# What the loader accepts and no law allows; the law, and what the smallest input must name.
MUTATIONS = {
    "a warning that raises": (
        "cut_to = 0.70\nprobability_jump",
        "cut_to = 1.20\nprobability_jump",
        "warned_gets_nothing",
    ),
    "a looser downturn": ("raise_scale = 0.50", "raise_scale = 1.50", "downturn_is_tighter"),
    "a downturn that spares": ("cut_scale = 1.25", "cut_scale = 0.50", "downturn_is_tighter"),
    "a downturn without risk": ("logit_shift = 0.40", "logit_shift = -0.40", "downturn_is_tighter"),
    "a downturn for the second best": (
        'raise_bands = ["A"]',
        'raise_bands = ["B"]',
        "riskier_gets_no_more",
    ),
    "a tighter boom": ("raise_scale = 1.20", "raise_scale = 0.50", "boom_is_looser"),
    "a season for the second best": (
        'bands = ["A", "B"]\n\n[[seasons]]\nname = "618',
        'bands = ["B"]\n\n[[seasons]]\nname = "618',
        "riskier_gets_no_more",
    ),
    "a trial that lowers": ("multipliers = [1.00,", "multipliers = [0.80,", "trial_harms_nobody"),
    "a trial for the third best": (
        '[experiment]\nbands = ["A", "B", "C"]',
        '[experiment]\nbands = ["C"]',
        "riskier_gets_no_more",
    ),
    "a hysteresis that locks": ("hysteresis = 0.10", "hysteresis = 1.50", "band_is_near"),
    "payments above the income": (
        "max_debt_service = 0.50",
        "max_debt_service = 3.00",
        "payments_within_income",
    ),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_policy_that_breaks_a_law_is_refused_with_a_small_counterexample(name: str) -> None:
    old, new, law = MUTATIONS[name]
    assert old in TEXT
    document = found(law, LimitPolicy.parse(TEXT.replace(old, new, 1)))
    assert document["outcome"] == "BREACH"
    assert len(document["example"]["differs"]) <= 5, document["example"]


def test_a_rule_that_can_never_act_is_not_green() -> None:
    """No raise is as large as the smallest change: nothing is broken, and nothing was shown."""
    mute = LimitPolicy.parse(TEXT.replace("minimum_change = 0.05", "minimum_change = 0.40"))
    document = check(mute, inputs=16_384, seed=0)
    assert document["counterexamples"] == []
    assert document["outcome"] == "INCONCLUSIVE"


def without(stage: str) -> Decide:
    """Return the engine with one stage left out: a planted fault."""
    kept = {name: run for name, run in engine.STAGES.items() if name != stage}

    def decide(
        policy: LimitPolicy, batch: pa.RecordBatch, *, as_of: date, freeze: Freeze, climate: Climate
    ) -> pa.RecordBatch:
        plan = Plan.of(policy, as_of=as_of, freeze=freeze, climate=climate)
        return engine._decided(plan, engine.carry(plan, *engine.read(plan, batch), stages=kept))

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


@pytest.mark.parametrize("stage", FAULTS)
def test_an_engine_without_a_stage_is_caught(stage: str) -> None:
    assert found(FAULTS[stage], POLICY, without(stage))["outcome"] == "BREACH"


@pytest.mark.parametrize("stage", ["exploration", "seasonal_uplift"])
def test_a_stage_that_only_gives_is_missed_when_it_is_gone(stage: str) -> None:
    document = check(POLICY, inputs=16_384, seed=0, decide=without(stage))
    assert document["outcome"] != "PASS"
    assert document["never_acted"]
    # The optimizer asks the stages itself, so it differs from an engine that lacks one.
    broken = [example["law"] for example in document["counterexamples"]]
    assert [name for name in broken if not name.startswith("recommended_")] == []


def test_every_stage_of_the_engine_is_guarded() -> None:
    assert {*FAULTS, "exploration", "seasonal_uplift"} == set(engine.STAGES)


@pytest.mark.parametrize(
    ("stage", "law"),
    [
        ("business", "weak_business_gets_nothing"),
        ("affordability", "payments_within_income"),
        ("freeze", "freeze_cuts_nobody"),
        ("raise_conditions", "assessment_first"),
        ("cool_down", "cut_pause"),
        ("step", "raise_step"),
        ("rounding_and_floors", "worth_it"),
        ("human_review", "review_moves_nothing"),
    ],
)
def test_a_missing_stage_breaks_its_second_law_too(stage: str, law: str) -> None:
    assert found(law, POLICY, without(stage))["outcome"] == "BREACH"


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
    assert found(law, POLICY, altered(column, change))["outcome"] == "BREACH"


def test_every_law_was_seen_to_be_broken() -> None:
    """A law that no planted fault breaks may be one that nothing can break."""
    here = Path(__file__).read_text(encoding="utf-8")
    assert [law.name for law in ALL_LAWS if f'"{law.name}"' not in here] == []


def test_the_smallest_input_is_named_in_plain_words() -> None:
    example = found("held_out_stays", POLICY, without("hold_out"))["example"]
    assert example["differs"] == {"arm": "hold_out"}
    assert example["as_of"] == "2026-01-01"


def test_laws_have_unique_names_and_two_languages() -> None:
    assert len({law.name for law in ALL_LAWS}) == len(ALL_LAWS)
    assert all(law.text.en and law.text.zh for law in ALL_LAWS)


def verb(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "limitline", "policy", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=cwd, env=os.environ
    )


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("", "", 0),
        ("raise_scale = 1.20", "raise_scale = 0.50", 13),
        ("minimum_change = 0.05", "minimum_change = 0.40", 14),
        ("effective_from = 2020-07-12\n", "", 10),
    ],
)
def test_the_verb_leaves_with_the_code_of_what_it_found(
    tmp_path: Path, old: str, new: str, code: int
) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(TEXT.replace(old, new, 1) if old else TEXT, encoding="utf-8")
    done = verb("check", str(path), "--inputs", "100000", "--json", cwd=tmp_path)
    assert done.returncode == code, done.stderr
    if code != 10:
        assert json.loads(done.stdout)["schema"] == "policy-check/1"
