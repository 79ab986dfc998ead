from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import date

import pytest

from governance.appetite import RiskAppetite
from governance.errors import GateClosed, UsageError
from governance.evidence import Evidence, Waiver
from governance.measurement import Measurement
from governance.outcome import Outcome
from governance.settings import Settings
from registry import offline, rules, waivers
from registry.attestation import attest
from registry.judgement import gate
from registry.record import Record
from registry.signing import Signer
from registry.waivers import WaiverRequest, waive

DAY, LAST = date(2026, 1, 5), date(2026, 6, 30)
RATIOS = {"female": 0.60, "male": 0.70, "unknown": 1.0}


@pytest.fixture
def judged(judged: Callable[..., None]) -> Callable[..., None]:
    """The same, with two groups in breach unless told otherwise."""
    return functools.partial(judged, raise_ratio=RATIOS)


def _request(measure: str = "fairness.*", **changed: object) -> WaiverRequest:
    wanted = {
        "measure": measure,
        "scope": {},
        "owner": "Head of Conduct",
        "reason": "a known gap, remediation under way",
        "granted_on": DAY,
        "expires_on": LAST,
        **changed,
    }
    return WaiverRequest(**wanted)


def test_one_waiver_is_recorded_for_every_breach_that_matches_and_no_other(
    home: Settings, judged: Callable[..., None]
) -> None:
    judged()
    granted = waive(home, 1, _request()).waivers

    assert [dict(waiver.scope) for waiver in granted] == [
        {"attribute": "sex", "group": "female"},
        {"attribute": "sex", "group": "male"},
    ]
    assert Record.load(home).waivers(1) == granted


def test_waivers_open_the_gate_without_moving_a_threshold(
    home: Settings, judged: Callable[..., None], appetite: RiskAppetite
) -> None:
    judged()
    waive(home, 1, _request())
    decision = gate(home, 1, appetite=appetite, on=DAY)

    assert decision.is_open
    assert len(decision.waived) == 2
    assert decision.appetite == appetite.digest


def test_a_scope_narrows_the_waiver(
    home: Settings, judged: Callable[..., None], appetite: RiskAppetite
) -> None:
    judged()
    assert len(waive(home, 1, _request(scope={"group": "male"})).waivers) == 1
    assert not gate(home, 1, appetite=appetite, on=DAY).is_open


def test_the_same_waiver_is_listed_again_and_recorded_once(
    home: Settings, judged: Callable[..., None]
) -> None:
    judged()
    assert waive(home, 1, _request()) == waive(home, 1, _request())
    assert len(Record.load(home).waivers(1)) == 2


def test_what_may_not_be_waived_is_refused_and_nothing_is_recorded(
    home: Settings, judged: Callable[..., None]
) -> None:
    judged(auc=0.5)

    with pytest.raises(GateClosed, match=r"accuracy\.auc"):
        waive(home, 1, _request("*"))
    assert Record.load(home).waivers(1) == ()


@pytest.mark.parametrize("measure", ["fairness.cut_ratio", "stability.*", "accuracy.auc"])
def test_a_pattern_that_matches_nothing_closed_is_a_usage_error(
    home: Settings, judged: Callable[..., None], measure: str
) -> None:
    judged()

    with pytest.raises(UsageError, match="Nothing that closes the gate matches"):
        waive(home, 1, _request(measure))


def test_a_version_that_was_not_judged_has_nothing_to_waive(home: Settings) -> None:
    with pytest.raises(UsageError, match="was not judged"):
        waive(home, 1, _request())


@pytest.mark.parametrize("role", ["developer", "validator", "ledger"])
def test_only_approvers_waive(home: Settings, judged: Callable[..., None], role: str) -> None:
    judged()

    with pytest.raises(GateClosed, match="may not waive"):
        waive(home, 1, _request(role=role))


@pytest.mark.parametrize(
    "changed", [{"reason": "short"}, {"owner": ""}, {"expires_on": DAY}, {"expires_on": date.min}]
)
def test_a_waiver_needs_an_owner_a_reason_and_a_later_last_day(
    home: Settings, judged: Callable[..., None], changed: dict[str, object]
) -> None:
    judged()

    with pytest.raises(UsageError, match="cannot be granted"):
        waive(home, 1, _request(**changed))
    assert Record.load(home).waivers(1) == ()


def test_an_expired_waiver_closes_the_gate_again(
    home: Settings, judged: Callable[..., None], appetite: RiskAppetite
) -> None:
    judged()
    waive(home, 1, _request())

    assert gate(home, 1, appetite=appetite, on=LAST).is_open
    assert not gate(home, 1, appetite=appetite, on=date(2026, 7, 1)).is_open


def test_what_is_waived_already_is_not_waived_again_in_other_words(
    home: Settings, judged: Callable[..., None]
) -> None:
    judged()
    first = waive(home, 1, _request()).waivers
    again = waive(home, 1, _request(reason="the same gap, said in other words")).waivers

    assert again == first
    assert Record.load(home).waivers(1) == first


def test_the_ledger_counts_the_waivers_that_its_decisions_used(
    home: Settings, judged: Callable[..., None]
) -> None:
    judged()
    waive(home, 1, _request())
    gate(home, 1, on=DAY)

    assert rules.waivers_used(Record.load(home).history) == 2


def test_a_waiver_joins_one_in_the_same_words_that_was_granted_before_and_no_later_one() -> None:
    def waiver(day: date, **changed: object) -> Waiver:
        said = {
            "measure": "accuracy.auc", "scope": {}, "owner": "Head of Conduct",
            "reason": "a known gap, remediation under way", "granted_on": day, "expires_on": LAST,
        }  # fmt: skip
        return Waiver.model_validate({**said, **changed})

    asked, before, later = (waiver(date(2026, 1, day)) for day in (5, 4, 6))
    assert waivers._said_before([before], asked) == before
    for others in ([later], [waiver(date(2026, 1, 4), reason="another reason than this one")]):
        assert waivers._said_before(others, asked) == asked


@pytest.mark.parametrize(
    ("ends", "on", "problem"),
    [
        (None, "2026-06-30", ""),
        ("2026-02-01", "2026-02-01", ""),
        ("2026-02-01", "2026-02-02", "of what may not be waived"),
        (None, "2026-01-04", "that was not in force"),
        (None, "2026-07-01", "that was not in force"),
    ],
)
def test_outsiders_count_a_waiver_until_the_last_day_of_its_threshold_and_its_own(
    ends: str | None, on: str, problem: str
) -> None:
    waiver = {"measure": "m", "scope": {}, "granted_on": "2026-01-05", "expires_on": "2026-06-30"}
    threshold = {
        "measure": "m", "scope": {}, "is_waivable": True, "severity": "low",
        "effective_from": "2026-01-05", "effective_to": ends,
    }  # fmt: skip
    entry = {
        "person": offline.Person("Li Wei", "risk_approver", "k", b""),
        "statement": {"predicate": {"waiver": waiver}},
    }
    assert rules.waiver_problem(waiver, {"thresholds": [threshold]}, on, [entry]) == problem
    assert rules.waiver_problem(waiver, {"thresholds": [threshold]}, on, []) == (
        "that nobody had signed"
    )


def test_a_breach_that_is_only_reported_closes_nothing_and_is_not_waived(
    home: Settings, evidence: Callable[..., Evidence], signer: Callable[[str], Signer]
) -> None:
    moved = Measurement(measure="stability.index", value=0.9, n=400)
    found = evidence()
    more = found.model_copy(update={"measurements": (*found.measurements, moved)})
    attest(home, more, version=1, signer=signer("validator"))
    decision = gate(home, 1, on=DAY)
    assert decision.is_open
    assert [m.outcome for m in decision.judged if m.measure == moved.measure] == [Outcome.BREACH]
    with pytest.raises(UsageError, match="Nothing that closes the gate matches"):
        waive(home, 1, _request("stability.index"))
    assert Record.load(home).waivers(1) == ()
