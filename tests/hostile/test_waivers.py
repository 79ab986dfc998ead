"""Waivers that were never meant to be answered for: endless, ownerless, wordless, one-handed."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from decisions.raise_stops import expired
from governance import canonical
from governance.appetite import LONGEST_WAIVER_DAYS, WAIVER_MAX_DAYS, RiskAppetite
from governance.errors import ContractError, GateClosed, IntegrityError, UsageError
from governance.evidence import Decision, Evidence, Waiver
from governance.gate import judge
from governance.measurement import Measurement
from governance.settings import Settings
from limitline.commands import app
from registry import attestation, judgement, promotion, rules
from registry.attestation import document
from registry.evidence import write_pack
from registry.record import Record, append
from registry.signing import Kind, Signer
from registry.waivers import WaiverRequest, waive
from tests import appetites
from tests.appetites import HEAD, threshold
from tests.registry.conftest import DAY
from tests.registry.forging import forge

RATIO = Measurement(
    measure="fairness.raise_ratio",
    scope={"attribute": "sex", "group": "female"},
    value=0.6,
    low=0.59,
    high=0.61,
    n=6000,
)
MEASURED = Evidence(
    kind="validation", subject={"model": "ab" * 32}, measurements=(RATIO,), measured_on=DAY
)


def appetite_of(*said: str, head: str = "") -> RiskAppetite:
    line = threshold(
        "fairness.raise_ratio", 'scope = { attribute = "*" }', "at_least = 0.80", *said
    )
    return RiskAppetite.parse(f"{HEAD}{head}\n{line}")


def waiver(**changed: Any) -> Waiver:
    usual = {
        "measure": RATIO.measure,
        "scope": dict(RATIO.scope),
        "owner": "Head of Conduct",
        "reason": "a known gap, remediation under way",
        "granted_on": DAY,
        "expires_on": DAY + timedelta(days=30),
    }
    return Waiver.model_validate(usual | changed)


def refusals(appetite: RiskAppetite, *waivers: Waiver) -> tuple[str, ...]:
    return judge(MEASURED, appetite, waivers, DAY).refusals


@pytest.mark.parametrize("days", [1, 90, WAIVER_MAX_DAYS, LONGEST_WAIVER_DAYS])
def test_a_waiver_counts_on_its_longest_term_and_not_a_day_beyond(days: int) -> None:
    appetite = appetite_of(f"waiver_max_days = {days}")
    longest, longer = (waiver(expires_on=DAY + timedelta(days=term)) for term in (days, days + 1))

    assert refusals(appetite, longest) == ()
    (said,) = refusals(appetite, longer)
    assert f"its term is {days + 1} days and may be {days}" in said


def test_a_threshold_that_says_nothing_allows_half_a_year_and_none_allows_more_than_one() -> None:
    (line,) = appetite_of().thresholds
    assert line.waiver_max_days == WAIVER_MAX_DAYS == 180

    for days in (0, -1, LONGEST_WAIVER_DAYS + 1):
        with pytest.raises(ContractError, match="waiver_max_days"):
            appetite_of(f"waiver_max_days = {days}")


def test_an_appetite_that_says_nothing_about_waivers_keeps_its_digest() -> None:
    said = appetite_of(
        "waiver_max_days = 180", 'severity = "medium"', head='countersigned_from = "severe"'
    )

    assert said.digest == appetite_of().digest
    assert appetite_of("waiver_max_days = 179").digest != said.digest


NOBODY = [
    "",
    " ",
    "x",
    "xx",
    "X.",
    "--",
    "...",
    "1234",
    "n/a",
    "None",
    "TBD",
    "nobody",
    "\u200b\u200b\u200b",
]
WORDLESS = [
    *(
        "          ",
        "xxxxxxxxxxxxxxxxxx",
        "..................",
        "123456789012345",
        "n/a n/a n/a n/a",
    ),
    *("test test test test", "-" * 40, "\u200b" * 40, "a b c d e f", "ok ok ok ok ok ok ok"),
    *("eleven lett", "\uff58" * 20, "不知道"),
]


@pytest.mark.parametrize("owner", NOBODY[1:])
def test_a_waiver_of_nobody_does_not_count(owner: str) -> None:
    (said,) = refusals(appetite_of(), waiver(owner=owner))

    assert "its owner is nobody" in said


@pytest.mark.parametrize("reason", [text for text in WORDLESS if len(text) >= 10])
def test_a_waiver_that_says_nothing_does_not_count(reason: str) -> None:
    (said,) = refusals(appetite_of(), waiver(reason=reason))

    assert "its reason says nothing" in said


@pytest.mark.parametrize(
    ("owner", "reason"),
    [
        ("Head of Conduct", "a known gap, remediation under way"),
        ("Lee", "twelve letter"),
        ("李伟", "已知差距,正在整改,下月复核。"),
        ("Zoë", "known finding 2025-17; plan due before expiry"),
    ],
)
def test_a_waiver_with_a_name_and_a_sentence_counts(owner: str, reason: str) -> None:
    assert refusals(appetite_of(), waiver(owner=owner, reason=reason)) == ()


@given(st.text(alphabet=" .,;:-_!?/\\'\"()[]0123456789\u00a0\u200b\u2014", min_size=10))
def test_whatever_holds_no_letter_says_nothing(text: str) -> None:
    assert waiver(reason=text).says_nothing
    assert waiver(owner=text).says_nothing


def test_the_twelfth_letter_makes_a_sentence() -> None:
    assert waiver(reason="abcdefghijk.").says_nothing
    assert not waiver(reason="abcdefghijkl").says_nothing
    assert waiver(reason="abcd" * 3).says_nothing
    assert not waiver(reason="abcde" * 3).says_nothing


@pytest.mark.parametrize(
    ("severity", "needed_from", "signatures"),
    [
        *(("low", "severe", 1), ("medium", "severe", 1), ("severe", "severe", 2)),
        *(("low", "medium", 1), ("medium", "medium", 2), ("low", "low", 2)),
    ],
)
def test_from_the_declared_severity_on_a_waiver_takes_both_approvers(
    severity: str, needed_from: str, signatures: int
) -> None:
    appetite = appetite_of(f'severity = "{severity}"', head=f'countersigned_from = "{needed_from}"')

    assert bool(refusals(appetite, waiver())) is (signatures == 2)
    assert refusals(appetite, waiver(), waiver()) == ()
    (said, *_) = (*refusals(appetite, waiver()), "takes both approvers' signatures")
    assert "takes both approvers' signatures" in said


def test_two_different_waivers_are_not_one_with_two_signatures() -> None:
    appetite = appetite_of('severity = "severe"')
    other = waiver(reason="another reason in other words altogether")

    assert refusals(appetite, waiver(), other) != ()


# By the commands of the registry.


@pytest.fixture
def severe() -> RiskAppetite:
    return RiskAppetite.parse(
        HEAD.replace('version = "1"', 'version = "2"')
        + threshold("accuracy.auc", "at_least = 0.70", "is_waivable = false")
        + threshold(
            "fairness.raise_ratio",
            'scope = { attribute = "*" }',
            "at_least = 0.80",
            'severity = "severe"',
            "waiver_max_days = 60",
        )
    )


@pytest.fixture
def judge_by(
    home: Settings, evidence: Callable[..., Evidence], signer: Callable[[str], Signer]
) -> Callable[..., Decision]:
    """Judge version 1 by an appetite, after measuring it if numbers are given."""

    def make(appetite: RiskAppetite, *, on: date = DAY, **numbers: object) -> Decision:
        if numbers:
            appetites.sign(home, appetite, DAY)
            attestation.attest(home, evidence(**numbers), version=1, signer=signer("validator"))
        return judgement.gate(home, 1, appetite=appetite, on=on)

    return make


def request(**changed: Any) -> WaiverRequest:
    usual: dict[str, Any] = {
        "measure": "fairness.*",
        "scope": {},
        "owner": "Head of Conduct",
        "reason": "a known gap, remediation under way",
        "granted_on": DAY,
        "expires_on": DAY + timedelta(days=60),
    }
    return WaiverRequest(**(usual | changed))


@pytest.mark.parametrize("owner", NOBODY)
def test_nobody_cannot_waive(home: Settings, judged: Callable[..., None], owner: str) -> None:
    judged(raise_ratio={"female": 0.6, "male": 1.0})

    with pytest.raises(UsageError, match="cannot be granted"):
        waive(home, 1, request(owner=owner))
    assert Record.load(home).waivers(1) == ()


@pytest.mark.parametrize("reason", WORDLESS)
def test_nothing_is_waived_without_a_word(
    home: Settings, judged: Callable[..., None], reason: str
) -> None:
    judged(raise_ratio={"female": 0.6, "male": 1.0})

    with pytest.raises(UsageError, match="cannot be granted"):
        waive(home, 1, request(reason=reason))
    assert Record.load(home).waivers(1) == ()


@pytest.mark.parametrize(("days", "allowed"), [(180, True), (181, False), (355_000, False)])
def test_a_waiver_is_refused_a_day_beyond_its_longest_term(
    home: Settings, judged: Callable[..., None], days: int, allowed: bool
) -> None:
    judged(raise_ratio={"female": 0.6, "male": 1.0})
    asked = request(expires_on=DAY + timedelta(days=days))

    if allowed:
        assert len(waive(home, 1, asked).waivers) == 1
        return
    with pytest.raises(GateClosed, match="may last 180 days, so until 2026-07-04"):
        waive(home, 1, asked)
    assert Record.load(home).waivers(1) == ()


def test_the_command_refuses_a_waiver_until_2999_with_the_code_of_a_closed_gate(
    home: Settings, judged: Callable[..., None]
) -> None:
    judged(raise_ratio={"female": 0.6, "male": 1.0})
    words = ["--owner", "Head of Conduct", "--reason", "a known gap, remediation under way"]
    days = ["--on", DAY.isoformat(), "--expires", date(2999, 1, 1).isoformat()]
    done = CliRunner().invoke(
        app, ["waive", "--version", "1", "--measure", "fairness.*", *words, *days]
    )

    assert done.exit_code == 12
    assert "may last 180 days" in done.output


def test_one_approver_twice_is_one_and_two_approvers_in_the_same_words_are_two(
    home: Settings, judge_by: Callable[..., Decision], severe: RiskAppetite
) -> None:
    assert not judge_by(severe, raise_ratio={"female": 0.6, "male": 1.0}).is_open
    for _ in range(2):
        assert len(waive(home, 1, request()).waiting) == 1
        assert "takes both approvers' signatures" in judge_by(severe).refusals[0]
    other = waive(home, 1, request(role="business_approver", reason="other words for the same gap"))
    assert len(other.waiting) == 1
    assert not judge_by(severe).is_open

    later = DAY + timedelta(days=1)
    agreed = waive(home, 1, request(role="business_approver", granted_on=later))
    assert agreed.waiting == ()
    decision = judge_by(severe, on=later)
    assert decision.is_open
    assert [waiver.granted_on for waiver in decision.waived] == [DAY]
    assert len(Record.load(home).waivers(1)) == 2


def test_a_term_cannot_be_stretched_by_countersigning_it_later(
    home: Settings, judge_by: Callable[..., Decision], severe: RiskAppetite
) -> None:
    judge_by(severe, raise_ratio={"female": 0.6, "male": 1.0})
    waive(home, 1, request())
    late = {"granted_on": DAY + timedelta(days=30), "expires_on": DAY + timedelta(days=90)}

    assert len(waive(home, 1, request(role="business_approver", **late)).waiting) == 1
    assert not judge_by(severe, on=DAY + timedelta(days=30)).is_open


def test_a_waiver_that_does_not_count_keeps_no_champion_standing(
    home: Settings, judge_by: Callable[..., Decision], appetite: RiskAppetite
) -> None:
    judge_by(appetite, raise_ratio={"female": 0.6, "male": 1.0})
    waive(home, 1, request())
    judge_by(appetite)
    for role in ("risk_approver", "business_approver"):
        judgement.approve(home, 1, role=role, on=DAY, valid_days=rules.APPROVAL_MAX_DAYS)
    promotion.promote(home, 1, on=DAY)
    last, late = DAY + timedelta(days=60), DAY + timedelta(days=61)
    endless = waiver(granted_on=late, expires_on=date(2999, 1, 1))
    subject = ("credit-limit@1", Record.load(home).manifest(1).statement.sha256)
    append(
        home,
        Kind.WAIVER,
        subject=subject,
        predicate={"waiver": document(endless), "role": "risk_approver", "decision": ""},
        signer=Signer.open(home.keyring, "risk_approver"),
    )

    assert expired(Record.load(home), last) == []
    (said,) = expired(Record.load(home), late)
    assert f"ended on {last}" in said


# By whoever holds the ledger's key, and writes past every check.


def forged(home: Settings, *, granted: tuple[Waiver, ...] = (), **changed: Any) -> None:
    """Write the newest decision again with other waivers, granted before it if given."""
    record = Record.load(home)
    entry = record.decision(1)
    assert entry is not None
    said = json.loads(canonical.dumps(dict(entry.statement.predicate)))
    subject = ("credit-limit@1", record.manifest(1).statement.sha256)
    for one in granted:
        predicate = {"waiver": document(one), "role": "risk_approver", "decision": said["digest"]}
        forge(home, Kind.WAIVER, predicate, subject=subject, signer="risk_approver")
    said["decision"].update(json.loads(canonical.dumps(changed)))
    said["digest"] = canonical.digest(said["decision"])
    forge(home, Kind.DECISION, said, subject=subject, signer="ledger")


@pytest.fixture
def waived(home: Settings, judge_by: Callable[..., Decision], appetite: RiskAppetite) -> Settings:
    """A home whose gate was opened by one waiver of 60 days."""
    judge_by(appetite, raise_ratio={"female": 0.6, "male": 1.0})
    waive(home, 1, request())
    assert judge_by(appetite).is_open
    return home


SIXTY = DAY + timedelta(days=60)


def test_a_decision_rests_on_waivers_on_their_first_and_last_day_and_of_the_longest_term(
    waived: Settings,
) -> None:
    longest = waiver(owner="Another Head", expires_on=DAY + timedelta(days=180))
    forged(waived, granted=(longest,), waived=[longest])
    forged(waived, decided_on=SIXTY)

    assert rules.waivers_used(Record.load(waived).history) == 3


@pytest.mark.parametrize(
    ("changed", "granted", "said"),
    [
        ({"waived": [waiver(owner="Somebody Else")]}, (), "that nobody had signed"),
        ({"decided_on": SIXTY + timedelta(days=1)}, (), "that was not in force"),
        (
            {"waived": [waiver(granted_on=DAY + timedelta(days=1))]},
            (waiver(granted_on=DAY + timedelta(days=1)),),
            "that was not in force",
        ),
        (
            {"waived": [waiver(expires_on=DAY + timedelta(days=181))]},
            (waiver(expires_on=DAY + timedelta(days=181)),),
            "of a longer term than its threshold allows",
        ),
        (
            {"waived": [waiver(measure="accuracy.auc", scope={})]},
            (waiver(measure="accuracy.auc", scope={}),),
            "of what may not be waived",
        ),
        (
            {"waived": [waiver(measure="nobody.limits", scope={})]},
            (waiver(measure="nobody.limits", scope={}),),
            "of what may not be waived",
        ),
    ],
    ids=["unsigned", "ended", "not begun", "too long", "unwaivable", "unlimited"],
)
def test_a_decision_on_a_waiver_that_does_not_count_is_refused_by_everybody_who_reads(
    waived: Settings,
    changed: dict[str, Any],
    granted: tuple[Waiver, ...],
    said: str,
) -> None:
    forged(waived, granted=granted, **changed)

    with pytest.raises(IntegrityError, match=f"used a waiver {said}"):
        Record.load(waived)
    with pytest.raises(IntegrityError, match=f"used a waiver {said}"):
        write_pack(waived, waived.home / "pack.zip", on=DAY)


def test_a_waiver_that_was_signed_after_its_decision_does_not_count(waived: Settings) -> None:
    other = waiver(owner="Another Head")
    subject = ("credit-limit@1", Record.load(waived).manifest(1).statement.sha256)
    forged(waived, waived=[other])
    predicate = {"waiver": document(other), "role": "risk_approver", "decision": ""}
    forge(waived, Kind.WAIVER, predicate, subject=subject, signer="risk_approver")

    with pytest.raises(IntegrityError, match="used a waiver that nobody had signed"):
        Record.load(waived)


def test_a_decision_on_a_grave_waiver_with_one_signature_is_refused(
    home: Settings, judge_by: Callable[..., Decision], severe: RiskAppetite
) -> None:
    judge_by(severe, raise_ratio={"female": 0.6, "male": 1.0})
    (granted,) = waive(home, 1, request()).waivers
    forged(home, waived=[granted])

    with pytest.raises(IntegrityError, match="that takes both approvers, and has one"):
        Record.load(home)
