"""Figures of the limit optimizer; every money figure is simulated under stylized economics.

Run from the repository: ``python benchmarks/limits_optimizer.py [bound] [speed] [replay]``. The
oracle HiGHS is used here and in the tests only. Processor time is measured; nothing is a test.

The replay puts the real defaults of the UCI rows in the place of the probabilities. It still
assumes how balances answer to a limit, which only an experiment could show.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pyarrow as pa
from scipy import optimize as highs
from scipy import sparse

import limits
from governance.outcome import Outcome
from lab.optimizer import accounts, optimization
from lab.optimizer.economics import Economics, packaged
from lab.optimizer.envelope import Reach, find_envelope
from lab.optimizer.survey import Book, Status
from limits import features
from limits.engine import Freeze
from limits.features import FeatureSpec
from limits.policy import LimitPolicy
from limits.policy import packaged as packaged_policy
from limits.scoring import DEFAULT_PROBABILITY, design_matrix
from limits.stages.climate import PLAIN
from limits.stages.plan import Plan

POLICY = LimitPolicy.parse(packaged_policy("uci_demo"))
ECONOMICS = Economics.parse(packaged("uci_stylized"))
PLAN = Plan.of(POLICY, as_of=date(2005, 10, 1), freeze=Freeze.NOTHING, climate=PLAIN)
CHUNK = 65_536
DRAWS = 2_000
STRESSES = {
    "base": {},
    "harsh": {"given_default": 0.25, "conversion": 0.50},
    "mild": {"given_default": 0.10, "conversion": 0.20},
}
RESPONSES = (0.5, 1.8)


def drawn(n: int, seed: int = 0) -> pa.RecordBatch:
    """Draw customers with sound accounts, so that most of them have a choice."""
    rng = np.random.default_rng(seed)
    limit = rng.integers(2, 50, n) * 1_000_000
    utilization = rng.beta(1.2, 1.5, n)
    return pa.RecordBatch.from_pydict(
        {
            "default_probability": rng.beta(0.8, 4.0, n),
            "current_limit_minor": limit,
            "reference_limit_minor": limit,
            "balance_minor": (limit * utilization).astype(np.int64),
            "utilization": utilization,
            "months_delinquent": rng.integers(0, 4, n) * (rng.random(n) < 0.1),
            "months_since_raise": np.full(n, 12),
            "months_since_cut": np.full(n, 12),
            "segment": pa.array(["consumer"]).take(pa.array(np.zeros(n, np.int32))),
        }
    )


def permitted(opened: accounts.Accounts, terms: accounts.Terms) -> tuple[np.ndarray, np.ndarray]:
    """Whose each permitted limit is, and the limit."""
    owner, every = [], []
    for i in range(len(opened)):
        lower, upper, before = opened.lower[i], opened.upper[i], opened.before[i]
        units = np.arange(np.ceil(lower / terms.unit), np.floor(upper / terms.unit) + 1)
        units = units * terms.unit
        kept = units[np.abs(units - before) >= before * terms.minimum_change]
        corners = [c for c in (lower, upper, before) if lower <= c <= upper]
        mine = np.unique(np.concatenate([kept, corners]))
        owner.append(np.full(len(mine), i))
        every.append(mine)
    return np.concatenate(owner), np.concatenate(every)


def linear_bound(
    opened: accounts.Accounts, terms: accounts.Terms, allowed: tuple[float, ...]
) -> float:
    """Best profit of the linear relaxation over every permitted limit of every customer.

    Columns are generated: HiGHS begins with nine limits per customer, and every permitted limit is
    priced by enumeration until none would enter. The result is that of the whole program.
    """
    owner, at = permitted(opened, terms)
    spread = opened.take(owner)
    balance = spread.balance(at)
    exposure = balance + terms.conversion * (at - balance)
    lost = spread.probability * terms.given_default * exposure
    profit = spread.margin * (1 - spread.probability) * balance - lost
    profit = (profit - terms.capital_cost * exposure) / 1e6
    used = np.array([lost / allowed[0], at / allowed[1]])
    begins = np.flatnonzero(np.diff(owner, prepend=-1))
    sizes = np.diff(np.append(begins, len(at)))
    is_in = np.zeros(len(at), bool)
    for share in np.linspace(0, 1, 9):
        is_in[begins + np.round(share * (sizes - 1)).astype(int)] = True
    for rounds in range(1, 100):
        chosen = np.flatnonzero(is_in)
        one_each = sparse.csr_matrix((np.ones(len(chosen)), (owner[chosen], range(len(chosen)))))
        found = highs.linprog(
            -profit[chosen],
            A_ub=sparse.csr_matrix(used[:, chosen]),
            b_ub=np.ones(2),
            A_eq=one_each,
            b_eq=np.ones(len(opened)),
            method="highs",
        )
        worth = profit + found.ineqlin.marginals @ used + found.eqlin.marginals[owner]
        enters = worth > 1e-7
        if not (enters & ~is_in).any():
            print(f"    {len(at):,} permitted limits, {rounds} rounds of HiGHS")
            return -float(found.fun) * 1e6
        is_in |= enters
    raise SystemExit("The linear program did not close.")


def bound() -> None:
    print("gap to the linear bound of HiGHS (budgets: 99 % of the policy's loss and limits)")
    said = ECONOMICS.model_dump(by_alias=True)
    said["budgets"] = {"expected_loss": {"of_policy": 0.99}, "limits": {"of_policy": 0.99}}
    economics = Economics.model_validate(said)
    for n in (500, 2_000, 10_000):
        rows = drawn(n, seed=n)
        book = Book(plan=PLAN, economics=economics, batches=lambda r=rows: iter([r]), support=None)
        begun = time.process_time()
        with tempfile.TemporaryFile() as spool:
            found = optimization.optimize(book, spool)
        spent = time.process_time() - begun
        opened, _ = accounts.open_accounts(find_envelope(PLAN, rows), rows, economics)
        opened = opened.take(opened.lower < opened.upper)
        left = [a - f for a, f in zip(found.allowed[:2], found.found.fixed.used[:2], strict=True)]
        begun = time.process_time()
        best = linear_bound(opened, book.terms, tuple(left))
        solver = time.process_time() - begun
        best += found.found.fixed.profit
        print(
            f"  n = {n:,}: {len(opened):,} with a choice, duals {tuple(found.duals)[:2]}\n"
            f"    gap {(best - found.recommended.profit) / best:.6%}, by weak duality "
            f"{found.gap:.6%}; closed form {spent:.2f} CPU-s, HiGHS {solver:.2f} CPU-s"
        )


def sized(n: int) -> None:
    """One size in a process of its own, so that its peak memory is its own."""
    drawing = 0.0

    def batches() -> Iterator[pa.RecordBatch]:
        nonlocal drawing
        for start in range(0, n, CHUNK):
            begun = time.process_time()
            rows = drawn(min(CHUNK, n - start), seed=start)
            drawing += time.process_time() - begun
            yield rows

    book = Book(plan=PLAN, economics=ECONOMICS, batches=batches, support=None)
    begun, wall = time.process_time(), time.perf_counter()
    with tempfile.TemporaryFile() as spool:
        found = optimization.optimize(book, spool)
        total = sum(int(limit.sum()) for _, limit, _ in found.recommendations())
    spent = time.process_time() - begun - drawing
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    used = [u / a - 1 for u, a in zip(found.recommended.used[:2], found.allowed[:2], strict=True)]
    print(
        f"  n = {n:,}: {spent:.1f} CPU-s (engine's three runs included, drawing the book left out),"
        f" {time.perf_counter() - wall:.1f} s wall with drawing, peak {peak:.2f} GB\n"
        f"    {found.outcome}, {found.found.counts[Status.OPTIMIZED]:,} with a choice, "
        f"{found.passes} correcting passes, used against budgets {used[0]:+.1e} {used[1]:+.1e}, "
        f"gap by weak duality {found.gap:.5%}, sum of limits {total:,}"
    )


def speed() -> None:
    print("speed and memory")
    for n in (1_000_000, 10_000_000):
        subprocess.run([sys.executable, __file__, "sized", str(n)], check=True)


def replay() -> None:
    from training import evaluation, recipes, source

    print("one-period replay on the real UCI rows, out-of-fold probabilities, real defaults")
    raw = source.load()
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
    for reach in Reach:
        book = Book(
            plan=PLAN, economics=economics, batches=lambda: iter([rows]), support=None, reach=reach
        )
        with tempfile.TemporaryFile() as spool:
            answer = optimization.optimize(book, spool)
            parts = [limit for _, limit, _ in answer.recommendations()]
        if answer.outcome is not Outcome.PASS:
            print(f"  {reach.value}: {answer.outcome}")
        found[reach.value] = np.concatenate(parts).astype(float)
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
    for better, worse in [("rule", "static"), *((reach.value, "rule") for reach in Reach)]:
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


def main() -> None:
    if sys.argv[1:2] == ["sized"]:
        sized(int(sys.argv[2]))
        return
    print(f"code: {Path(limits.__file__).parent}")
    parts = {"bound": bound, "speed": speed, "replay": replay}
    for name in sys.argv[1:] or parts:
        parts[name]()


if __name__ == "__main__":
    main()
