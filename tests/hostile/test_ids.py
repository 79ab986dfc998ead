"""Two spellings of one id are one customer, and ids of another kind are not ids."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.contract import ColumnContract, IdKind
from governance.errors import ContractError
from privacy import keyring, subject_id
from privacy.raw_table import packaged_contract
from privacy.subject_vault import SubjectVault
from tests.privacy.conftest import World, raw_table

ZWSP, BOM, NBSP, SOFT = "\u200b", "\ufeff", "\u00a0", "\u00ad"

# Invented numbers; the resident id is the example of GB 11643 in both of its forms.
SAME: dict[IdKind, dict[str, tuple[str, ...]]] = {
    "code": {
        "C0001": (
            f"C00{ZWSP}01", f"{BOM}C0001", f"C0001{SOFT}", "C0001\x00", "C\x000001", "c0001",
            "Ｃ０００１", "ｃ0001", "C٠٠٠١", "C०००१", "С0001", "с0001", "C0001\ufe0f",
            "\u2066C0001\u2069", "C⁰⁰⁰¹", "C0001\u034f",

        ),
        "AB-12": ("AB‐12", "AB–12", "ab−12", "ＡＢ－１２", "ΑΒ-12"),
        "A 12": (f"A{NBSP}12", "A\u300012", "a\u202f12"),
        "京A12345": ("京a12345", "京Ａ１２３４５"),
        "STRASSE": ("straße", "STRAẞE"),
    },
    "token": {"aB3xY": (f"aB3{ZWSP}xY", "ａB3xY", "aB3xY\x00", "aB３xY")},
    "mobile": {
        "13900000001": (
            "+8613900000001", "+86 139 0000 0001", "008613900000001", "86-139-0000-0001",
            "139-0000-0001", "(+86)13900000001", "１３９０００００００１", f"139{ZWSP}00000001",
            "139.0000.0001", "139\u00a00000\u00a00001",
        ),
        "+85290000001": ("0085290000001", "+852 9000 0001"),
    },
    "resident_id": {
        "11010519491231002X": (
            "110105491231002", "11010519491231002x", "11010519491231002Ⅹ", "11010519491231002Х",
            "110105 19491231 002X", "１１０１０５４９１２３１００２", f"110105{ZWSP}491231002",
            "110105-19491231-002x",
        )
    },
}  # fmt: skip
OTHERS: dict[IdKind, tuple[tuple[str, str], ...]] = {
    "code": (("0001", "1"), ("A1", "A2"), ("A 12", "A12"), ("京A1", "沪A1")),
    "token": (("aB3", "ab3"), ("A", "a")),
    "mobile": (("13900000001", "13900000002"), ("+85290000001", "+85390000001")),
    "resident_id": (("110105491231002", "110105491231003"),),
}


def of_kind(kind: IdKind, contract: ColumnContract) -> ColumnContract:
    subject = contract.subject_column
    columns = tuple(
        subject.model_copy(update={"id_kind": kind}) if column is subject else column
        for column in contract.columns
    )
    return contract.model_copy(update={"columns": columns})


def form(kind: IdKind, world: World, *ids: str) -> list[str]:
    column = of_kind(kind, world.contract).subject_column
    return subject_id.canonical(pa.array(ids), column).to_pylist()  # type: ignore[no-any-return]


@pytest.fixture
def world(tmp_path: Path) -> World:
    ring = keyring.create(tmp_path / "keyring")
    return World(home=tmp_path, ring=ring, contract=packaged_contract("uci_credit"))


def with_ids(ids: list[str]) -> pa.Table:
    return raw_table(len(ids)).set_column(0, "customer_id", pa.array(ids))


@pytest.mark.parametrize("kind", SAME)
def test_every_spelling_has_the_one_form(world: World, kind: IdKind) -> None:
    for right, spellings in SAME[kind].items():
        assert form(kind, world, right, *spellings) == [right] * (1 + len(spellings))


@pytest.mark.parametrize("kind", OTHERS)
def test_different_ids_stay_different(world: World, kind: IdKind) -> None:
    for first, second in OTHERS[kind]:
        assert len(set(form(kind, world, first, second))) == 2


@pytest.mark.parametrize("kind", SAME)
def test_two_spellings_in_one_table_are_refused_by_number_and_without_a_value(
    world: World, kind: IdKind
) -> None:
    contract = of_kind(kind, world.contract)
    for right, spellings in SAME[kind].items():
        for other in spellings:
            with pytest.raises(ContractError, match="1 rows repeat a customer_id") as told:
                world.protect(with_ids([right, other]), contract=contract)
            assert right not in str(told.value)
    assert not world.features.exists()


@pytest.mark.parametrize("kind", SAME)
def test_the_next_table_finds_the_customer_under_another_spelling(
    world: World, kind: IdKind
) -> None:
    contract = of_kind(kind, world.contract)
    for number, (right, spellings) in enumerate(SAME[kind].items()):
        for place, spelling in enumerate((right, *spellings)):
            source = world.write(with_ids([spelling]), f"{number}-{place}.parquet")
            world.protect(source, contract=contract)
        with SubjectVault.opened(world.vault, keyring=world.ring) as vault:
            assert vault.count() == number + 1
            assert vault.record(right, contract)["customer_id"] == spelling


@pytest.mark.parametrize(
    ("kind", "ids", "number"),
    [
        ("mobile", ["13900000001", "1390000000", "C0001", "23900000001"], 3),
        ("resident_id", ["11010519491231002X", "1101051949123100", "1101051949123100XX"], 2),
    ],
)
def test_what_is_no_id_of_the_kind_is_refused_by_number(
    world: World, kind: IdKind, ids: list[str], number: int
) -> None:
    with pytest.raises(ContractError, match=f"^{number} values of the column customer_id are no"):
        world.protect(with_ids(ids), contract=of_kind(kind, world.contract))


@pytest.mark.parametrize("kind", ["code", "token"])
@pytest.mark.parametrize(
    "spoiled", ["100.0", "100.000", "1.5E+11", "15E+10", "1.5e11", "'100", "C1\ue000", "C1\uffff"]
)
def test_an_id_that_a_program_took_for_a_number_is_no_other_customer(
    world: World, kind: IdKind, spoiled: str
) -> None:
    with pytest.raises(ContractError, match="1 values of the column customer_id are no ids"):
        subject_id.canonical(
            pa.array(["C1", spoiled]), of_kind(kind, world.contract).subject_column
        )
    kept = ["100", "0100", "1.5", "12E5", "1.0.0", "v1.0", "O'100"]
    column = of_kind(kind, world.contract).subject_column
    assert len(set(subject_id.canonical(pa.array(kept), column).to_pylist())) == len(kept)


@pytest.mark.parametrize(
    "empty", ["", ZWSP, "\x00", f"{BOM}{ZWSP}", " A1", "A1\u3000", f"A1 {ZWSP}"]
)
def test_an_id_that_is_empty_or_has_space_around_it_is_refused(world: World, empty: str) -> None:
    with pytest.raises(ContractError, match="empty ids or ids with space around them"):
        world.protect(with_ids(["A2", empty]))


def test_a_kind_is_declared_for_the_subject_alone_and_changes_no_older_digest(
    world: World,
) -> None:
    subject = world.contract.subject_column
    again = subject.model_validate({**subject.model_dump(), "id_kind": "code"})
    assert subject.id_kind == again.id_kind == "code"
    assert of_kind("code", world.contract).digest == world.contract.digest
    assert of_kind("token", world.contract).digest != world.contract.digest
    name = next(column for column in world.contract.columns if column.name == "name")
    with pytest.raises(ValueError, match="only a subject_id has an id_kind"):
        name.model_validate({**name.model_dump(), "id_kind": "mobile"})


@given(st.text(max_size=12))
def test_the_form_of_a_form_is_itself_whatever_was_typed(text: str) -> None:
    for make in (subject_id._FORMS["code"], subject_id._FORMS["token"]):
        once = make(text)
        assert once is None or make(once) == once


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=20))
def test_the_short_way_for_plain_ids_is_the_long_way(text: str) -> None:
    for kind, pattern in subject_id._IN_FORM.items():
        if re.fullmatch(pattern, text) and not re.match(subject_id._SPOILED, text):
            assert subject_id._FORMS[kind](text) == text
