"""Drift: whether a column's distribution moved by more than is tolerated.

The usual rules fail small lenders and large ones alike: a fixed PSI of 0.1 is noise in a window of
200 customers, a p-value below 0.05 is certain in one of a million. Here PSI keeps its place as the
number people read, and the verdict comes from tests of *at most this much drift*
(`monitoring.shifts`): of all common bins together, of the mean, of both ends, and of each kind of
rare value by itself. They share one error, and so do the columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
from scipy import optimize

from governance.counts import Counts
from governance.errors import ContractError
from governance.measurement import Measurement
from governance.measures.intervals import Interval
from governance.outcome import Outcome
from governance.proportion import CONFIDENCE
from monitoring import shifts
from monitoring.bins import MINIMUM_CELL, MISSING, NAMED_SHARE, OTHER, PRESENT
from monitoring.shifts import Floats, Integers, psi

__all__ = ["FALSE_ALARMS", "MEASURE", "NOT_LOOKED_AT", "TOLERANCE", "measure_drift", "psi"]

MEASURE = "drift.stability_index"
TOLERANCE = 0.01
FALSE_ALARMS = 0.05
NOT_LOOKED_AT = "Not looked at"

# A pass claims that a shift which examiners call moderate would have been seen.
_MODERATE, _POWER = 0.1, 0.8
# What is in no bin of its own can change wholly, and nothing shows it.
_MOST_OTHER, _MOST_TOLERANCE = 0.1, 10.0
_RARE, _NEIGHBORS, _NEIGHBORS_SHARE = 10.0, 25.0, 0.04
_BINS = "all its bins"

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class _Pair:
    """Two count vectors of one column over the same bins, ordered ones first and ascending.

    Parameters
    ----------
    at : ndarray of shape (n_bins,)
        Where a bin lies; not a number if it has no place in an order.
    """

    labels: tuple[str, ...]
    at: Floats
    old: Integers
    new: Integers

    @property
    def sizes(self) -> tuple[int, int]:
        """Rows of the reference and of the current window."""
        return int(self.old.sum()), int(self.new.sum())

    @cached_property
    def is_ordered(self) -> Mask:
        """Which bins have a place in an order."""
        return np.isfinite(self.at)

    @cached_property
    def expected(self) -> Floats:
        """Rows that each bin should have in the smaller window if nothing moved."""
        n, m = self.sizes
        return np.asarray((self.old + self.new) * (min(n, m) / (n + m)))

    @cached_property
    def is_special(self) -> Mask:
        """Which bins are ``missing`` or ``other``: faults look like them, and they tell little."""
        return np.array([label in (MISSING, OTHER) for label in self.labels])

    def places(self, label: str) -> list[int]:
        """Return the place of a bin, if it holds rows."""
        return [place for place, name in enumerate(self.labels) if name == label]

    def summed(self, groups: list[list[int]]) -> tuple[Integers, Integers]:
        """Return both vectors with the bins of each group added up."""
        old, new = ([int(side[group].sum()) for group in groups] for side in (self.old, self.new))
        return np.array(old, np.int64), np.array(new, np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shift:
    """What one column's two count vectors say, before columns are looked at together.

    Parameters
    ----------
    p_value, cause : float and str
        Of all tests of the column together, and what the one that speaks loudest looked at.
    silence : str
        Why the column cannot pass, whatever the tests say; empty if it can.
    """

    psi: float
    interval: Interval
    p_value: float
    cause: str
    power: float
    bins: int
    silence: str


def measure_drift(
    reference: Counts, current: Counts, *, tolerance: float = TOLERANCE
) -> tuple[Measurement, ...]:
    r"""Judge the drift of every column from counts over ``feature`` and ``bin``.

    The value is PSI = sum (c_i - r_i) ln(c_i / r_i) over bins, with r and c the shares of the
    reference and the current window. Columns are judged together, so that one false alarm in
    any of them has a chance of 5 % at most (Holm); the tests of one column share its error.

    Parameters
    ----------
    reference, current : Counts
        From :func:`monitoring.counts.reduce` with the same bins. Without the key ``at`` bins have
        no order, and neither mean nor tails are tested.
    tolerance : float
        Largest PSI that is no drift; 0 tests for any difference at all. The tolerance also has to
        absorb the noise of a reference that many windows share.

    Returns
    -------
    tuple of Measurement
        One per column of either side, sorted by name. ``BREACH``: drift beyond the tolerance is
        shown. ``PASS``: it is not, and a PSI of 0.1, or of twice the tolerance if that is more,
        would have been found with a probability of at least 80 %.

    Raises
    ------
    ContractError
        If the tolerance is no PSI.

    Notes
    -----
    When it says nothing: a column that is missing or withheld on one side, one whose rows all lie
    in one bin, or more than a tenth in ``other``, or windows too small for that power, are
    ``INCONCLUSIVE``.
    PSI and its interval carry an upward noise of about (bins - 1)(1/n + 1/m); the interval is
    widened to hold the value.

    References
    ----------
    Yurdakul, B. (2018), Statistical properties of the population stability index. Du Pisanie, J. et
    al. (2023), A critical review of existing and new population stability testing procedures,
    arXiv:2303.01227. Potgieter, C. J. et al. (2023), arXiv:2307.11878.

    Examples
    --------
    >>> def window(low, high):
    ...     cells = {"a": low, "b": high}.items()
    ...     return Counts.from_rows({"feature": "pay", "bin": b, "n": n} for b, n in cells)
    >>> [still] = measure_drift(window(5000, 5000), window(5050, 4950))
    >>> [moved] = measure_drift(window(5000, 5000), window(6000, 4000))
    >>> still.outcome.value, moved.outcome.value, round(moved.value, 4)
    ('PASS', 'BREACH', 0.0405)
    """
    if not 0 <= tolerance <= _MOST_TOLERANCE:
        raise ContractError(f"The tolerance is a PSI from 0 to {_MOST_TOLERANCE:g}.")
    names = sorted({str(name) for side in (reference, current) for name in side.values("feature")})
    pairs = {name: _pair(reference, current, name) for name in names}
    found = {
        name: _shift(pair, tolerance, FALSE_ALARMS / len(names))
        for name, pair in pairs.items()
        if not isinstance(pair, str)
    }
    flags = dict(zip(found, shifts.holm([shift.p_value for shift in found.values()]), strict=True))
    measured = []
    for name, pair in pairs.items():
        if isinstance(pair, str):
            measured.append(_silent(name, _rows(current, name), pair))
        else:
            measured.append(_judged(name, pair.sizes, found[name], flags[name], tolerance))
    return tuple(measured)


def _pair(reference: Counts, current: Counts, name: str) -> _Pair | str:
    """Return both count vectors of one column, or the reason why they cannot be compared."""
    sides = [_cells(reference, name), _cells(current, name)]
    for side, which in zip(sides, ("reference", "current"), strict=True):
        if not side:
            return f"The column is missing or of another type in the {which} window"
        if None in side.values():
            return f"Cells of the {which} window are withheld"
    every = set(sides[0]) | set(sides[1])
    cells = sorted(every, key=lambda cell: (cell[0] is None, cell[0] or 0.0, cell[1]))
    old, new = (np.array([side.get(cell) or 0 for cell in cells], np.int64) for side in sides)
    return _Pair(
        labels=tuple(label for _, label in cells),
        at=np.array([np.nan if at is None else at for at, _ in cells], np.float64),
        old=old,
        new=new,
    )


def _cells(counts: Counts, name: str) -> dict[tuple[float | None, str], int | None]:
    table = counts.table.filter(pc.equal(counts.table["feature"], name))
    places = table["at"].to_pylist() if "at" in counts.keys else [None] * table.num_rows
    found = zip(places, table["bin"].to_pylist(), table["n"].to_pylist(), strict=True)
    return {(at, label): n for at, label, n in found if n != 0}


def _rows(counts: Counts, name: str) -> int:
    return sum(n or 0 for n in _cells(counts, name).values())


def _shift(pair: _Pair, tolerance: float, alpha: float) -> _Shift:
    """Test one column: all bins together have half of the error `alpha`, the other tests share."""
    groups = _groups(pair)
    tests = _tests(pair, groups, tolerance)
    others = len(tests) - 1
    shares = dict.fromkeys(tests, 0.5 / max(others, 1)) | {_BINS: 0.5 if others else 1.0}
    weighed = {name: p_value / shares[name] for name, p_value in tests.items()}
    cause = min(weighed, key=lambda name: weighed[name])
    power = shifts.common_power(
        *pair.summed(groups),
        tolerance=tolerance,
        shift=_findable(tolerance),
        alpha=alpha * shares[_BINS],
    )
    old, new = pair.summed(_shown(pair))
    value = psi(old, new)
    return _Shift(
        psi=value,
        interval=_interval(value, old.size - 1, shifts.weight(old, new)),
        p_value=min(1.0, weighed[cause]),
        cause=cause,
        power=power,
        bins=int(old.size),
        silence=_silence(pair),
    )


def _tests(pair: _Pair, groups: list[list[int]], tolerance: float) -> dict[str, float]:
    """Return the p-value of every test that the bins of a column allow."""
    tests = {_BINS: 1.0}
    if len(groups) > 1:
        tests[_BINS] = shifts.common_p_value(*pair.summed(groups), tolerance)
    if pair.is_ordered.sum() > 1:
        old, new = pair.old[pair.is_ordered], pair.new[pair.is_ordered]
        tests["its mean"] = shifts.mean_p_value(old, new, pair.at[pair.is_ordered], tolerance)
        tests["its tails"] = shifts.tails_p_value(old, new, tolerance)
    seen = {group[0] for group in groups if len(group) == 1} | set(np.flatnonzero(pair.is_special))
    single = {
        "its missing values": pair.places(MISSING),
        "its new values": pair.places(OTHER),
        "one of its values": [k for k in range(len(pair.labels)) if k not in seen],
    }
    for name, places in single.items():
        if places:
            cells = zip(pair.old[places].tolist(), pair.new[places].tolist(), strict=True)
            found = [shifts.single_p_value(*cell, pair.sizes, tolerance) for cell in cells]
            tests[name] = min(1.0, len(found) * min(found))
    return tests


def _groups(pair: _Pair) -> list[list[int]]:
    """Put bins together that are tested together.

    Ordered bins join their neighbors until a group holds a twenty-fifth of the rows. Of the others
    those with fewer than ten expected rows are one group, or left out if there are too few even so.
    """
    enough = max(_NEIGHBORS, _NEIGHBORS_SHARE * float(pair.expected.sum()))
    groups: list[list[int]] = []
    gathered: list[int] = []
    for place in np.flatnonzero(pair.is_ordered).tolist():
        gathered.append(place)
        if pair.expected[gathered].sum() >= enough:
            groups.append(gathered)
            gathered = []
    if groups:
        groups[-1] += gathered
    is_common = pair.expected >= _RARE
    groups += [[place] for place in np.flatnonzero(is_common & ~pair.is_ordered).tolist()]
    rare = np.flatnonzero(~is_common & ~pair.is_ordered & ~pair.is_special).tolist()
    return [*groups, rare] if pair.expected[rare].sum() >= _RARE else groups


def _shown(pair: _Pair) -> list[list[int]]:
    """Keep for the value every bin that is common, or was named because it is on one side."""
    is_named = np.zeros(len(pair.labels), np.bool_)
    for side in (pair.old, pair.new):
        is_named |= side >= max(MINIMUM_CELL, NAMED_SHARE * side.sum())
    is_alone = is_named | pair.is_special | (pair.expected >= _RARE)
    alone = [[place] for place in np.flatnonzero(is_alone).tolist()]
    rest = np.flatnonzero(~is_alone).tolist()
    return [*alone, rest] if rest else alone


def _silence(pair: _Pair) -> str:
    """Say why these bins cannot show that nothing moved, if they cannot."""
    if PRESENT in pair.labels:
        return f"{NOT_LOOKED_AT}, but for whether a value is there: of a type without bins"
    is_telling = pair.is_ordered if pair.is_ordered.any() else ~pair.is_special
    if is_telling.sum() < 2:
        held = "Every value is missing" if pair.labels == (MISSING,) else "Only one value is named"
        return f"{held}, so there is nothing to compare"
    other = pair.places(OTHER)
    filled = ~np.isin(np.arange(len(pair.labels)), pair.places(MISSING))
    for side in (pair.old, pair.new):
        if side[other].sum() > _MOST_OTHER * side[filled].sum():
            return "More than a tenth of the rows hold values too rare to be named"
    return ""


def _findable(tolerance: float) -> float:
    """Return the PSI that a pass claims would have been found."""
    return max(_MODERATE, 2 * tolerance)


def _interval(value: float, freedom: int, weight: float) -> Interval:
    """Invert the test: every true PSI that the observed one does not contradict."""
    if freedom < 1 or weight == 0:
        return Interval(value, value)
    statistic, tail = value * weight, (1 - CONFIDENCE) / 2
    reach = statistic + 10 * np.sqrt(2 * (freedom + 2 * statistic)) + 50

    def end(level: float) -> float:
        def excess(noncentrality: float) -> float:
            return shifts.upper_tail(statistic, freedom, noncentrality) - level

        return 0.0 if excess(0.0) >= 0 else float(optimize.brentq(excess, 0.0, reach)) / weight

    return Interval(min(end(tail), value), max(end(1 - tail), value))


def _judged(
    name: str, sizes: tuple[int, int], shift: _Shift, adjusted: float, tolerance: float
) -> Measurement:
    if adjusted <= FALSE_ALARMS:
        outcome = Outcome.BREACH
        verdict = f"more than the tolerance of {tolerance:g}, shown by {shift.cause}"
    elif shift.silence:
        outcome, verdict = Outcome.INCONCLUSIVE, shift.silence
    elif shift.power < _POWER:
        outcome = Outcome.INCONCLUSIVE
        verdict = (
            f"too few rows: a PSI of {_findable(tolerance):g} would be found with "
            f"{shift.power:.0%} only"
        )
    else:
        outcome, verdict = Outcome.PASS, f"no more than the tolerance of {tolerance:g} is shown"
    evidence = f"{shift.bins} bins, {sizes[1]} rows against {sizes[0]}, adjusted p {_p(adjusted)}"
    return Measurement(
        measure=MEASURE,
        scope={"feature": name},
        value=shift.psi,
        low=shift.interval.low,
        high=shift.interval.high,
        n=sizes[1],
        unit="psi",
        outcome=outcome,
        reason=f"{verdict} ({evidence})",
    )


def _p(value: float) -> str:
    return f"= {value:.2g}" if value >= 1e-4 else "< 0.0001"


def _silent(name: str, n: int, reason: str) -> Measurement:
    return Measurement(
        measure=MEASURE,
        scope={"feature": name},
        n=n,
        unit="psi",
        outcome=Outcome.INCONCLUSIVE,
        reason=reason,
    )
