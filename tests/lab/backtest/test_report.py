from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from governance import canonical
from governance.errors import UsageError
from lab.backtest import report
from lab.backtest.report import Question, Report
from lab.backtest.strategy import Files, Strategy
from lab.backtest.trial import Trial

MakeFiles = Callable[..., Files]
DAY = date(2026, 11, 23)
FAST = (Strategy.STATIC, Strategy.BLANKET, Strategy.RULE)


@pytest.fixture(scope="module")
def question(trial: Trial) -> Question:
    return Question(trial=trial, seeds=(11, 12), accounts=300, strategies=FAST)


@pytest.fixture(scope="module")
def found(question: Question, make_files: MakeFiles) -> Report:
    return report.run(question, make_files(), on=DAY)


def test_the_same_question_is_the_same_bytes(
    question: Question, make_files: MakeFiles, found: Report
) -> None:
    again = report.run(question, make_files(), on=DAY)
    assert canonical.dumps(again.evidence) == canonical.dumps(found.evidence)
    assert canonical.dumps(found.evidence).startswith(b'{"kind":"policy-backtest"')


def test_the_evidence_names_what_was_tested_and_judges_nothing(
    found: Report, make_files: MakeFiles
) -> None:
    evidence, files = found.evidence, make_files()
    assert evidence.subject["policy"] == files.policy.digest
    assert evidence.subject["economics"] == files.economics.digest
    assert {"model", "features", "simulator", "world"} <= evidence.subject.keys()
    assert {each.outcome.value for each in evidence.measurements} <= {"INFO", "INCONCLUSIVE"}
    assert all(each.measure.startswith("backtest.") for each in evidence.measurements)
    assert len({each.key for each in evidence.measurements}) == len(evidence.measurements)
    assert any("experiment" in each or "hold-out" in each for each in evidence.not_evidenced)


def test_every_seed_and_all_of_them_are_measured(found: Report) -> None:
    seeds = {each.scope["seed"] for each in found.evidence.measurements}
    assert seeds == {"11", "12", "all"}
    profit = {
        each.scope["seed"]: each
        for each in found.evidence.measurements
        if each.measure == "backtest.profit" and each.scope["strategy"] == "rule"
    }
    assert profit["all"].n == profit["11"].n + profit["12"].n == found.accounts
    assert profit["all"].value == pytest.approx(
        (profit["11"].value or 0) + (profit["12"].value or 0), abs=1
    )


def test_every_number_has_its_interval_and_its_n(found: Report) -> None:
    told = [each for each in found.evidence.measurements if each.value is not None]
    # A sum of money over these accounts is exact; what chance would do is in the paired shares.
    drawn = [each for each in told if each.unit != "minor"]
    assert [each.key for each in drawn if each.low is None or each.high is None] == []
    assert len(drawn) > len(told) / 2
    assert min(each.n for each in told) > 0


def test_a_policy_without_dials_is_said_to_have_none(trial: Trial, make_files: MakeFiles) -> None:
    small = Question(trial=trial, seeds=(11,), accounts=60, strategies=report.chosen("rule"))
    said = report.run(small, make_files({"macro": None}), on=DAY).evidence.not_evidenced
    assert any("no" in each and "downturn" in each and "dials" in each for each in said)
    assert not any(
        "dials" in each for each in report.run(small, make_files(), on=DAY).evidence.not_evidenced
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("nonsense", "no strategy nonsense"),
        ("static", "at least one strategy that moves limits"),
        ("rule,nonsense", "no strategy nonsense"),
    ],
)
def test_strategies_that_compare_nothing_are_refused(text: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        report.chosen(text)


def test_static_is_always_compared_with() -> None:
    assert report.chosen("free, rule") == (Strategy.STATIC, Strategy.RULE, Strategy.FREE)


def test_the_document_is_what_the_evidence_says(found: Report) -> None:
    document = found.as_document()
    assert document["is_simulated"] is True
    assert document["seeds"] == [11, 12]
    assert document["evidence_digest"] == found.evidence.digest
    assert document["outcome"] in {"PASS", "BREACH", "INCONCLUSIVE"}
    assert {each["measure"] for each in document["targets"]} >= {"backtest.losses_over_static"}
