"""The comparison: every strategy in every world, in money and people, and what was meant to be.

Good is who was not 90 days late in any month of the trial under static limits, bad is who was. So
every strategy is held against the same people, and a limit that drives somebody into default does
not turn a good customer into a bad one who was rightly cut.

The targets are house rules of this product for its own example, and no law. Profit is judged by the
paired interval: more than the other strategy in every seed, and surely so. Losses and limits are
bounded at their point value, seed by seed. The share of good customers cut is not judged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from decisions.engine import Regime
from governance.errors import UsageError
from governance.measurement import Measurement
from governance.outcome import Outcome, worst
from governance.proportion import QUANTILE, wilson
from lab.backtest import closed_loop
from lab.backtest.closed_loop import MONEY, LivedStrategy, WarmedUp
from lab.backtest.strategy import MEANING, ReviewedFiles, Strategy, has_dial
from lab.backtest.trial import KNOWN_AFTER, Trial
from lab.world.anchors import Floats
from lab.world.population import Flags
from lab.world.simulation import MINOR

ALL = "all"
MOST_LOSSES, MOST_LIMITS = 0.01, 0.03
FEWEST_ACCOUNTS = 200
"""With fewer the paired interval means nothing; of one account it has no width at all."""

_ABOVE_ZERO = {
    "backtest.profit_over_static": (Strategy.RULE, Strategy.OPTIMIZED),
    "backtest.profit_over_rule": (Strategy.OPTIMIZED,),
}
_AT_MOST = {
    "backtest.losses_over_static": MOST_LOSSES,
    "backtest.limits_over_static": MOST_LIMITS,
}
_SHOWN = ("profit_over_static", "losses_over_static", "limits_over_static", "good_customers_cut")
NOT_EVIDENCED = (
    "How real customers answer to another limit: simulated here from published figures.",
    "What a limit does to risk: only a hold-out and an exploring arm would show it.",
    "Any real portfolio: the world is simulated, and no figure is a forecast.",
    "Closures by customers, new accounts, recoveries, debts with other lenders: there are none.",
    "Support: the optimizer's changes are not held against changes of the past.",
    f"Other downturns than the one declared, or one that is not known after {KNOWN_AFTER} months.",
)

Scope = Mapping[str, str]
Runs = Mapping[tuple[Strategy, int], LivedStrategy]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """Which worlds are lived, by seed, with how many applicants, and what is compared in them."""

    trial: Trial
    seeds: tuple[int, ...]
    accounts: int
    strategies: tuple[Strategy, ...] = tuple(Strategy)

    def __post_init__(self) -> None:
        if self.accounts < 1:
            raise UsageError("A world needs at least one applicant.")


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


def compare(
    contest: Contest, files: ReviewedFiles, *, done: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Live every strategy in every world and return the document of what came of it.

    Parameters
    ----------
    done : callable
        Called with what is being lived next, once a strategy and seed.
    """
    runs: dict[tuple[Strategy, int], LivedStrategy] = {}
    worlds: list[WarmedUp] = []
    for seed in contest.seeds:
        begun = closed_loop.begin(contest.trial.lived(seed, contest.accounts), files)
        for strategy in contest.strategies:
            done(f"{strategy}, seed {seed}")
            runs[strategy, seed] = closed_loop.run(begun, contest.trial, strategy, files)
        worlds.append(begun)
    found = measure(runs)
    targets = judge(found)
    left_out = sum(begun.left_out for begun in worlds)
    trial = contest.trial
    return {
        "schema": "limitline/policy-backtest/2",
        "is_simulated": True,
        "policy": files.policy.stamp,
        "economics": files.economics.stamp,
        "model": files.model.origin,
        "world": trial.filed.id,
        "world_digest": trial.filed.digest,
        "months": trial.months,
        "decided_every_months": trial.every,
        "downturn_from_month": trial.downturn,
        "seeds": list(contest.seeds),
        "accounts": sum(len(begun.history.limit) for begun in worlds),
        "accounts_left_out": left_out,
        "currency": files.policy.currency,
        "strategies": {each.value: MEANING[each] for each in contest.strategies},
        "reviews_without_recommendation": sum(run.kept_policy for run in runs.values()),
        "outcome": worst(each.outcome for each in targets).value,
        "targets": [each.as_json() for each in targets],
        "measurements": [each.as_json() for each in found],
        "not_evidenced": [*NOT_EVIDENCED, *_caveats(contest, files, left_out)],
    }


def _caveats(contest: Contest, files: ReviewedFiles, left_out: int) -> Iterator[str]:
    if left_out:
        yield f"{left_out:,} accounts of segments that the policy does not cover."
    spec, economics = files.model.spec, files.economics
    if spec.horizon_months != economics.horizon_months:
        yield (
            f"Economics of {economics.horizon_months} months under a default probability of "
            f"{spec.horizon_months}: the optimizer weighs risk and margin over different times."
        )
    if economics.assumed:
        yield f"Numbers that nobody measured: {'; '.join(economics.assumed)}."
    regimes = {Regime(turn.regime) for turn in contest.trial.filed.schedule} - {Regime.NEUTRAL}
    if unturned := sorted(each for each in regimes if not has_dial(files.policy, each)):
        yield (
            f"What dials for {' and '.join(unturned)} would do: the policy has none, so it decided "
            "as in normal times."
        )


def measure(runs: Runs) -> tuple[Measurement, ...]:
    """Return every measure of every strategy, by seed and over all seeds together."""
    strategies = list(dict.fromkeys(strategy for strategy, _ in runs))
    seeds = list(dict.fromkeys(seed for _, seed in runs))
    parts = [([seed], str(seed)) for seed in seeds]
    if len(seeds) > 1:
        parts.append((seeds, ALL))
    found: list[Measurement] = []
    for chosen_seeds, name in parts:
        joined = {
            each: LivedStrategy.joined([runs[each, seed] for seed in chosen_seeds])
            for each in strategies
        }
        for strategy in strategies:
            found += _of_strategy(joined, strategy, {"strategy": strategy.value, "seed": name})
    return tuple(found)


def _of_strategy(
    runs: Mapping[Strategy, LivedStrategy], strategy: Strategy, scope: Scope
) -> Iterator[Measurement]:
    mine, static, rule = runs[strategy], runs[Strategy.STATIC], runs.get(Strategy.RULE)
    yield _total("profit", mine.profit, scope)
    for name in MONEY:
        yield _total(name, mine.money[name], scope)
    yield _total("final_limits", mine.limit, scope)
    good = ~static.is_bad
    for name, moved in (("cut", mine.cuts > 0), ("raised", mine.raises > 0)):
        yield measure_share(f"good_customers_{name}", moved[good], scope)
        yield measure_share(f"bad_customers_{name}", moved[~good], scope)
    if strategy is Strategy.STATIC:
        return
    yield measure_over("profit_over_static", mine.profit, static.profit, scope)
    yield measure_over("losses_over_static", mine.money["losses"], static.money["losses"], scope)
    yield measure_over("limits_over_static", mine.limit, static.limit, scope)
    if rule is not None and strategy is not Strategy.RULE:
        yield measure_over("profit_over_rule", mine.profit, rule.profit, scope)


def measure_over(name: str, amounts: Floats, base: Floats, scope: Scope) -> Measurement:
    """Measure how much more the accounts brought than the same accounts did under `base`, paired.

    ``sum(amounts - base) / |sum(base)|``; the interval is that of a ratio of two sums over the same
    accounts, to first order.

    Notes
    -----
    When it says nothing: ``INCONCLUSIVE`` if the base sums to 0, for then there is no share.

    Examples
    --------
    >>> import numpy as np
    >>> measure_over("profit_over_static", np.array([3.0, 3.0]), np.array([2.0, 2.0]), {}).value
    0.5
    """
    total, n = float(base.sum()), len(base)
    if total == 0 or n == 0:
        return _unknown(name, scope, n, "Under the base there is nothing to compare with.")
    more = amounts - base
    ratio = float(more.sum()) / total
    spread = QUANTILE * math.sqrt(n) * float(np.std(more - ratio * base)) / abs(total)
    value = ratio * math.copysign(1.0, total)
    return Measurement(
        measure=f"backtest.{name}",
        scope=scope,
        value=value,
        low=value - spread,
        high=value + spread,
        n=n,
    )


def measure_share(name: str, events: Flags, scope: Scope) -> Measurement:
    """Measure a share of customers, with Wilson's interval.

    Notes
    -----
    When it says nothing: ``INCONCLUSIVE`` if there is no such customer.
    """
    n, hits = len(events), int(events.sum())
    ends = wilson(hits, n)
    if ends is None:
        return _unknown(name, scope, n, "There is no such customer in this trial.")
    return Measurement(
        measure=f"backtest.{name}", scope=scope, value=hits / n, low=ends[0], high=ends[1], n=n
    )


def _total(name: str, amounts: Floats, scope: Scope) -> Measurement:
    """Return a sum over these accounts; it is exact, so it has no interval."""
    value = float(round(float(amounts.sum()) * MINOR))
    return Measurement(
        measure=f"backtest.{name}", scope=scope, value=value, n=len(amounts), unit="minor"
    )


def _unknown(name: str, scope: Scope, n: int, reason: str) -> Measurement:
    return Measurement(
        measure=f"backtest.{name}", scope=scope, n=n, outcome=Outcome.INCONCLUSIVE, reason=reason
    )


def judge(found: Sequence[Measurement]) -> tuple[Measurement, ...]:
    """Return the measurements that a target speaks about, each with its outcome."""
    return tuple(_judged(each) for each in found if _is_meant(each))


def _is_meant(found: Measurement) -> bool:
    bounded = (Strategy.RULE, Strategy.OPTIMIZED) if found.measure in _AT_MOST else ()
    return found.scope.get("strategy") in _ABOVE_ZERO.get(found.measure, bounded)


def _judged(found: Measurement) -> Measurement:
    value, low, high = found.value, found.low, found.high
    if value is None:
        return found
    if found.n < FEWEST_ACCOUNTS:
        return found.judged(
            Outcome.INCONCLUSIVE,
            f"{found.n} accounts were lived; {FEWEST_ACCOUNTS} are the fewest that can tell.",
        )
    if found.measure in _AT_MOST:
        most = _AT_MOST[found.measure]
        outcome = Outcome.PASS if value <= most else Outcome.BREACH
        return found.judged(outcome, f"At most {most:+.0%} over static is meant.")
    if value <= 0 and high is not None and high <= 0:
        return found.judged(Outcome.BREACH, "It is meant to be above 0.")
    if value <= 0 or low is None or low <= 0:
        side = "is above 0, as meant" if value > 0 else "is not above 0, as meant"
        reason = f"It {side}, but not beyond what chance would do."
        return found.judged(Outcome.INCONCLUSIVE, reason)
    return found.judged(Outcome.PASS, "It is above 0, as meant, beyond chance.")


def show(console: Console, document: Mapping[str, Any]) -> None:
    """Print the summary that people read in a terminal."""
    found = [Measurement.model_validate(each) for each in document["measurements"]]
    by_key = {(m.measure, m.scope["seed"], m.scope["strategy"]): m for m in found}
    console.print(
        f"Simulated. {document['policy']}: {document['accounts']:,} accounts, {document['months']} "
        f"months, downturn from month {document['downturn_from_month']}.",
        soft_wrap=True,
        markup=False,
    )
    for seed in dict.fromkeys(m.scope["seed"] for m in found):
        table = Table(title=f"seed {seed}; with 95 % intervals", title_justify="left", box=None)
        for name in ("strategy", *_SHOWN):
            table.add_column(name.replace("_", " "))
        for strategy in document["strategies"]:
            cells = (by_key.get((f"backtest.{name}", seed, strategy)) for name in _SHOWN)
            table.add_row(strategy, *map(_cell, cells))
        console.print(table, "")
    for each in document["targets"]:
        if each["outcome"] != "PASS" and each["scope"]["seed"] != ALL:
            scope = f"{each['scope']['strategy']}, seed {each['scope']['seed']}"
            said = f"{each['outcome']}: {each['measure']}, {scope}. {each['reason']}"
            console.print(said, markup=False)
    console.print(f"Targets: {document['outcome']}", markup=False)


def _cell(found: Measurement | None) -> str:
    """Return a number with its interval below it: 80 columns have no room for both side by side."""
    if found is None or found.value is None or found.low is None or found.high is None:
        return ""
    sign = "+" if "_over_" in found.measure else ""
    return f"{found.value:{sign}.1%}\n{found.low * 100:{sign}.1f}…{found.high * 100:{sign}.1f}"
