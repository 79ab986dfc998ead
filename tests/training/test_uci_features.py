"""The declared SQL against a second, independent writing of the same 36 features in numpy."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from decisions.features import FeatureSpec


def by_hand(table: pa.Table) -> dict[str, np.ndarray]:
    """The list of the 36 features, from its formulas and from nothing of the product."""

    def stack(*names: str) -> np.ndarray:
        return np.column_stack([table[name].to_numpy() for name in names]).astype(np.float64)

    status = stack("pay_0", "pay_2", "pay_3", "pay_4", "pay_5", "pay_6")
    bill = stack(*(f"bill_amt{month}" for month in range(1, 7)))
    paid = stack(*(f"pay_amt{month}" for month in range(1, 7)))
    limit = table["reference_limit"].to_numpy().astype(np.float64)
    late = np.maximum(status, 0)
    used = bill / limit[:, None]
    ratio = np.clip(paid[:, :5] / np.maximum(bill[:, 1:], 1), 0, 1.5)
    ratio = np.where(bill[:, 1:] <= 0, 1.0, ratio)
    is_late = late > 0
    made = {f"dlq_m{month}": late[:, month] for month in range(6)}
    made |= {
        "dlq_max_6m": late.max(axis=1),
        "dlq_cnt_6m": is_late.sum(axis=1),
        "dlq_sum_6m": late.sum(axis=1),
        "dlq_cnt2_6m": (late >= 2).sum(axis=1),
        "months_since_dlq": np.where(is_late.any(axis=1), is_late.argmax(axis=1), 6),
        "no_use_cnt": (status == -2).sum(axis=1),
        "full_pay_cnt": (status == -1).sum(axis=1),
        "revolve_cnt": (status == 0).sum(axis=1),
        "state_now": np.minimum(status[:, 0], 1),
        "util_now": used[:, 0],
        "util_avg_6m": used.mean(axis=1),
        "util_max_6m": used.max(axis=1),
        "util_trend": used[:, 0] - used[:, 3:].mean(axis=1),
        "pay_sum_3m_to_limit": paid[:, :3].sum(axis=1) / limit,
        "payratio_last": ratio[:, 0],
        "payratio_avg": ratio.mean(axis=1),
        "payratio_min": ratio.min(axis=1),
        "zero_pay_cnt": (paid == 0).sum(axis=1),
        "pay_avg_6m": paid.mean(axis=1),
        "pay_max_6m": paid.max(axis=1),
        "bill_now": bill[:, 0],
        "bill_avg_6m": bill.mean(axis=1),
        "bill_min": bill.min(axis=1),
        "bill_trend": bill[:, 0] - bill[:, 3:].mean(axis=1),
    }
    return made | {f"pay_amt_m{month}": paid[:, month] for month in range(6)}


def signs() -> dict[str, int]:
    """The declared directions: up with arrears and use, down with payments, the rest free."""
    up = {f"dlq_m{month}" for month in range(6)} | {"zero_pay_cnt"}
    up |= {"dlq_max_6m", "dlq_cnt_6m", "dlq_sum_6m", "dlq_cnt2_6m"}
    up |= {"util_now", "util_avg_6m", "util_max_6m"}
    down = {f"pay_amt_m{month}" for month in range(6)} | {"pay_avg_6m", "pay_max_6m"}
    down |= {"months_since_dlq", "pay_sum_3m_to_limit"}
    down |= {"payratio_last", "payratio_avg", "payratio_min"}
    return dict.fromkeys(up, 1) | dict.fromkeys(down, -1)


def test_the_declared_sql_is_the_written_list(
    uci: pa.Table, uci_spec: FeatureSpec, uci_design: tuple[np.ndarray, np.ndarray]
) -> None:
    expected = by_hand(uci)
    assert set(uci_spec.names) == set(expected)
    assert len(uci_spec.names) == 36
    for column, name in enumerate(uci_spec.names):
        np.testing.assert_allclose(
            uci_design[0][:, column], expected[name], rtol=1e-12, atol=1e-12, err_msg=name
        )


def test_every_direction_is_the_declared_one(uci_spec: FeatureSpec) -> None:
    expected = signs()
    found = dict(zip(uci_spec.names, uci_spec.signs, strict=True))
    assert found == {name: expected.get(name, 0) for name in uci_spec.names}
    assert sum(sign != 0 for sign in found.values()) == 27


def test_no_feature_is_protected_or_the_limit_under_decision(uci_spec: FeatureSpec) -> None:
    assert not {"sex", "age", "education", "marriage", "limit_bal"} & set(uci_spec.sources)
