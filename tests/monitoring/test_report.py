"""Evidently shows our verdicts from counts: nothing it writes holds a row or calls out."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from governance.measurement import Measurement
from governance.outcome import Outcome
from limitline.commands import app
from monitoring.bins import fit_bins
from monitoring.counts import reduce
from monitoring.drift import measure_drift
from monitoring.record import Record, compare

pytestmark = [
    pytest.mark.filterwarnings("ignore:numpy.core is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*deprecated.*:DeprecationWarning:litestar"),
]


@pytest.fixture(scope="module")
def record() -> Record:
    generator = np.random.default_rng(1)
    amount = generator.lognormal(8, 1, 3000)
    amount[0] = 98_765_432.25
    before = pa.table({"amount": amount, "city": ["north", "south"] * 1500})
    city = ["north", "south", "south"] * 1000
    city[0] = "CANARYTOWN"
    now = pa.table({"amount": amount, "city": city})
    bins = fit_bins(before)
    old, new = reduce(before, bins), reduce(now, bins)
    ratio = Measurement(
        measure="fairness.raise_ratio",
        scope={"attribute": "sex", "group": "male"},
        value=0.9,
        low=0.85,
        high=0.95,
        n=500,
        unit="ratio",
        outcome=Outcome.PASS,
    )
    rate = Measurement(measure="misjudgment.good_cut", value=0.1, low=0.08, high=0.12, n=900)
    silent = Measurement(
        measure="fairness.cut_ratio",
        scope={"attribute": "sex", "group": "unknown"},
        n=3,
        unit="ratio",
        outcome=Outcome.INCONCLUSIVE,
        reason="too few",
    )
    return Record(
        window="2005-09",
        title="Statements",
        title_zh="账单",
        measured_on=date(2005, 10, 1),
        subject={},
        measurements=(*measure_drift(old, new), ratio, rate, silent),
        comparisons=compare(old, new, bins),
    )


def test_every_verdict_is_a_test_of_the_report_and_none_is_softened(record: Record) -> None:
    from monitoring import report

    found = {test.name: test.status.value for test in report.draw(record).tests_results}
    assert found == {
        "Stability index: amount: PASS": "SUCCESS",
        "Stability index: city: BREACH": "FAIL",
        "fairness.raise_ratio for sex=male: PASS": "SUCCESS",
        "Measurements that cannot tell: INCONCLUSIVE": "WARNING",
    }


def test_a_first_window_with_nothing_to_compare_is_drawn_too(record: Record) -> None:
    from monitoring import report

    first = dataclasses.replace(record, comparisons=(), measurements=record.measurements[-2:])
    found = report.draw(first).tests_results
    assert [test.name for test in found] == ["Measurements that cannot tell: INCONCLUSIVE"]


def test_what_evidently_writes_is_there_offline_and_holds_no_row(
    record: Record, tmp_path: Path
) -> None:
    from monitoring import report

    snapshot = report.draw(record)
    report.save(snapshot, tmp_path)
    report.publish(tmp_path / "workspace", [snapshot])
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"evidently.html", "evidently.json"} <= {path.name for path in written}
    for path in written:
        text = path.read_bytes().decode(errors="ignore")
        for canary in ("98765432", "CANARYTOWN"):
            assert canary not in text, path.name


def test_a_window_that_is_published_again_replaces_its_older_run(
    record: Record, tmp_path: Path
) -> None:
    from monitoring import report

    for _ in range(2):
        report.publish(tmp_path / "workspace", [report.draw(record)])
    assert len(list((tmp_path / "workspace").rglob("snapshots/*.json"))) == 1


def test_a_published_run_is_read_where_this_product_is_not_installed(
    record: Record, tmp_path: Path
) -> None:
    from monitoring import report

    report.publish(tmp_path / "workspace", [report.draw(record)])
    code = (
        "import json, sys\n"
        "from evidently.ui.workspace import Workspace\n"
        "ws = Workspace(sys.argv[1])\n"
        "project = ws.list_projects()[0]\n"
        "run = ws.get_run(project.id, ws.list_runs(project.id)[0])\n"
        "assert 'monitoring' not in sys.modules\n"
        "print(json.dumps([run.name, len(run.widgets)]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-W", "ignore", "-c", code, str(tmp_path / "workspace")],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={"DO_NOT_TRACK": "true", "PATH": "/usr/bin"},
    )
    assert done.returncode == 0, done.stderr[-500:]
    name, widgets = json.loads(done.stdout)
    assert name == "2005-09"
    assert widgets >= 4


def test_the_dashboard_shows_the_windows_on_the_loopback_and_lets_nobody_write(
    record: Record, tmp_path: Path
) -> None:
    from monitoring import report

    report.publish(tmp_path / "evidently", [report.draw(record)])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = [sys.executable, "-W", "ignore", "-m", "limitline", "dashboard", "--port", str(port)]
    home = {**os.environ, "LIMITLINE_HOME": str(tmp_path)}
    with subprocess.Popen(line, env=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as server:
        try:
            found = _asked(f"http://127.0.0.1:{port}/api/projects")
            assert [project["name"] for project in found] == ["Limitline"]
            new = urllib.request.Request(
                f"http://127.0.0.1:{port}/api/projects",
                data=b'{"name": "mine"}',
                headers={"Content-Type": "application/json"},
            )
            with pytest.raises(urllib.error.HTTPError, match=r"40[13]"):
                urllib.request.urlopen(new, timeout=10)
        finally:
            server.terminate()
            told = server.communicate(timeout=60)
    assert f"http://127.0.0.1:{port}".encode() in told[0]


def _asked(url: str) -> list[dict[str, str]]:
    until = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                found: list[dict[str, str]] = json.load(answer)
                return found
        except urllib.error.URLError:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)


def test_a_dashboard_of_nothing_is_a_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIMITLINE_HOME", str(tmp_path))
    done = CliRunner().invoke(app, ["dashboard"])
    assert done.exit_code == 2
    assert "No window was judged yet" in done.output
