"""The optimizer on the real UCI rows, one period: python -m benchmarks.limits_optimizer.

Real defaults stand in the place of the probabilities. The replay still assumes how balances answer
to a limit, which only an experiment could show; every money figure is under stylized economics.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa

from decisions import features
from decisions.engine import Freeze
from decisions.features import FeatureSpec
from decisions.plan import PLAIN, Plan
from decisions.policy import LimitPolicy
from decisions.policy import packaged as packaged_policy
from decisions.scoring import DEFAULT_PROBABILITY, design_matrix
from governance.outcome import Outcome
from lab.optimizer import accounts, optimization
from lab.optimizer.economics import Economics, packaged
from lab.optimizer.envelope import find_envelope
from training import demo_data, evaluation, recipes

POLICY = LimitPolicy.parse(packaged_policy("uci_demo"))
ECONOMICS = Economics.parse(packaged("uci_stylized"))
PLAN = Plan.of(POLICY, as_of=date(2005, 10, 1), freeze=Freeze.NOTHING, climate=PLAIN)
DRAWS = 2_000
STRESSES = {
    "base": {},
    "harsh": {"given_default": 0.25, "conversion": 0.50},
    "mild": {"given_default": 0.10, "conversion": 0.20},
}
RESPONSES = (0.5, 1.8)


def replay() -> None:
    print("one-period replay on the real UCI rows, out-of-fold probabilities, real defaults")
    raw = demo_data.load()
    raw = raw.append_column("reference_limit", raw["limit_bal"])
    spec = FeatureSpec.parse(features.packaged("uci_features"))
    computed = features.compute(spec, raw, ["default_next_month", "bill_amt1", "pay_amt1"])
    labels = computed["default_next_month"].to_numpy()
    recipe = recipes.CHAMPION
    scored = evaluation.out_of_fold(
        lambda: recipe.estimator(spec.signs, seed=0), design_matrix(spec, computed), labels, seed=0
    ).with_sigmoid()
    bill = computed["bill_amt1"].to_numpy().astype(float)
    paid = computed["pay_amt1"].to_numpy().astype(float)
    revolving = np.clip(1 - paid / np.maximum(bill, 1.0), 0.0, 1.0) * (bill > 0)
    table = computed.append_column(DEFAULT_PROBABILITY, pa.array(scored.probability))
    table = table.append_column("revolving_share", pa.array(revolving))
    compared(table.combine_chunks().to_batches()[0], labels)


def compared(rows: pa.RecordBatch, labels: np.ndarray) -> None:
    # One period knows no earlier limit: today's is the one once granted.
    rows = rows.append_column("reference_limit_minor", rows["current_limit_minor"])
    for name, loss in STRESSES.items():
        print(f"economics: {name}")
        told(rows, labels, stressed(loss, 1.0))
    for factor in RESPONSES:
        print(f"customers borrow {factor} times as much of a raise as the optimizer believes")
        told(rows, labels, stressed({}, 1.0), stressed({}, factor))


def stressed(loss: dict[str, float], factor: float) -> Economics:
    said = ECONOMICS.model_dump(by_alias=True)
    said["margin"]["revolving_share"] = None
    said["margin"]["revolving_share_column"] = "revolving_share"
    said["loss"] |= loss
    for name in ("base", "per_utilization", "per_probability"):
        said["response"][name] *= factor
    return Economics.model_validate(said)


def told(
    rows: pa.RecordBatch,
    labels: np.ndarray,
    economics: Economics,
    truth: Economics | None = None,
) -> None:
    opened, _ = accounts.open_accounts(find_envelope(PLAN, rows), rows, truth or economics)
    terms = accounts.Terms.of(economics, POLICY)
    found = {"static": opened.before, "rule": opened.policy}
    answer = optimization.optimize(PLAN, economics, [rows], support=None)
    if answer.outcome is not Outcome.PASS:
        print(f"  envelope: {answer.outcome}")
    found["envelope"] = answer.recommended.astype(float)
    print("  policy      expected  realized    loss  limits bn  raised    cut |", end="")
    print(" bad raised  good cut | raised to bad  cut from good, of their limits")
    gained = {}
    bad, before = labels == 1, opened.before
    for name, limit in found.items():
        total = accounts.totals(opened, limit, terms)
        gained[name] = realized(opened, limit, labels, terms)
        raised, cut = limit > before, limit < before
        given = np.maximum(limit - before, 0)[bad].sum() / before[bad].sum()
        taken = np.maximum(before - limit, 0)[~bad].sum() / before[~bad].sum()
        print(
            f"  {name:10} {total.profit / 1e8:9.2f} {gained[name].sum() / 1e8:9.2f} "
            f"{total.expected_loss / 1e8:7.2f} {total.limits / 1e11:10.3f} {raised.mean():7.1%} "
            f"{cut.mean():6.1%} | {raised[bad].mean():10.1%} {cut[~bad].mean():9.1%} | "
            f"{given:13.1%} {taken:14.1%}"
        )
    for better, worse in (("rule", "static"), ("envelope", "rule")):
        interval(f"{better} - {worse}", gained[better] - gained[worse], gained[worse].sum())


def realized(
    opened: accounts.Accounts, limit: np.ndarray, labels: np.ndarray, terms: accounts.Terms
) -> np.ndarray:
    balance = opened.balance(limit)
    exposure = balance + terms.conversion * (limit - balance)
    lost = labels * terms.given_default * exposure
    gained: np.ndarray = opened.margin * (1 - labels) * balance - lost
    return gained - terms.capital_cost * exposure


def interval(name: str, gains: np.ndarray, base: float) -> None:
    rng = np.random.default_rng(0)
    n = len(gains)
    sums = [gains[rng.integers(0, n, n)].sum() for _ in range(DRAWS)]
    low, high = np.quantile(sums, [0.025, 0.975])
    print(
        f"  {name}: realized {gains.sum() / 1e8:+.2f} M NT$ [{low / 1e8:.2f}, {high / 1e8:.2f}] "
        f"(paired bootstrap, 95 %), {gains.sum() / abs(base):+.1%} "
        f"[{low / abs(base):.1%}, {high / abs(base):.1%}] of {base / 1e8:.2f}"
    )


if __name__ == "__main__":
    replay()
