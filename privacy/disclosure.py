"""Disclosure control: small cells are withheld, and cells from which they could be computed too."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

Cell = tuple[object, ...]

FEW, FEW_SHARE = 100, 0.05


def with_few_unknown(
    group: pa.ChunkedArray, unknown: str, *, answered: pa.Array
) -> tuple[pa.ChunkedArray, str]:
    """Count a few customers of no known group with the largest known one, and say so.

    Beside a handful of them every cell of theirs is withheld, and with it a cell of a group that
    somebody asked about. Fewer than 100, and at most 5 % of the customers, join the largest group,
    which they move least. As many as that can be judged, or are too many to be passed over.

    Parameters
    ----------
    answered : pyarrow.Array
        Whose counts are told. Which group is the largest is asked of them alone: of others it
        would be an answer that nobody gave.

    Returns
    -------
    tuple of pyarrow.ChunkedArray and str
        The groups, ``(n_rows,)``, and a sentence, empty if nothing was done.
    """
    told = group.filter(answered)
    sizes = {item["values"]: item["counts"] for item in told.value_counts().to_pylist()}
    few = sizes.pop(unknown, 0)
    if not (0 < few < FEW and few <= FEW_SHARE * len(told) and sizes):
        return group, ""
    largest = max(sorted(sizes), key=lambda name: sizes[name])
    joined = pc.if_else(pc.equal(group, unknown), largest, group)
    return joined, f"the few customers of no known group are counted with {largest}, the largest"


def withheld_cells(counts: Mapping[Cell, int], minimum_cell: int) -> set[Cell]:
    """Return the cells that must not be published.

    The first key of a cell is the group of a protected attribute. A cell with
    ``0 < n < minimum_cell`` is withheld. A total along any one key may be known from elsewhere, so
    the withheld cells of every line must be at least two, of together at least `minimum_cell`; the
    smallest published cells of the line join them until they are. Empty groups beside a withheld
    one join it as well: whoever sees which groups are empty knows the group of a lone customer.

    Examples
    --------
    >>> cells = {("f", "raise"): 3, ("m", "raise"): 50, ("x", "raise"): 40, ("y", "raise"): 0}
    >>> sorted(withheld_cells(cells, 10))
    [('f', 'raise'), ('x', 'raise'), ('y', 'raise')]
    """
    withheld = {cell for cell, n in counts.items() if 0 < n < minimum_cell}
    lines = _lines(list(counts))
    has_changed = bool(withheld)
    while has_changed:
        before = len(withheld)
        for place, line in lines:
            inside = [cell for cell in line if cell in withheld]
            if inside and place == 0:
                withheld.update(cell for cell in line if counts[cell] == 0)
            if any(counts[cell] for cell in inside):
                own = {cell: counts[cell] for cell in line if counts[cell]}
                withheld |= _complement(own, withheld, minimum_cell=minimum_cell)
        has_changed = len(withheld) > before
    return withheld


def _lines(cells: Sequence[Cell]) -> list[tuple[int, list[Cell]]]:
    """Return every set of cells that differ in one key only, with the place of that key."""
    lines: dict[tuple[int, Cell], list[Cell]] = defaultdict(list)
    for cell in cells:
        for place in range(len(cell)):
            lines[place, (*cell[:place], *cell[place + 1 :])].append(cell)
    return [(place, line) for (place, _), line in lines.items()]


def _complement(line: Mapping[Cell, int], withheld: set[Cell], *, minimum_cell: int) -> set[Cell]:
    """Return the smallest shown cells that make the withheld ones of a line two and enough."""
    inside = [n for cell, n in line.items() if cell in withheld]
    total, number = sum(inside), len(inside)
    joined: set[Cell] = set()
    shown = (cell for cell in line if cell not in withheld)
    for cell in sorted(shown, key=lambda cell: (line[cell], repr(cell))):
        if number >= 2 and total >= minimum_cell:
            break
        joined.add(cell)
        total, number = total + line[cell], number + 1
    return joined
