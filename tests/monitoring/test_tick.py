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
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from decisions import book
from decisions.decision_log import DecisionLog
from decisions.engine import Freeze
from governance import canonical, durable
from governance.contract import Purpose
from governance.errors import EnvironmentFault
from governance.evidence import Finding, Severity
from governance.measurement import Measurement
from governance.outcome import Outcome
from monitoring import tick as watching
from monitoring import watch
from monitoring.tick import acknowledge, finished, tick
from monitoring.watch import Sources
from monitoring.windows import read_plan
from privacy import gate
from privacy.feature_table import PSEUDONYM, FeatureTable, Part
from privacy.raw_table import packaged_contract
from registry.findings import close_finding, last_heartbeat, open_finding, open_findings

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
    early_word = _mild_finding_under_the_id_that_is_to_come(moved_world)
    late = tick(settings, plan, on=DAY)
    assert late.judged == ("2005-06", "2005-07", "2005-08", "2005-09")
    outcomes = {done.name: done.outcome for done in late.done}
    assert outcomes["2005-09"] is Outcome.BREACH
    assert Outcome.BREACH not in {outcomes[name] for name in MONTHS[:-1]}
    [swallowing, finding] = open_findings(settings, DAY)
    assert (swallowing, finding.id) == (early_word, early_word.id)
    assert finding.outweighs(early_word)
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
    _assert_judged_on_the_sealed(moved_world, found)
    for name in [*MONTHS, "decisions-2005-10"]:
        names = {path.name for path in (settings.reports / name).iterdir()}
        assert names == {"record.json", "index.html", "evidently.html", "evidently.json"}
    assert (settings.reports / "index.html").read_text().count("<tr>") == 8


def _mild_finding_under_the_id_that_is_to_come(world: World) -> Finding:
    """Open what would keep the watch from opening its own finding, if the first word counted."""
    measure, scope = "drift.stability_index", {"feature": "repayment_status"}
    name = canonical.digest(["2005-09", measure, scope])[:10]
    mild = Finding(
        id=f"2005-09-{name}",
        severity=Severity.LOW,
        text="Nothing much.",
        owner="A validator",
        opened_on=DAY,
        measure=measure,
        scope=scope,
    )
    open_finding(world.settings, mild, version=world.champion)
    return mild


def _assert_judged_on_the_sealed(world: World, found: dict[str, dict[str, object]]) -> None:
    """Count anew, row by row, what the record says about the sealed customers and their money."""
    log = DecisionLog.open(world.settings.decisions / "2005-10", keyring=world.keyring)
    decided = log.read().to_pylist()
    path = gate.latest(
        world.settings.features,
        contract_id="uci-credit",
        purpose=Purpose.DECISION,
        keyring=world.keyring,
    )
    table = FeatureTable.open(path, keyring=world.keyring, part=Part.ALL)
    label = dict(
        zip(*table.read([PSEUDONYM, "default_next_month"]).to_pydict().values(), strict=True)
    )
    sealed = set(
        FeatureTable.open(path, keyring=world.keyring, part=Part.SEALED)
        .read()[PSEUDONYM]
        .to_pylist()
    )
    mine = [row for row in decided if row[PSEUDONYM] in sealed]
    assert 0 < len(mine) < len(decided)
    good = [row for row in mine if label[row[PSEUDONYM]] == 0]
    cut = [row for row in good if row["action"] in ("cut", "refuse")]
    rate = found["misjudgment.good_cut"]
    assert rate["n"] == len(good)
    assert float(str(rate["value"])) == pytest.approx(len(cut) / len(good))
    assert f"{len(mine)} matured, 0 pending" in str(rate["reason"])
    assert found["misjudgment.wrong_cut"]["n"] == len(cut) >= 10
    assert float(str(found["misjudgment.wrong_cut"]["value"])) == sum(
        row["limit_before_minor"] - row["limit_after_minor"] for row in cut
    )


def test_a_breach_is_an_alarm_until_somebody_has_seen_it(moved_world: World) -> None:
    settings = moved_world.settings
    environment = {**os.environ, "LIMITLINE_HOME": str(settings.home)}

    def watch(*more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-m", "limitline", "watch", "--on", DAY.isoformat()]
        return subprocess.run(
            [*command, *more], env=environment, capture_output=True, text=True, check=False
        )

    # What a killed run had judged and never told: the window is done, its exit code was never seen.
    tick(settings, read_plan(None), on=DAY)
    told = watch()
    assert told.returncode == 13
    assert "not acknowledged: 2005-09." in told.stderr
    seen = watch("--acknowledge", "--json")
    assert seen.returncode == 0, seen.stderr
    document = json.loads(seen.stdout)
    assert (document["acknowledged"], document["alarms"]) == (["2005-09"], [])
    assert [item["window"] for item in document["windows"] if item["acknowledged"]] == ["2005-09"]
    assert len(open_findings(settings, DAY)) == 1
    assert watch().returncode == 0


@pytest.mark.parametrize(("moves", "code"), [(False, 14), (True, 13)])
def test_a_window_that_cannot_tell_is_never_green_in_the_run_that_judges_it(
    moved_world: World, tmp_path: Path, *, moves: bool, code: int
) -> None:
    """A column of one value can show nothing; one that moves is a breach beside it."""
    settings, plan = moved_world.settings, tmp_path / "plan.toml"
    columns = [{"still": "1", "status": text} for text in ("pay_6", "pay_0" if moves else "pay_6")]
    windows = "".join(
        f'[[windows]]\nname = "2005-0{month}"\ntitle = "t"\nends_on = 2005-0{month}-28\n'
        f"[windows.columns]\n{told}"
        for month, each in zip((8, 9), columns, strict=True)
        for told in ["".join(f'{name} = "{text}"\n' for name, text in each.items())]
    )
    plan.write_text(
        'schema = "watch-plan/1"\nid = "p"\nversion = "1"\ntitle = "t"\nowner = "o"\n'
        'contract = "uci-credit"\nappetite = "uci_demo"\ngrace_days = 1\nperformance_days = 31\n'
        f'tolerance = 0.01\njudged = ["still", "status"]\n[severities]\n{windows}'
    )

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-P", "-m", "limitline", "watch", "--on", DAY.isoformat()]
        return subprocess.run(
            [*line, "--plan", str(plan), "--json", *more],
            env={**os.environ, "LIMITLINE_HOME": str(settings.home)},
            capture_output=True,
            text=True,
            check=False,
        )

    done = run()
    assert done.returncode == code, done.stderr
    document = json.loads(done.stdout)
    assert document["cannot_tell"] == ([] if moves else ["2005-09"])
    assert ("cannot tell: 2005-09." in done.stderr) is not moves
    # What was judged before is not told twice; a breach stays one until it is acknowledged.
    assert run().returncode == (13 if moves else 0)
    assert run("--acknowledge").returncode == 0


def test_an_acknowledged_breach_that_is_judged_anew_is_an_alarm_and_a_finding_anew(
    moved_world: World,
) -> None:
    settings, plan = moved_world.settings, read_plan(None)
    tick(settings, plan, on=DAY)
    [first] = open_findings(settings, DAY)
    assert acknowledge(settings, on=DAY) == ("2005-09",)
    assert acknowledge(settings, on=DAY) == ()
    for role in ("validator", "risk_approver"):
        close_finding(settings, first.id, on=DAY, note="the cause was mended", role=role)
    assert open_findings(settings, DAY) == ()

    stricter = plan.model_copy(update={"tolerance": plan.tolerance / 2})
    tick(settings, stricter, on=DAY)
    assert "2005-09" in [done.name for done in finished(settings) if done.is_alarm]
    anew = [found.id for found in open_findings(settings, DAY) if found.id.startswith(first.id)]
    assert len(anew) == 1
    assert anew[0] != first.id


def test_a_month_that_never_came_is_a_finding_and_the_others_are_judged(
    moved_world: World,
) -> None:
    settings, plan = moved_world.settings, read_plan(None)
    last = plan.windows[-1]
    asked = {"repayment_status": "pay_october"}
    october = last.model_copy(
        update={"name": "2005-10", "ends_on": date(2005, 10, 31), "columns": asked}
    )
    november = last.model_copy(update={"name": "2005-11", "ends_on": date(2005, 11, 30)})
    longer = plan.model_copy(update={"windows": (last, october, november)})
    done = {item.name: item for item in tick(settings, longer, on=date(2005, 12, 2)).done}
    assert done["2005-10"].outcome is Outcome.BREACH
    assert done["2005-11"].outcome is Outcome.INCONCLUSIVE
    assert done["2005-09"].outcome is Outcome.INFO
    [finding] = open_findings(settings, date(2005, 12, 2))
    assert finding.measure == "window.rows"
    assert "2005-10 was due on 2005-11-01 and is not in the table" in finding.text
    page = (settings.reports / "2005-11" / "index.html").read_text()
    assert "does not hold 2005-10, with which it would be compared" in page


def test_a_release_of_other_rows_judges_nothing_anew(moved_world: World, tmp_path: Path) -> None:
    settings, plan, ring = moved_world.settings, read_plan(None), moved_world.keyring
    table = book.open_table(settings, plan.contract, keyring=ring)
    book.decide(settings, table, keyring=ring, as_of=DAY, freeze=Freeze.NOTHING)
    first = tick(settings, plan, on=date(2005, 11, 1))
    assert len(first.judged) == 7

    def release(column: str, value: object) -> str:
        raw = pq.read_table(settings.raw / "uci_credit.parquet")
        place = raw.column_names.index(column)
        values = [value, *raw[column].to_pylist()[1:]]
        path = tmp_path / f"{column}.parquet"
        pq.write_table(raw.set_column(place, raw.field(place), [values]), path)
        return gate.protect(
            path,
            packaged_contract("uci_credit"),
            keyring=ring,
            out=settings.features,
            purpose=Purpose.DECISION,
            vault=settings.vault,
        ).digest

    # A column that no window shows, then one of September alone.
    assert release("reference_limit", 12_345) != table.digest
    assert tick(settings, plan, on=date(2005, 11, 1)).judged == ()
    assert release("pay_amt1", 54_321)
    assert tick(settings, plan, on=date(2005, 11, 1)).judged == ("2005-09",)


def test_a_workspace_that_was_lost_or_cut_is_drawn_again_from_the_records(
    moved_world: World,
) -> None:
    settings, plan = moved_world.settings, read_plan(None)
    tick(settings, plan, on=DAY)
    runs = sorted(settings.evidently.glob("*/snapshots/*.json"))
    drawn = {name: json.loads(path.read_bytes()) for path in runs for name in [_named(path)]}
    assert sorted(drawn) == MONTHS
    runs[0].unlink()
    runs[1].write_bytes(runs[1].read_bytes()[:100])
    tick(settings, plan, on=DAY)
    again = {
        _named(path): json.loads(path.read_bytes())
        for path in settings.evidently.glob("*/snapshots/*.json")
    }
    assert sorted(again) == MONTHS
    for name, run in drawn.items():
        assert again[name]["metric_results"].keys() == run["metric_results"].keys()
    [project] = settings.evidently.glob("*/metadata.json")
    project.write_bytes(project.read_bytes()[:10])
    tick(settings, plan.model_copy(update={"tolerance": 0.5}), on=DAY)
    assert sorted(_named(path) for path in settings.evidently.glob("*/snapshots/*.json")) == MONTHS


def _named(path: Path) -> str:
    return str(json.loads(path.read_bytes())["name"])


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
    command = [sys.executable, "-m", "limitline", "watch", "--on", DAY.isoformat()]
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
    assert [done.name for done in repeated.done if done.is_alarm] == ["2005-09"]
    runs = settings.evidently.glob("*/snapshots/*.json")
    assert sorted(_named(path) for path in runs) == MONTHS
    connection = sqlite3.connect(settings.mlflow_database)
    names = "SELECT name, COUNT(*) FROM runs WHERE name LIKE 'watch %' GROUP BY name"
    assert dict(connection.execute(names)) == {f"watch {month}": 1 for month in MONTHS}
    connection.close()


def test_a_window_counts_as_judged_only_when_that_is_on_disk(moved_world: World) -> None:
    moved_world.settings.reports.mkdir(exist_ok=True)
    with watching._ledger(moved_world.settings) as connection:
        assert tuple(connection.execute("PRAGMA synchronous").fetchone()) == (2,)


def test_whatever_a_window_is_judged_by_makes_it_another_revision(moved_world: World) -> None:
    plan = read_plan(None)
    first, second = plan.windows[:2]

    def digest(**changed: object) -> str:
        sources = Sources.open(moved_world.settings, plan.model_copy(update=changed))
        return watch._statement_inputs(sources, sources.plan.windows[1])

    columns = {**first.columns, **dict.fromkeys(list(first.columns)[:1], "pay_amt6")}
    moved = first.model_copy(update={"columns": columns})
    severity = next(iter(plan.severities.values()))
    others = [
        digest(judged=plan.judged[1:]),
        digest(tolerance=plan.tolerance / 2),
        digest(grace_days=plan.grace_days + 1),
        digest(severities={**plan.severities, "window.": severity}),
        digest(windows=(moved, *plan.windows[1:])),
        digest(windows=(first, second.model_copy(update={"columns": columns}), *plan.windows[2:])),
    ]
    assert len({digest(), *others}) == 1 + len(others)
    assert digest(judged=plan.judged[::-1]) == digest()
    for window in (first, second):
        sources = Sources.open(moved_world.settings, plan)
        rows = sources.view(window)
        assert isinstance(rows, pa.Table)
        sources.views[window.name] = rows.slice(1)
        assert watch._statement_inputs(sources, second) != digest()


def test_a_column_that_is_only_shown_still_says_that_it_could_not_be_told() -> None:
    plan = read_plan(None)
    scope = {"feature": "not judged"}
    measured = Measurement(
        measure="drift.stability_index", scope=scope, n=9, outcome=Outcome.INCONCLUSIVE, reason="x"
    )
    assert watch._shown(measured, plan).outcome is Outcome.INCONCLUSIVE
    told = measured.model_copy(update={"value": 0.5, "outcome": Outcome.BREACH})
    assert watch._shown(told, plan).outcome is Outcome.INFO
