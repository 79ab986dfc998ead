"""A policy that could act wrongly is refused when it is read, not when it decides."""

from __future__ import annotations

from datetime import date

import pytest

from governance.errors import ContractError
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
