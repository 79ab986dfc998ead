"""A person decides what the machine may not, once, within bounds, and is remembered sealed."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from decisions import book, decision_log, review_measures, review_queue
from decisions.engine import Freeze
from decisions.policy import LimitPolicy, packaged
from decisions.reasons import Reason
from decisions.review_queue import (
    Handed,
    ReviewCase,
    ReviewQueue,
    ReviewVerdict,
    Ruling,
    Trigger,
    Turned,
)
from governance.errors import ContractError, GateClosed, IntegrityError, UsageError
from governance.outcome import Outcome
from limitline.commands import app
from privacy import keyring
from privacy.feature_table import PSEUDONYM
from registry import findings
from registry.record import Record
from registry.signing import Kind

if TYPE_CHECKING:
    from tests.conftest import World

AS_OF, LATER = date(2005, 10, 1), date(2005, 12, 1)
WHY = "The customer sent the missing statement"
HEX = "ab" * 16
HANDED = Handed(
    pseudonym=HEX,
    trigger=Trigger.OBJECTION,
    before_minor=10_000,
    machine_minor=10_000,
    lowest_minor=5_000,
    highest_minor=13_000,
    reasons=int(Reason.INPUT_MISSING),
    currency="TWD",
)


@pytest.fixture
def held(tmp_path: Path) -> ReviewQueue:
    """Three open cases."""
    made = ReviewQueue(tmp_path / "decisions" / "review.db", keyring.create(tmp_path / "ring"))
    handed = [replace(HANDED, pseudonym=f"{n:032x}") for n in range(3)]
    made.queue("2005-10", handed, on=AS_OF)
    return made


def verdict(
    case: ReviewCase, ruling: Ruling = Ruling.KEEP, amount: int | None = None
) -> ReviewVerdict:
    return case.verdict_of(ruling, amount, reviewer="Ann Example", reason=WHY, on=AS_OF)


def test_a_decision_is_queued_once_and_numbered(held: ReviewQueue) -> None:
    again = [replace(HANDED, pseudonym="0" * 32), replace(HANDED, pseudonym="f" * 32)]
    assert held.queue("2005-10", again, on=LATER) == [4]
    assert held.queue("2005-11", [HANDED], on=LATER) == [5]
    assert [case.number for case in held.cases()] == [1, 2, 3, 4, 5]


def test_a_case_is_decided_once_and_turns_out_once(held: ReviewQueue) -> None:
    case = held.case(1)
    with pytest.raises(UsageError, match="not decided"):
        held.turn(case, Turned.GOOD, on=LATER)
    held.decide(case, verdict(case, Ruling.CUT, 5_000))
    with pytest.raises(UsageError, match="decided already"):
        held.decide(case, verdict(case))
    decided = held.case(1)
    assert decided.verdict is not None
    assert (decided.verdict.amount_minor, decided.is_override) == (5_000, True)
    with pytest.raises(UsageError, match="later"):
        held.turn(decided, Turned.BAD, on=date(2005, 9, 1))
    held.turn(decided, Turned.GOOD, on=LATER)
    with pytest.raises(UsageError, match="turned already"):
        held.turn(decided, Turned.BAD, on=LATER)
    assert held.case(1).turned is Turned.GOOD
    assert held.case(2).verdict is None


@pytest.mark.parametrize(
    ("ruling", "amount", "becomes"),
    [
        (Ruling.RAISE, 10_001, 10_001),
        (Ruling.RAISE, 13_000, 13_000),
        (Ruling.CUT, 9_999, 9_999),
        (Ruling.CUT, 5_000, 5_000),
        (Ruling.KEEP, None, 10_000),
    ],
)
def test_a_person_decides_inside_the_bounds(
    held: ReviewQueue, ruling: Ruling, amount: int | None, becomes: int
) -> None:
    made = verdict(held.case(1), ruling, amount)
    assert (made.ruling, made.amount_minor) == (ruling, becomes)


@pytest.mark.parametrize(
    ("ruling", "amount", "error", "problem"),
    [
        (Ruling.RAISE, 13_001, ContractError, "outside what the policy allows a person"),
        (Ruling.CUT, 4_999, ContractError, "outside what the policy allows a person"),
        (Ruling.KEEP, 10_000, UsageError, "keep takes none"),
        (Ruling.RAISE, None, UsageError, "need an amount"),
        (Ruling.RAISE, 9_000, UsageError, "is no raise"),
        (Ruling.RAISE, 10_000, UsageError, "is no raise"),
        (Ruling.CUT, None, UsageError, "need an amount"),
        (Ruling.CUT, 10_000, UsageError, "is no cut"),
    ],
)
def test_no_person_decides_beyond_the_bounds(
    held: ReviewQueue, ruling: Ruling, amount: int | None, error: type[Exception], problem: str
) -> None:
    with pytest.raises(error, match=problem) as refused:
        verdict(held.case(1), ruling, amount)
    assert "000" not in str(refused.value)


@pytest.mark.parametrize(
    ("who", "why", "on", "problem"),
    [
        (" ", WHY, AS_OF, "needs a reviewer's name and a reason"),
        ("A", "no", AS_OF, "needs a reviewer's name and a reason"),
        ("A", WHY, date(2005, 9, 1), "was queued on 2005-10-01, after that day"),
    ],
)
def test_a_verdict_needs_a_name_a_reason_and_a_later_day(
    held: ReviewQueue, who: str, why: str, on: date, problem: str
) -> None:
    with pytest.raises(UsageError, match=problem):
        held.case(1).verdict_of(Ruling.KEEP, None, reviewer=who, reason=why, on=on)


def test_the_file_holds_no_pseudonym_name_reason_or_amount(held: ReviewQueue) -> None:
    held.queue("2005-11", [HANDED], on=LATER)
    case = held.case(4)
    held.decide(
        case, case.verdict_of(Ruling.CUT, 7_777, reviewer="Ann Example", reason=WHY, on=LATER)
    )
    content = b"".join(path.read_bytes() for path in held.path.parent.iterdir())
    for secret in (HEX.encode(), bytes.fromhex(HEX), b"Ann Example", WHY.encode(), b"7777"):
        assert secret not in content
    assert held.path.stat().st_mode & 0o077 == 0


def edit(held: ReviewQueue, sql: str) -> None:
    connection = sqlite3.connect(held.path)
    for name in ("acts_stay", "acts_remain"):
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute(sql)
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("UPDATE acts SET sealed = CAST(sealed || x'00' AS BLOB) WHERE number = 2", "altered"),
        ("UPDATE acts SET key = 'another' WHERE number = 2", "belongs to something else"),
        (
            "UPDATE acts SET sealed = (SELECT sealed FROM acts LIMIT 1) WHERE number = 2",
            "belongs to something else",
        ),
        ("UPDATE acts SET number = 2 WHERE act = 'decided'", "belongs to something else"),
        ("UPDATE acts SET act = 'turned' WHERE act = 'decided'", "belongs to something else"),
        ("DELETE FROM acts WHERE number = 2", "case was removed"),
    ],
)
def test_any_edit_of_the_queue_is_found(held: ReviewQueue, sql: str, problem: str) -> None:
    held.decide(held.case(1), verdict(held.case(1)))
    edit(held, sql)
    with pytest.raises(IntegrityError, match=problem):
        held.cases()


def test_sql_that_rewrites_is_refused_and_another_ring_opens_nothing(
    held: ReviewQueue, tmp_path: Path
) -> None:
    connection = sqlite3.connect(held.path)
    with pytest.raises(sqlite3.IntegrityError, match="never rewritten"):
        connection.execute("UPDATE acts SET number = 9")
    with pytest.raises(sqlite3.IntegrityError, match="never removed"):
        connection.execute("DELETE FROM acts")
    connection.close()
    with pytest.raises(IntegrityError, match="belongs to something else"):
        ReviewQueue(held.path, keyring.create(tmp_path / "other")).cases()


def test_a_kill_inside_an_act_leaves_the_queue_as_it_was(held: ReviewQueue) -> None:
    script = f"""
        import os, signal
        from datetime import date
        from pathlib import Path
        from decisions.review_queue import Handed, ReviewQueue, Trigger
        from privacy.keyring import Keyring
        here = Path({str(held.path.parents[1])!r})
        held = ReviewQueue(here / "decisions" / "review.db", Keyring.open(here / "ring"))
        def found():
            for number in range(50):
                if number == 40:
                    os.kill(os.getpid(), signal.SIGKILL)
                yield Handed(pseudonym=str(number), trigger=Trigger.OBJECTION, before_minor=1,
                    machine_minor=1, lowest_minor=1, highest_minor=1, reasons=0, currency="TWD")
        held.queue("2006-01", found(), on=date(2006, 1, 1))
    """
    died = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], check=False, env=os.environ
    )
    assert died.returncode == -signal.SIGKILL
    assert [case.number for case in held.cases()] == [1, 2, 3]
    assert held.queue("2006-01", [HANDED], on=LATER) == [4]


def made(number: int, *, amount: int, turned: Turned | None) -> ReviewCase:
    case = ReviewCase(
        number=number,
        key=HEX,
        vintage="2005-10",
        queued_on=AS_OF,
        handed=HANDED,
    )
    said = ReviewVerdict(reviewer="a", ruling=Ruling.CUT, amount_minor=amount, reason=WHY, on=AS_OF)
    return replace(case, verdict=said, turned=turned)


def cases(bad: int, good: int, other_bad: int, other_good: int) -> list[ReviewCase]:
    groups = [(9_000, Turned.BAD, bad), (9_000, Turned.GOOD, good)]
    groups += [(10_000, Turned.BAD, other_bad), (10_000, Turned.GOOD, other_good)]
    return [made(1, amount=a, turned=t) for a, t, times in groups for _ in range(times)]


@pytest.mark.parametrize(
    ("counts", "value", "outcome"),
    [
        ((56, 14, 48, 32), 0.2, Outcome.BREACH),
        ((5, 195, 40, 160), -0.175, Outcome.PASS),
        ((3, 7, 2, 8), 0.1, Outcome.INCONCLUSIVE),
        ((0, 0, 5, 5), None, Outcome.INCONCLUSIVE),
    ],
)
def test_overrides_are_compared_with_the_others(
    counts: tuple[int, int, int, int], value: float | None, outcome: Outcome
) -> None:
    found = review_measures.measure(cases(*counts), on=AS_OF, within_days=30, tolerance=0.05)
    excess = next(m for m in found if m.measure == "review.override_excess")
    assert excess.value == (None if value is None else pytest.approx(value))
    assert (excess.outcome, excess.n) == (outcome, sum(counts))
    rate = next(m for m in found if m.measure == "review.override_rate")
    assert rate.value == pytest.approx((counts[0] + counts[1]) / sum(counts))
    assert rate.low is not None


def test_a_report_on_a_day_knows_nothing_of_what_came_later() -> None:
    later = date(2006, 1, 2)
    known = replace(made(1, amount=9_000, turned=Turned.BAD), turned_on=later)
    verdict_later = replace(known, verdict=replace(known.verdict, on=LATER))  # type: ignore[type-var]
    queued_later = replace(known, queued_on=later)
    cases = [known, verdict_later, queued_later]

    def report(on: date) -> dict[str, tuple[float | None, int]]:
        found = review_measures.measure(cases, on=on, within_days=30, tolerance=0.05)
        return {m.measure + (m.scope.get("overridden", "")): (m.value, m.n) for m in found}

    early = report(date(2005, 10, 20))
    assert early["review.override_rate"] == (1.0, 1)
    assert early["review.bad_rateyes"] == (None, 0)
    assert early["review.overdue"] == (0, 2)
    assert report(LATER)["review.override_rate"] == (1.0, 2)
    assert report(later)["review.bad_rateyes"] == (1.0, 3)


def test_a_case_that_waits_too_long_is_a_breach(held: ReviewQueue) -> None:
    def overdue(on: date) -> tuple[float | None, Outcome]:
        found = review_measures.measure(held.cases(), on=on, within_days=30, tolerance=0.05)
        return found[0].value, found[0].outcome

    assert overdue(date(2005, 10, 31)) == (0, Outcome.PASS)
    assert overdue(date(2005, 11, 1)) == (3, Outcome.BREACH)


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ({"segment": "consumer", "balance_minor": 0}, (5_000_000, 13_000_000)),
        ({"segment": "consumer", "balance_minor": 9_000_000}, (9_000_000, 13_000_000)),
        ({"segment": "consumer", "balance_minor": 11_000_000}, (10_000_000, 13_000_000)),
        ({"segment": None, "balance_minor": None}, (10_000_000, 13_000_000)),
    ],
)
def test_the_bounds_are_the_policys(inputs: dict[str, object], expected: tuple[int, int]) -> None:
    policy = LimitPolicy.parse(packaged("uci_demo"))
    assert review_queue.bounds(policy, inputs, before=10_000_000, as_of=AS_OF) == expected
    assert review_queue.bounds(policy, inputs, before=99_000_000, as_of=AS_OF)[1] == 100_000_000


def handed_over(world: World) -> decision_log.DecisionLog:
    """Write a vintage in which five decisions were handed to a person, two at their own wish."""
    table = book.open_table(world.settings, "uci-credit", keyring=world.keyring)
    log = book.decide(
        world.settings, table, keyring=world.keyring, as_of=AS_OF, freeze=Freeze.NOTHING
    ).log
    rows = log.read()
    handed = {
        "action": ["review"] * 5,
        "reasons": [int(Reason.INPUT_MISSING)] * 3 + [int(Reason.AUTOMATION_REFUSED)] * 2,
        "limit_after_minor": rows["limit_before_minor"].to_pylist()[:5],
    }
    for name, values in handed.items():
        values = [*values, *rows[name].to_pylist()[5:]]
        place = rows.column_names.index(name)
        rows = rows.set_column(place, name, pa.array(values, rows.schema.field(name).type))
    identity = {**log.identity, "vintage": "2005-12"}
    folder = world.settings.decisions / "2005-12"
    return decision_log.write(folder, [rows], identity, keyring=world.keyring)


def say(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["review", *arguments])
    assert done.exit_code == code, done.output
    return done.output


def test_the_verbs_carry_a_case_from_the_log_to_its_outcome(own_world: World) -> None:
    log = handed_over(own_world)
    said = json.loads(say("queue", "--vintage", "2005-12", "--on", "2005-12-01", "--json"))
    assert said["queued"] == [1, 2, 3, 4, 5]
    assert "New cases of 2005-12: 0" in say("queue", "--vintage", "2005-12")
    said = say("queue", "--vintage", "2005-12", "--row", "9", "--on", "2005-12-01")
    assert "New cases of 2005-12: 1" in said
    listed = json.loads(say("list", "--json"))["cases"]
    assert [row["trigger"] for row in listed] == (
        ["input_missing"] * 3 + ["automation_refused"] * 2 + ["objection"]
    )
    arguments = ["--reviewer", "Ann Example", "--reason", WHY, "--on", "2005-12-02"]
    raised = str(json.loads(say("list", "2", "--json"))["highest_minor"])
    say("decide", "1", "--decision", "raise", "--amount-minor", "999999999999", *arguments, code=10)
    outputs = say("decide", "1", "--decision", "keep", *arguments)
    assert "as the machine" in outputs
    held = own_world.settings
    why = "Raises look wrong in one segment"
    findings.freeze(held, role="risk_approver", reason=why, on=AS_OF)
    say("decide", "2", "--decision", "raise", "--amount-minor", raised, *arguments, code=12)
    say("outcome", "1", "--turned", "good", "--on", "2006-01-02")
    say("report", "--on", "2005-12-03", code=14)
    outputs += say("report", "--on", "2006-03-01", code=13)
    outputs += say("list") + say("list", "1")
    assert not any(name.hex() in outputs for name in log.read([PSEUDONYM])[PSEUDONYM].to_pylist())
    assert "Ann Example" not in outputs


def statements(world: World) -> list[dict[str, Any]]:
    entries = Record.load(world.settings).of(Kind.REVIEW)
    return [dict(entry.statement.predicate) for entry in entries]


def test_the_ledger_shows_what_people_did_and_nothing_about_whom(own_world: World) -> None:
    log = handed_over(own_world)
    say("queue", "--vintage", "2005-12", "--on", "2005-10-01")
    bounds = json.loads(say("list", "2", "--json"))
    arguments = ["--reviewer", "Ann Example", "--reason", WHY, "--on", "2005-10-02"]
    say("decide", "1", "--decision", "keep", *arguments)
    highest = str(bounds["highest_minor"])
    say("decide", "2", "--decision", "raise", "--amount-minor", highest, *arguments)
    say("outcome", "2", "--turned", "bad", "--on", "2005-11-02")
    said = statements(own_world)
    assert [(item["event"], item["on"], len(item["acts"])) for item in said] == [
        ("queued", "2005-10-01", 5),
        ("decided", "2005-10-02", 1),
        ("decided", "2005-10-02", 1),
        ("outcome", "2005-11-02", 1),
    ]
    assert [item["acts"][0]["is_override"] for item in said[1:3]] == [False, True]
    signers = {
        entry.statement.person.role for entry in Record.load(own_world.settings).of(Kind.REVIEW)
    }
    assert signers == {"reviewer"}
    text = json.dumps(said)
    names = [name.hex() for name in log.read([PSEUDONYM])[PSEUDONYM].to_pylist()]
    assert not any(name in text or name[:16] in text for name in names)
    assert "Ann" not in text
    assert WHY not in text
    assert highest not in text
    printed = say("report", "--on", "2005-10-03", "--json", code=14).splitlines()
    found = json.loads(next(line for line in printed if line.startswith("{")))
    (held,) = [m for m in found["measurements"] if m["measure"] == "review.unaccounted"]
    assert (held["value"], held["n"], held["outcome"]) == (0, 8, "PASS")


def test_an_act_that_a_kill_left_unsigned_is_signed_by_the_next_verb_and_once(
    own_world: World,
) -> None:
    handed_over(own_world)
    here, ring = own_world.settings, own_world.keyring
    review_queue.queue_vintage(here, "2005-12", keyring=ring, on=AS_OF)
    held = ReviewQueue.of(here, ring)
    assert review_measures.measure_accounting(here, held).outcome is Outcome.BREACH
    assert review_measures.publish(here, held) == 5
    assert review_measures.publish(here, held) == 0
    assert review_measures.measure_accounting(here, held).outcome is Outcome.PASS


def test_a_queue_that_was_cut_off_is_found_by_the_ledger(own_world: World) -> None:
    handed_over(own_world)
    say("queue", "--vintage", "2005-12", "--on", "2005-12-01")
    here, ring = own_world.settings, own_world.keyring
    for part in here.decisions.glob("review.db*"):
        part.unlink()
    found = review_measures.measure_accounting(here, ReviewQueue.of(here, ring))
    assert (found.value, found.outcome) == (5, Outcome.BREACH)
    assert "5 in the ledger are gone" in found.reason


def test_while_raises_are_stopped_a_person_does_not_raise(own_world: World) -> None:
    handed_over(own_world)
    here, ring = own_world.settings, own_world.keyring
    review_queue.queue_vintage(here, "2005-12", keyring=ring, on=AS_OF)
    case = ReviewQueue.of(here, ring).case(1)
    raised = verdict(case, Ruling.RAISE, case.handed.highest_minor)
    findings.freeze(here, role="risk_approver", reason=WHY, on=AS_OF)
    with pytest.raises(GateClosed, match="also by hand"):
        review_queue.decide(here, 1, raised, keyring=ring)
    for role in ("risk_approver", "business_approver"):
        findings.unfreeze(here, role=role, reason=WHY, on=AS_OF)
    review_queue.decide(here, 1, raised, keyring=ring)
    assert ReviewQueue.of(here, ring).case(1).is_override
