"""Support: nothing is recommended beyond what past changes have shown."""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from decisions.engine import Freeze
from decisions.plan import PLAIN, Plan
from decisions.policy import LimitPolicy
from decisions.policy import packaged as packaged_policy
from governance.errors import ContractError
from lab.optimizer import optimization
from lab.optimizer.economics import Economics, packaged
from lab.optimizer.optimization import Status
from lab.optimizer.support import Support

POLICY = LimitPolicy.parse(packaged_policy("uci_demo"))
PLAN = Plan.of(POLICY, as_of=date(2005, 10, 1), freeze=Freeze.NOTHING, climate=PLAIN)


def history(changes: list[float], risk: float = 0.03, utilization: float = 0.2) -> pa.RecordBatch:
    n = len(changes)
    return pa.RecordBatch.from_pydict(
        {
            "default_probability": [risk] * n,
            "utilization": [utilization] * n,
            "limit_before_minor": [10_000_000] * n,
            "limit_after_minor": [round(10_000_000 * change) for change in changes],
        }
    )


def good_customers(n: int = 200) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(
        {
            "default_probability": np.full(n, 0.03),
            "current_limit_minor": np.full(n, 20_000_000),
            "balance_minor": np.full(n, 4_000_000),
            "utilization": np.full(n, 0.2),
            "months_delinquent": np.zeros(n, np.int64),
            "months_since_raise": np.full(n, 12),
            "months_since_cut": np.full(n, 12),
            "segment": pa.array(["consumer"] * n),
        }
    )


def solved(past: pa.RecordBatch) -> optimization.Optimization:
    said = Economics.parse(packaged("uci_stylized")).model_dump(by_alias=True)
    said["budgets"] = {}
    terms = Economics.model_validate(said)
    support = Support.fit(PLAN, [past])
    return optimization.optimize(PLAN, terms, [good_customers()], support=support)


def count(found: optimization.Optimization, status: Status) -> int:
    return int((found.book.status == status).sum())


def test_a_cell_in_which_raises_were_seen_up_to_a_fifth_is_raised_by_no_more() -> None:
    found = solved(history([1.0] * 100 + [1.2] * 40))
    assert count(found, Status.OPTIMIZED) == 200
    assert set(found.recommended.tolist()) == {24_000_000}


def test_one_odd_raise_is_no_support() -> None:
    found = solved(history([1.0] * 100 + [1.2] * 40 + [1.3]))
    assert set(found.recommended.tolist()) == {24_000_000}


def test_customers_of_a_cell_without_history_keep_the_policys_decision_and_are_counted() -> None:
    found = solved(history([1.0] * 100 + [1.2] * 40, risk=0.7))
    assert count(found, Status.OUTSIDE_SUPPORT) == 200
    assert set(found.recommended.tolist()) == {22_000_000}


def test_where_the_policy_itself_goes_beyond_experience_its_decision_is_kept_and_counted() -> None:
    found = solved(history([1.0] * 100 + [1.06] * 40))
    assert count(found, Status.OUTSIDE_SUPPORT) == 200
    assert set(found.recommended.tolist()) == {22_000_000}


def test_a_cell_that_was_never_changed_leaves_no_choice() -> None:
    found = solved(history([1.0] * 500))
    assert count(found, Status.OUTSIDE_SUPPORT) == 200


def test_too_few_observations_are_none() -> None:
    assert np.isnan(Support.fit(PLAN, [history([1.1] * 29)]).highest).all()
    assert np.isfinite(Support.fit(PLAN, [history([1.1] * 30)]).highest).sum() == 1


def test_a_history_with_impossible_values_or_without_a_column_is_refused() -> None:
    with pytest.raises(ContractError, match="impossible"):
        Support.fit(PLAN, [history([1.0, -0.5])])
    with pytest.raises(ContractError, match="limit_after_minor"):
        Support.fit(PLAN, [history([1.0]).drop_columns(["limit_after_minor"])])
