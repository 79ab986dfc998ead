from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from decisions.features import FeatureSpec
from governance.errors import ContractError, UsageError
from training import data_checks
from training.data_checks import Allowance, CheckKind


@pytest.fixture
def spec(shop_spec: str) -> FeatureSpec:
    return FeatureSpec.parse(shop_spec)


@pytest.mark.parametrize(
    ("values", "codes"),
    [
        ([0, 1, 2, 98], (98,)),
        ([0, 1, 13, 96, 98], (96, 98)),
        ([0, 4, 9999], (9999,)),
        # Exactly twice as far out as every other value is not far from them.
        ([0, 49, 98], ()),
        ([0, 48, 98], (98,)),
        ([-49, 0, 98], ()),
        ([0, 4.5, -9], ()),
        ([0, 12, -9], ()),
        ([0, 4, -9], (-9,)),
        ([-1, 4, -9], ()),
        ([-2, -1, 0, 8], ()),
        (list(range(120)), ()),
        ([0, 98.5], ()),
        ([98, 99], ()),
        ([], ()),
    ],
)
def test_a_code_is_suspected_only_far_from_everything_else(
    values: list[float], codes: tuple[int, ...]
) -> None:
    column = pa.chunked_array([pa.array(values, pa.float64())])
    assert data_checks.special_codes(column) == codes


def test_the_real_data_raise_no_suspicion_of_special_codes(
    uci: pa.Table, uci_spec: FeatureSpec
) -> None:
    data_checks.refuse_special_codes(uci_spec, uci, ())


def test_text_holds_no_special_codes() -> None:
    assert data_checks.special_codes(pa.chunked_array([["98", "1"]])) == ()


def test_an_expression_mentions_a_code_and_not_a_number_that_contains_it(shop_spec: str) -> None:
    rows = pa.table({"late": [0, 98], "owed": [1.0, 2.0], "first_line": [2.0, 3.0]})
    rows = rows.append_column("turnover", pa.array([0.5, 0.7]))
    for sql, is_refused in (("late", True), ("late + 1980", True), ("nullif(late, 98)", False)):
        spec = FeatureSpec.parse(shop_spec.replace('sql = "late"', f'sql = "{sql}"'))
        if is_refused:
            with pytest.raises(ContractError, match="The column late holds conventional"):
                data_checks.refuse_special_codes(spec, rows, ())
        else:
            data_checks.refuse_special_codes(spec, rows, ())


@pytest.mark.parametrize("sign", [1, -1])
def test_a_feature_that_tells_the_outcome_alone_is_a_leak_in_either_direction(
    spec: FeatureSpec, sign: int
) -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random(500) < 0.3).astype(np.int64)
    features = rng.normal(size=(500, 3))
    data_checks.refuse_leaks(spec, features, labels, ())
    features[:, 1] = sign * labels + rng.normal(0, 0.1, 500)
    with pytest.raises(ContractError, match="load alone separates"):
        data_checks.refuse_leaks(spec, features, labels, ())
    allowed = Allowance(kind=CheckKind.LEAK, name="load", reason="It was known before.")
    data_checks.refuse_leaks(spec, features, labels, (allowed,))
    elsewhere = Allowance(kind=CheckKind.CONSTANT, name="load", reason="Another matter.")
    with pytest.raises(ContractError, match="load alone separates"):
        data_checks.refuse_leaks(spec, features, labels, (elsewhere,))


@pytest.mark.parametrize("sign", [1, -1])
def test_a_feature_that_separates_exactly_as_well_as_is_allowed_is_no_leak(
    spec: FeatureSpec, sign: int
) -> None:
    """Of a hundred pairs one is in the wrong order: an AUC of 0.99."""
    labels = np.repeat([0, 1], 10)
    column = np.arange(20.0)
    column[9], column[10] = column[10], column[9]
    features = np.column_stack([np.ones(20), sign * column, np.ones(20)])
    data_checks.refuse_leaks(spec, features, labels, ())
    more = np.column_stack([np.ones(21), sign * np.append(column, 20.0), np.ones(21)])
    with pytest.raises(ContractError, match=r"AUC of 0\.9909"):
        data_checks.refuse_leaks(spec, more, np.append(labels, 1), ())


def test_a_feature_that_is_the_same_for_everybody_is_refused_unless_it_is_allowed(
    spec: FeatureSpec,
) -> None:
    features = np.random.default_rng(0).normal(size=(50, 3))
    data_checks.refuse_constants(spec, features, ())
    features[:, 2] = 7.0
    with pytest.raises(ContractError, match="turnover has the same value for every customer"):
        data_checks.refuse_constants(spec, features, ())
    data_checks.refuse_constants(spec, features, (Allowance.parse("constant:turnover=a pilot"),))
    other = Allowance.parse("leak:turnover=another matter")
    with pytest.raises(ContractError, match="turnover has the same value"):
        data_checks.refuse_constants(spec, features, (other,))
    with pytest.raises(UsageError, match="names nothing that the feature spec"):
        data_checks.refuse_unknown_allowances(spec, (Allowance.parse("leak:nothing=no reason"),))
    data_checks.refuse_unknown_allowances(spec, (other, Allowance.parse("special-code:late=why")))


@pytest.mark.parametrize(
    ("name", "is_refused"),
    [
        *(("sex", True), ("customer_gender", True), ("age", True), ("age_band", True)),
        *(("client_age", True), ("marital_status", True)),
        *(("account_age", False), ("mortgage", False), ("usage", False), ("sexton_fee", False)),
    ],
)
def test_a_name_of_a_protected_attribute_is_refused(
    shop_spec: str, name: str, is_refused: bool
) -> None:
    text = shop_spec.replace('"turnover"', f'"{name}"')
    spec = FeatureSpec.parse(text)
    if not is_refused:
        data_checks.refuse_protected_names(spec, ())
        return
    with pytest.raises(ContractError, match=f"uses {name}, which is named like"):
        data_checks.refuse_protected_names(spec, ())
    allowed = Allowance.parse(f"protected-name:{name}=the age of the shop, not of a person")
    data_checks.refuse_protected_names(spec, (allowed,))


@pytest.mark.parametrize("text", ["", "leak", "leak:", "leak:x", "leak:x=", "lark:x=y", ":x=y"])
def test_an_allowance_without_kind_name_and_reason_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="KIND:NAME=REASON"):
        Allowance.parse(text)


def test_the_order_of_allowances_makes_no_other_candidate() -> None:
    first, second = Allowance.parse("leak:a=b"), Allowance.parse("constant:c=d=e")
    assert data_checks.as_lineage((first, second)) == data_checks.as_lineage((second, first))
    assert second.reason == "d=e"
