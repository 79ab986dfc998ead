"""A contract that would let the wrong column through is refused when it is read."""

from __future__ import annotations

from itertools import product

import pytest
from pydantic import ValidationError

from governance.contract import Action, Column, ColumnContract, Role, Sensitivity
from governance.errors import ContractError

WHO = """
[[columns]]
name = "who"
type = "string"
sensitivity = "C2"
role = "subject_id"
action = "pseudonymize"
why = "test"
"""
AMOUNT = """
[[columns]]
name = "amount"
type = "int64"
sensitivity = "C1"
role = "feature"
action = "keep"
purposes = ["training", "decision"]
why = "test"
"""
DAY = """
[[columns]]
name = "day"
type = "date32"
sensitivity = "none"
role = "time"
action = "keep"
purposes = ["training", "decision"]
why = "test"
"""
ROW = 'row = ["who", "day"]\n'


def contract(*columns: str, row: str = "") -> ColumnContract:
    head = 'schema = "column-contract/1"\nid = "c"\nversion = "1"\ntitle = "t"\nsource = "s"\n'
    return ColumnContract.parse(head + row + "".join(columns))


def column(role: Role, action: Action, **changed: object) -> Column:
    usual = {
        "name": "x",
        "type": "int64",
        "sensitivity": "C1",
        "role": role,
        "action": action,
        "why": "test",
        "purposes": ["training"] if action is Action.KEEP else [],
        "codes": {"1": "one"} if action is Action.AUDIT else {},
    }
    return Column.model_validate(usual | changed)


ADMISSIBLE = {
    (Role.SUBJECT_ID, Action.PSEUDONYMIZE),
    (Role.IDENTITY, Action.VAULT),
    (Role.PROTECTED, Action.AUDIT),
    (Role.FEATURE, Action.KEEP),
    (Role.LABEL, Action.KEEP),
    (Role.TIME, Action.KEEP),
    *((role, Action.DROP) for role in Role if role is not Role.SUBJECT_ID),
}


@pytest.mark.parametrize(("role", "action"), list(product(Role, Action)))
def test_a_role_is_handled_in_its_own_ways_alone(role: Role, action: Action) -> None:
    if (role, action) in ADMISSIBLE:
        assert column(role, action).action is action
        return
    with pytest.raises(ValidationError, match=f"a {role} may not be handled by {action}"):
        column(role, action)


@pytest.mark.parametrize(("role", "action"), sorted(ADMISSIBLE))
def test_data_of_class_c3_never_enter(role: Role, action: Action) -> None:
    """A password or a card's check number has no admissible use, not even behind the vault."""
    if action is Action.DROP:
        assert column(role, action, sensitivity="C3").sensitivity is Sensitivity.C3
        return
    with pytest.raises(ValidationError, match="C3 data have no admissible use"):
        column(role, action, sensitivity="C3")


def test_what_is_kept_has_a_purpose() -> None:
    with pytest.raises(ValidationError, match="kept without a purpose"):
        column(Role.FEATURE, Action.KEEP, purposes=[])


def test_a_protected_attribute_has_codes_or_edges() -> None:
    with pytest.raises(ValidationError, match="needs codes or upper edges"):
        column(Role.PROTECTED, Action.AUDIT, codes={})
    assert column(Role.PROTECTED, Action.AUDIT, codes={}, upper=[25]).groups == ("<=25", "26+")


@pytest.mark.parametrize("upper", [[25, 25], [30, 25], [25, 40, 40]])
def test_edges_that_do_not_ascend_are_refused(upper: list[int]) -> None:
    """A repeated edge makes a band that holds nobody and a name that means nothing."""
    with pytest.raises(ValidationError, match="upper edges must ascend"):
        column(Role.PROTECTED, Action.AUDIT, codes={}, upper=upper)


def test_bands_are_named_by_what_they_hold() -> None:
    banded = column(Role.PROTECTED, Action.AUDIT, codes={}, upper=[25, 35, 55], group_name="age")
    assert banded.groups == ("<=25", "26-35", "36-55", "56+")
    assert banded.attribute == "age"
    coded = column(Role.PROTECTED, Action.AUDIT, codes={"1": "m", "2": "f", "3": "m"})
    assert coded.groups == ("m", "f")
    assert coded.attribute == "x"


def test_a_column_is_declared_once_and_one_column_says_whose_row_it_is() -> None:
    with pytest.raises(ContractError, match="declared twice"):
        contract(WHO, AMOUNT, AMOUNT)
    for columns in ((AMOUNT,), (WHO, WHO.replace('"who"', '"whom"'), AMOUNT)):
        with pytest.raises(ContractError, match="exactly one column must have the role subject_id"):
            contract(*columns)


def test_a_contract_of_rows_names_its_day() -> None:
    assert contract(WHO, AMOUNT, DAY).day_column is None
    found = contract(WHO, AMOUNT, DAY, row=ROW)
    assert found.day_column is not None
    assert (found.subject_column.name, found.day_column.name) == ("who", "day")


@pytest.mark.parametrize(
    "row",
    [
        '["who"]',
        '["day", "who"]',
        '["who", "who"]',
        '["who", "nobody"]',
        '["who", "day", "amount"]',
    ],
)
def test_a_row_is_a_customer_and_a_day(row: str) -> None:
    with pytest.raises(ContractError, match="the subject column and a declared column of days"):
        contract(WHO, AMOUNT, DAY, row=f"row = {row}\n")


@pytest.mark.parametrize(
    ("was", "becomes", "problem"),
    [
        ('"date32"', '"int64"', "must be a date32 without nulls"),
        ('why = "test"', 'why = "test"\nmay_be_null = true', "must be a date32 without nulls"),
        ('"time"', '"feature"', "in the role time"),
        ('["training", "decision"]', '["training"]', "must be kept for every purpose"),
        ('"keep"\npurposes = ["training", "decision"]', '"drop"', "must be kept for every purpose"),
    ],
)
def test_the_day_of_a_row_tells_the_rows_apart_for_every_reader(
    was: str, becomes: str, problem: str
) -> None:
    assert was in DAY
    with pytest.raises(ContractError, match=problem):
        contract(WHO, AMOUNT, DAY.replace(was, becomes), row=ROW)


def test_a_day_may_be_kept_for_more_than_the_other_columns() -> None:
    narrow = AMOUNT.replace('["training", "decision"]', '["training"]')
    assert contract(WHO, narrow, DAY, row=ROW).day_column is not None


def test_a_contract_of_no_row_at_all_is_refused() -> None:
    with pytest.raises(ContractError, match="minimum_rows"):
        contract(WHO, AMOUNT, row="minimum_rows = 0\n")
    assert contract(WHO, AMOUNT, row="minimum_rows = 1\n").minimum_rows == 1


def test_nothing_that_was_read_is_changed_afterwards() -> None:
    """A digest speaks for the file that was read; what could be set would no longer be it."""
    found = contract(WHO, AMOUNT)
    with pytest.raises(ValidationError, match="frozen"):
        found.version = "2"  # type: ignore[misc]
    with pytest.raises(ValidationError, match="frozen"):
        found.columns[1].action = Action.DROP  # type: ignore[misc]
    with pytest.raises(ContractError, match="unknown key columnz"):
        contract(WHO, AMOUNT, row='columnz = "x"\n')
    assert found.digest == contract("# the same\n", WHO, AMOUNT).digest
    assert found.digest != contract(WHO, AMOUNT.replace('"C1"', '"C2"')).digest
