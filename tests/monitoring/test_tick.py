"""The watch does every window once, whatever is killed and however often it is called."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import date
from typing import TYPE_CHECKING

import pytest

from governance import durable
from governance.errors import EnvironmentFault
from governance.outcome import Outcome
from limits import book
from limits.engine import Freeze
from monitoring.tick import finished, tick
from monitoring.windows import read_plan
from registry.lifecycle import last_heartbeat, open_findings

if TYPE_CHECKING:
    from tests.conftest import World

pytestmark = [
    pytest.mark.filterwarnings("ignore:numpy.core is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*deprecated.*:DeprecationWarning:litestar"),
]

DAY = date(2005, 10, 1)
MONTHS = [f"2005-{month:02}" for month in range(4, 10)]


def test_a_watch_judges_every_due_window_once(moved_world: World) -> None:
    settings, plan = moved_world.settings, read_plan(None)
    early = tick(settings, plan, on=date(2005, 6, 15))
    assert early.judged == ("2005-04", "2005-05")
    assert early.waiting["2005-09"] == DAY

    table = book.open_table(settings, plan.contract, keyring=moved_world.keyring)
    book.decide(settings, table, keyring=moved_world.keyring, as_of=DAY, freeze=Freeze.NOTHING)
    late = tick(settings, plan, on=DAY)
    assert late.judged == ("2005-06", "2005-07", "2005-08", "2005-09")
    outcomes = {done.name: done.outcome for done in late.done}
    assert outcomes["2005-09"] is Outcome.BREACH
    assert Outcome.BREACH not in {outcomes[name] for name in MONTHS[:-1]}
    [finding] = open_findings(settings, DAY)
    assert (finding.measure, dict(finding.scope)) == (
        "drift.stability_index",
        {"feature": "repayment_status"},
    )
    assert last_heartbeat(settings, "watch") == DAY

    again = tick(settings, plan, on=DAY)
    assert again.judged == ()
    assert again.done == late.done
    assert again.waiting == {"decisions-2005-10": date(2005, 11, 1)}

    matured = tick(settings, plan, on=date(2005, 11, 1))
    assert matured.judged == ("decisions-2005-10",)
    record = json.loads((settings.reports / "decisions-2005-10" / "record.json").read_text())
    found = {m["measure"]: m for m in record["measurements"] if not m["scope"].get("attribute")}
    assert found["misjudgment.good_cut"]["scope"] == {"vintage": "2005-10"}
    assert "0 pending" in found["misjudgment.good_cut"]["reason"]
    for name in [*MONTHS, "decisions-2005-10"]:
        names = {path.name for path in (settings.reports / name).iterdir()}
        assert names == {"record.json", "index.html", "evidently.html", "evidently.json"}
    assert (settings.reports / "index.html").read_text().count("<tr>") == 8


def test_another_plan_is_another_revision_and_the_old_report_is_replaced(
    moved_world: World,
) -> None:
    settings, plan = moved_world.settings, read_plan(None)
    short = plan.model_copy(update={"windows": plan.windows[:2]})
    tick(settings, short, on=DAY)
    before = (settings.reports / "2005-05" / "record.json").read_bytes()
    tick(settings, short.model_copy(update={"tolerance": 0.5}), on=DAY)
    assert [done.revision for done in finished(settings)] == [2, 2]
    assert (settings.reports / "2005-05" / "record.json").read_bytes() != before


def test_a_second_watch_at_the_same_time_is_told_to_wait(moved_world: World) -> None:
    settings = moved_world.settings
    with (
        durable.locked(settings.reports / ".tick.lock", what="Another watch"),
        pytest.raises(EnvironmentFault, match="busy"),
    ):
        tick(settings, read_plan(None), on=DAY)


def test_a_watch_that_was_killed_is_finished_by_the_next_one(moved_world: World) -> None:
    settings, plan = moved_world.settings, read_plan(None)
    command = [sys.executable, "-m", "monitoring", "watch", "--on", DAY.isoformat()]
    environment = {**os.environ, "LIMITLINE_HOME": str(settings.home)}
    victim = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    until = time.monotonic() + 60
    # The moment between a published folder and its line in the ledger of windows.
    while time.monotonic() < until and not (settings.reports / "2005-06").exists():
        time.sleep(0.001)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    done_before = {done.name for done in finished(settings)}
    assert done_before < set(MONTHS)

    repeated = tick(settings, plan, on=DAY)
    assert set(repeated.judged) == set(MONTHS) - done_before
    assert [done.name for done in finished(settings)] == MONTHS
    assert {done.revision for done in finished(settings)} == {1}
    assert not [path for path in settings.reports.iterdir() if path.name.endswith(".tmp")]
    assert len(open_findings(settings, DAY)) == 1
    connection = sqlite3.connect(settings.mlflow_database)
    names = "SELECT name, COUNT(*) FROM runs WHERE name LIKE 'watch %' GROUP BY name"
    assert dict(connection.execute(names)) == {f"watch {month}": 1 for month in MONTHS}
    connection.close()
