"""A policy is read strictly, says what it means, and every key of it has a page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import UnionType
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from decisions import policy_review
from decisions.policy import LimitPolicy, packaged
from decisions.reason_texts import TEXTS
from decisions.reasons import Reason
from governance import canonical
from governance.errors import ContractError

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
        ([("2005-01-02", "2005-01-01"), ("2006-01-01", None)], "ends before it begins"),
    ],
)
def test_overlapping_and_gapped_caps_are_refused(
    rows: list[tuple[str, str | None]], problem: str
) -> None:
    with pytest.raises(ContractError, match=problem):
        LimitPolicy.parse(TEXT + "".join(cap(*row) for row in rows))
    with pytest.raises(ContractError, match=problem):
        LimitPolicy.parse(TEXT + "".join(cap(*row) for row in reversed(rows)))


def test_caps_may_stand_in_any_order() -> None:
    rows = [("2006-01-01", None), ("2004-01-01", "2004-12-31"), ("2005-01-01", "2005-12-31")]
    policy = LimitPolicy.parse(TEXT + "".join(cap(*row) for row in rows))
    days = [date(2004, 1, 1), date(2004, 12, 31), date(2005, 1, 1), date(2005, 12, 31)]
    assert all("business" in policy.caps_on(day) for day in [*days, date(2030, 1, 1)])
    assert "business" not in policy.caps_on(date(2003, 12, 31))


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


def test_a_policy_without_an_envelope_has_the_digest_it_had_before_there_was_one() -> None:
    start, end = TEXT.index("[envelope]"), TEXT.index("[cool_down]")
    without = LimitPolicy.parse(TEXT[:start] + TEXT[end:])
    said = canonical.plain(without)
    assert said.pop("envelope") is None
    assert without.digest == canonical.digest(said)
    wider = TEXT.replace("floor_of_reference = 0.50", "floor_of_reference = 0.40")
    digests = {LimitPolicy.parse(text).digest for text in (TEXT, wider)}
    assert len(digests | {without.digest}) == 3


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


# Of each key the least and the most that can be meant, and what just cannot.
EDGES = {
    "rounding_minor = 10_000": (("1",), ("0",)),
    "minimum_limit_minor = 50_000": (("0",), ("-1",)),
    "hysteresis = 0.10": (("0.0", "10"), ("-0.1", "10.1")),
    "max_raise = 0.30": (("0", "10"), ("-0.1", "10.1")),
    "max_cut = 0.50": (("0.5", "1.0"), ("-0.1", "1.0001")),
    "minimum_change = 0.05": (("0", "10"), ("-0.1", "10.1")),
    "raise_months = 6": (("0",), ("-1", "0.5")),
    "cut_months = 1": (("0",), ("-1",)),
    "months_delinquent = 2": (("1",), ("0",)),
    "cut_to = 0.70": (("0", "10"), ("-0.1",)),
    "ratio = 2.0": (("1.0001",), ("1.0", "inf")),
    "minimum = 0.10": (("0", "1"), ("-0.01", "1.01", "nan")),
    "utilization = 0.95": (("0.01",), ("0", "nan")),
    "payment_ratio = 0.10": (("0",), ("-0.01",)),
    "max_debt_service = 0.50": (("0.0001", "10"), ("0", "10.1")),
    "minimum_payment_rate = 0.05": (("0.0001", "1"), ("0", "1.1")),
    "income_haircut = 0.80": (("0.0001", "1"), ("0", "1.1")),
    "max_debt_to_income = 1.50": (("0.0001", "10"), ("0", "10.1")),
    "logit_shift = 0.40": (("-5", "5"), ("-5.1", "5.1")),
    "raise_scale = 0.50": (("0", "10"), ("-0.1", "10.1")),
    "uplift = 0.20": (("0.0001", "10"), ("0", "10.1")),
    "starts_at = 1.0": (("0", "1.4999"), ("-0.1", "1.5")),
    "altman_safe = 2.60": (("1.10",), ("1.09", "inf")),
    "distress_cut_to = 0.70": (("0", "1"), ("-0.1", "1.1")),
    "minimum_debt_service_coverage = 1.20": (("0",), ("-0.01",)),
    "revenue_multiple = 1.50": (("0.0001", "10"), ("0",)),
    "assessment_months = 12": (("1",), ("0",)),
    "max_silence_days = 45": (("1",), ("0",)),
    "floor_of_reference = 0.50": (("0", "1"), ("-0.1", "1.1")),
    "cap_minor = 20_000_000": (("1",), ("0",)),
    "ceiling_minor = 150_000_000": (("1",), ("0",)),
    "max_debt_service = 0.5": (("0.1234",), ("0.12345",)),
    "effective_from = 2026-01-01\nrounding": (
        ("2026-01-01\neffective_to = 2026-01-01\nrounding",),
        ("2026-01-01\neffective_to = 2025-12-31\nrounding",),
    ),
    "expires_on = 2026-03-20": (("2026-02-23", "2026-05-04"), ("2026-02-22", "2026-05-05")),
    "ends_on = 2026-02-23": (("2026-02-01", "2026-03-20"), ("2026-01-31", "2026-03-21")),
    "starts_on = 2026-05-25": (("2026-04-14", "2026-06-20"), ("2026-02-23", "2026-06-21")),
}


@pytest.mark.parametrize("line", EDGES)
def test_what_can_just_be_meant_is_read_and_what_just_cannot_is_refused(line: str) -> None:
    text = packaged("consumer_sme")
    if not line.startswith("floor_of_reference"):
        # The envelope repeats what the step and the matrix say, and would be refused instead.
        start, end = text.index("[envelope]"), text.index("[cool_down]")
        text = text[:start] + text[end:]
    assert line in text
    name = line.partition(" = ")[0]
    allowed, refused = EDGES[line]
    for value in allowed:
        LimitPolicy.parse(text.replace(line, f"{name} = {value}", 1))
    for value in refused:
        with pytest.raises(ContractError, match="limit policy cannot be used"):
            LimitPolicy.parse(text.replace(line, f"{name} = {value}", 1))


def test_a_name_that_nothing_has_is_refused_wherever_it_stands() -> None:
    text = packaged("consumer_sme")
    for old, new in (
        ('raise_bands = ["A"]', 'raise_bands = ["A", "Z"]'),
        ("[macro.boom]", '[macro.boom]\nraise_bands = ["Z"]'),
        ('[experiment]\nbands = ["A", "B", "C"]', '[experiment]\nbands = ["A", "Z"]'),
        ('uplift = 0.20\nbands = ["A", "B"]', 'uplift = 0.20\nbands = ["Z"]'),
    ):
        assert old in text
        with pytest.raises(ContractError, match="names a band that does not exist"):
            LimitPolicy.parse(text.replace(old, new, 1))
    for old, new in (
        ('legal_persons = ["small_firm"]', 'legal_persons = ["firm"]'),
        ('sole_traders = ["sole_trader"]', 'sole_traders = ["trader"]'),
    ):
        with pytest.raises(ContractError, match="name a segment that has no cap"):
            LimitPolicy.parse(text.replace(old, new, 1))


ENVELOPE = {
    "a band without a span": ("F = { least = 0.50, most = 1.00 }\n", "", "one span for each band"),
    "a span of no band": (
        "F = { least = 0.50, most = 1.00 }",
        "F = { least = 0.50, most = 1.00 }\nG = { least = 0.50, most = 1.00 }",
        "one span for each band",
    ),
    "more than a step up": (
        "A = { least = 1.00, most = 1.30 }",
        "A = { least = 1.00, most = 1.31 }",
        "A reaches beyond one step",
    ),
    "more than a step down": ("F = { least = 0.50", "F = { least = 0.49", "F reaches beyond one"),
    "less than the matrix gives": (
        "B = { least = 1.00, most = 1.30 }",
        "B = { least = 1.00, most = 1.29 }",
        "B leaves out its matrix row",
    ),
    "more than the matrix takes": (
        "E = { least = 0.80",
        "E = { least = 0.81",
        "E leaves out its matrix row",
    ),
    "no change": (
        "A = { least = 1.00, most = 1.30 }",
        "A = { least = 1.01, most = 1.30 }",
        "A leaves out no change",
    ),
    "a worse band that may get more": (
        "D = { least = 0.90, most = 1.00 }",
        "D = { least = 0.90, most = 1.21 }",
        "D is worse than C but its envelope is higher",
    ),
    "a worse band that is taken less": (
        "D = { least = 0.90, most = 1.00 }",
        "D = { least = 0.79, most = 1.00 }",
        "E is worse than D but its envelope is higher",
    ),
    "a span that is turned round": (
        "D = { least = 0.90, most = 1.00 }",
        "D = { least = 1.00, most = 0.90 }",
        "least must not lie above most",
    ),
}


@pytest.mark.parametrize("name", ENVELOPE)
def test_an_envelope_that_the_other_rules_contradict_is_refused(name: str) -> None:
    text = packaged("consumer_sme")
    old, new, problem = ENVELOPE[name]
    assert old in text
    with pytest.raises(ContractError, match=problem):
        LimitPolicy.parse(text.replace(old, new, 1))


def test_seasons_may_stand_in_any_order_and_two_never_hold_on_one_day() -> None:
    policy = LimitPolicy.parse(packaged("consumer_sme"))
    head, *seasons = packaged("consumer_sme").split("[[seasons]]\n")
    last, section, rest = seasons[-1].partition("[business]")
    mixed = "[[seasons]]\n".join([head, last, seasons[1], seasons[0]]) + section + rest
    turned = LimitPolicy.parse(mixed)
    assert turned.seasons == policy.seasons[::-1]
    days = [date(2026, 2, 1), date(2026, 2, 23), date(2026, 1, 31), date(2026, 2, 24)]
    named = [season.name if season else None for season in map(turned.season_on, days)]
    assert named == ["Spring Festival 2026", "Spring Festival 2026", None, None]

    spring = "starts_on = 2026-02-01\nends_on = 2026-02-23\nexpires_on = 2026-03-20"
    late = "starts_on = 2026-04-20\nends_on = 2026-05-{}\nexpires_on = 2026-06-01"
    assert spring in mixed
    LimitPolicy.parse(mixed.replace(spring, late.format(24)))
    with pytest.raises(ContractError, match="and 618 of 2026 hold on the same day"):
        LimitPolicy.parse(mixed.replace(spring, late.format(25)))


def test_a_policy_holds_on_its_first_and_on_its_last_day() -> None:
    text = TEXT.replace("rounding_minor", "effective_to = 2006-03-31\nrounding_minor", 1)
    policy = LimitPolicy.parse(text)
    for day in (date(2005, 4, 1), date(2006, 3, 31)):
        policy.require_in_force(day)
    for day in (date(2005, 3, 31), date(2006, 4, 1)):
        with pytest.raises(ContractError, match=f"not in force on {day}; it holds from 2005-04-01"):
            policy.require_in_force(day)


def test_that_nobody_may_be_raised_differs_from_that_everybody_may() -> None:
    text = packaged("consumer_sme")
    everybody = LimitPolicy.parse(text.replace('raise_bands = ["A"]\n', ""))
    nobody = LimitPolicy.parse(text.replace('raise_bands = ["A"]', "raise_bands = []"))
    told = [change.in_words() for change in policy_review.diff(everybody, nobody)]
    assert told == ["macro regimes, downturn, bands that may be raised: absent -> []"]


PAGE = Path(__file__).parents[2] / "docs" / "policy-file.md"


def sections(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models that a field holds, however they are wrapped."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif isinstance(annotation, UnionType) or get_args(annotation):
        for part in get_args(annotation):
            yield from sections(part)


def keys(model: type[BaseModel]) -> Iterator[str]:
    """Yield every key of a model and of the sections below it."""
    for name, field in model.model_fields.items():
        yield field.alias or name
        for section in sections(field.annotation):
            yield from keys(section)


def test_a_policy_has_the_keys_that_people_know() -> None:
    found = set(keys(LimitPolicy))
    assert {"schema", "full_at", "ceiling_minor", "least", "logit_shift", "refusal"} <= found


@pytest.mark.parametrize("key", sorted(set(keys(LimitPolicy))))
def test_the_page_names_every_key(key: str) -> None:
    told = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`([^`]+)`", PAGE.read_text("utf-8")))))
    assert key in told
