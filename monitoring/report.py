"""Evidently reports: the one door to Evidently, fed with counts and never with rows.

Our own record is the evidence; this is a view of it in the tool that data scientists know: custom
metrics that compute from counts, tests that state our verdict, widgets, HTML, JSON and workspace.
Importing this module takes seconds, so only functions that draw import it.
"""

# Evidently has no types that mypy follows; what it asks us to subclass is Any to it.
# mypy: disallow-subclassing-any=False

from __future__ import annotations

import json
import secrets
import shutil
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from evidently import DataDefinition, Dataset, Report
from evidently.core.metric_types import (
    CountCalculation,
    CountMetric,
    MetricTest,
    MetricTestResult,
    SingleValueCalculation,
    SingleValueMetric,
    TestStatus,
)
from evidently.core.report import Snapshot
from evidently.legacy.renderers.html_widgets import CounterData, counter, plotly_figure, table_data
from evidently.sdk.models import PanelMetric
from evidently.sdk.panels import line_plot_panel
from evidently.ui.service.app import run_local
from evidently.ui.workspace import Workspace

from governance.measurement import Measurement, describe_scope
from governance.outcome import Outcome
from monitoring.drift import MEASURE as DRIFT
from monitoring.drift import psi
from monitoring.record import Comparison, Coverage, Record

PROJECT = "Limitline"
HOST = "127.0.0.1"

_RECORD = "record"
_NO_COLUMNS = ("datetime_columns", "text_columns", "unknown_columns", "list_columns")

_STATUS = {
    Outcome.PASS: TestStatus.SUCCESS,
    Outcome.BREACH: TestStatus.FAIL,
    Outcome.INCONCLUSIVE: TestStatus.WARNING,
    Outcome.INFO: TestStatus.SKIPPED,
}


def dataset_of(record: Record) -> Dataset:
    """Return the count table of a record as a data set that carries the record itself.

    A data set's metadata is where Evidently keeps what belongs to it and is no column; a report
    does not store it.
    """
    cells = pd.DataFrame(
        [
            {"feature": c.feature, "bin": label, "reference": old, "current": new}
            for c in record.comparisons
            for label, old, new in zip(c.labels, c.reference, c.current, strict=True)
        ],
        columns=["feature", "bin", "reference", "current"],
    ).astype({"reference": "int64", "current": "int64"})
    # Of a table without rows Evidently computes means all the same, and divides by their number.
    words, numbers = (["feature", "bin"], ["reference", "current"]) if len(cells) else ([], [])
    definition = DataDefinition(
        categorical_columns=words,
        numerical_columns=numbers,
        **{name: [] for name in _NO_COLUMNS},
    )
    told = {_RECORD: record.as_bytes().decode()}
    return Dataset.from_pandas(cells, data_definition=definition, metadata=told)


def _record_of(current: Dataset) -> Record:
    return Record.parse(str(current.metadata[_RECORD]).encode())


class VerdictTest(MetricTest):
    """States the verdict that our own statistics reached; it computes nothing."""

    outcome: str
    reason: str

    def to_test(self) -> Any:
        """Return the function that Evidently calls."""

        def state(_: Any, metric: Any, value: Any) -> MetricTestResult:
            return MetricTestResult(
                id="verdict",
                name=f"{value.display_name}: {self.outcome}",
                description=self.reason,
                status=_STATUS[Outcome(self.outcome)],
                metric_config=metric.to_metric_config(),
                test_config={"outcome": self.outcome, "reason": self.reason},
            )

        return state


class StabilityIndex(SingleValueMetric):
    """PSI of one column, from counts."""

    feature: str


class StabilityIndexCalculation(SingleValueCalculation[StabilityIndex]):
    """Computes PSI from the two count vectors and draws both distributions."""

    def calculate(self, _context: Any, current: Any, _reference: Any) -> Any:
        """Return the value with its widgets."""
        shown = _comparison(_record_of(current), self.metric.feature)
        [measured] = [
            m
            for m in _record_of(current).about(DRIFT)
            if m.scope.get("feature") == self.metric.feature
        ]
        # The verdict was computed before rare cells were pooled for display; its value counts.
        value = measured.value if measured.value is not None else np.nan
        result = self.result(value)
        counters = [_number("PSI", measured), CounterData("rows", f"{measured.n:,}")]
        result.widget = [counter(title=self.display_name(), counters=counters)]
        if shown is not None:
            pooled = psi(shown.reference, shown.current)
            title = (
                f"{self.metric.feature}: reference and current (PSI of what is shown {pooled:.4f})"
            )
            result.widget.append(plotly_figure(title=title, figure=_bars(shown)))
        return result

    def display_name(self) -> str:
        """Return the title in the report."""
        return f"Stability index: {self.metric.feature}"


class MisjudgmentRate(CountMetric):
    """One misjudgment rate with its count, from counts of decisions by outcome."""

    kind: str


class MisjudgmentRateCalculation(CountCalculation[MisjudgmentRate]):
    """Shows count, rate, exact interval, matured and pending."""

    def calculate(self, _context: Any, current: Any, _reference: Any) -> Any:
        """Return count and share with their widget."""
        [measured] = _record_of(current).about(f"misjudgment.{self.metric.kind}")
        value = measured.value or 0.0
        result = self.result(round(value * measured.n), value)
        counters = [_number("rate", measured), CounterData("of", f"{measured.n:,}")]
        counters.append(CounterData("detail", measured.reason))
        result.widget = [counter(title=self.display_name(), counters=counters)]
        return result

    def display_name(self) -> str:
        """Return the title in the report."""
        return f"Misjudgment: {self.metric.kind.replace('_', ' ')}"


class FairnessRatio(SingleValueMetric):
    """One rate of one group over that of the reference group, from counts."""

    measure: str
    attribute: str
    group: str


class FairnessRatioCalculation(SingleValueCalculation[FairnessRatio]):
    """Shows the ratio with its interval."""

    def calculate(self, _context: Any, current: Any, _reference: Any) -> Any:
        """Return the value with its widget."""
        wanted = {"attribute": self.metric.attribute, "group": self.metric.group}
        [measured] = [
            m for m in _record_of(current).about(self.metric.measure) if dict(m.scope) == wanted
        ]
        result = self.result(measured.value)
        counters = [_number("ratio", measured), CounterData("n", f"{measured.n:,}")]
        result.widget = [counter(title=self.display_name(), counters=counters)]
        return result

    def display_name(self) -> str:
        """Return the title in the report."""
        return f"{self.metric.measure} for {self.metric.attribute}={self.metric.group}"


class CannotTell(CountMetric):
    """How many of the measurements could not be made; never a pass."""

    __slots__: ClassVar[tuple[str, ...]] = ()


class CannotTellCalculation(CountCalculation[CannotTell]):
    """Lists what could not be told, and why."""

    def calculate(self, _context: Any, current: Any, _reference: Any) -> Any:
        """Return count and share with the list."""
        record = _record_of(current)
        silent = record.with_outcome(Outcome.INCONCLUSIVE)
        result = self.result(len(silent), len(silent) / max(len(record.measurements), 1))
        rows = [[m.measure, describe_scope(m.scope), m.reason] for m in silent]
        columns = ["measure", "scope", "why it cannot tell"]
        result.widget = [table_data(title=self.display_name(), column_names=columns, data=rows)]
        return result

    def display_name(self) -> str:
        """Return the title in the report."""
        return "Measurements that cannot tell"


class ColumnCoverage(CountMetric):
    """What became of every column: judged, shown, cannot tell, not looked at."""

    __slots__: ClassVar[tuple[str, ...]] = ()


class ColumnCoverageCalculation(CountCalculation[ColumnCoverage]):
    """Counts the columns that were judged, and lists the others with the reason."""

    def calculate(self, _context: Any, current: Any, _reference: Any) -> Any:
        """Return number and share of the judged columns with the list of all."""
        coverage = Coverage.of(_record_of(current).measurements)
        total = sum(len(names) for names in coverage.parts.values())
        result = self.result(len(coverage.judged), len(coverage.judged) / max(total, 1))
        reasons = {**coverage.cannot_tell, **coverage.not_looked_at}
        rows = [
            [name, part, reasons.get(name, "")]
            for part, names in coverage.parts.items()
            for name in names
        ]
        columns = ["column", "what became of it", "why"]
        result.widget = [table_data(title=coverage.line, column_names=columns, data=rows)]
        return result

    def display_name(self) -> str:
        """Return the title in the report."""
        return "Columns judged"


def draw(record: Record) -> Snapshot:
    """Run an Evidently report over a record and return the snapshot."""
    dataset = dataset_of(record)
    metadata = {"window": record.window, "outcome": record.outcome.value}
    snapshot = Report(_metrics(record), include_tests=True).run(
        dataset, None, metadata=metadata, tags=["limitline"], name=record.window
    )
    for result in snapshot.metric_results.values():
        for test in result.tests:
            # The bound test names our class, and `evidently ui` refuses a run it cannot import.
            test.bound_test = None
    return snapshot


def save(snapshot: Snapshot, folder: Path) -> None:
    """Write ``evidently.html`` and ``evidently.json`` into `folder`."""
    # Evidently takes a Path without complaint and then writes nothing at all.
    snapshot.save_html(str(folder / "evidently.html"))
    text = json.dumps(json.loads(snapshot.json()), indent=1, sort_keys=True)
    (folder / "evidently.json").write_text(text + "\n", encoding="utf-8")


def publish(workspace: Path, snapshots: list[Snapshot]) -> None:
    """Put snapshots into the workspace behind ``evidently ui``, one per window.

    The workspace is a view that can be rebuilt: an older run of the same window is replaced.
    """
    wanted = {snapshot.get_name() for snapshot in snapshots}
    _clear(workspace, wanted)
    place = Workspace.create(str(workspace))
    found = place.search_project(PROJECT)
    project = found[0] if found else place.create_project(PROJECT)
    if not found:
        series = [PanelMetric(legend="PSI", metric="StabilityIndex", metric_labels={})]
        project.dashboard.add_panel(line_plot_panel("Stability index", series), tab="Drift")
        project.save()
    for snapshot in snapshots:
        place.add_run(project.id, snapshot)


def serve(workspace: Path, *, port: int) -> None:
    """Show the workspace in Evidently's own server on the loopback address until interrupted.

    Only somebody who knows a secret that nobody is told may write through it.
    """
    run_local(host=HOST, port=port, workspace=str(workspace), secret=secrets.token_hex())


def _clear(workspace: Path, names: set[str]) -> None:
    """Remove the runs of `names`, and what a killed writer left torn: Evidently opens all or none.

    A project whose own files are torn goes as a whole; the watch draws it again from the records.
    """
    for path in sorted(workspace.glob("*/*.json")):
        if _named(path) is None:
            shutil.rmtree(path.parent)
    for path in sorted(workspace.glob("*/snapshots/*.json")):
        if _named(path) in names | {None}:
            path.unlink()


def _named(path: Path) -> str | None:
    """Return the name in a file of Evidently's, empty if it has none; None if it is torn."""
    try:
        return str(json.loads(path.read_bytes()).get("name", ""))
    except (ValueError, AttributeError):
        return None


def _metrics(record: Record) -> list[Any]:
    chosen: list[Any] = [ColumnCoverage()] if record.about(DRIFT) else []
    silent = record.with_outcome(Outcome.INCONCLUSIVE)
    if silent:
        reason = f"{len(silent)} measurements cannot tell"
        verdict = VerdictTest(outcome=Outcome.INCONCLUSIVE.value, reason=reason)
        chosen.append(CannotTell(tests=[verdict]))
    for m in record.measurements:
        if m.value is None:
            continue
        tests = [] if m.outcome is Outcome.INFO else [_verdict(m)]
        if m.measure == DRIFT:
            chosen.append(StabilityIndex(feature=m.scope["feature"], tests=tests))
        elif m.measure.startswith("misjudgment.") and m.unit == "rate":
            kind = m.measure.removeprefix("misjudgment.")
            chosen.append(MisjudgmentRate(kind=kind, share_tests=tests))
        elif m.measure.startswith("fairness.") and m.unit == "ratio":
            names = {name: m.scope[name] for name in ("attribute", "group")}
            chosen.append(FairnessRatio(measure=m.measure, tests=tests, **names))
    return chosen


def _verdict(measurement: Measurement) -> VerdictTest:
    return VerdictTest(outcome=measurement.outcome.value, reason=measurement.reason)


def _comparison(record: Record, feature: str) -> Comparison | None:
    return next((c for c in record.comparisons if c.feature == feature), None)


def _number(label: str, measurement: Measurement) -> CounterData:
    if measurement.value is None:
        return CounterData(label, "undefined")
    text = f"{measurement.value:.4f}"
    if measurement.low is not None and measurement.high is not None:
        text += f" [{measurement.low:.4f}, {measurement.high:.4f}]"
    return CounterData(label, text)


def _bars(shown: Comparison) -> go.Figure:
    sides = (("reference", shown.reference), ("current", shown.current))
    bars = [
        go.Bar(x=shown.labels, y=np.array(counts) / max(sum(counts), 1), name=name)
        for name, counts in sides
    ]
    return go.Figure(bars).update_layout(yaxis_title="share", barmode="group")
