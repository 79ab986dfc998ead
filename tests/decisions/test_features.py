"""Declared features: one SELECT, in order, refusing what the model was not made for."""

from __future__ import annotations

import re

import pyarrow as pa
import pytest

from decisions import features, sql
from decisions.features import FeatureSpec, compute
from governance.errors import ContractError

SPEC = FeatureSpec.parse(features.packaged("uci_features"))

ROW = {
    **dict.fromkeys(["limit_bal", "reference_limit"], 50_000),
    "pay_0": 2,
    "pay_2": 0,
    "pay_3": -1,
    "pay_4": -2,
    "pay_5": 0,
    "pay_6": 3,
    **{f"bill_amt{i}": 10_000 * i for i in range(1, 7)},
    **{f"pay_amt{i}": 1_000 * i for i in range(1, 7)},
}

# Worked by hand from the row above.
WORKED = {
    "dlq_m0": 2,
    "dlq_max_6m": 3,
    "dlq_cnt_6m": 2,
    "dlq_sum_6m": 2 + 3,
    "dlq_cnt2_6m": 2,
    "months_since_dlq": 0,
    "no_use_cnt": 1,
    "full_pay_cnt": 1,
    "revolve_cnt": 2,
    "state_now": 1,
    "util_now": 10_000 / 50_000,
    "util_avg_6m": (10 + 20 + 30 + 40 + 50 + 60) / 6 / 50,
    "util_max_6m": 60 / 50,
    "util_trend": 10 / 50 - (40 + 50 + 60) / 3 / 50,
    "pay_sum_3m_to_limit": (1 + 2 + 3) / 50,
    "payratio_last": 1_000 / 20_000,
    "payratio_min": 1_000 / 20_000,
    "payratio_avg": (1 / 20 + 2 / 30 + 3 / 40 + 4 / 50 + 5 / 60) / 5,
    "zero_pay_cnt": 0,
    "pay_max_6m": 6_000,
    "bill_trend": 10_000 - 50_000,
}


def table(**changed: object) -> pa.Table:
    return pa.Table.from_pylist([ROW | changed])


def test_the_features_are_as_worked_by_hand() -> None:
    computed = compute(SPEC, table()).to_pylist()[0]
    assert {name: computed[name] for name in WORKED} == pytest.approx(WORKED, abs=1e-12)


def test_a_bill_of_nothing_counts_as_paid() -> None:
    computed = compute(SPEC, table(bill_amt2=0, pay_amt1=0)).to_pylist()[0]
    assert computed["payratio_last"] == 1.0


def test_each_feature_reads_exactly_the_columns_it_declares() -> None:
    columns = set(ROW)
    for feature in SPEC.features:
        read = {name for name in columns if re.search(rf"\b{name}\b", feature.sql)}
        assert read == set(feature.sources), feature.name


def test_the_sound_features_do_not_read_the_limit_under_decision() -> None:
    leak = FeatureSpec.parse(features.packaged("uci_features_limit_leak"))
    assert not SPEC.does_read_current_limit
    assert leak.does_read_current_limit
    raised = compute(SPEC, table(limit_bal=65_000))
    assert raised.select(SPEC.names).equals(compute(SPEC, table()).select(SPEC.names))


def test_rows_keep_their_order_and_kept_columns_come_along() -> None:
    many = pa.concat_tables([table(pay_0=k % 4, limit_bal=1_000 + k) for k in range(5_000)])
    many = many.append_column("mark", pa.array(range(5_000)))
    computed = compute(SPEC, many, keep=["mark"])
    assert computed["mark"].to_pylist() == list(range(5_000))
    assert computed["current_limit_minor"].to_pylist() == [100 * (1_000 + k) for k in range(5_000)]


def test_a_missing_column_is_named() -> None:
    with pytest.raises(ContractError, match="pay_amt3"):
        compute(SPEC, table().drop_columns(["pay_amt3"]))


@pytest.mark.parametrize("limit", [None, 0])
def test_a_feature_that_is_not_finite_is_refused(limit: int | None) -> None:
    with pytest.raises(ContractError, match="util_now is missing or not finite in 1 of 2 rows"):
        compute(
            SPEC,
            pa.concat_tables([table(), table(reference_limit=limit)], promote_options="permissive"),
        )


def test_sql_sees_neither_the_disk_nor_a_second_spelling(tmp_path: object) -> None:
    with pytest.raises(Exception, match=r"(?i)disabled|permission|external"):
        sql.run(f"SELECT * FROM read_csv('{tmp_path}/x.csv')", source=table())
    doubled = table().append_column("PAY_0", pa.array([1]))
    with pytest.raises(ContractError, match="upper and lower case"):
        sql.run("SELECT 1", source=doubled)


def test_a_statement_that_does_not_fit_is_a_contract_error() -> None:
    with pytest.raises(ContractError, match="does not fit"):
        sql.run("SELECT nothing_like_it FROM source", source=table())


def test_a_value_is_never_quoted_in_an_error() -> None:
    secret = pa.Table.from_pylist([{"text": "CANARY-13800000000"}])
    with pytest.raises(ContractError, match="cannot be evaluated on these rows") as caught:
        sql.run("SELECT CAST(text AS BIGINT) FROM source", source=secret)
    assert "CANARY" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_features_in_a_currency_without_hundredths_are_refused() -> None:
    text = features.packaged("uci_features").replace('currency = "TWD"', 'currency = "JPY"', 1)
    with pytest.raises(ContractError, match="JPY is not divided into a hundred parts"):
        FeatureSpec.parse(text)


def test_a_float_amount_is_the_cents_that_it_means_and_a_half_cent_is_refused() -> None:
    """19.99 * 100 is 1998.9999999999998 in binary."""
    text = features.packaged("uci_features")
    spec = FeatureSpec.parse(
        text.replace('"CAST(greatest(bill_amt1, 0) AS BIGINT) * 100"', '"bill_amt1 * 100"')
    )
    cents = range(1, 100_000, 7)
    rows = pa.Table.from_pylist([ROW | {"bill_amt1": cent / 100} for cent in cents])
    assert compute(spec, rows)["balance_minor"].to_pylist() == list(cents)
    largest = pa.Table.from_pylist([ROW | {"bill_amt1": 99_999_999_999.99}])
    assert compute(spec, largest)["balance_minor"].to_pylist() == [9_999_999_999_999]
    for amount in (10.005, 0.00001, 1e300):
        with pytest.raises(ContractError, match=r"balance_minor .an input") as refused:
            compute(spec, pa.Table.from_pylist([ROW | {"bill_amt1": amount}]))
        assert not any(digit in str(refused.value) for digit in "105")


def test_an_input_of_another_kind_is_refused_by_name() -> None:
    text = features.packaged("uci_features")
    for wrong in ("'SECRET'", "TRUE", "DATE '2005-01-01'", "10000000000000000000000"):
        spec = FeatureSpec.parse(
            text.replace('"CAST(greatest(bill_amt1, 0) AS BIGINT) * 100"', f'"{wrong}"')
        )
        with pytest.raises(ContractError, match=r"balance_minor .an input") as refused:
            compute(spec, table())
        assert "SECRET" not in str(refused.value)
