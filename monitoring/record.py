"""Records: what one window or validation found, as data; pages and Evidently are views of it.

Nothing in a record is a row. Cells of fewer than ten customers are pooled before they get here, so
that neither a picture nor a file can show one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from governance import canonical
from governance.appetite import RiskAppetite
from governance.counts import Counts
from governance.measurement import Measurement
from governance.outcome import Outcome, worst
from monitoring.bins import MINIMUM_CELL, Bins
from monitoring.drift import MEASURE, NOT_LOOKED_AT

POOLED = "rare"
_JUDGED = (Outcome.PASS, Outcome.BREACH)
_MOST_NAMED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Counts of one column in two windows, rare cells pooled.

    Parameters
    ----------
    labels : tuple of str
        Bin labels in order; `reference` and `current` have one count for each.
    """

    feature: str
    labels: tuple[str, ...]
    reference: tuple[int, ...]
    current: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What was measured, when, on what, and what a person should know beside it.

    Parameters
    ----------
    window : str
        Name of the window, such as ``2005-09``; also the name of the report's folder.
    subject : mapping of str to str
        Role to digest of everything that was looked at.
    measurements : tuple of Measurement
        Already judged; ``INFO`` is shown and judged by nobody.
    decisions : Counts or None
        Counts by ``action`` and ``outcome``, if decisions were looked at; not written out.
    """

    window: str
    title: str
    title_zh: str
    measured_on: date
    subject: Mapping[str, str]
    measurements: tuple[Measurement, ...]
    comparisons: tuple[Comparison, ...] = ()
    decisions: Counts | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def outcome(self) -> Outcome:
        """The gravest verdict; a record without any measurement cannot tell."""
        return worst(m.outcome for m in self.measurements)

    def with_outcome(self, outcome: Outcome) -> tuple[Measurement, ...]:
        """Return the measurements that ended with `outcome`."""
        return tuple(m for m in self.measurements if m.outcome is outcome)

    def about(self, prefix: str) -> tuple[Measurement, ...]:
        """Return the measurements whose name starts with `prefix`."""
        return tuple(m for m in self.measurements if m.measure.startswith(prefix))

    def as_document(self) -> dict[str, Any]:
        """Return the public JSON form; undefined numbers are null."""
        return {
            "schema": "monitoring-record/1",
            "window": self.window,
            "title": self.title,
            "measured_on": self.measured_on.isoformat(),
            "outcome": self.outcome.value,
            "subject": dict(self.subject),
            "measurements": [m.as_json() for m in self.measurements],
            "comparisons": [
                {
                    "feature": c.feature,
                    "bins": list(c.labels),
                    "reference": list(c.reference),
                    "current": list(c.current),
                }
                for c in self.comparisons
            ],
            "notes": list(self.notes),
        }

    @classmethod
    def parse(cls, data: bytes) -> Record:
        """Read what `as_bytes` wrote; the counts of decisions are not in it."""
        told = json.loads(data)
        return cls(
            window=told["window"],
            title=told["title"],
            title_zh="",
            measured_on=date.fromisoformat(told["measured_on"]),
            subject=told["subject"],
            measurements=tuple(Measurement.model_validate(m) for m in told["measurements"]),
            comparisons=tuple(
                Comparison(
                    feature=c["feature"],
                    labels=tuple(c["bins"]),
                    reference=tuple(c["reference"]),
                    current=tuple(c["current"]),
                )
                for c in told["comparisons"]
            ),
            notes=tuple(told["notes"]),
        )

    def as_bytes(self) -> bytes:
        """Return the canonical bytes of the record: same input, same bytes."""
        return canonical.dumps(self.as_document()) + b"\n"

    @property
    def metrics(self) -> dict[str, float]:
        """Every defined value by name and scope, for the catalogue's charts."""
        found = {}
        for m in self.measurements:
            if m.value is not None:
                scope = "/".join(_plain(value) for _, value in sorted(m.scope.items()))
                found[f"{m.measure}/{scope}" if scope else m.measure] = m.value
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What became of every column of both tables, so that none can vanish from a green report.

    Each is in exactly one of the parts.

    Parameters
    ----------
    shown : tuple of str
        Measured, and judged by nobody.
    cannot_tell, not_looked_at : mapping of str to str
        Why not.
    """

    judged: tuple[str, ...]
    shown: tuple[str, ...]
    cannot_tell: Mapping[str, str]
    not_looked_at: Mapping[str, str]

    @classmethod
    def of(cls, measurements: Iterable[Measurement], left_out: Iterable[str] = ()) -> Coverage:
        """Sort the columns of drift measurements, and those that were left out on request."""
        found = {m.scope["feature"]: m for m in measurements if m.measure == MEASURE}
        silent = {n: m.reason for n, m in found.items() if m.outcome is Outcome.INCONCLUSIVE}
        unseen = {n: reason for n, reason in silent.items() if reason.startswith(NOT_LOOKED_AT)}
        return cls(
            judged=tuple(name for name, m in found.items() if m.outcome in _JUDGED),
            shown=tuple(name for name, m in found.items() if m.outcome is Outcome.INFO),
            cannot_tell={n: reason for n, reason in silent.items() if n not in unseen},
            not_looked_at=unseen | dict.fromkeys(left_out, "Left out on request"),
        )

    @property
    def parts(self) -> dict[str, tuple[str, ...]]:
        """The names in each part, in words; shown only if something was."""
        shown = {"only shown": self.shown} if self.shown else {}
        return {
            "judged": self.judged,
            **shown,
            "cannot tell": tuple(self.cannot_tell),
            "not looked at": tuple(self.not_looked_at),
        }

    @property
    def line(self) -> str:
        """One line that adds up, with the names of what was not judged.

        Examples
        --------
        >>> Coverage.of([], left_out=["id"]).line
        '1 column: 0 judged, 0 cannot tell, 1 not looked at (id)'
        """
        total = sum(len(names) for names in self.parts.values())
        told = [
            f"{len(names)} {part}" + ("" if part == "judged" or not names else f" ({_some(names)})")
            for part, names in self.parts.items()
        ]
        return f"{total} column{'' if total == 1 else 's'}: {', '.join(told)}"

    def as_json(self) -> dict[str, Any]:
        """Return the public JSON form: every column by name."""
        return {
            "columns": sum(len(names) for names in self.parts.values()),
            "judged": list(self.judged),
            "shown": list(self.shown),
            "cannot_tell": dict(self.cannot_tell),
            "not_looked_at": dict(self.not_looked_at),
        }


def judge(
    measurements: Iterable[Measurement], appetite: RiskAppetite, on: date
) -> tuple[Measurement, ...]:
    """Judge measurements by an appetite, and keep beside each verdict what was counted.

    A measurement that no threshold concerns stays as it is.
    """
    found = []
    for measurement in measurements:
        judged = appetite.judge(measurement, on)
        if measurement.reason and judged.reason != measurement.reason:
            judged = judged.judged(judged.outcome, f"{judged.reason}: {measurement.reason}")
        found.append(judged)
    return tuple(found)


def compare(reference: Counts, current: Counts, bins: Bins) -> tuple[Comparison, ...]:
    """Put the counts of two windows side by side, with rare cells pooled, in bin order."""
    compared = []
    for feature in bins.names:
        pair = [_by_label(side, feature) for side in (reference, current)]
        labels = [name for name in bins.labels(feature) if pair[0].get(name) or pair[1].get(name)]
        if labels and None not in {*pair[0].values(), *pair[1].values()}:
            cells = {name: (pair[0].get(name) or 0, pair[1].get(name) or 0) for name in labels}
            compared.append(_pooled(feature, cells))
    return tuple(compared)


def _pooled(feature: str, cells: Mapping[str, tuple[int, int]]) -> Comparison:
    """Pool cells that hold one to nine customers on either side, until the pool is large enough.

    A pool of one cell is always too small, so no cell can be computed from the window's total.
    """
    kept = {
        name: pair for name, pair in cells.items() if not any(0 < n < MINIMUM_CELL for n in pair)
    }
    rare = [name for name in cells if name not in kept]
    while kept and rare and _is_small(cells, rare):
        # What is on one side only comes last: it is the picture of what moved.
        smallest = min(kept, key=lambda name: (0 in kept[name], sum(kept[name]), name))
        rare.append(smallest)
        del kept[smallest]
    if rare and not _is_small(cells, rare):
        sums = tuple(sum(cells[name][side] for name in rare) for side in (0, 1))
        kept[POOLED] = (sums[0], sums[1])
    return Comparison(
        feature=feature,
        labels=tuple(kept),
        reference=tuple(pair[0] for pair in kept.values()),
        current=tuple(pair[1] for pair in kept.values()),
    )


def _is_small(cells: Mapping[str, tuple[int, int]], names: Sequence[str]) -> bool:
    sums = (sum(cells[name][side] for name in names) for side in (0, 1))
    return any(0 < total < MINIMUM_CELL for total in sums)


def _by_label(counts: Counts, feature: str) -> dict[str, int | None]:
    table = counts.where(feature=feature).table
    return dict(zip(table["bin"].to_pylist(), table["n"].to_pylist(), strict=True))


def _plain(text: str) -> str:
    """Keep what a metric name may hold: the catalogue refuses ``<`` and ``+``."""
    names = {"<": "under ", ">": "over ", "=": "", "+": " and over"}
    return "".join(names.get(c, c if c.isalnum() or c in "_-. " else "_") for c in text)


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
