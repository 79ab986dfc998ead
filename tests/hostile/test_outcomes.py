"""An outcome that nobody can have seen yet is pending, whoever asks and however it is written."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from governance.errors import ContractError
from limitline.commands import app
from monitoring.decisions import observed_in_time
from monitoring.watch import with_outcomes
from privacy.feature_table import ASSIGNMENT, PSEUDONYM
from privacy.pseudonym import PSEUDONYM_TYPE

RUNNER = CliRunner()
DECIDED, WINDOW, YEAR = date(2025, 9, 1), 31, timedelta(days=365)


def _book(folder: Path, observed: list[object], *, ending: str = "parquet") -> Path:
    """Write 200 decisions a day of observation; half of the raised ones turned out bad."""
    n = 200 * len(observed)
    table = pa.table(
        {
            "did": ["raise", "cut"] * (n // 2),
            "bad": [1, 0, 0, 0] * (n // 4),
            "sex": ["m", "m", "f", "f"] * (n // 4),
            "decided": [DECIDED] * n,
            "seen": [day for day in observed for _ in range(200)],
        }
    )
    path = folder / f"book.{ending}"
    if ending == "csv":
        csv.write_csv(table, path)
    else:
        pq.write_table(table, path)
    return path


def _run(verb: str, path: Path, *more: str, days: tuple[str, ...] = ()) -> Result:
    named = ["--decisions", str(path), "--action", "did", "--outcome", "bad"]
    return RUNNER.invoke(app, [verb, *named, *more, *days, "--on", "2026-01-01", "--json"])


DAYS = ("--decided-on", "decided", "--observed-on", "seen", "--performance-days", str(WINDOW))


def _found(done: Result) -> dict[str, dict[str, object]]:
    told = json.loads(done.stdout)["measurements"]
    return {m["measure"]: m for m in told if "group" not in m["scope"]}


@pytest.mark.parametrize("ending", ["parquet", "csv"])
@pytest.mark.parametrize(
    "seen",
    [
        DECIDED - timedelta(days=1),
        DECIDED,
        DECIDED + timedelta(days=WINDOW - 1),
        None,
    ],
)
def test_outcomes_from_before_the_end_of_the_window_never_become_a_rate(
    tmp_path: Path, ending: str, seen: date | None
) -> None:
    path = _book(tmp_path, [seen, DECIDED + timedelta(days=WINDOW)], ending=ending)
    done = _run("misjudgment", path, days=DAYS)
    assert done.exit_code == 14, done.output
    found = _found(done)
    assert found["misjudgment.bad_share_of_raised"]["value"] is None
    assert "200 matured, 200 pending" in str(found["misjudgment.good_cut"]["reason"])
    assert found["labels.unknown"]["value"] == 0.5


def test_outcomes_of_the_last_day_of_the_window_count(tmp_path: Path) -> None:
    done = _run("misjudgment", _book(tmp_path, [DECIDED + timedelta(days=WINDOW)]), days=DAYS)
    assert _found(done)["misjudgment.bad_share_of_raised"]["value"] == 0.5
    assert _found(done)["labels.unknown"]["value"] == 0.0


@pytest.mark.parametrize("ending", ["parquet", "csv"])
@pytest.mark.parametrize("seen", [date(2026, 1, 2), date(2099, 12, 31), date(9999, 12, 31)])
def test_outcomes_of_a_day_that_has_not_come_never_become_a_rate(
    tmp_path: Path, ending: str, seen: date
) -> None:
    """9999-12-31 is how many databases write a day that nobody knows yet."""
    path = _book(tmp_path, [seen, date(2026, 1, 1)], ending=ending)
    for verb, more in (("misjudgment", ()), ("fairness", ("--group", "sex"))):
        done = _run(verb, path, *more, days=DAYS)
        assert done.exit_code == 14, done.output
        found = _found(done)["labels.unknown"]
        assert found["value"] == 0.5
        assert "not after 2026-01-01" in str(found["reason"])


def test_a_moment_counts_on_the_day_that_its_own_clock_shows(tmp_path: Path) -> None:
    """Half past midnight of the 1st in Shanghai is the 31st of August in Greenwich."""
    n, zone = 400, "Asia/Shanghai"
    night = datetime(2025, 8, 31, 16, 30, tzinfo=UTC)
    table = pa.table(
        {
            "did": ["raise", "cut"] * (n // 2),
            "bad": [1, 0, 0, 0] * (n // 4),
            "decided": pa.array([night] * n, pa.timestamp("ms", zone)),
            "seen": [DECIDED + timedelta(days=WINDOW - 1)] * n,
        }
    )
    pq.write_table(table, tmp_path / "book.parquet")
    done = _run("misjudgment", tmp_path / "book.parquet", days=DAYS)
    assert _found(done)["labels.unknown"]["value"] == 1.0


def test_cuts_of_good_customers_are_not_compared_by_early_outcomes(tmp_path: Path) -> None:
    path = _book(tmp_path, [DECIDED, DECIDED + timedelta(days=WINDOW)])
    ratios = {
        with_days: [
            m
            for m in json.loads(_run("fairness", path, "--group", "sex", days=more).stdout)[
                "measurements"
            ]
            if m["measure"] == "fairness.good_cut_ratio"
        ]
        for with_days, more in ((True, DAYS), (False, ()))
    }
    assert ratios[True][0]["value"] is None
    assert ratios[True][0]["outcome"] == "INCONCLUSIVE"
    assert ratios[False][0]["value"] is not None


def test_where_no_day_is_known_the_answer_says_so(tmp_path: Path) -> None:
    path = _book(tmp_path, [DECIDED])
    for verb, more in (("misjudgment", ()), ("fairness", ("--group", "sex"))):
        told = _found(_run(verb, path, *more))["labels.unknown"]
        assert "no days were given" in str(told["reason"])


@pytest.mark.parametrize("left_out", range(3))
def test_half_of_the_days_is_a_usage_error(tmp_path: Path, left_out: int) -> None:
    days = DAYS[: 2 * left_out] + DAYS[2 * left_out + 2 :]
    assert _run("misjudgment", _book(tmp_path, [DECIDED]), days=days).exit_code == 2


def test_a_day_that_is_no_day_is_refused(tmp_path: Path) -> None:
    path = _book(tmp_path, [DECIDED])
    days = ("--decided-on", "did", *DAYS[2:])
    assert _run("misjudgment", path, days=days).exit_code == ContractError.exit_code


def test_a_day_on_either_side_that_is_missing_proves_nothing() -> None:
    day = pa.array([DECIDED, None], pa.date32())
    late = pa.array([date(2030, 1, 1)] * 2, pa.date32())
    good = pa.array(["good", "bad"])
    for decided, observed, right in (
        (day, late, ["good", "pending"]),
        (
            pa.array([DECIDED] * 2, pa.date32()),
            pa.array([None, None], pa.date32()),
            ["pending"] * 2,
        ),
    ):
        found = observed_in_time(
            good,
            decided_on=decided,
            observed_on=observed,
            performance_days=1,
            until=date(2030, 1, 1),
        )
        assert found.to_pylist() == right


def _joined(labels: dict[int, tuple[int | None, date | None]]) -> dict[int, str]:
    """Join decisions of four customers with the labels of some."""
    names = [bytes([place]) * 16 for place in range(4)]
    decided = pa.table(
        {
            PSEUDONYM: pa.array(names, PSEUDONYM_TYPE),
            ASSIGNMENT: pa.array([0] * 4, pa.uint32()),
            "action": ["raise", "cut", "hold", "cut"],
        }
    )
    known = pa.table(
        {
            PSEUDONYM: pa.array([names[place] for place in labels], PSEUDONYM_TYPE),
            "label": pa.array([label for label, _ in labels.values()], pa.int64()),
            "observed_on": pa.array([day for _, day in labels.values()], pa.date32()),
        }
    )
    found = with_outcomes(
        decided, known, decided_on=DECIDED, performance_days=WINDOW, until=DECIDED + 2 * YEAR
    )
    places = [names.index(name) for name in found[PSEUDONYM].to_pylist()]
    return dict(zip(places, found["outcome"].to_pylist(), strict=True))


def test_a_watched_decision_without_a_label_row_stays_pending() -> None:
    day = DECIDED + timedelta(days=WINDOW)
    assert _joined({0: (1, day), 2: (0, day)}) == {0: "bad", 1: "pending", 2: "good", 3: "pending"}


def test_watched_outcomes_from_before_the_decision_are_pending() -> None:
    early, in_time = DECIDED - timedelta(days=1), DECIDED + timedelta(days=WINDOW)
    labels = {0: (1, early), 1: (0, in_time), 2: (1, in_time - timedelta(days=1)), 3: (1, None)}
    assert _joined(labels) == {0: "pending", 1: "good", 2: "pending", 3: "pending"}


def test_watched_outcomes_of_a_day_after_the_table_was_acquired_are_pending() -> None:
    last = DECIDED + 2 * YEAR
    labels = {0: (1, last), 1: (0, last + timedelta(days=1)), 2: (1, date(9999, 12, 31))}
    assert _joined(labels) == {0: "bad", 1: "pending", 2: "pending", 3: "pending"}
