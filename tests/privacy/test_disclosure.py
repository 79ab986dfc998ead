"""What is withheld cannot be computed from what is shown."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from privacy.disclosure import Cell, withheld_cells

MINIMUM = 10
tables = st.dictionaries(
    st.tuples(st.sampled_from("abcd"), st.sampled_from(["raise", "cut", "hold"])),
    st.integers(0, 40),
    max_size=12,
)


def test_a_table_of_large_cells_is_shown_whole() -> None:
    assert withheld_cells({("f", "x"): 10, ("m", "x"): 11, ("u", "x"): 0}, MINIMUM) == set()


def test_one_small_cell_takes_the_smallest_other_with_it() -> None:
    counts: dict[Cell, int] = {("a",): 4, ("b",): 30, ("c",): 20}
    assert withheld_cells(counts, MINIMUM) == {("a",), ("c",)}


def test_two_small_cells_of_a_small_sum_take_a_third() -> None:
    counts: dict[Cell, int] = {("a",): 1, ("b",): 1, ("c",): 20, ("d",): 30}
    assert withheld_cells(counts, MINIMUM) == {("a",), ("b",), ("c",)}


def test_two_small_cells_of_a_sufficient_sum_are_enough() -> None:
    counts: dict[Cell, int] = {("a",): 6, ("b",): 5, ("c",): 20}
    assert withheld_cells(counts, MINIMUM) == {("a",), ("b",)}


def test_a_lone_customer_hides_which_groups_are_empty() -> None:
    counts: dict[Cell, int] = {("f", 1): 1, ("m", 1): 0, ("f", 2): 40, ("m", 2): 50}
    hidden = withheld_cells(counts, MINIMUM)
    assert {("f", 1), ("m", 1), ("f", 2)} <= hidden


@given(tables)
def test_no_small_cell_is_shown_and_no_line_has_one_unknown(counts: dict[Cell, int]) -> None:
    hidden = withheld_cells(counts, MINIMUM)
    assert all(n == 0 or n >= MINIMUM for cell, n in counts.items() if cell not in hidden)
    for place in (0, 1):
        for fixed in {cell[1 - place] for cell in counts}:
            line = [cell for cell in counts if cell[1 - place] == fixed and counts[cell]]
            unknown = [cell for cell in line if cell in hidden]
            if unknown and len(unknown) < len(line):
                assert len(unknown) >= 2
                assert sum(counts[cell] for cell in unknown) >= MINIMUM


@given(tables)
def test_shown_cells_alone_decide_nothing_more(counts: dict[Cell, int]) -> None:
    hidden = withheld_cells(counts, MINIMUM)
    if all(n == 0 or n >= MINIMUM for n in counts.values()):
        assert hidden == set()
