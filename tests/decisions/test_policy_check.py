"""The search must stay silent on sound policies and find what was planted, and make it small."""

from __future__ import annotations

import importlib.resources
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from decisions.policy import LimitPolicy, packaged
from decisions.policy_check import LAWS, check
from decisions.reason_texts import LAWS as WORDS

TEXT = packaged("consumer_sme")
POLICY = LimitPolicy.parse(TEXT)


def found(law: str, policy: LimitPolicy) -> dict[str, Any]:
    """Search batch by batch until `law` is seen to be broken."""
    for seed in range(28):
        document = check(policy, inputs=8_192, seed=seed)
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


def test_every_law_has_a_planted_breach_something_to_say_and_two_languages() -> None:
    """A law that no planted fault breaks may be one that nothing can break."""
    names = {law.name for law in LAWS}
    assert names == {law for _, _, law in MUTATIONS.values()} == set(WORDS)
    assert all(text.en and text.zh for text in WORDS.values())
    document = check(POLICY, inputs=65_536, seed=2)
    assert [item["scope"]["law"] for item in document["measurements"] if item["n"] == 0] == []


def test_the_smallest_input_is_named_in_plain_words() -> None:
    lower = TEXT.replace("multipliers = [1.00,", "multipliers = [0.80,", 1)
    example = found("trial_harms_nobody", LimitPolicy.parse(lower))["example"]
    assert example["differs"] == {"arm": "explore"}
    assert (example["as_of"], example["regime"]) == ("2026-01-01", "neutral")


def test_a_rule_that_can_never_act_is_not_green() -> None:
    """No raise is as large as the smallest change: nothing is broken, and nothing was shown."""
    mute = LimitPolicy.parse(TEXT.replace("minimum_change = 0.05", "minimum_change = 0.40"))
    document = check(mute, inputs=16_384, seed=0)
    assert document["counterexamples"] == []
    assert document["outcome"] == "INCONCLUSIVE"
    assert "A limit is raised" in document["never_acted"]


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
