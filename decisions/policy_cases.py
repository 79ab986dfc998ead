"""Made-up customers for a policy, crowded around its edges, where mistakes live, and decided.

Nothing here is a customer. The generator is seeded and vectorised; one value in two lies on, just
below or just above an edge that the policy names.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from decisions import inputs
from decisions.inputs import Flags
from decisions.plan import Climate, Floats, Freeze, Integers, Moment, Regime
from decisions.policy import LimitPolicy
from decisions.sections import BASIS_POINTS, REFERENCE

# The risk of a second customer, who differs in that alone.
OTHER_RISK = "other_probability"

Decide: TypeAlias = Callable[..., pa.RecordBatch]

_BROKEN_SHARE = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A decided batch, with the way to decide it otherwise.

    Parameters
    ----------
    decided : mapping of str to array
        The engine's answers, ``(n_rows,)`` each.
    """

    policy: LimitPolicy
    moment: Moment
    batch: pa.RecordBatch
    decide: Decide
    decided: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, policy: LimitPolicy, moment: Moment, batch: pa.RecordBatch, decide: Decide) -> Case:
        """Decide `batch` and keep the answers."""
        answer = decide(
            policy, batch, as_of=moment.as_of, freeze=moment.freeze, climate=moment.climate
        )
        read = {name: numbers(answer.column(name)) for name in answer.schema.names}
        return cls(policy=policy, moment=moment, batch=batch, decide=decide, decided=read)

    def of_rows(self, batch: pa.RecordBatch) -> Case:
        """Decide other rows at the same moment, by the same rules."""
        return Case.of(self.policy, self.moment, batch, self.decide)

    def given(self, **columns: pa.Array | npt.NDArray[Any]) -> Case:
        """Decide the same customers with some inputs changed."""
        changed = {name: self.batch.column(name) for name in self.batch.schema.names}
        for name, values in columns.items():
            kind = self.batch.schema.field(name).type
            changed[name] = (
                values.cast(kind) if isinstance(values, pa.Array) else pa.array(values, kind)
            )
        return self.of_rows(pa.RecordBatch.from_pydict(changed, schema=self.batch.schema))

    def under(self, **changes: Any) -> Case:
        """Decide the same customers at another moment."""
        return Case.of(self.policy, replace(self.moment, **changes), self.batch, self.decide)

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """Return an input: a missing number is -1 or NaN, a missing text None."""
        return numbers(self.batch.column(name))

    def has(self, *names: str) -> bool:
        """Tell whether all these inputs are there."""
        return all(name in self.batch.schema.names for name in names)

    def belongs_to(self, segments: tuple[str, ...]) -> Flags:
        """Tell who is in one of `segments`."""
        found = pc.is_in(self.batch.column("segment"), value_set=pa.array(segments, pa.string()))
        return np.asarray(found)

    @property
    def before(self) -> Integers:
        """Permanent limit before the decision."""
        return self.decided["limit_before_minor"]

    @property
    def after(self) -> Integers:
        """Permanent limit after the decision."""
        return self.decided["limit_after_minor"]

    @property
    def uplift(self) -> Integers:
        """Temporary limit."""
        return self.decided["temporary_uplift_minor"]

    @property
    def total(self) -> Integers:
        """Permanent and temporary limit together."""
        together: Integers = self.after + self.uplift
        return together

    @property
    def is_reviewed(self) -> Flags:
        """A person decides."""
        reviewed: Flags = self.decided["action"] == "review"
        return reviewed

    @property
    def gives(self) -> Flags:
        """More credit than before, permanent or temporary."""
        more: Flags = (self.after > self.before) | (self.uplift > 0)
        return more


def numbers(column: pa.Array) -> npt.NDArray[Any]:
    """Return a column as numpy: a missing integer is -1, a missing flag False."""
    if pa.types.is_integer(column.type):
        column = column.cast(pa.int64()).fill_null(-1)
    if pa.types.is_boolean(column.type):
        column = column.fill_null(False)
    values: npt.NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return values


def schema(policy: LimitPolicy) -> pa.Schema:
    """Return the columns of a case: the inputs that are read, and the risk of a second customer."""
    types = {"default_probability": pa.float64(), **inputs.needed(policy)}
    if policy.envelope is not None:
        types[REFERENCE] = pa.int64()
    return pa.schema({**types, OTHER_RISK: pa.float64()})


def plain(policy: LimitPolicy) -> dict[str, Any]:
    """Return the plainest customer: nothing about them is remarkable."""
    first = next(cap for cap in policy.caps if cap.effective_to is None or len(policy.caps) == 1)
    limit = _rounded(policy, first.cap_minor // 4)
    row = {
        "default_probability": round(policy.bands.upper[0] / 2, 4),
        "current_limit_minor": limit,
        "balance_minor": 0,
        "utilization": 0.0,
        "months_delinquent": 0,
        "months_since_raise": 24,
        "months_since_cut": 24,
        "segment": first.segment,
        "product": first.product,
        "previous_band": None,
        "previous_probability": round(policy.bands.upper[0] / 2, 4),
        "payment_ratio": 1.0,
        "income_minor": 100 * limit,
        "debt_service_minor": 0,
        "total_debt_minor": 0,
        "other_exposure_minor": 0,
        "altman_z": 10.0,
        "debt_service_coverage": 10.0,
        "monthly_revenue_minor": 100 * limit,
        "refuses_automation": False,
        "has_consent": True,
        "months_since_assessment": 0,
        "arm": "policy",
        "assignment": 0,
        REFERENCE: limit,
    }
    row[OTHER_RISK] = row["default_probability"]
    return {name: row[name] for name in schema(policy).names}


def moments(policy: LimitPolicy, rng: np.random.Generator) -> Iterator[Moment]:
    """Yield days, regimes and freezes for ever, in an order in which each comes soon and again."""
    days = _days(policy)
    dials = dict(policy.macro) if policy.macro else {}
    regimes = [Regime.NEUTRAL, *(Regime(name) for name, dial in dials.items() if dial)]
    turns = itertools.count()
    while True:
        for place in rng.permutation(len(days)):
            demand = float(rng.choice([1.0, 1.2, 1.5, 3.0]))
            regime = regimes[int(rng.integers(len(regimes)))]
            # Chance alone left short searches without a freeze; the second moment always has one.
            is_frozen = (rng.random() < 0.2) | (next(turns) % 8 == 1)
            freeze = Freeze.RAISES if is_frozen else Freeze.NOTHING
            climate = Climate(regime=regime, demand_index=demand)
            yield Moment(as_of=days[place], freeze=freeze, climate=climate)


def draw(policy: LimitPolicy, n: int, rng: np.random.Generator) -> pa.RecordBatch:
    """Draw `n` cases of `schema`; a few of them hold a missing or impossible value."""
    values, plainest = _values(policy, n, rng), plain(policy)
    # Rules only meet each other in customers about whom little else is remarkable.
    is_calm = rng.random(n) < 0.5
    arrays = []
    for wanted in schema(policy):
        name = wanted.name
        column = values[name]
        if name not in ("segment", "product", "previous_band", OTHER_RISK):
            stays = is_calm & (rng.random(n) < 0.8)
            column = np.where(stays, np.array(plainest[name], column.dtype), column)
        mask = np.zeros(n, np.bool_)
        if name in inputs.MAY_BE_NULL or name == REFERENCE:
            mask = rng.random(n) < 0.1
        if name != OTHER_RISK:
            is_broken = rng.random(n) < _BROKEN_SHARE / len(values)
            column, mask = _break(column, mask, is_broken, rng)
        arrays.append(pa.array(column, wanted.type, mask=mask))
    return pa.RecordBatch.from_arrays(arrays, schema=schema(policy))


def _break(column: Any, mask: Any, is_broken: Any, rng: np.random.Generator) -> tuple[Any, Any]:
    """Put nulls, and what no such value can be, into the rows that are to be broken."""
    is_missing = is_broken & (rng.random(len(column)) < 0.5)
    if column.dtype.kind == "f":
        column = np.where(is_broken, rng.choice([np.nan, np.inf, -np.inf], len(column)), column)
    elif column.dtype.kind == "i":
        column = np.where(is_broken, rng.choice([-1, -(2**63), 2**63 - 1], len(column)), column)
    else:
        is_missing = is_broken
    return column, mask | is_missing


def _days(policy: LimitPolicy) -> list[date]:
    found = {policy.effective_from}
    for row in (*policy.caps, *policy.ceilings):
        found |= {row.effective_from, row.effective_to or row.effective_from}
    for season in policy.seasons:
        turning = (season.starts_on, season.ends_on, season.expires_on)
        found |= {day + timedelta(days=step) for day in turning for step in (-1, 0, 1)}
    last = policy.effective_to or date.max
    return sorted(day for day in found if policy.effective_from <= day <= last)


def _values(policy: LimitPolicy, n: int, rng: np.random.Generator) -> dict[str, Any]:
    kinds = sorted({(cap.segment, cap.product) for cap in policy.caps}, key=str)
    drawn = rng.integers(len(kinds), size=n)
    limit = _money(policy, n, rng)
    risk = _risk(policy, n, rng)
    ratio = policy.early_warning.probability_jump
    shares = [1.0, 1.0, 1.0, 0.9, 0.9, 1 / ratio.ratio if ratio else 0.5, 0.3]
    previous = risk * rng.choice(shares, n)
    firm = policy.business
    z_edges = [firm.altman_distress, firm.altman_safe] if firm else [0.0]
    coverage = [firm.minimum_debt_service_coverage] if firm else [1.0]
    income = _income(policy, limit, n, rng)
    words = np.asarray(policy.bands.names, dtype=object)
    return {
        "default_probability": risk,
        OTHER_RISK: _risk(policy, n, rng),
        "current_limit_minor": limit,
        "balance_minor": (limit * rng.choice([0, 0.5, 1, 1.2], n) * rng.random(n)).astype(np.int64),
        "utilization": _near(_utilizations(policy), n, rng, highest=1.5),
        "months_delinquent": _months(0, [policy.early_warning.months_delinquent], n, rng),
        "months_since_raise": _months(24, [policy.cool_down.raise_months], n, rng),
        "months_since_cut": _months(24, list(dict(policy.cool_down).values()), n, rng),
        "segment": np.array([segment for segment, _ in kinds], dtype=object)[drawn],
        "product": np.array([product for _, product in kinds], dtype=object)[drawn],
        "previous_band": words[rng.integers(len(words), size=n)],
        "previous_probability": previous,
        "payment_ratio": _near([0.1], n, rng, highest=1.2),
        "income_minor": income,
        "debt_service_minor": (income * rng.choice([0.0, 0.2, 0.5], n) * rng.random(n)).astype(
            np.int64
        ),
        "total_debt_minor": (income * rng.choice([0, 12, 18, 24], n) * rng.random(n)).astype(
            np.int64
        ),
        "other_exposure_minor": _elsewhere(policy, limit, n, rng),
        "altman_z": _near([*z_edges, 7.0], n, rng, lowest=-4.0, highest=9.0),
        "debt_service_coverage": _near([*coverage, 3.0], n, rng, lowest=-1.0, highest=5.0),
        "monthly_revenue_minor": (limit * rng.choice([0.5, 0.7, 1, 5], n)).astype(np.int64),
        "refuses_automation": rng.random(n) < 0.03,
        "has_consent": rng.random(n) < 0.9,
        "months_since_assessment": _months(0, [_assessment(policy)], n, rng),
        "arm": np.asarray(inputs.ARMS, dtype=object)[rng.choice(3, n, p=[0.7, 0.1, 0.2])],
        "assignment": rng.integers(0, 2**32, n, dtype=np.uint32),
        REFERENCE: (limit * rng.choice([0.5, 1.0, 1.2, 2.0, 4.0], n)).astype(np.int64),
    }


def _risk(policy: LimitPolicy, n: int, rng: np.random.Generator) -> Floats:
    edges = np.asarray(policy.bands.upper)
    share = policy.bands.hysteresis / BASIS_POINTS
    points = [*edges, *(edges * (1 - share)), *(edges * (1 + share)), 0.0, 1.0]
    # Half of the book is good: a uniform draw would hardly ever meet the best bands.
    # Two bands have one edge alone.
    second = policy.bands.upper[:2][-1]
    values = np.where(rng.random(n) < 0.5, _near(points, n, rng), rng.random(n) * 1.5 * second)
    return np.clip(values, 0.0, 1.0)


def _near(
    points: Sequence[float],
    n: int,
    rng: np.random.Generator,
    *,
    lowest: float = 0.0,
    highest: float = 1.0,
) -> Floats:
    """Draw numbers of which half lie on `points` or beside them, and the rest anywhere."""
    chosen = np.asarray(points, dtype=np.float64)[rng.integers(len(points), size=n)]
    side = rng.integers(-1, 2, size=n)
    far = np.where(side < 0, -np.inf, np.inf)
    beside = np.where(side == 0, chosen, np.nextafter(chosen, far))
    anywhere = lowest + rng.random(n) * (highest - lowest)
    drawn: Floats = np.clip(np.where(rng.random(n) < 0.5, beside, anywhere), lowest, highest)
    return drawn


def _money(policy: LimitPolicy, n: int, rng: np.random.Generator) -> Integers:
    caps = [cap.cap_minor for cap in policy.caps]
    points = np.array([*caps, policy.minimum_limit_minor, policy.rounding_minor, 0])
    beside = points[rng.integers(len(points), size=n)] * rng.choice([1.0, 0.77, 0.9, 1.2, 0.3], n)
    beside += rng.choice([-1, 0, 0, 1], n)
    anywhere = np.exp(rng.random(n) * np.log(1.5 * max(caps)))
    drawn = np.where(rng.random(n) < 0.4, beside, anywhere).astype(np.int64)
    is_round = rng.random(n) < 0.5
    money: Integers = np.maximum(np.where(is_round, _rounded(policy, drawn), drawn), 0)
    return money


def _months(usual: int, edges: list[int], n: int, rng: np.random.Generator) -> Integers:
    """Draw months that are mostly as usual, and else beside an edge or anywhere."""
    points = np.array([0, *edges])
    near = points[rng.integers(len(points), size=n)] + rng.integers(-1, 2, size=n)
    unusual = np.where(rng.random(n) < 0.7, near, rng.integers(0, 25, n))
    months: Integers = np.maximum(np.where(rng.random(n) < 0.7, usual, unusual), 0)
    return months


def _income(policy: LimitPolicy, limit: Integers, n: int, rng: np.random.Generator) -> Integers:
    """Draw incomes that carry about the limit, some more and some less."""
    rule = policy.affordability
    carries = 0.2
    if rule is not None:
        relied_on = rule.income_haircut * rule.max_debt_service / BASIS_POINTS
        carries = rule.minimum_payment_rate / relied_on
    drawn = limit * carries * rng.choice([0.5, 1.0, 1.2, 2.0, 8.0], n) + 1
    income: Integers = drawn.astype(np.int64)
    return income


def _elsewhere(policy: LimitPolicy, limit: Integers, n: int, rng: np.random.Generator) -> Integers:
    """Draw limits held elsewhere, half of which leave just about no room under the ceiling."""
    if not policy.ceilings:
        return np.zeros(n, np.int64)
    room = policy.ceilings[-1].ceiling_minor - limit
    near = np.maximum(room - (limit * rng.choice([-0.1, 0.0, 0.1, 0.3], n)).astype(np.int64), 0)
    held: Integers = np.where(rng.random(n) < 0.5, near, rng.integers(0, 10_000_000, n))
    return held


def _utilizations(policy: LimitPolicy) -> list[float]:
    stress = policy.early_warning.stress
    return [*policy.utilization.upper, *([stress.utilization] if stress else [])]


def _assessment(policy: LimitPolicy) -> int:
    conditions = policy.raise_conditions
    return (conditions.assessment_months if conditions else None) or 12


def _rounded(policy: LimitPolicy, minor: Any) -> Any:
    return minor // policy.rounding_minor * policy.rounding_minor
