"""The report: every strategy in every world, as evidence about a policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from governance.errors import UsageError
from governance.evidence import Evidence
from governance.measurement import Measurement
from governance.outcome import Outcome, worst
from lab.backtest import loop
from lab.backtest.loop import Begun, Run
from lab.backtest.measures import ALL, Runs, by_key, measure
from lab.backtest.strategy import MEANING, Files, Strategy, has_dial
from lab.backtest.target import judge
from lab.backtest.trial import KNOWN_AFTER, Trial, simulator_digest
from limits.engine import Regime

if TYPE_CHECKING:
    from rich.console import Console

KIND = "policy-backtest"
_SHOWN = {
    "profit": "profit, M",
    "profit_over_static": "profit over static",
    "losses_over_static": "losses over static",
    "limits_over_static": "limits over static",
    "good_customers_cut": "good cut",
}
COMPARED = (Strategy.STATIC, Strategy.BLANKET, Strategy.RULE, Strategy.OPTIMIZED)

_RESPONSE = (
    "How real customers answer to another limit, and what a limit does to their risk. Here both "
    "are simulated from published figures; only a hold-out and an exploring arm show them."
)
_SIMPLER = (
    "Closures by customers, new accounts, recoveries after a write-off, debts with other lenders: "
    "the world has none."
)
NOT_EVIDENCED = (
    _RESPONSE,
    "Any real portfolio: the world is simulated, and no figure is a forecast.",
    _SIMPLER,
    "Support: the optimizer's changes are not held against changes of the past.",
    "Other downturns than the one declared, or one that is known sooner or later.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked: seeds, accounts per world, and which strategies are compared.

    Parameters
    ----------
    accounts : int
        Applicants per world; the old rule refuses some of them.
    """

    trial: Trial
    seeds: tuple[int, ...]
    accounts: int
    strategies: tuple[Strategy, ...] = COMPARED

    def __post_init__(self) -> None:
        if self.accounts < 1:
            raise UsageError("A world needs at least one applicant.")

    @property
    def steps(self) -> int:
        """How often `run` says that it is done with something."""
        return len(self.seeds) * len(self.strategies)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was found."""

    question: Question
    files: Files
    evidence: Evidence
    accounts: int
    left_out: int
    kept_policy: Mapping[Strategy, int]

    @property
    def targets(self) -> tuple[Measurement, ...]:
        """The measurements that a target speaks about, judged; the evidence judges nothing."""
        return judge(self.evidence.measurements)

    @property
    def outcome(self) -> Outcome:
        """The gravest outcome of the targets."""
        return worst(found.outcome for found in self.targets)

    def as_document(self) -> dict[str, Any]:
        """Return what the command prints as JSON."""
        trial, files = self.question.trial, self.files
        return {
            "schema": "limitline/policy-backtest/1",
            "is_simulated": True,
            "policy": files.policy.stamp,
            "economics": files.economics.stamp,
            "model": files.scorer.origin,
            "world": trial.filed.id,
            "simulator_digest": self.evidence.subject["simulator"],
            "months": trial.months,
            "decided_every_months": trial.every,
            "downturn_from_month": trial.downturn,
            "turn_known_after_months": trial.known_after,
            "seeds": list(self.question.seeds),
            "accounts": self.accounts,
            "accounts_left_out": self.left_out,
            "currency": files.policy.currency,
            "strategies": {each.value: MEANING[each] for each in self.question.strategies},
            "reviews_without_recommendation": {
                each.value: count for each, count in self.kept_policy.items()
            },
            "outcome": self.outcome.value,
            "targets": [found.as_json() for found in self.targets],
            "evidence_digest": self.evidence.digest,
            "measurements": [found.as_json() for found in self.evidence.measurements],
            "not_evidenced": list(self.evidence.not_evidenced),
        }


def chosen(text: str) -> tuple[Strategy, ...]:
    """Read strategies with commas between them; static is always the first, to compare with.

    Raises
    ------
    UsageError
        If one is unknown, or none moves a limit.
    """
    names = {part.strip() for part in text.split(",")}
    if unknown := names - set(Strategy):
        raise UsageError(f"There is no strategy {min(unknown)}; there are {', '.join(Strategy)}.")
    moving = [each for each in Strategy if each in names and each is not Strategy.STATIC]
    if not moving:
        raise UsageError("Name at least one strategy that moves limits, beside static.")
    return (Strategy.STATIC, *moving)


def run(
    question: Question,
    files: Files,
    *,
    on: date,
    done: Callable[[str], None] = lambda _: None,
) -> Report:
    """Live every strategy in every world and measure what came of it.

    Parameters
    ----------
    on : date
        The day that the evidence is dated.
    done : callable
        Told what is being lived, `Question.steps` times.
    """
    runs: dict[tuple[Strategy, int], Run] = {}
    worlds: list[tuple[Begun, Run]] = []
    for seed in question.seeds:
        begun = loop.begin(question.trial.lived(seed, question.accounts), files)
        for strategy in question.strategies:
            done(f"{strategy}, seed {seed}")
            runs[strategy, seed] = loop.run(begun, question.trial, strategy, files)
        worlds.append((begun, runs[Strategy.STATIC, seed]))
    evidence = Evidence(
        kind=KIND,
        subject=_subject(question, files),
        measurements=measure(runs),
        measured_on=on,
        not_evidenced=(*NOT_EVIDENCED, *_caveats(question, files, worlds)),
    )
    return Report(
        question=question,
        files=files,
        evidence=evidence,
        accounts=sum(len(begun.state.book) for begun, _ in worlds),
        left_out=sum(begun.left_out for begun, _ in worlds),
        kept_policy=_kept_policy(runs, question),
    )


def _subject(question: Question, files: Files) -> dict[str, str]:
    filed = question.trial.filed
    return {
        **files.scorer.subject,
        "policy": files.policy.digest,
        "economics": files.economics.digest,
        "world": filed.digest,
        "simulator": simulator_digest(filed),
    }


def _caveats(question: Question, files: Files, worlds: list[tuple[Begun, Run]]) -> tuple[str, ...]:
    said = []
    if left_out := sum(begun.left_out for begun, _ in worlds):
        said.append(f"{left_out:,} accounts of segments that the policy does not cover.")
    spec, economics = files.scorer.spec, files.economics
    if spec.horizon_months != economics.horizon_months:
        said.append(
            f"Economics of {economics.horizon_months} months under a default probability of "
            f"{spec.horizon_months}: the optimizer weighs risk and margin over different times."
        )
    if economics.assumed:
        said.append(f"Numbers that nobody measured: {'; '.join(economics.assumed)}.")
    if question.trial.known_after != KNOWN_AFTER:
        said.append(f"A downturn that is known after {KNOWN_AFTER} months, as is usual here.")
    regimes = {Regime(turn.regime) for turn in question.trial.filed.schedule} - {Regime.NEUTRAL}
    if unturned := sorted(each for each in regimes if not has_dial(files.policy, each)):
        said.append(
            f"What dials for {' and '.join(unturned)} would do: the policy has none, so it decided "
            "as in normal times."
        )
    return tuple(said)


def _kept_policy(runs: Runs, question: Question) -> dict[Strategy, int]:
    return {
        strategy: sum(runs[strategy, seed].kept_policy for seed in question.seeds)
        for strategy in question.strategies
        if strategy in (Strategy.OPTIMIZED, Strategy.FREE)
    }


def show(console: Console, document: Mapping[str, Any]) -> None:
    """Print the summary that people read in a terminal."""
    from rich.table import Table

    found = [Measurement.model_validate(each) for each in document["measurements"]]
    look, seeds = by_key(found), [str(seed) for seed in document["seeds"]]
    console.print(
        f"Simulated. {document['policy']}: {document['accounts']:,} accounts, {document['months']} "
        f"months, downturn from month {document['downturn_from_month']}.",
        soft_wrap=True,
        markup=False,
    )
    for seed in [*seeds, ALL] if len(seeds) > 1 else seeds:
        where = "all seeds together" if seed == ALL else f"seed {seed}"
        table = Table(title=f"{where}; with 95 % intervals", title_justify="left", box=None)
        for name in ("strategy", *_SHOWN.values()):
            table.add_column(name)
        for strategy in document["strategies"]:
            cells = (look(name, strategy=strategy, seed=seed) for name in _SHOWN)
            table.add_row(strategy, *map(_cell, cells))
        console.print(table, "")
    for each in document["targets"]:
        if each["outcome"] != "PASS" and each["scope"]["seed"] != ALL:
            scope = f"{each['scope']['strategy']}, seed {each['scope']['seed']}"
            console.print(
                f"{each['outcome']}: {each['measure']}, {scope}. {each['reason']}", markup=False
            )
    console.print(f"Targets: {document['outcome']}", markup=False)


def _cell(found: Measurement | None) -> str:
    """Return a number with its interval below it: 80 columns have no room for both side by side."""
    if found is None or found.value is None:
        return ""
    if found.unit == "minor":
        return f"{found.value / 100 / 1e6:,.1f}"
    sign = "+" if "_over_" in found.measure else ""
    text = f"{found.value:{sign}.1%}"
    if found.low is None or found.high is None:
        return text
    return f"{text}\n{found.low * 100:{sign}.1f}…{found.high * 100:{sign}.1f}"
