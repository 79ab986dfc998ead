"""Columns of every kind are compared or named: none vanishes, and none passes by saying nothing."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from governance.inference import MARKER, VALUE
from limitline.commands import app
from monitoring.bins import fit_bins
from monitoring.counts import reduce
from monitoring.drift import measure_drift, psi
from monitoring.record import Coverage

DATA = Path(__file__).parents[2] / "training" / "data" / "uci_credit_default.parquet"
N = 3000
DAY = datetime.date(2024, 3, 1)
MIDNIGHT = datetime.datetime(2024, 3, 1, tzinfo=datetime.UTC)


def _answer(folder: Path, before: pa.Table, now: pa.Table, *more: str) -> tuple[int, Any]:
    paths = folder / "before.parquet", folder / "now.parquet"
    for path, table in zip(paths, (before, now), strict=True):
        pq.write_table(table, path)
    named = ("--reference", str(paths[0]), "--current", str(paths[1]))
    done = CliRunner().invoke(app, ["drift", *named, "--json", *more])
    return done.exit_code, json.loads(done.stdout) if done.stdout else done.stderr


def _outcome(before: object, now: object) -> tuple[str, float | None]:
    tables = pa.table({"x": before}), pa.table({"x": now})
    bins = fit_bins(tables[0], current=tables[1])
    [found] = measure_drift(reduce(tables[0], bins), reduce(tables[1], bins))
    return found.outcome.value, found.value


def _steps(seed: int, most: int = 10**6) -> list[int]:
    return [int(step) for step in np.random.default_rng(seed).integers(0, most, N)]


# Every kind has a reference, one more draw of the same, and one that moved.
KINDS: dict[str, Callable[[int, int], pa.Array]] = {
    "decimal": lambda s, moved: pa.array([Decimal(v + moved * 10**6) / 100 for v in _steps(s)]),
    "wide decimal": lambda s, moved: pa.array(
        [Decimal(v + moved * 10**6) / 100 for v in _steps(s)], pa.decimal256(60, 2)
    ),
    "day": lambda s, moved: pa.array(
        [DAY + datetime.timedelta(days=v % 300 + 200 * moved) for v in _steps(s)]
    ),
    "moment": lambda s, moved: pa.array(
        [MIDNIGHT + datetime.timedelta(seconds=v + 10**6 * moved) for v in _steps(s)]
    ),
    "moment of Shanghai": lambda s, moved: pa.array(
        [MIDNIGHT + datetime.timedelta(seconds=v + 10**6 * moved) for v in _steps(s)],
        pa.timestamp("ns", "Asia/Shanghai"),
    ),
    "time of day": lambda s, moved: pa.array(
        [v // 30 + 30_000 * moved for v in _steps(s)], pa.time32("s")
    ),
    "duration": lambda s, moved: pa.array(
        [v + moved * 10**6 for v in _steps(s)], pa.duration("ms")
    ),
    "flag": lambda s, moved: pa.array([v < 300_000 * (1 + moved) for v in _steps(s)]),
    "dictionary": lambda s, moved: pa.array(
        ["abcd"[min(v % 4, 3 - 2 * moved)] for v in _steps(s)]
    ).dictionary_encode(),
    "dictionary of numbers": lambda s, moved: pa.array(
        [v + moved * 10**6 for v in _steps(s)]
    ).dictionary_encode(),
    "large text": lambda s, moved: pa.array(
        ["abcd"[min(v % 4, 3 - 2 * moved)] for v in _steps(s)], pa.large_string()
    ),
    "viewed text": lambda s, moved: pa.array(
        ["abcd"[min(v % 4, 3 - 2 * moved)] for v in _steps(s)], pa.string_view()
    ),
    "yyyymmdd": lambda s, moved: pa.array(
        [int(f"{DAY + datetime.timedelta(days=v % 300 + 200 * moved):%Y%m%d}") for v in _steps(s)]
    ),
    "epoch seconds": lambda s, moved: pa.array(
        [1_700_000_000 + v + 10**6 * moved for v in _steps(s)]
    ),
    "account number": lambda s, moved: pa.array([2**62 + v + 10**6 * moved for v in _steps(s)]),
    "unsigned": lambda s, moved: pa.array(
        [2**63 + v + 10**6 * moved for v in _steps(s)], pa.uint64()
    ),
    "narrow float": lambda s, moved: pa.array(
        [v / 1000 + 1000 * moved for v in _steps(s)], pa.float32()
    ),
    "half float": lambda s, moved: pa.array(
        np.array([v / 1000 + 1000 * moved for v in _steps(s)], np.float16)
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_column_of_every_kind_passes_when_it_stands_still_and_breaches_when_it_moves(
    kind: str,
) -> None:
    make = KINDS[kind]
    assert _outcome(make(1, 0), make(2, 0))[0] == "PASS"
    outcome, value = _outcome(make(1, 0), make(2, 1))
    assert outcome == "BREACH"
    assert (value or 0) > 0.3


def test_a_hundred_times_the_amount_in_a_decimal_column_is_found(tmp_path: Path) -> None:
    amounts = [Decimal(v) / 100 for v in _steps(3)]
    before, now = (pa.table({"limit": pa.array([a * k for a in amounts])}) for k in (1, 100))
    assert _answer(tmp_path, before, now)[0] == 13


def test_moments_that_all_became_1970_are_found() -> None:
    moments = KINDS["moment"](4, 0)
    assert (
        _outcome(moments, pa.array([datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)] * N))[0]
        == "BREACH"
    )


@pytest.mark.parametrize("grades", [3, 6, 20, 21, 30, 45])
@pytest.mark.parametrize("kind", ["float", "whole", "decimal"])
def test_rows_that_change_between_neighboring_grades_are_found(grades: int, kind: str) -> None:
    made = {
        "float": lambda k: 0.01 * 1.3**k,
        "whole": lambda k: 300 + k,
        "decimal": lambda k: Decimal(k) / 8,
    }[kind]
    each = 9000 // grades
    counts = np.full(grades, each)
    for place in (0, grades // 2, grades - 2):
        moved = counts.copy()
        moved[place : place + 2] += np.array([-1, 1]) * (each * 9 // 10)
        before, now = (
            pa.array([made(k) for k in range(grades) for _ in range(n[k])]) for n in (counts, moved)
        )
        outcome, value = _outcome(before, now)
        assert outcome == "BREACH", place
        assert value == pytest.approx(psi(counts, moved))


def test_the_worst_grade_cannot_grow_unseen() -> None:
    before = [0.01, 0.05, 0.1, 0.2, 0.4]
    grades = [before * 400, [0.01, 0.05, 0.1] * 400 + [0.2] * 40 + [0.4] * 760]
    outcome, value = _outcome(*grades)
    assert outcome == "BREACH"
    assert value == pytest.approx(psi([400] * 5, [400, 400, 400, 40, 760]))


def test_a_heavy_top_and_the_value_below_it_are_told_apart() -> None:
    spread = _steps(5, 90_000)
    before = spread + [99_000] * 500 + [100_000] * 1500
    now = spread + [99_000] * 1500 + [100_000] * 500
    assert _outcome(before, now)[0] == "BREACH"


def test_vanished_and_new_codes_keep_their_names_and_their_part_of_the_index() -> None:
    before = pa.table({"x": ["a"] * 2000 + ["gone"] * 500 + ["less"] * 500})
    now = pa.table({"x": ["a"] * 2000 + ["new"] * 400 + ["newer"] * 100 + ["less"] * 500})
    bins = fit_bins(before, current=now)
    old, new = reduce(before, bins), reduce(now, bins)
    assert set(new.values("bin")) == {"a", "new", "newer", "less"}
    [found] = measure_drift(old, new)
    assert found.value == pytest.approx(psi([2000, 500, 500, 0, 0], [2000, 0, 500, 400, 100]))


UNSEEN = {
    "bytes": pa.array([b"\xb9\xe3", b"\xd6\xdd", None] * 1000),
    "list": pa.array([[1, 2], [], None] * 1000),
    "structure": pa.array([{"a": 1}, {"a": 2}, None] * 1000),
    "structure of a value and a marker": pa.array(
        [{"value": k, "marker": "EUR"} for k in range(1500)]
        + [{"value": k, "marker": "USD"} for k in range(1500)]
    ),
    "map": pa.array([[("a", 1)], [], None] * 1000, pa.map_(pa.string(), pa.int64())),
    "interval": pa.array([(1, 2, 3), None, None] * 1000, pa.month_day_nano_interval()),
    "identifier": pa.ExtensionArray.from_storage(
        pa.uuid(), pa.array([bytes([k % 250]) * 16 for k in range(N)], pa.binary(16))
    ),
}


@pytest.mark.parametrize("kind", UNSEEN)
def test_a_column_without_bins_is_named_and_makes_no_pass(kind: str) -> None:
    table = pa.table({"x": UNSEEN[kind], "age": [v % 50 for v in _steps(6)]})
    bins = fit_bins(table, current=table)
    found = measure_drift(reduce(table, bins), reduce(table, bins))
    assert {m.scope["feature"]: m.outcome.value for m in found} == {
        "age": "PASS",
        "x": "INCONCLUSIVE",
    }
    assert Coverage.of(found).line.endswith("1 judged, 0 cannot tell, 1 not looked at (x)")


def test_a_column_without_bins_that_is_emptied_is_a_breach() -> None:
    assert _outcome(UNSEEN["list"], pa.nulls(N, pa.list_(pa.int64())))[0] == "BREACH"
    assert _outcome(UNSEEN["list"], pa.nulls(N))[0] == "BREACH"


@pytest.mark.parametrize("empty", [pa.nulls(N), pa.nulls(N, pa.int64()), [float("nan")] * N])
def test_a_column_that_lost_every_value_ends_with_thirteen(tmp_path: Path, empty: object) -> None:
    code, document = _answer(tmp_path, pa.table({"x": _steps(7)}), pa.table({"x": empty}))
    assert code == 13
    assert document["coverage"]["judged"] == ["x"]


def test_a_column_empty_on_both_sides_cannot_tell(tmp_path: Path) -> None:
    code, document = _answer(tmp_path, pa.table({"x": pa.nulls(N)}), pa.table({"x": pa.nulls(N)}))
    assert code == 14
    assert list(document["coverage"]["cannot_tell"]) == ["x"]


def test_the_coverage_closes_over_both_files_and_names_every_column(tmp_path: Path) -> None:
    same = {"age": [v % 50 for v in _steps(8)], "words": ["a", "b", "c"] * 1000}
    before = pa.table({**same, "gone": _steps(9), "kind": _steps(9), "list": UNSEEN["list"]})
    now = pa.table({"new": _steps(9), **same, "kind": [DAY] * N, "list": UNSEEN["list"]})
    code, document = _answer(tmp_path, before, now)
    coverage = document["coverage"]
    assert code == 14
    assert coverage["columns"] == 6
    assert coverage["judged"] == ["age", "words"]
    assert set(coverage["cannot_tell"]) == {"gone", "new", "kind"}
    assert set(coverage["not_looked_at"]) == {"list"}
    assert "reference" in coverage["cannot_tell"]["new"]
    assert "current" in coverage["cannot_tell"]["gone"]
    assert {m["scope"]["feature"] for m in document["measurements"]} == {
        *coverage["judged"], *coverage["cannot_tell"], *coverage["not_looked_at"],
    }  # fmt: skip


def test_a_column_can_be_left_out_by_name_and_is_still_accounted_for(tmp_path: Path) -> None:
    same = {"age": [v % 50 for v in _steps(8)], "list": UNSEEN["list"]}
    more = ("--leave-out", "list", "--leave-out", "id")
    table = pa.table(same)
    code, document = _answer(tmp_path, table, table.append_column("id", [_steps(1)]), *more)
    assert code == 0
    assert document["coverage"]["not_looked_at"] == {
        "list": "Left out on request",
        "id": "Left out on request",
    }
    code, _ = _answer(tmp_path, table, table, "--leave-out", "age", "--leave-out", "list")
    assert code == 14
    code, said = _answer(tmp_path, table, table, "--leave-out", "nobody")
    assert code == 2
    assert "nobody" in said


def test_a_text_column_whose_values_are_too_many_to_name_makes_no_pass() -> None:
    written = [f"{v:06d}" for v in _steps(10)]
    for marked in (written, ["-"] * 100 + written, ["-"] * 100 + ["n/a"] * 90 + written):
        assert _outcome(marked, marked)[0] == "INCONCLUSIVE"


def test_rare_values_that_are_all_replaced_make_no_pass() -> None:
    common = ["A"] * 1350 + ["B"] * 1350

    def rare(start: str, n: int) -> list[str]:
        return common + [f"{start}{k}" for k in range(n)]

    # A tenth of all the rows may be too rare to be named, and no row more.
    assert _outcome(rare("x", 300), rare("y", 300))[0] == "PASS"
    assert _outcome(rare("x", 301), rare("y", 301))[0] == "INCONCLUSIVE"
    assert _outcome(rare("x", 299), rare("y", 301))[0] == "INCONCLUSIVE"
    assert _outcome(rare("x", 301), rare("y", 299))[0] == "INCONCLUSIVE"


def test_a_marker_that_becomes_common_is_found_beside_the_values() -> None:
    kind = pa.struct([(VALUE, pa.float64()), (MARKER, pa.string())])

    def column(markers: int) -> pa.Array:
        rows = [{VALUE: None if k < markers else float(v), MARKER: "-" if k < markers else None}
                for k, v in enumerate(_steps(11))]  # fmt: skip
        return pa.array(rows, kind)

    assert _outcome(column(60), column(60))[0] == "PASS"
    assert _outcome(column(60), column(300))[0] == "BREACH"


def test_a_code_called_other_or_missing_is_a_code() -> None:
    assert _outcome(["other", "a"] * 1500, ["other", "b"] * 1500)[0] == "BREACH"
    assert _outcome(["missing", "a"] * 1500, [None, "a"] * 1500)[0] == "BREACH"


def test_infinite_and_undefined_numbers_are_counted_and_end_without_a_fault() -> None:
    odd = [float("inf"), float("-inf"), float("nan"), None, 1e308, -1e308, 5e-324]
    calm = [v / 7 for v in _steps(12)]
    assert _outcome(calm, odd * 400)[0] == "BREACH"
    assert _outcome(odd * 400, calm)[0] == "BREACH"
    assert _outcome(calm + odd, calm + odd)[0] == "PASS"


@pytest.mark.parametrize(
    ("fault", "rows", "least"),
    [("x100", 0.02, 19), ("x100", 0.005, 18), ("x8", 0.05, 18)],
)
@pytest.mark.parametrize("tolerance", [0.0, 0.01])
def test_amounts_in_the_wrong_unit_are_found_in_a_few_rows(
    fault: str, rows: float, least: int, tolerance: float
) -> None:
    bills = pq.read_table(DATA, columns=["BILL_AMT3"])["BILL_AMT3"].to_numpy().astype(np.int64)
    n, times = (1000, 100) if rows == 0.02 else (5000, 100 if fault == "x100" else 8)
    found = 0
    for seed in range(20):
        generator = np.random.default_rng(seed)
        shuffled = bills[generator.permutation(len(bills))]
        amounts = shuffled[15_000 : 15_000 + n].copy()
        amounts[generator.random(n) < rows] *= times
        before, now = pa.table({"x": shuffled[:15_000]}), pa.table({"x": amounts})
        bins = fit_bins(before, current=now)
        [m] = measure_drift(reduce(before, bins), reduce(now, bins), tolerance=tolerance)
        found += m.outcome.value == "BREACH"
    assert found >= least
