"""Own computation: the lender decides its limits, a partner may only suggest.

A lender that pays out on a partner's word has outsourced its risk. Equal limits alone prove
nothing, for two who look at the same customer often agree; so equality is held against what the own
policy gives when it decides alone, and the partner's score against what the own decision leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from scipy import stats

from decisions import replay
from decisions.decision_log import DecisionLog
from governance import column_types, durable, proportion
from governance.appetite import RiskAppetite
from governance.errors import ContractError
from governance.measurement import Measurement
from governance.outcome import Outcome, worst
from governance.settings import Settings
from privacy.feature_table import PSEUDONYM
from privacy.keyring import Keyring
from privacy.pseudonym import PSEUDONYM_TYPE
from registry.record import APPLIED, Record

SUGGESTED, SCORE, OWN = "suggested_limit_minor", "partner_score", "own_limit_minor"
ROW = "decision row"
BEFORE, AFTER, PROBABILITY = "limit_before_minor", "limit_after_minor", "default_probability"
STAMPS = ("model_stamp", "policy_stamp")
SMALLEST = 100
DECISION = "own decision"
_NUMBERS = {
    **dict.fromkeys((BEFORE, AFTER, SUGGESTED, OWN), pa.int64()),
    **dict.fromkeys((PROBABILITY, SCORE), pa.float64()),
}

Judge = Callable[[Measurement], Measurement]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """The lines of a risk appetite that hold on a day."""

    appetite: RiskAppetite
    on: date

    def judge(self, measurement: Measurement) -> Measurement:
        """Return `measurement` judged; without a line in force nothing passes."""
        threshold = self.appetite.threshold_for(measurement, self.on)
        if threshold is None:
            said = f"the risk appetite {self.appetite.id} has no line for it on {self.on}"
            return measurement.judged(Outcome.INCONCLUSIVE, said)
        judged = threshold.judge(measurement)
        if not measurement.reason or measurement.reason == judged.reason:
            return judged
        return judged.judged(judged.outcome, f"{measurement.reason}; {judged.reason}")

    def as_document(self, measurements: Sequence[Measurement]) -> dict[str, Any]:
        """Return which lines judged, each with owner, source and first day."""
        lines = {one.measure: self.appetite.threshold_for(one, self.on) for one in measurements}
        shown = {"kind", "owner", "source", "effective_from"}
        return {
            "appetite": f"{self.appetite.id}@{self.appetite.version}#{self.appetite.digest[:16]}",
            "on": self.on.isoformat(),
            "lines": {
                name: {"allowed": line.allowed, **line.model_dump(mode="json", include=shown)}
                for name, line in lines.items()
                if line is not None
            },
        }


def of_vintage(
    settings: Settings,
    vintage: str,
    suggested: pa.Table | None,
    *,
    keyring: Keyring,
    tolerance: Tolerance,
) -> tuple[list[Measurement], pa.Table | None]:
    """Measure a vintage of the decision log against the ledger and a partner's suggestions.

    Every decision with a suggestion is made again from pinned rows, model and policy. Returned are
    the measurements and, if there are suggestions, the decisions beside them.

    Raises
    ------
    UsageError, ContractError, IntegrityError
        If the vintage was not decided; as `compare`; if log, model, table or ledger are not what
        was sealed and signed.
    """
    log = DecisionLog.open(settings.decisions / vintage, keyring=keyring)
    rows = log.read()
    provenance = tolerance.judge(measure_provenance(rows, in_ledger(Record.load(settings))))
    if suggested is None:
        return [provenance], None
    named = with_pseudonyms(suggested)
    again = replay.pin(settings, log, keyring=keyring, pseudonyms=rows[PSEUDONYM]).decide()
    # The features' engine hands pseudonyms on as bytes of any length.
    places = pc.index_in(rows[PSEUDONYM], value_set=again[PSEUDONYM].cast(PSEUDONYM_TYPE))
    rows = rows.append_column(OWN, again[AFTER].take(places))
    compared = compare(rows, named, key=PSEUDONYM)
    return [provenance, *measure(compared, rows.num_rows, judge=tolerance.judge)], compared


def of_tables(
    decisions: pa.Table, suggested: pa.Table, *, key: str, tolerance: Tolerance
) -> tuple[list[Measurement], pa.Table | None]:
    """Measure anybody's decisions against a partner's suggestions; raises as `compare`."""
    compared = compare(decisions, suggested, key=key)
    provenance = tolerance.judge(measure_provenance(decisions, None))
    return [provenance, *measure(compared, decisions.num_rows, judge=tolerance.judge)], compared


def write_equal(compared: pa.Table, path: Path) -> dict[str, Any]:
    """Write which decisions equal the partner's suggestion: rows, no customer, no amount.

    ``own_is_equal`` says whether the own policy, decided again alone, gives that limit too; it is
    empty where nobody decided again. An equal limit where it does not is a copied one.
    """
    equal = compared.filter(pc.equal(compared[AFTER], compared[SUGGESTED]))
    own = pa.nulls(equal.num_rows, pa.bool_())
    if OWN in equal.column_names:
        own = pc.equal(equal[OWN], equal[SUGGESTED])
    sink = pa.BufferOutputStream()
    pyarrow.csv.write_csv(pa.table({"row": equal[ROW], "own_is_equal": own}), sink)
    durable.write_bytes(path, sink.getvalue().to_pybytes())
    return {"path": str(path), "rows": equal.num_rows}


def document(
    found: Sequence[Measurement], tolerance: Tolerance, about: Mapping[str, Any]
) -> dict[str, Any]:
    """Return ``ownership/3``: measurements, gravest outcome, whose lines, and what is not shown."""
    missing = ["a partner's score among the own model's features: read the feature declaration"]
    if not any(item.measure == "ownership.equal_share" for item in found):
        missing.append("equality with a partner's suggestions: none were given")
    judged = [item.outcome for item in found if item.outcome is not Outcome.INFO]
    return {
        "schema": "ownership/3",
        **about,
        "tolerance": tolerance.as_document(found),
        "measurements": [item.as_json() for item in found],
        "outcome": worst(judged).value,
        "not_evidenced": missing,
    }


def in_ledger(record: Record) -> frozenset[tuple[str, str]]:
    """Return model stamp and policy digest of every version that was signed and promoted."""
    promoted = {entry.statement.predicate["version"] for entry in record.events(APPLIED)}
    found = set()
    for version in sorted(int(number) for number in promoted):
        said = record.manifest(version).statement
        stamp = f"{said.subject_name}#{said.sha256[:16]}"
        found.add((stamp, str(said.predicate["declared"].get("policy_digest", ""))[:16]))
    return frozenset(found)


def with_pseudonyms(suggestions: pa.Table) -> pa.Table:
    """Return `suggestions` with the decision pseudonym as bytes; a file may spell it in hex."""
    _require(suggestions, [PSEUDONYM], "suggestions")
    column = column_types.plain(suggestions[PSEUDONYM].combine_chunks())
    if pa.types.is_string(column.type):
        try:
            spelled = [None if text is None else bytes.fromhex(text) for text in column.to_pylist()]
            column = pa.array(spelled, PSEUDONYM_TYPE)
        except (ValueError, pa.ArrowInvalid):
            column = None
    if column is None or column.type != PSEUDONYM_TYPE:
        raise ContractError(
            f"The column {PSEUDONYM} of the suggestions must hold decision pseudonyms: 16 bytes, "
            "or 32 hexadecimal digits."
        )
    return suggestions.set_column(suggestions.column_names.index(PSEUDONYM), PSEUDONYM, column)


def compare(decisions: pa.Table, suggestions: pa.Table, *, key: str) -> pa.Table:
    """Put the decisions that have a suggestion beside it, in the order of the decisions.

    `decisions` hold ``limit_before_minor``, ``limit_after_minor``, ``default_probability`` (0-1)
    and maybe ``own_limit_minor``, the own policy's decision made again; `suggestions` hold
    ``suggested_limit_minor`` and maybe ``partner_score``. Both name a decision by `key`.

    Raises
    ------
    ContractError
        If a column is missing or of another type, a key is missing or named twice, or a
        suggestion without an amount is there.
    """
    names = [BEFORE, AFTER, PROBABILITY, *([OWN] if OWN in decisions.column_names else [])]
    left = _checked(decisions, key, names, "decisions")
    left = left.append_column(ROW, pa.array(np.arange(decisions.num_rows)))
    right = _checked(suggestions, key, [SUGGESTED], "suggestions")
    if SCORE in suggestions.column_names:
        right = right.append_column(SCORE, _number(suggestions, SCORE))
    if left[key].type != right[key].type:
        raise ContractError(
            f"The column {key} is {left[key].type} in the decisions and {right[key].type} in the "
            "suggestions. Name decisions alike in both."
        )
    return left.join(right, keys=key, join_type="inner").drop_columns([key]).sort_by(ROW)


def measure_provenance(
    decisions: pa.Table, known: frozenset[tuple[str, str]] | None
) -> Measurement:
    """Count the decisions without an own model and policy that the ledger knows.

    With `known` None only the names are asked for. When it says nothing: if there are no stamps.
    """
    n = decisions.num_rows
    found = Measurement(measure="ownership.without_provenance", n=n, unit="count")
    if not set(STAMPS) <= set(decisions.column_names):
        return found.judged(Outcome.INCONCLUSIVE, f"the table has no {' and '.join(STAMPS)}")
    if n == 0:
        return found.judged(Outcome.INCONCLUSIVE, "there are no decisions")
    lacking = 0
    stamps = pa.table({name: column_types.texts(decisions[name], name=name) for name in STAMPS})
    for item in stamps.group_by(list(STAMPS)).aggregate([([], "count_all")]).to_pylist():
        model, policy = item["model_stamp"], item["policy_stamp"]
        is_named = bool(model) and bool(policy)
        if not is_named or (known is not None and (model, policy.rpartition("#")[2]) not in known):
            lacking += item["count_all"]
    asked = "named" if known is None else "signed and promoted in the ledger"
    said = f"{lacking} of {n} lack an own model and policy that are {asked}"
    return found.model_copy(update={"value": lacking, "reason": said})


def measure(compared: pa.Table, decisions: int, *, judge: Judge) -> list[Measurement]:
    """Measure equality with the partner, what of it is to be expected, and the score's influence.

    Parameters
    ----------
    decisions : int
        All decisions, also those without a suggestion.
    judge : callable
        Gives ``excess_share`` and the stronger ``partner_influence`` their outcome.

    Notes
    -----
    ``excess_share`` is the share of limits equal to the suggestion, less the share expected. With
    the own decision made again, expected is the share of *those* that equal the suggestion. Without
    it, it is the mean over rows of the share of other customers' suggestions, at the same limit and
    in the same tenth of the own default probability, that equal the row's limit.
    """
    rows = compared.to_pandas()
    n, equal = len(rows), int((rows[AFTER] == rows[SUGGESTED]).sum())
    chance, excess = _against_own(rows) if OWN in rows else _against_others(rows)
    return [
        _rate("covered_share", n, decisions),
        Measurement(measure="ownership.equal_count", value=equal, n=n, unit="count"),
        _rate("equal_share", equal, n),
        chance,
        judge(excess),
        *(_influences(rows, judge) if SCORE in rows else []),
    ]


def _against_own(rows: pd.DataFrame) -> tuple[Measurement, Measurement]:
    """Expect what the own policy gives when it decides again, alone."""
    n = len(rows)
    is_equal, would_be = rows[AFTER] == rows[SUGGESTED], rows[OWN] == rows[SUGGESTED]
    only_logged, only_own = int((is_equal & ~would_be).sum()), int((would_be & ~is_equal).sum())
    chance = _rate("expected_share", int(would_be.sum()), n)
    chance = chance.judged(Outcome.INFO, "the own policy, decided again alone")
    ends = proportion.paired(only_logged, only_own, n)
    if ends is None:
        return chance, _undefined("excess_share", n, "no decision has a suggestion")
    return chance, _share("excess_share", (only_logged - only_own) / n, ends, n)


def _against_others(rows: pd.DataFrame) -> tuple[Measurement, Measurement]:
    """Expect what other customers of the same limit and risk were suggested."""
    place = [BEFORE, "tenth"]
    rows = rows.assign(tenth=_classes(rows[PROBABILITY].to_numpy(), 10))
    others = rows.groupby(place)[AFTER].transform("size").to_numpy() - 1
    n = int((others > 0).sum())
    if n < SMALLEST:
        text = f"{n} decisions have another of the same limit and risk; {SMALLEST} are needed"
        return _undefined("expected_share", n, text), _undefined("excess_share", n, text)
    suggested = rows.groupby([*place, SUGGESTED]).size()
    wanted = pd.MultiIndex.from_frame(rows[[*place, AFTER]])
    hits = suggested.reindex(wanted, fill_value=0).to_numpy()
    is_equal = (rows[AFTER] == rows[SUGGESTED]).to_numpy()
    usable = others > 0
    expected = (hits - is_equal)[usable] / others[usable]
    beyond = is_equal[usable] - expected
    chance = Measurement(measure="ownership.expected_share", value=float(expected.mean()), n=n)
    value, spread = float(beyond.mean()), proportion.QUANTILE * float(beyond.std()) / n**0.5
    excess = _share("excess_share", value, (value - spread, value + spread), n)
    return chance.judged(Outcome.INFO, "other customers of the same limit and risk"), excess


def _influences(rows: pd.DataFrame, judge: Judge) -> list[Measurement]:
    """Correlate the change with the score, beyond the own probability and the own decision.

    Only the strongest condition is judged: utilization moves limits within a risk class too, and a
    partner's score that sees it is no influence if the own decision came out the same.
    """
    change = _change(rows, AFTER)
    plain = _influence(rows, change, "own default probability")
    if OWN not in rows:
        return [judge(plain)]
    return [plain, judge(_influence(rows, change - _change(rows, OWN), DECISION))]


def _influence(rows: pd.DataFrame, change: Floats, beyond: str) -> Measurement:
    score = rows[SCORE].to_numpy()
    usable = np.isfinite(change) & np.isfinite(score)
    change, score = change[usable], score[usable]
    n = len(change)
    found = Measurement(
        measure="ownership.partner_influence", scope={"beyond": beyond}, n=n, unit="ratio"
    )
    if n < SMALLEST:
        text = f"{n} decisions have a score and a limit before; {SMALLEST} are needed"
        return found.judged(Outcome.INCONCLUSIVE, text)
    if beyond == DECISION and not change.any():
        text = "no limit differs from the own decision, so no score has moved one"
        return found.model_copy(update={"value": 0.0, "low": 0.0, "high": 0.0, "reason": text})
    classes = _classes(rows[PROBABILITY].to_numpy()[usable], 20)
    ranks = pd.DataFrame({"left": stats.rankdata(change), "right": stats.rankdata(score)})
    within = ranks - ranks.groupby(classes).transform("mean")
    left, right = within["left"].to_numpy(), within["right"].to_numpy()
    scale = float(np.sqrt((left @ left) * (right @ right)))
    if scale < 1e-9:
        text = "within a class of risk, limits or scores do not differ"
        return found.judged(Outcome.INCONCLUSIVE, text)
    value = float(left @ right) / scale
    low, high = proportion.correlation(value, n - len(np.unique(classes))) or (-1.0, 1.0)
    return found.model_copy(update={"value": value, "low": low, "high": high})


def _change(rows: pd.DataFrame, limit: str) -> Floats:
    """Return the relative change; without a limit before there is none."""
    before, after = rows[BEFORE].to_numpy(), rows[limit].to_numpy()
    change = np.full(len(rows), np.nan)
    np.divide(after - before, before, out=change, where=before > 0)
    return change


def _classes(values: Floats, number: int) -> npt.NDArray[np.int64]:
    """Cut into `number` classes of equally many rows; equal values stay together."""
    ranks: Floats = stats.rankdata(values)
    return np.floor(ranks / (len(values) + 1) * number).astype(np.int64)


def _rate(name: str, events: int, n: int) -> Measurement:
    ends = proportion.wilson(events, n)
    if ends is None:
        return _undefined(name, n, "there is nothing to divide by")
    return _share(name, events / n, ends, n)


def _share(name: str, value: float, ends: tuple[float, float], n: int) -> Measurement:
    low, high = ends
    return Measurement(measure=f"ownership.{name}", value=value, low=low, high=high, n=n)


def _undefined(name: str, n: int, reason: str) -> Measurement:
    return Measurement(
        measure=f"ownership.{name}", n=n, outcome=Outcome.INCONCLUSIVE, reason=reason
    )


def _checked(table: pa.Table, key: str, names: list[str], what: str) -> pa.Table:
    _require(table, [key, *names], what)
    column = column_types.ids(table[key], name=key)
    if column.null_count or pc.count_distinct(column).as_py() != table.num_rows:
        raise ContractError(f"The {what} name some {key} twice, or leave it out. Name each once.")
    numbers = {name: _number(table, name) for name in names}
    empty = sorted(name for name, column in numbers.items() if column.null_count)
    if empty:
        raise ContractError(f"The {what} have rows without {', '.join(empty)}.")
    return pa.table({key: column, **numbers})


def _number(table: pa.Table, name: str) -> pa.ChunkedArray:
    return column_types.read_as(table[name], _NUMBERS[name], name=name)


def _require(table: pa.Table, names: list[str], what: str) -> None:
    missing = sorted(set(names) - set(table.column_names))
    if missing:
        raise ContractError(f"The {what} lack the columns {', '.join(missing)}.")
