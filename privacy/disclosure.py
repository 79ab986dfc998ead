"""Disclosure control: small cells are withheld, and no set of answers points at one person.

Cells below a minimum are withheld, and cells from which they could be computed too.

An answer is a count over a set of customers. Whoever has several can add and subtract them: two
sets that differ by one person give that person away, and so do four sets that differ by nobody.
What can be computed from the answers is the space that their sets span. The exposure of a person is
his leverage in it, the diagonal of the projection onto that space: 1 if a combination of answers
concerns him alone, 1/n if he was counted once, among n. No linear estimate of his group from the
answers correlates with the truth by more than the square root of it, over arrangements of the
groups that are equally likely.

Whether an answer is given depends on who is counted and never on anybody's group, so a refusal
says nothing either.

References
----------
Dobkin, Jones and Lipton (1979), "Secure databases: protection against user influence"; Chin and
Ozsoyoglu (1982), "Auditing and inference control in statistical databases"; Hoaglin and Welsch
(1978), "The hat matrix in regression and ANOVA".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Cell = tuple[object, ...]

FEW, FEW_SHARE = 100, 0.05
LIMIT = 0.10
"""Nobody's exposure comes to this: as if he had been counted once, among ten."""

NOT_COUNTED = -1

_HARDLY_NEW = 1e-6
_PEOPLE_AT_ONCE = 16_384

Labels = NDArray[np.int8]
Floats = NDArray[np.float64]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Slices:
    """A population in slices: who was counted together.

    Parameters
    ----------
    people : ndarray of uint64, shape (n_people,)
        Ascending keys of the persons, each once.
    labels : ndarray of int8, shape (n_people,)
        The slice of each person, or ``NOT_COUNTED``.
    """

    people: NDArray[np.uint64]
    labels: Labels

    def only(self, slices: Sequence[int]) -> Slices:
        """Return the question with these slices alone."""
        kept = np.isin(self.labels, slices)
        return Slices(people=self.people, labels=np.where(kept, self.labels, NOT_COUNTED))


def answerable(earlier: Sequence[Slices], asked: Slices) -> tuple[list[int], list[int]]:
    """Return the slices that may be answered, and those of them that tell something new.

    A slice that is a sum and difference of earlier answers is answered. Any other must not use up
    more than half of what is left of anybody's limit: a first count is of 20 customers or more, a
    small difference is refused at once, and a large count never dies of many small ones. A slice
    that is all but such a sum is refused, however little is missing: an exact answer tells the
    missing part exactly.

    Parameters
    ----------
    earlier : sequence of Slices
        What was answered before: of each question, the slices that told something new.
    """
    slices = [int(label) for label in np.unique(asked.labels) if label != NOT_COUNTED]
    sizes = {label: int((asked.labels == label).sum()) for label in slices}
    may, new = [], []
    told = _Told.of(earlier, asked, slices)
    for place in sorted(range(len(slices)), key=lambda place: -sizes[slices[place]]):
        own = told.rest[place]
        length = float(own @ own)
        if length > _HARDLY_NEW:
            spent = own * own / length
            if np.any(spent > (LIMIT - told.exposure) / 2):
                continue
            told.exposure += spent
            told.add(place)
            new.append(slices[place])
        elif not told.is_sum(place):
            continue
        may.append(slices[place])
    return may, new


@dataclass(slots=True)
class _Told:
    """What earlier answers tell of everybody and of each slice that is asked for.

    Parameters
    ----------
    exposure : ndarray of shape (n_people,)
    rest : ndarray of shape (n_slices, n_people)
        Each slice less the nearest combination of what was told.
    weights : ndarray of shape (n_slices, n_earlier + n_slices)
        That combination, of the earlier slices and of those that are told now.
    """

    exposure: Floats
    rest: Floats
    weights: Floats
    rows: NDArray[np.int32]

    @classmethod
    def of(cls, earlier: Sequence[Slices], asked: Slices, slices: Sequence[int]) -> _Told:
        """Look at earlier answers, some thousand people at once."""
        people = np.unique(np.concatenate([asked.people, *(one.people for one in earlier)]))
        wanted, known = _rows([asked], people), _rows(earlier, people)
        size = int(known.max(initial=-1)) + 1
        exposure, rest = np.zeros(len(people)), np.zeros((len(slices), len(people)))
        gram, joint = np.zeros((size, size)), np.zeros((size, len(slices)))
        for span in _spans(len(people)):
            told, own = _one_hot(known[:, span], size), _one_hot(wanted[:, span], len(slices))
            rest[:, span] = own
            gram += told @ told.T
            joint += told @ own.T
        inverse = np.linalg.inv(np.linalg.cholesky(gram))
        weights = joint.T @ inverse.T @ inverse
        for span in _spans(len(people)):
            told = _one_hot(known[:, span], size)
            exposure[span] = ((inverse @ told) ** 2).sum(axis=0)
            rest[:, span] -= weights @ told
        shifted = np.where(wanted == NOT_COUNTED, NOT_COUNTED, wanted + size)
        weights = np.hstack([weights, np.zeros((len(slices), len(slices)))])
        return cls(exposure, rest, weights, np.vstack([known, shifted]))

    def add(self, place: int) -> None:
        """Take the slice at `place` as told, too."""
        own, weights = self.rest[place].copy(), -self.weights[place]
        weights[len(weights) - len(self.rest) + place] += 1.0
        share = self.rest @ own / (own @ own)
        self.rest -= np.outer(share, own)
        self.weights += np.outer(share, weights)

    def is_sum(self, place: int) -> bool:
        """Tell whether a slice is exactly a sum and difference of what was told."""
        whole = np.rint(self.weights[place])
        whole[len(whole) - len(self.rest) + place] -= 1.0
        return all(
            not (whole @ _one_hot(self.rows[:, span], len(whole))).any()
            for span in _spans(self.rows.shape[1])
        )


def _spans(people: int) -> list[slice]:
    return [slice(at, at + _PEOPLE_AT_ONCE) for at in range(0, people, _PEOPLE_AT_ONCE)]


def _rows(questions: Sequence[Slices], people: NDArray[np.uint64]) -> NDArray[np.int32]:
    """Return, per question and person, which of all slices he is in, or ``NOT_COUNTED``."""
    rows, first = np.full((len(questions), len(people)), NOT_COUNTED, dtype=np.int32), 0
    for row, question in zip(rows, questions, strict=True):
        is_in = question.labels != NOT_COUNTED
        labels, places = np.unique(question.labels[is_in], return_inverse=True)
        row[np.searchsorted(people, question.people[is_in])] = first + places
        first += len(labels)
    return rows


def _one_hot(rows: NDArray[np.int32], size: int) -> Floats:
    """Return a row of zeros and ones for each slice."""
    told = np.zeros((size, rows.shape[1]))
    for row in rows:
        own = np.flatnonzero(row != NOT_COUNTED)
        told[row[own], own] = 1.0
    return told
