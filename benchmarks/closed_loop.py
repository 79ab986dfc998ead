"""Figures of the closed-loop backtest: python -m benchmarks.closed_loop [develop] [sensitivity].

``develop`` prints the seeds on which the shipped policy and economics were chosen; what is reported
(seeds 101, 102, 103) is printed by ``limitline lab backtest``. ``sensitivity`` asks the
reported seeds what the order of the strategies owes to what is assumed: the optimizer is told
another response than the world has, and the world is given another effect of limits on risk.
Everything is simulated; nothing is a test.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from decisions import features
from decisions import policy as policies
from decisions.features import FeatureSpec
from decisions.policy import LimitPolicy
from lab.backtest import closed_loop, default_model
from lab.backtest.comparison import measure_over, measure_share
from lab.backtest.strategy import ReviewedFiles, Strategy
from lab.backtest.trial import DEVELOPMENT_SEEDS, REPORT_SEEDS, Trial
from lab.optimizer import economics as prices
from lab.optimizer.economics import Economics
from lab.world.settings import WorldSettings, packaged

COMPARED = (Strategy.STATIC, Strategy.RULE, Strategy.OPTIMIZED)
FILED = WorldSettings.parse(packaged())

# What the optimizer is told instead of the response that was fitted in the world.
TOLD = {
    "as filed": {},
    "half of it": {"base": 0.025, "per_utilization": 0.225},
    "1.8 times it": {"base": 0.09, "per_utilization": 0.81},
    "published shape": {"base": 0.05, "per_utilization": 0.35, "per_probability": 0.30},
}
# What a limit does to risk in the world: the logit per log of limit over reference limit.
EFFECTS = {"no effect on risk": 0.0, "three times the effect": 0.30}


def files_of(filed: WorldSettings) -> ReviewedFiles:
    spec = FeatureSpec.parse(features.packaged("world_features"))
    return ReviewedFiles(
        policy=LimitPolicy.parse(policies.packaged("world_demo")),
        economics=Economics.parse(prices.packaged("world")),
        model=default_model.learn(filed, spec),
    )


def compare(
    name: str, trial: Trial, files: ReviewedFiles, *, seeds: tuple[int, ...], accounts: int
) -> None:
    """Print one line per seed: profit, losses and limits over static, and good customers cut."""
    for seed in seeds:
        begun = closed_loop.begin(trial.lived(seed, accounts), files)
        runs = {each: closed_loop.run(begun, trial, each, files) for each in COMPARED}
        static, said = runs[Strategy.STATIC], [f"{name:24s} seed {seed:3d}"]
        for each in COMPARED[1:]:
            mine = runs[each]
            profit = measure_over("x", mine.profit, static.profit, {})
            losses = measure_over("x", mine.money["losses"], static.money["losses"], {})
            limits = measure_over("x", mine.limit, static.limit, {})
            cut = measure_share("x", (mine.cuts > 0)[~static.is_bad], {})
            said.append(
                f"{each}: profit {profit.value:+.2%} losses {losses.value:+.2%} "
                f"limits {limits.value:+.2%} good cut {cut.value:.1%}"
            )
        over = measure_over("x", runs[COMPARED[2]].profit, runs[COMPARED[1]].profit, {})
        said.append(f"optimized over rule {over.value:+.2%} ({over.low:+.2%} to {over.high:+.2%})")
        print("  ".join(said), flush=True)


def develop() -> None:
    print("## Development seeds, 10,000 applicants each")
    trial, files = Trial(filed=FILED, months=24), files_of(FILED)
    compare("as filed", trial, files, seeds=DEVELOPMENT_SEEDS, accounts=10_000)


def sensitivity() -> None:
    print("## What the order of the strategies owes to what is assumed, 3,000 applicants each")
    trial, files = Trial(filed=FILED, months=24), files_of(FILED)
    for name, told in TOLD.items():
        economics = files.economics
        response = economics.response.model_copy(update=told)
        other = replace(files, economics=economics.model_copy(update={"response": response}))
        compare(f"told {name}", trial, other, seeds=REPORT_SEEDS, accounts=3_000)
    for name, effect in EFFECTS.items():
        changed = {**FILED.response.model_dump(), "risk_per_log_limit": effect}
        world = Trial(filed=FILED.changed(response=changed), months=24)
        compare(name, world, files, seeds=REPORT_SEEDS, accounts=3_000)


if __name__ == "__main__":
    wanted = sys.argv[1:] or ["develop", "sensitivity"]
    for mode in wanted:
        {"develop": develop, "sensitivity": sensitivity}[mode]()
