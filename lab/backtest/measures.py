"""Measures of a backtest: money and people, each against the same accounts left alone.

Good is who was not 90 days late in any month of the trial under static limits, bad is who was. So
every strategy is held against the same people, and a limit that drives somebody into default does
not turn a good customer into a bad one who was rightly cut.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from governance.measurement import Measurement
from governance.outcome import Outcome
from governance.proportion import QUANTILE, wilson
from lab.backtest.loop import Floats, Run
from lab.backtest.strategy import Strategy
from lab.world.evolution import MINOR

ALL = "all"

_MONEY = ("interest", "fees", "other", "losses", "funding")

Flags = NDArray[np.bool_]
Scope = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One strategy in one world or in several, ``(n_accounts,)`` each; money in whole units."""

    profit: Floats
    money: Mapping[str, Floats]
    limit: Floats
    is_raised: Flags
    is_cut: Flags
    changes: Floats
    is_good: Flags

    @classmethod
    def of(cls, runs: Sequence[Run], static: Sequence[Run]) -> Sheet:
        """Lay runs of one strategy end to end; `static` are the same worlds left alone."""
        ledgers = [run.ledger for run in runs]
        money = {name: _joined([getattr(book, name) for book in ledgers]) for name in _MONEY}
        raises = _joined([book.raises for book in ledgers])
        cuts = _joined([book.cuts for book in ledgers])
        return cls(
            profit=_joined([book.profit for book in ledgers]),
            money=money,
            limit=_joined([run.limit for run in runs]),
            is_raised=raises > 0,
            is_cut=cuts > 0,
            changes=raises + cuts,
            is_good=np.concatenate([~run.is_bad for run in static]),
        )

    def __len__(self) -> int:
        return len(self.profit)


def _joined(parts: Sequence[NDArray[np.generic]]) -> Floats:
    return np.concatenate(parts).astype(np.float64)


Runs = Mapping[tuple[Strategy, int], Run]


def measure(runs: Runs) -> tuple[Measurement, ...]:
    """Return every measure of every strategy, by seed and over all seeds together."""
    strategies = list(dict.fromkeys(strategy for strategy, _ in runs))
    seeds = list(dict.fromkeys(seed for _, seed in runs))
    found: list[Measurement] = []
    for strategy in strategies:
        parts = [([seed], str(seed)) for seed in seeds]
        for chosen, name in [*parts, (seeds, ALL)] if len(seeds) > 1 else parts:
            scope = {"strategy": strategy.value, "seed": name}
            sheets = {
                each: Sheet.of(
                    [runs[each, seed] for seed in chosen],
                    [runs[Strategy.STATIC, seed] for seed in chosen],
                )
                for each in {strategy, Strategy.STATIC, Strategy.RULE} & set(strategies)
            }
            found += _of_strategy(sheets, strategy, scope)
    return tuple(found)


def _of_strategy(
    sheets: Mapping[Strategy, Sheet], strategy: Strategy, scope: Scope
) -> Iterator[Measurement]:
    sheet, static = sheets[strategy], sheets[Strategy.STATIC]
    yield _total("profit", sheet.profit, scope)
    for name in _MONEY:
        yield _total(name, sheet.money[name], scope)
    yield _total("final_limits", sheet.limit, scope)
    yield from people(sheet, scope)
    if strategy is not Strategy.STATIC:
        yield measure_over("profit_over_static", sheet.profit, static.profit, scope)
        yield measure_over(
            "losses_over_static", sheet.money["losses"], static.money["losses"], scope
        )
        yield measure_over("limits_over_static", sheet.limit, static.limit, scope)
        if strategy is not Strategy.RULE and Strategy.RULE in sheets:
            yield measure_over(
                "profit_over_rule", sheet.profit, sheets[Strategy.RULE].profit, scope
            )


def people(sheet: Sheet, scope: Scope) -> Iterator[Measurement]:
    """Yield whom the limits moved: good and bad, cut and raised, and how often."""
    good, bad = sheet.is_good, ~sheet.is_good
    yield measure_share("good_customers_cut", sheet.is_cut[good], scope)
    yield measure_share("good_customers_raised", sheet.is_raised[good], scope)
    yield measure_share("bad_customers_cut", sheet.is_cut[bad], scope)
    yield measure_share("bad_customers_raised", sheet.is_raised[bad], scope)
    yield measure_mean("changes_per_customer", sheet.changes, scope)


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
    full = f"backtest.{name}"
    if total == 0 or n == 0:
        return _unknown(full, scope, n, "Under the base there is nothing to compare with.")
    more = amounts - base
    ratio = float(more.sum()) / total
    spread = QUANTILE * math.sqrt(n) * float(np.std(more - ratio * base)) / abs(total)
    value = ratio * math.copysign(1.0, total)
    return Measurement(
        measure=full, scope=scope, value=value, low=value - spread, high=value + spread, n=n
    )


def measure_share(name: str, events: Flags, scope: Scope) -> Measurement:
    """Measure a share of customers, with Wilson's interval.

    Notes
    -----
    When it says nothing: ``INCONCLUSIVE`` if there is no such customer.
    """
    n, hits = len(events), int(events.sum())
    ends = wilson(hits, n)
    full = f"backtest.{name}"
    if ends is None:
        return _unknown(full, scope, n, "There is no such customer in this trial.")
    return Measurement(measure=full, scope=scope, value=hits / n, low=ends[0], high=ends[1], n=n)


def measure_mean(name: str, values: Floats, scope: Scope) -> Measurement:
    """Measure a mean per customer, with its normal interval."""
    n = len(values)
    if n == 0:
        return _unknown(f"backtest.{name}", scope, n, "There is no customer in this trial.")
    mean, spread = float(values.mean()), QUANTILE * float(values.std()) / math.sqrt(n)
    return Measurement(
        measure=f"backtest.{name}",
        scope=scope,
        value=mean,
        low=max(mean - spread, 0.0),
        high=mean + spread,
        n=n,
        unit="count",
    )


def _total(name: str, amounts: Floats, scope: Scope) -> Measurement:
    """Return a sum over these accounts; it is exact, so it has no interval."""
    return Measurement(
        measure=f"backtest.{name}",
        scope=scope,
        value=float(round(float(amounts.sum()) * MINOR)),
        n=len(amounts),
        unit="minor",
    )


def _unknown(measure_name: str, scope: Scope, n: int, reason: str) -> Measurement:
    return Measurement(
        measure=measure_name, scope=scope, n=n, outcome=Outcome.INCONCLUSIVE, reason=reason
    )


def by_key(found: Sequence[Measurement]) -> Callable[..., Measurement | None]:
    """Return a look-up by the last part of the measure's name and its scope."""
    known = {(m.measure.removeprefix("backtest."), frozenset(m.scope.items())): m for m in found}

    def look(name: str, **scope: str) -> Measurement | None:
        return known.get((name, frozenset(scope.items())))

    return look
