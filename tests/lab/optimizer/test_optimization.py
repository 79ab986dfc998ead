"""The optimizer against brute force, HiGHS, the conditions of an optimum, and the impossible."""

from __future__ import annotations

import itertools
from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize as highs
from scipy import sparse

from decisions import engine
from decisions import policy_cases as cases
from decisions.plan import Climate, Freeze, Plan
from decisions.policy import LimitPolicy
from decisions.policy import packaged as packaged_policy
from governance.outcome import Outcome
from lab.optimizer import accounts, optimization
from lab.optimizer.accounts import Accounts, Duals, Terms, best_limits, totals, value
from lab.optimizer.economics import Economics, packaged
from lab.optimizer.envelope import find_envelope
from lab.optimizer.optimization import Optimization, Status

UCI = LimitPolicy.parse(packaged_policy("uci_demo"))
SME = LimitPolicy.parse(packaged_policy("consumer_sme"))
TERMS = Terms.of(Economics.parse(packaged("uci_stylized")), UCI)
INFINITE = float("inf")


def plan(policy: LimitPolicy = UCI, freeze: Freeze = Freeze.NOTHING) -> Plan:
    day = date(2005, 10, 1) if policy is UCI else date(2026, 11, 1)
    return Plan.of(policy, as_of=day, freeze=freeze, climate=Climate(demand_index=1.2))


def economics(policy: LimitPolicy = UCI, **budgets: dict[str, float]) -> Economics:
    found = Economics.parse(packaged("uci_stylized"))
    said = found.model_dump(by_alias=True)
    said["currency"] = policy.currency
    if budgets:
        said["budgets"] = budgets
    return Economics.model_validate(said)


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
            "segment": pa.array(["consumer"] * n),
        }
    )


def solved(rows: pa.RecordBatch, **budgets: dict[str, float]) -> Optimization:
    return optimization.optimize(plan(), economics(**budgets), [rows], support=None)


def permitted(one: Accounts) -> list[float]:
    """Enumerate every limit that rounding and smallest change leave to one customer."""
    lower, upper, before = one.lower[0], one.upper[0], one.before[0]
    units = np.arange(np.ceil(lower / TERMS.unit), np.floor(upper / TERMS.unit) + 1) * TERMS.unit
    kept = [u for u in units if abs(u - before) >= before * TERMS.minimum_change]
    corners = [c for c in (lower, upper, before) if lower <= c <= upper]
    return sorted({*kept, *corners})


def open_of(rows: pa.RecordBatch) -> Accounts:
    envelope = find_envelope(plan(), rows)
    opened, _ = accounts.open_accounts(envelope, rows, economics())
    return opened.take(opened.lower < opened.upper)


def linear_bound(opened: Accounts, allowed: tuple[float, float, float]) -> float:
    """Return the best profit of the linear relaxation over every permitted limit, by HiGHS."""
    owner, limits = [], []
    for i in range(len(opened)):
        mine = permitted(opened.take(slice(i, i + 1)))
        owner += [i] * len(mine)
        limits += mine
    spread = opened.take(np.array(owner))
    at = np.array(limits)
    balance = spread.balance(at)
    exposure = balance + TERMS.conversion * (at - balance)
    lost = spread.probability * TERMS.given_default * exposure
    profit = spread.margin * (1 - spread.probability) * balance - lost
    profit -= TERMS.capital_cost * exposure
    used = (lost, at, TERMS.requirement * exposure)
    binding = [(u, a) for u, a in zip(used, allowed, strict=True) if np.isfinite(a)]
    one_each = sparse.csr_matrix((np.ones(len(at)), (owner, np.arange(len(at)))))
    # Money is divided by its budget, so that the solver's absolute tolerance is a share.
    found = highs.linprog(
        -profit / 1e6,
        A_ub=sparse.csr_matrix(np.array([u / a for u, a in binding])),
        b_ub=np.ones(len(binding)),
        A_eq=one_each,
        b_eq=np.ones(len(opened)),
        method="highs",
    )
    assert found.status == 0
    return -float(found.fun) * 1e6


@pytest.mark.parametrize("duals", [Duals(), Duals(0.5, 1e-4, 0.0), Duals(2.0, 0.01, 0.3)])
def test_the_closed_form_is_as_good_as_trying_every_permitted_limit(duals: Duals) -> None:
    opened = open_of(drawn(150))
    found = value(opened, best_limits(opened, TERMS, duals), TERMS, duals)
    for i in range(len(opened)):
        one = opened.take(slice(i, i + 1))
        every = [value(one, np.array([u]), TERMS, duals)[0] for u in permitted(one)]
        assert found[i] == pytest.approx(max(every), rel=1e-9, abs=1e-3)


def test_the_corner_is_taken_where_the_floored_balance_puts_a_kink_into_the_profit() -> None:
    # Nothing is owed now: up to today's limit the balance is 0 and each unit only costs capital.
    one = Accounts(
        **{
            name: np.array([amount])
            for name, amount in {
                "probability": 0.05, "margin": 0.12, "spread": 4e7, "ceiling": 4e7 * np.exp(-2.5),
                "before": 1e8, "policy": 1e8, "lower": 5e7, "upper": 1.1e8,
            }.items()
        }
    )  # fmt: skip
    duals = Duals(limits=0.004)
    inner = best_limits(one, TERMS, duals)
    assert inner[0] == one.lower[0]
    rising = value(one, np.array([1.1e8]), TERMS, duals) > value(one, np.array([1e8]), TERMS, duals)
    assert rising.all()


def test_two_customers_under_one_budget_match_brute_force() -> None:
    rows = drawn(40, seed=3)
    opened = open_of(rows).take(slice(0, 2))
    free = totals(opened, best_limits(opened, TERMS, Duals()), TERMS).used
    least = totals(opened, opened.lower, TERMS).used
    allowed = (INFINITE, (free[1] + least[1]) / 2, INFINITE)
    total = optimization.total_of(opened, TERMS)
    found = total(optimization.find_duals(total, allowed))
    pairs = itertools.product(*(permitted(opened.take(slice(i, i + 1))) for i in (0, 1)))
    tried = [totals(opened, np.array(pair), TERMS) for pair in pairs]
    best = max(t.profit for t in tried if t.limits <= allowed[1])
    assert found.limits <= allowed[1]
    # With two customers a price cannot split a step; it misses at most one customer's last unit.
    assert best * 0.99 <= found.profit <= best + 1e-3


def test_the_gap_to_the_linear_bound_of_highs_is_below_a_hundredth_of_a_percent() -> None:
    rows = drawn(300, seed=1)
    found = solved(rows, **{name: {"of_policy": 0.99} for name in ("expected_loss", "limits")})
    everybody = found.book.accounts.take(~found.book.is_open)
    fixed = totals(everybody, everybody.policy, TERMS)
    left = tuple(a - f for a, f in zip(found.allowed, fixed.used, strict=True))
    bound = linear_bound(open_of(rows), left) + fixed.profit
    gap = (bound - found.totals["recommended"].profit) / bound
    assert -1e-7 <= gap <= 1e-4
    # The bound by weak duality certifies the same without a solver.
    assert bound * (1 - 1e-7) <= found.bound <= bound * (1 + 1e-4)


@pytest.mark.parametrize(
    "shares", [(0.5, None, None), (None, 0.7, None), (0.6, 0.7, 0.8), (5.0, 5.0, 5.0)]
)
def test_a_budget_is_met_and_used_up_wherever_it_has_a_price(
    shares: tuple[float | None, ...],
) -> None:
    rows, names = drawn(20_000), ("expected_loss", "limits", "capital")
    loose = solved(rows, limits={"of_policy": 9.0})
    budgets = {}
    for place, (name, share) in enumerate(zip(names, shares, strict=True)):
        least, free = loose.least[place], loose.totals["recommended"].used[place]
        if share is not None:
            budgets[name] = {"amount_minor": round(least + share * (free - least))}
    found = solved(rows, **budgets)
    assert found.outcome is Outcome.PASS
    for dual, used, most in zip(
        found.duals, found.totals["recommended"].used, found.allowed, strict=True
    ):
        assert dual >= 0
        assert used <= most * (1 + 1e-9)
        assert dual == 0 or used >= most * (1 - 1e-4)
    is_loose = min(s or 9 for s in shares) > 1
    assert (found.duals == Duals()) is is_loose


def test_inner_optima_satisfy_the_first_order_condition() -> None:
    duals = Duals(0.5, 1e-3, 0.1)
    opened = open_of(drawn(3_000))
    found = best_limits(opened, TERMS, duals)
    unit = TERMS.unit
    is_inner = (found > opened.lower + unit) & (found < opened.upper - unit)
    is_inner &= np.abs(found - opened.before) > opened.before * TERMS.minimum_change + unit
    assert is_inner.sum() > 50
    here = value(opened, found, TERMS, duals)
    for step in (-unit, unit):
        there = value(opened, found + step, TERMS, duals)
        assert (there[is_inner] <= here[is_inner] + 1e-3).all()


dual = st.floats(0, 10, allow_nan=False)


@settings(max_examples=60, deadline=None)
@given(low=st.tuples(dual, dual, dual), more=st.tuples(dual, dual, dual), seed=st.integers(0, 99))
def test_no_total_rises_when_a_dual_rises(
    low: tuple[float, float, float], more: tuple[float, float, float], seed: int
) -> None:
    opened = open_of(drawn(200, seed=seed))
    total = optimization.total_of(opened, TERMS)
    small = Duals(low[0], low[1] / 100, low[2])
    large = Duals(low[0] + more[0], (low[1] + more[1]) / 100, low[2] + more[2])
    for less, greater in zip(total(large).used, total(small).used, strict=True):
        assert less <= greater * (1 + 1e-9) + 1.0


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    policy=st.sampled_from([UCI, SME]),
    freeze=st.sampled_from(list(Freeze)),
    share=st.floats(0.9, 1.1),
)
def test_the_envelope_is_never_left(
    seed: int, policy: LimitPolicy, freeze: Freeze, share: float
) -> None:
    rows = cases.draw(policy, 300, np.random.default_rng(seed))
    on, terms = plan(policy, freeze), economics(policy, limits={"of_policy": share})
    found = optimization.optimize(on, terms, [rows], support=None)
    envelope, status = find_envelope(on, rows), found.book.status
    before, after = envelope.before, found.recommended
    assert (after >= envelope.lower).all()
    assert (after <= envelope.upper).all()
    is_chosen = status == Status.OPTIMIZED
    if freeze is Freeze.RAISES:
        assert (after <= before).all()
    small = np.abs(after - before) * 10_000 < before * policy.step.minimum_change
    assert ((after == before) | ~small)[is_chosen].all()
    assert (after[~is_chosen] == envelope.policy[~is_chosen]).all()
    decided = engine.decide(
        policy, rows, as_of=date(2005, 10, 1) if policy is UCI else date(2026, 11, 1),
        freeze=freeze, climate=Climate(demand_index=1.2),
    )  # fmt: skip
    assert envelope.policy.tolist() == decided["limit_after_minor"].to_pylist()
    is_review = np.array([action == "review" for action in decided["action"].to_pylist()])
    assert (status[is_review] == Status.REVIEW).all()


def test_an_early_warning_leaves_no_raise_and_a_cool_down_no_change() -> None:
    rows = drawn(500).to_pydict()
    rows["months_delinquent"] = [3] * 250 + [0] * 250
    rows["months_since_raise"] = [12] * 250 + [5] * 250
    rows["months_since_cut"] = [12] * 250 + [0] * 250
    envelope = find_envelope(plan(), pa.RecordBatch.from_pydict(rows))
    assert (envelope.upper[:250] <= envelope.before[:250]).all()
    assert (envelope.lower[250:] == envelope.before[250:]).all()
    assert (envelope.upper[250:] == envelope.before[250:]).all()


def test_the_experiments_arms_keep_what_the_policy_gives_them() -> None:
    rows = cases.draw(SME, 3_000, np.random.default_rng(5))
    envelope = find_envelope(plan(SME), rows)
    is_trial = np.array([arm in ("hold_out", "explore") for arm in rows["arm"].to_pylist()])
    assert is_trial.sum() > 100
    assert (envelope.lower[is_trial] == envelope.policy[is_trial]).all()
    assert (envelope.upper[is_trial] == envelope.policy[is_trial]).all()


@pytest.mark.parametrize("name", ["expected_loss", "limits", "capital"])
def test_a_budget_that_the_envelope_cannot_meet_is_named_and_nothing_is_recommended(
    name: str,
) -> None:
    found = solved(drawn(1_000), **{name: {"amount_minor": 1_000}})
    assert found.outcome is Outcome.INCONCLUSIVE
    assert len(found.reasons) == 1
    assert f"The budget {name} allows 1,000 minor units" in found.reasons[0]
    assert (found.recommended == found.book.policy).all()


def test_the_least_that_can_be_met_is_met() -> None:
    rows = drawn(1_000)
    least = solved(rows).least[1]
    found = solved(rows, limits={"amount_minor": int(least)})
    assert found.outcome is Outcome.PASS
    assert found.totals["recommended"].limits == pytest.approx(least, rel=1e-9)


def test_nobody_with_a_choice_is_inconclusive() -> None:
    rows = drawn(100).to_pydict()
    rows["months_since_cut"] = [None] * 100
    rows["default_probability"] = [0.2] * 100
    found = solved(pa.RecordBatch.from_pydict(rows))
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "No customer has a choice" in found.reasons[0]


def test_a_book_in_pieces_is_the_book_and_the_sample_only_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = drawn(20_000, seed=9)
    pieces = [rows.slice(0, 7_000), rows.slice(7_000)]
    whole = solved(rows)
    monkeypatch.setattr(optimization, "SAMPLE_ROWS", 3_000)
    begun = optimization.optimize(plan(), economics(), pieces, support=None)
    again = optimization.optimize(plan(), economics(), pieces, support=None)
    assert (begun.recommended == again.recommended).all()
    used = begun.totals["recommended"]
    for total, most in zip(used.used, begun.allowed, strict=True):
        assert total <= most * (1 + 1e-9)
    assert used.profit == pytest.approx(whole.totals["recommended"].profit, rel=1e-6)


def test_an_account_over_its_limit_keeps_the_policys_decision() -> None:
    rows = drawn(200).to_pydict()
    rows["balance_minor"] = [limit + 1 for limit in rows["current_limit_minor"]]
    status = solved(pa.RecordBatch.from_pydict(rows)).book.status
    assert not (status == Status.OPTIMIZED).any()
    assert (status == Status.RESPONSE_UNKNOWN).any()
