"""Misjudgment: good customers cut, bad customers raised; how often, how surely, for how much money.

Denominators are where teams disagree, so they are fixed here. Rates are read per vintage, the month
of the decision, never the month in which a label arrives: a default is known early and a good
payment late, so the labels that have arrived so far are nearly all bad.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from governance.counts import Counts
from governance.measurement import Measurement
from governance.measures.intervals import clopper_pearson
from governance.outcome import Outcome
from monitoring.bins import MINIMUM_CELL

GOOD, BAD, PENDING = "good", "bad", "pending"
RAISED, CUT = ("raise",), ("cut", "refuse")
MONEY = "amount_minor"
MINIMUM_MATURED = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rate:
    """One rate: which cells are events among which cells."""

    name: str
    among: Mapping[str, tuple[str, ...]]
    events: Mapping[str, tuple[str, ...]]


_RATES = (
    _Rate(name="good_cut", among={"outcome": (GOOD,)}, events={"action": CUT}),
    _Rate(name="bad_raised", among={"outcome": (BAD,)}, events={"action": RAISED}),
    _Rate(name="bad_share_of_raised", among={"action": RAISED}, events={"outcome": (BAD,)}),
    _Rate(name="good_share_of_cut", among={"action": CUT}, events={"outcome": (GOOD,)}),
)
_AMOUNTS = (
    ("wrong_raise", {"action": RAISED, "outcome": (BAD,)}),
    ("wrong_cut", {"action": CUT, "outcome": (GOOD,)}),
)


def measure_misjudgment(
    counts: Counts,
    *,
    scope: Mapping[str, str] | None = None,
    minimum_matured: float = MINIMUM_MATURED,
) -> tuple[Measurement, ...]:
    """Measure misjudgment in four directions, and in money if the counts hold amounts.

    ``good_cut`` = P(cut or refused | good), ``bad_raised`` = P(raised | bad),
    ``bad_share_of_raised`` = P(bad | raised), ``good_share_of_cut`` = P(good | cut or refused),
    each with an exact interval; ``wrong_raise`` and ``wrong_cut`` add up the limit changes
    concerned.

    Parameters
    ----------
    counts : Counts
        Keys ``action`` (raise, hold, cut, refuse, review) and ``outcome`` (good, bad, pending);
        additive ``n`` and, for money, ``amount_minor``, the absolute change of the limit.
    scope : mapping of str to str, optional
        What the counts are about, such as a vintage.
    minimum_matured : float
        Share of the decisions whose outcome must be known.

    Returns
    -------
    tuple of Measurement
        ``INFO`` where the measure could tell; a threshold judges. `n` is the denominator; the
        reason holds count, matured and pending.

    Notes
    -----
    When it says nothing: 0/0 is undefined, not zero; too few matured labels, or a withheld cell,
    make every rate that needs them ``INCONCLUSIVE``.

    Examples
    --------
    >>> cells = [{"action": "cut", "outcome": "good", "n": 10},
    ...          {"action": "hold", "outcome": "good", "n": 90}]
    >>> rates = measure_misjudgment(Counts.from_rows(cells))
    >>> [(m.measure, m.value, m.n) for m in rates][:2]
    [('misjudgment.good_cut', 0.1, 100), ('misjudgment.bad_raised', None, 0)]
    """
    about = dict(scope or {})
    told, doubt = maturity(counts, minimum_matured)
    measured = [_rate(rate, counts, about, told, doubt) for rate in _RATES]
    if MONEY in counts.additive:
        measured += [_amount(name, cells, counts, about, doubt) for name, cells in _AMOUNTS]
    return tuple(measured)


def maturity(counts: Counts, minimum: float = MINIMUM_MATURED) -> tuple[str, str]:
    """Describe how many labels are known, and why that is too few if it is.

    Of withheld cells it is known only that they hold somebody: the share that is certainly known
    must be enough, and a withheld number of pending decisions never is.
    """
    known = counts.where(outcome=(GOOD, BAD))
    pending, shown = counts.where(outcome=PENDING).total(), _shown(known)
    if pending is None:
        return "pending is withheld", "how many decisions are pending is withheld"
    told = "some matured, others withheld" if known.total() is None else f"{shown} matured"
    text = f"{told}, {pending} pending"
    return text, shortfall(shown, pending, minimum)


def shortfall(known: int, pending: int, minimum: float = MINIMUM_MATURED) -> str:
    """Say why so many known outcomes are too few to measure anything by, or nothing."""
    everyone = known + pending
    if not everyone or known / everyone >= minimum:
        return ""
    return (
        f"only {known / everyone:.1%} of the decisions have matured, {minimum:.0%} are needed; "
        "labels that have arrived so far are mostly bad"
    )


def _shown(counts: Counts) -> int:
    """Sum what is not withheld."""
    return sum(n for n in counts.table["n"].to_pylist() if n is not None)


def _rate(
    rate: _Rate, counts: Counts, scope: Mapping[str, str], told: str, doubt: str
) -> Measurement:
    among = counts.where(**{**rate.among, "outcome": rate.among.get("outcome", (GOOD, BAD))})
    n, events = among.total(), among.where(**rate.events).total()
    measure = f"misjudgment.{rate.name}"
    if n is None or events is None:
        return _undefined(measure, scope, 0, f"A cell is withheld ({told}).")
    if n == 0:
        return _undefined(measure, scope, 0, f"0 of 0 is undefined ({told}).")
    if doubt:
        return _undefined(measure, scope, n, f"{doubt} ({told})")
    interval = clopper_pearson(events, n)
    return Measurement(
        measure=measure,
        scope=scope,
        value=events / n,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        n=n,
        unit="rate",
        reason=f"{events} of {n}; {told}",
    )


def _amount(
    name: str,
    cells: Mapping[str, tuple[str, ...]],
    counts: Counts,
    scope: Mapping[str, str],
    doubt: str,
) -> Measurement:
    concerned = counts.where(**cells)
    customers, amount = concerned.total(), concerned.total(MONEY)
    measure = f"misjudgment.{name}"
    if customers is None or amount is None:
        return _undefined(measure, scope, 0, "A cell is withheld.", unit="minor")
    if doubt:
        return _undefined(measure, scope, customers, doubt, unit="minor")
    if 0 < customers < MINIMUM_CELL:
        # The money of one customer is that customer's limit; it may not be read off a sum.
        few = f"Fewer than {MINIMUM_CELL} customers are concerned; their money is withheld."
        return _undefined(measure, scope, 0, few, unit="minor")
    return Measurement(
        measure=measure,
        scope=scope,
        value=float(amount),
        n=customers,
        unit="minor",
        reason=f"sum over {customers} customers",
    )


def _undefined(
    measure: str, scope: Mapping[str, str], n: int, reason: str, *, unit: str = "rate"
) -> Measurement:
    return Measurement(
        measure=measure, scope=scope, n=n, unit=unit, outcome=Outcome.INCONCLUSIVE, reason=reason
    )
