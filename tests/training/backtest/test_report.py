from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from governance import canonical
from governance.errors import ContractError, UsageError
from limits import policy as policies
from training.backtest import frontier, page, report
from training.backtest.report import Question, Report
from training.backtest.strategy import Files, Strategy
from training.backtest.trial import Trial

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
    text = page.render(found, {})
    assert f"Strategies, all seeds together: n = {found.accounts:,}, " in text
    assert f"Strategies, seed 11: n = {found.accounts:,}, " not in text


def test_what_a_limit_causes_is_measured_where_everybody_was_raised(found: Report) -> None:
    known = {each.measure: each for each in found.evidence.measurements}
    assert 0.05 < (known["backtest.debt_per_limit"].value or 0) < 0.6
    assert known["backtest.bad_customers_over_static"].value is not None


def test_a_policy_without_dials_is_said_to_have_none(trial: Trial, make_files: MakeFiles) -> None:
    small = Question(trial=trial, seeds=(11,), accounts=60, strategies=report.chosen("rule"))
    said = report.run(small, make_files({"macro": None}), on=DAY).evidence.not_evidenced
    assert any("no" in each and "downturn" in each and "dials" in each for each in said)
    assert not any(
        "dials" in each for each in report.run(small, make_files(), on=DAY).evidence.not_evidenced
    )


def test_the_page_says_simulated_and_needs_nothing_from_outside(found: Report) -> None:
    text = page.render(found, {"seeds": "backtest-seeds.png"})
    assert "Simulated" in text
    assert "Not evidenced" in text
    assert "What only an experiment identifies" in text
    assert "http" not in text.replace("http-equiv", "")
    assert "<script" not in text


@pytest.mark.parametrize("text", ["nonsense", "static", "rule,nonsense"])
def test_strategies_that_compare_nothing_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        report.chosen(text)


def test_static_is_always_compared_with() -> None:
    assert report.chosen("free, rule") == (Strategy.STATIC, Strategy.RULE, Strategy.FREE)


def test_the_family_holds_the_filed_policy_and_valid_neighbors_alone() -> None:
    text = policies.packaged("world_demo")
    family = frontier.variants(text)
    assert family[0].name == frontier.FILED
    assert len(family) >= 10
    assert len({each.policy.digest for each in family}) == len(family)
    # The worst band of this policy gets 0.6: its neighbors give more and less.
    assert {"worst band kept", "two worst bands x 0.5"} <= {each.name for each in family}
    harsh = text.replace("E = [1.00, 1.00, 1.00, 1.00]", "E = [0.65, 0.65, 0.65, 0.65]")
    narrowed = harsh.replace("E = { least = 1.00", "E = { least = 0.65")
    names = {each.name for each in frontier.variants(narrowed)}
    assert "worst band kept" not in names


def test_the_frontier_runs_the_rule_of_each_variant(trial: Trial, make_files: MakeFiles) -> None:
    heard: list[str] = []
    small = Question(
        trial=trial,
        seeds=(11,),
        accounts=40,
        strategies=report.chosen("rule"),
        policy_text=policies.packaged("world_demo"),
    )
    made = report.run(small, make_files(), on=DAY, done=heard.append)
    variants = {m.scope["variant"] for m in made.evidence.measurements if "variant" in m.scope}
    assert frontier.FILED in variants
    assert len(heard) <= small.steps
    assert variants <= {*frontier.FAMILY, frontier.FILED}


def test_a_policy_that_cannot_be_read_has_no_frontier() -> None:
    with pytest.raises(ContractError):
        frontier.variants('schema = "limit-policy/2"')


def test_the_document_is_what_the_evidence_says(found: Report) -> None:
    document = found.as_document()
    assert document["is_simulated"] is True
    assert document["seeds"] == [11, 12]
    assert document["evidence_digest"] == found.evidence.digest
    assert document["outcome"] in {"PASS", "BREACH", "INCONCLUSIVE"}
    assert {each["measure"] for each in document["targets"]} >= {"backtest.losses_over_static"}
