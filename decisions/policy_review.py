"""Policy review: what differs between two policies, and whom a new one would concern.

For the impact the same customers are decided twice. What comes out is evidence about a policy
version that a gate may require before the version decides anybody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple, Protocol

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel

from decisions import engine, inputs
from decisions.plan import PLAIN, Climate, Plan
from decisions.policy import LimitPolicy
from decisions.reason_texts import POLICY_KEYS, Text
from decisions.sections import BASIS_POINTS
from decisions.stages import caps_of
from governance import canonical
from governance.column_types import texts
from governance.errors import ContractError
from governance.evidence import Evidence
from governance.measurement import Measurement
from governance.outcome import Outcome

MINIMUM_CELL = 10
_ACTIONS = tuple(action.value for action in engine.Action)

NOT_EVIDENCED = (
    "How customers answer to another limit: default probability and balance are held as they are.",
    "More than one period: a policy that gains once may lose in a closed loop.",
)

STATIC_DIGEST = canonical.digest({"policy": "static", "says": "every limit stays"})
"""What the impact is ``against`` when no policy decides today."""

SAME = Text("The two policies say the same.", "两份政策内容相同。")
_ABSENT = Text("absent", "无")
_SHARES = frozenset(
    {
        *("hysteresis", "max_raise", "max_cut", "minimum_change", "cut_to", "max_debt_service"),
        *("minimum_payment_rate", "income_haircut", "max_debt_to_income", "raise_scale"),
        *("cut_scale", "uplift", "distress_cut_to", "revenue_multiple", "multipliers", "matrix"),
        *("least", "most", "floor_of_reference"),
    }
)


class PolicyChange(NamedTuple):
    """One difference between two policies: where, and from what to what."""

    path: tuple[str, ...]
    old: str | None
    new: str | None

    def in_words(self, language: str = "en") -> str:
        """Say the change in one line."""
        is_chinese = language == "zh"
        known = (POLICY_KEYS.get(part, Text(part, part)) for part in self.path)
        words = [word.zh if is_chinese else word.en for word in known]
        absent = _ABSENT.zh if is_chinese else _ABSENT.en
        old, new = self.old or absent, self.new or absent
        if is_chinese:
            return f"{' / '.join(words)}:{old} → {new}"
        return f"{', '.join(words)}: {old} -> {new}"


def diff(old: LimitPolicy, new: LimitPolicy) -> list[PolicyChange]:
    """Return every value that differs, in the order of the file."""
    before, after = dict(_leaves(old)), dict(_leaves(new))
    paths = dict.fromkeys([*before, *after])
    changes = (PolicyChange(path, before.get(path), after.get(path)) for path in paths)
    return [change for change in changes if change.old != change.new]


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    parts = list(_parts(value))
    for name, part in parts:
        yield from _leaves(part, (*path, name))
    # No rows of a list are no rule; no names in a list of names are one: nobody is meant.
    if not parts and value is not None and not (value == () and len(path) == 1):
        yield path, _shown(path, value) or "[]"


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """Open a section, a mapping or a list of rows into its named parts; a plain value has none."""
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        yield from ((name, getattr(value, name)) for name in fields if name != "schema_")
    elif isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
        yield from ((_row_name(item), item) for item in value)


def _row_name(item: BaseModel) -> str:
    """Name a row of a list by what tells it apart, so that a moved row is not a changed one."""
    facts = dict(item)
    parts = [facts.get(name) for name in ("name", "segment", "product", "effective_from")]
    return " ".join(str(part) for part in parts if part)


def _shown(path: tuple[str, ...], value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(_shown(path, item) for item in value)
    if (path[-1] in _SHARES or path[0] == "matrix") and isinstance(value, int):
        return f"{value / BASIS_POINTS:.4f}".rstrip("0").rstrip(".")
    if path[-1].endswith("_minor"):
        return f"{value / 100:,.2f}"
    return str(value)


class Book(Protocol):
    """Rows to be decided twice, and the policy that decides them today."""

    @property
    def name(self) -> str:
        """What messages call the table."""

    @property
    def policy(self) -> LimitPolicy | None:
        """The policy that decides today; None if every limit stays."""

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Stream what both policies read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """House assumptions behind the expected loss.

    Parameters
    ----------
    loss_given_default : float
        0-1, share of the exposure that is lost.
    conversion : float
        0-1, share of the unused limit that is drawn before a default.
    """

    loss_given_default: float = 0.75
    conversion: float = 0.5

    def expected_minor(self, rows: pa.RecordBatch, limit: pa.Array) -> float:
        """Return probability x loss given default x (balance + conversion x unused limit)."""
        probability = rows.column("default_probability").fill_null(0.0)
        balance = rows.column("balance_minor").cast(pa.float64(), safe=False).fill_null(0.0)
        unused = pc.max_element_wise(pc.subtract(limit, balance), 0.0)
        exposure = pc.add(balance, pc.multiply(unused, self.conversion))
        possible = pc.and_(pc.greater_equal(probability, 0), pc.less_equal(probability, 1))
        expected = pc.if_else(possible, pc.multiply(probability, exposure), 0.0)
        return float(pc.sum(expected).as_py() or 0.0) * self.loss_given_default


def measure_impact(
    new: LimitPolicy,
    source: Book,
    *,
    as_of: date,
    by: Sequence[str] = (),
    climate: Climate = PLAIN,
    loss: Loss | None = None,
) -> Evidence:
    """Decide a table by `new` and by the policy of `source`, and count the difference.

    Parameters
    ----------
    source : Book
        The table, with the policy that decides today; it must hold the inputs of both. Without a
        policy, today every limit stays.
    by : sequence of str
        Columns of the table by whose values the actions are counted; a cell of fewer than ten
        customers is withheld.
    loss : Loss or None
        Assumptions of the expected loss; None takes the defaults, and says so in the scope.

    Raises
    ------
    ContractError
        If the table holds no rows, lacks a column, or the currencies differ.
    """
    old = source.policy
    if old is not None and new.currency != old.currency:
        raise ContractError(
            f"The new policy counts in {new.currency}, the old one in {old.currency}."
        )
    plan = Plan.of(new, as_of=as_of, freeze=engine.Freeze.NOTHING, climate=climate)
    totals = _Impact(loss=loss or Loss(), by=tuple(by), currency=new.currency)
    content: list[str] = []
    for batch in source.batches():
        decided = {
            name: _stay(batch)
            if policy is None
            else engine.decide(policy, batch, as_of=as_of, climate=climate)
            for name, policy in (("new", new), ("old", old))
        }
        totals.add(batch, decided)
        totals.above_cap += _above_cap(plan, batch, decided["new"])
        content.append(canonical.digest([str(batch.schema), _bytes_digest(batch)]))
    if not totals.customers:
        raise ContractError(f"The table {source.name} holds no rows.")
    return Evidence(
        kind="policy-impact",
        subject={
            "policy": new.digest,
            "against": STATIC_DIGEST if old is None else old.digest,
            "table": canonical.digest(content),
            "climate": canonical.digest([as_of.isoformat(), climate.as_document()]),
        },
        measurements=tuple(totals.measurements()),
        measured_on=as_of,
        not_evidenced=NOT_EVIDENCED,
    )


def as_document(evidence: Evidence) -> dict[str, Any]:
    """Return the evidence as JSON, with its digest, by which a gate can require it."""
    plain: dict[str, Any] = evidence.model_dump(mode="json", by_alias=True)
    return {**plain, "digest": evidence.digest}


def _above_cap(plan: Plan, batch: pa.RecordBatch, decided: pa.RecordBatch) -> int:
    """Count who holds more than the cap of the day: the engine raises none of them and cuts none.

    A row that goes to a person for what is missing has no cap that could be looked up.
    """
    rows, is_usable = inputs.read(plan.policy, batch)
    limit = decided["limit_after_minor"].to_numpy() + decided["temporary_uplift_minor"].to_numpy()
    return int((is_usable & (limit > caps_of(plan, rows))).sum())


def _stay(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the decisions of a book in which every limit stays."""
    limit, rows = batch["current_limit_minor"].cast(pa.int64()).fill_null(0), batch.num_rows
    given = {
        "limit_before_minor": limit,
        "limit_after_minor": limit,
        "temporary_uplift_minor": pa.array([0] * rows, pa.int64()),
        "action": pa.array([engine.Action.HOLD.value] * rows, pa.string()),
    }
    schema = engine.OUTPUT_SCHEMA
    columns = [given.get(field.name, pa.nulls(rows, field.type)) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


@dataclass(slots=True, kw_only=True)
class _Impact:
    """Sums that batches add to; only counts and money are kept."""

    loss: Loss
    by: tuple[str, ...]
    currency: str
    customers: int = 0
    above_cap: int = 0
    money: Counter[tuple[str, str]] = field(default_factory=Counter)
    actions: Counter[tuple[str, str]] = field(default_factory=Counter)
    moves: dict[str, int] = field(default_factory=lambda: {"higher": 0, "lower": 0})
    groups: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    sizes: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, batch: pa.RecordBatch, decided: Mapping[str, pa.RecordBatch]) -> None:
        missing = [name for name in self.by if name not in batch.schema.names]
        if missing:
            raise ContractError(f"The table lacks the columns {', '.join(missing)} to count by.")
        self.customers += batch.num_rows
        for policy, answer in decided.items():
            for item in answer["action"].value_counts().to_pylist():
                self.actions[policy, item["values"]] += item["counts"]
            after, uplift = answer["limit_after_minor"], answer["temporary_uplift_minor"]
            # A row that goes to a person may hold any limit; 64 bits hold no sum of those.
            limit = pc.add(*(part.cast(pa.float64(), safe=False) for part in (after, uplift)))
            for total, part in (("limits", after), ("uplifts", uplift)):
                wide = pc.sum(part.cast(pa.decimal128(38))).as_py()
                self.money[policy, total] += int(wide or 0)
            expected: Any = self.loss.expected_minor(batch, limit)
            self.money[policy, "expected_loss"] += expected
            self._count_groups(policy, batch, answer)
        left, right = (decided[name]["limit_after_minor"] for name in ("new", "old"))
        self.moves["higher"] += pc.sum(pc.greater(left, right)).as_py() or 0
        self.moves["lower"] += pc.sum(pc.less(left, right)).as_py() or 0

    def _count_groups(self, policy: str, batch: pa.RecordBatch, answer: pa.RecordBatch) -> None:
        for column in self.by:
            group = texts(batch[column], name=column).fill_null("unknown")
            rows = pa.table({"group": group, "action": answer["action"]})
            counted = rows.group_by(["group", "action"]).aggregate([([], "count_all")])
            for item in counted.to_pylist():
                self.groups[policy, column, item["group"], item["action"]] += item["count_all"]
                if policy == "new":
                    self.sizes[column, item["group"]] += item["count_all"]

    def measurements(self) -> Iterator[Measurement]:
        n = self.customers
        for policy in ("new", "old"):
            for action in _ACTIONS:
                count = self.actions[policy, action]
                yield _rate("policy.impact.action", count, n, policy=policy, action=action)
        for direction, count in self.moves.items():
            yield _rate("policy.impact.moved", count, n, direction=direction)
        yield _rate("policy.impact.above_cap", self.above_cap, n, policy="new")
        for (policy, name), amount in sorted(self.money.items()):
            scope = {"policy": policy}
            if name == "expected_loss":
                scope["loss_given_default"] = str(self.loss.loss_given_default)
                scope["conversion"] = str(self.loss.conversion)
            scope["currency"] = self.currency
            measure = f"policy.impact.{name}"
            yield Measurement(measure=measure, scope=scope, value=float(amount), n=n, unit="minor")
        for (column, group), size in sorted(self.sizes.items()):
            for policy in ("new", "old"):
                for action in _ACTIONS:
                    count = self.groups[policy, column, group, action]
                    scope = {"policy": policy, "action": action, column: group}
                    yield _rate("policy.impact.group_action", count, size, **scope)


def _rate(measure: str, count: int, n: int, **scope: str) -> Measurement:
    """Return a share of customers; a small cell, or one that would give it away, is withheld."""
    is_small = n < MINIMUM_CELL or 0 < count < MINIMUM_CELL or 0 < n - count < MINIMUM_CELL
    if is_small and measure.endswith("group_action"):
        reason = f"fewer than {MINIMUM_CELL} customers"
        return Measurement(
            measure=measure, scope=scope, n=n, outcome=Outcome.INCONCLUSIVE, reason=reason
        )
    return Measurement(measure=measure, scope=scope, value=count / n, n=n)


def _bytes_digest(batch: pa.RecordBatch) -> str:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return canonical.digest(sink.getvalue().to_pybytes())
