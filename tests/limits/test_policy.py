"""A policy that could act wrongly is refused when it is read, not when it decides."""

from __future__ import annotations

from datetime import date

import pytest

from governance.errors import ContractError
from limits import policy_diff
from limits.policy import LimitPolicy, packaged
from limits.reasons import TEXTS, Reason

TEXT = packaged("uci_demo")

MUTATIONS = {
    "a worse band with a larger multiplier": (
        "C = [1.00, 1.00, 1.00, 1.00]",
        "C = [1, 1, 1, 1.11]",
    ),
    "a missing band": ("F = [0.50, 0.50, 0.60, 0.60]", ""),
    "a short row": ("F = [0.50, 0.50, 0.60, 0.60]", "F = [0.5, 0.5, 0.6]"),
    "edges out of order": ("upper = [0.06, 0.10", "upper = [0.10, 0.06"),
    "an edge at one": ("0.30, 0.50]\n\n[util", "0.30, 1.00]\n\n[util"),
    "an unknown key": ("[step]", "[step]\nsurprise = 1"),
    "a cap without a date": ("effective_from = 2005-04-01\nkind", "kind"),
    "a negative cap": ("cap_minor = 100_000_000", "cap_minor = -1"),
    "a step that is no number": ("max_raise = 0.30", 'max_raise = "much"'),
    "a multiplier finer than a basis point": ("A = [1.10,", "A = [1.10001,"),
    "another schema": ("limit-policy/2", "limit-policy/1"),
    "text that is not TOML": ("[bands]", "[bands"),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutated_policy_is_refused(name: str) -> None:
    old, new = MUTATIONS[name]
    assert old in TEXT
    with pytest.raises(ContractError, match="limit policy cannot be used"):
        LimitPolicy.parse(TEXT.replace(old, new))


def cap(first: str, last: str | None) -> str:
    end = f"\neffective_to = {last}" if last else ""
    return (
        '\n[[caps]]\nsegment = "business"\ncap_minor = 1\nkind = "house"\nsource = "test"\n'
        f"effective_from = {first}{end}\n"
    )


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([("2005-01-01", None), ("2006-01-01", None)], "on the same day"),
        ([("2005-01-01", "2005-12-31"), ("2005-12-31", None)], "on the same day"),
        ([("2005-01-01", "2005-12-30"), ("2006-01-01", None)], "has days without a row"),
    ],
)
def test_overlapping_and_gapped_caps_are_refused(
    rows: list[tuple[str, str | None]], problem: str
) -> None:
    with pytest.raises(ContractError, match=problem):
        LimitPolicy.parse(TEXT + "".join(cap(*row) for row in rows))


def test_the_cap_of_the_day_is_used() -> None:
    policy = LimitPolicy.parse(TEXT + cap("2005-01-01", "2005-12-31") + cap("2006-01-01", None))
    assert set(policy.caps_on(date(2005, 12, 31))) == {"consumer", "business"}
    assert policy.caps_on(date(2004, 12, 31)) == {}


def test_the_digest_ignores_comments_and_notices_values() -> None:
    policy = LimitPolicy.parse(TEXT)
    assert LimitPolicy.parse("# another comment\n" + TEXT).digest == policy.digest
    assert (
        LimitPolicy.parse(TEXT.replace("minimum_change = 0.05", "minimum_change = 0.06")).digest
        != policy.digest
    )
    assert policy.stamp.startswith("uci-demo@1.1.0#")


def test_every_reason_has_a_text_in_both_languages() -> None:
    assert set(TEXTS) == set(Reason)
    assert all(text.en and text.zh for text in TEXTS.values())


CANNOT_BE_MEANT = {
    "a misspelled key": ("max_raise = 0.30", "max_raize = 0.30", "unknown key step.max_raize"),
    "a missing key": ("max_raise = 0.30\n", "", "the key step.max_raise is missing"),
    "a share as text": ("max_raise = 0.30", 'max_raise = "0.30"', "is a number, such as 0.30"),
    "a share as a statement": ("max_raise = 0.30", "max_raise = true", "is a number"),
    "a share without bounds": ("max_raise = 0.30", "max_raise = inf", "is a number"),
    "a cut of more than all": ("max_cut = 0.50", "max_cut = 1.50", "max_cut: this share lies"),
    "a distress that gives": (
        "distress_cut_to = 0.70",
        "distress_cut_to = 1.30",
        "this share lies",
    ),
    "safe firms in distress": ("altman_distress = 1.10", "altman_distress = 3.10", "lies above"),
    "soundness unknown": ("altman_safe = 2.60", "altman_safe = nan", "a finite number"),
    "demand unknown": ("full_at = 1.5", "full_at = nan", "a finite number"),
    "an edge unknown": ("0.70, 0.90]", "0.70, nan]", "a finite number"),
    "an edge below nothing": ("upper = [0.30, 0.70", "upper = [-0.30, 0.70", "from above 0"),
    "a currency without cents": ('currency = "CNY"', 'currency = "JPY"', "a hundred parts"),
    "a currency of thousandths": ('currency = "CNY"', 'currency = "KWD"', "a hundred parts"),
    "no currency": ('currency = "CNY"', 'currency = ""', "currency"),
    "a policy that ends first": (
        "effective_from = 2026-01-01\nrounding",
        "effective_from = 2026-01-01\neffective_to = 2025-12-31\nrounding",
        "ends before it begins",
    ),
}


@pytest.mark.parametrize("name", CANNOT_BE_MEANT)
def test_what_cannot_be_meant_is_refused_in_words_of_the_file(name: str) -> None:
    old, new, problem = CANNOT_BE_MEANT[name]
    text = packaged("consumer_sme")
    assert old in text
    with pytest.raises(ContractError, match=problem) as refused:
        LimitPolicy.parse(text.replace(old, new, 1))
    assert "Value error" not in str(refused.value)


def test_that_nobody_may_be_raised_differs_from_that_everybody_may() -> None:
    text = packaged("consumer_sme")
    everybody = LimitPolicy.parse(text.replace('raise_bands = ["A"]\n', ""))
    nobody = LimitPolicy.parse(text.replace('raise_bands = ["A"]', "raise_bands = []"))
    told = [change.in_words() for change in policy_diff.diff(everybody, nobody)]
    assert told == ["macro regimes, downturn, bands that may be raised: absent -> []"]
