"""The frontier: profit against good customers cut, for a fixed family of variants of the rule.

The family is fixed here, before anybody looks: what warns and how hard it cuts, how long a cut is
final, how sticky a band is, and what the two worst bands get. A reader sees what the filed policy
costs and what its neighbors would have cost.
"""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from governance.errors import ContractError
from governance.measurement import Measurement
from limits.policy import LimitPolicy
from training.backtest import loop
from training.backtest.loop import Begun, Run
from training.backtest.measures import ALL, Sheet, measure_over, measure_share
from training.backtest.strategy import Files, Strategy
from training.backtest.trial import Trial

FILED = "as filed"

Text = Mapping[str, Any]
Change = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A neighbor of the filed policy."""

    name: str
    policy: LimitPolicy


def _warning(months: int, cut_to: float) -> Change:
    def change(text: dict[str, Any]) -> None:
        text["early_warning"] |= {"months_delinquent": months, "cut_to": cut_to}

    return change


def _final(months: int) -> Change:
    def change(text: dict[str, Any]) -> None:
        text["cool_down"]["cut_months"] = months

    return change


def _sticky(share: float) -> Change:
    def change(text: dict[str, Any]) -> None:
        text["bands"]["hysteresis"] = share

    return change


def _worst(multiplier: float, *, bands: int) -> Change:
    """Give the worst bands one multiplier; a better band keeps at least what a worse one gets."""

    def change(text: dict[str, Any]) -> None:
        for name in text["bands"]["names"][-bands:]:
            row = text["matrix"][name]
            text["matrix"][name] = [multiplier] * len(row)

    return change


FAMILY: Mapping[str, Change] = {
    "warn at 2 months, cut to 85 %": _warning(2, 0.85),
    "warn at 2 months, cut to 70 %": _warning(2, 0.70),
    "warn at 2 months, cut to 50 %": _warning(2, 0.50),
    "warn at 3 months, cut to 70 %": _warning(3, 0.70),
    "cuts every month": _final(1),
    "one cut a year": _final(12),
    "bands not sticky": _sticky(0.0),
    "bands stickier": _sticky(0.30),
    "worst band kept": _worst(1.0, bands=1),
    "worst band x 0.7": _worst(0.7, bands=1),
    "two worst bands x 0.9": _worst(0.9, bands=2),
    "two worst bands x 0.7": _worst(0.7, bands=2),
    "two worst bands x 0.5": _worst(0.5, bands=2),
}


def variants(policy_text: str) -> tuple[Variant, ...]:
    """Return the filed policy and every member of the family that is a valid policy.

    A change that the policy's own rules refuse (a worse band would get more) is left out, and so is
    one that changes nothing.
    """
    filed = tomllib.loads(policy_text)
    found = [Variant(name=FILED, policy=LimitPolicy.parse(policy_text))]
    # The envelope is for the optimizer; the rule never reads it, and a variant may contradict it.
    plain = {name: section for name, section in filed.items() if name != "envelope"}
    seen = {LimitPolicy.model_validate(plain).digest}
    for name, change in FAMILY.items():
        text = copy.deepcopy(plain)
        change(text)
        try:
            policy = LimitPolicy.model_validate(text)
        except ValidationError:
            continue
        if policy.digest not in seen:
            found.append(Variant(name=name, policy=policy))
            seen.add(policy.digest)
    return tuple(found)


def measure_frontier(
    policy_text: str,
    files: Files,
    trial: Trial,
    worlds: Sequence[tuple[Begun, Run]],
    done: Callable[[str], None] = lambda _: None,
) -> tuple[Measurement, ...]:
    """Run the rule of every variant in every world; return profit and good customers cut.

    Parameters
    ----------
    worlds : sequence of pair
        Each world at its start, and what it came to under static limits.
    """
    found: list[Measurement] = []
    for variant in variants(policy_text):
        mine = replace(files, policy=variant.policy)
        runs = []
        for begun, _ in worlds:
            done(variant.name)
            runs.append(loop.run(begun, trial, Strategy.RULE, mine))
        static = [run for _, run in worlds]
        sheet, base = Sheet.of(runs, static), Sheet.of(static, static)
        scope = {"strategy": Strategy.RULE.value, "seed": ALL, "variant": variant.name}
        found += [
            measure_over("profit_over_static", sheet.profit, base.profit, scope),
            measure_over("losses_over_static", sheet.money["losses"], base.money["losses"], scope),
            measure_over("limits_over_static", sheet.limit, base.limit, scope),
            measure_share("good_customers_cut", sheet.is_cut[sheet.is_good], scope),
        ]
    if len(found) <= 4:
        raise ContractError("No variant of this policy is a valid policy; there is no frontier.")
    return tuple(found)
