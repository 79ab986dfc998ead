"""Discrimination is found however complete it is, and chance alone is not taken for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.fairness import DAY, power, share_of_false_years
from governance.contract import ColumnContract
from governance.counts import Counts
from governance.errors import ContractError
from governance.measurement import Measurement
from governance.outcome import Outcome, worst
from limitline.commands import app
from monitoring import fairness
from monitoring.record import judge
from monitoring.watch import read_appetite

RUNNER = CliRunner()


def _judged(
    rows: dict[str, tuple[int, int]], *, action: str = "raise", reference: str = "men"
) -> dict[tuple[str, str], Measurement]:
    """Audit groups of which so many of so many had `action`, the others were held."""
    cells = []
    for group, (events, n) in rows.items():
        cells.append({"group": group, "action": action, "outcome": "good", "n": events})
        cells.append({"group": group, "action": "hold", "outcome": "good", "n": n - events})
    found = fairness.audit(Counts.from_rows(cells), attribute="sex", reference_group=reference)
    return {(m.measure, m.scope.get("group", "")): m for m in judge(found, read_appetite(), DAY)}


def test_a_group_of_whom_nobody_was_raised_is_a_breach() -> None:
    ratio = _judged({"men": (1_450, 2_959), "women": (0, 2_959)})["fairness.raise_ratio", "women"]
    assert (ratio.value, ratio.low) == (0.0, 0.0)
    assert ratio.outcome is Outcome.BREACH
    assert "0 of 2959" in ratio.reason


def test_a_reference_of_whom_nobody_was_raised_is_a_breach_too() -> None:
    ratio = _judged({"men": (0, 2_959), "women": (1_450, 2_959)})["fairness.raise_ratio", "women"]
    assert ratio.outcome is Outcome.BREACH
    assert ratio.high is None
    assert ratio.value == ratio.low
    assert (ratio.value or 0) > 300
    assert "no one of the reference men" in ratio.reason


def test_a_small_group_that_is_cut_again_and_again_is_a_breach_beside_rare_cuts() -> None:
    found = _judged({"men": (150, 3_000), "women": (60, 100)}, action="cut")
    assert found["fairness.cut_ratio", "women"].outcome is Outcome.BREACH


def test_the_same_rare_share_in_a_small_group_still_cannot_tell() -> None:
    found = _judged({"men": (150, 3_000), "women": (5, 100)}, action="cut")
    ratio = found["fairness.cut_ratio", "women"]
    assert (ratio.outcome, ratio.value) == (Outcome.INCONCLUSIVE, None)


def test_ten_expected_events_are_enough_and_nine_are_not() -> None:
    enough = _judged({"men": (100, 1_000), "women": (0, 100)})["fairness.raise_ratio", "women"]
    too_few = _judged({"men": (99, 1_000), "women": (0, 100)})["fairness.raise_ratio", "women"]
    assert enough.value == 0.0
    assert too_few.value is None
    assert "9.9 events are expected in this group" in too_few.reason


def test_a_hundred_customers_are_enough_and_ninety_nine_are_not() -> None:
    for women, men in ((100, 1_000), (1_000, 100)):
        one = _judged({"men": (men // 2, men), "women": (women // 2, women)})
        assert one["fairness.raise_ratio", "women"].value == pytest.approx(1.0)
    for women, men in ((99, 1_000), (1_000, 99)):
        one = _judged({"men": (men // 2, men), "women": (women // 2, women)})
        ratio = one["fairness.raise_ratio", "women"]
        assert ratio.value is None
        assert "99 customers" in ratio.reason


@pytest.mark.parametrize(
    "rows",
    [
        {"unknown": (500, 1_000)},
        {"men": (500, 1_000)},
        {"men": (500, 1_000), "unknown": (500, 1_000)},
        {"men": (500, 1_000), "women": (0, 0)},
        {},
    ],
)
def test_an_audit_that_compares_nobody_cannot_tell(rows: dict[str, tuple[int, int]]) -> None:
    found = fairness.audit(
        Counts.from_rows(
            [
                {"group": g, "action": "raise", "outcome": "good", "n": events}
                for g, (events, _) in rows.items()
            ]
            or [{"group": "", "action": "", "outcome": "", "n": 0}]
        ),
        attribute="sex",
        reference_group="men",
    )
    assert worst(m.outcome for m in found) is Outcome.INCONCLUSIVE
    [coverage] = [m for m in found if m.measure == "fairness.coverage"]
    assert coverage.outcome is Outcome.INCONCLUSIVE
    assert "no second group" in coverage.reason


MARKERS = [
    *(
        "Unknown",
        "UNKNOWN",
        "n/a",
        "NA",
        "#N/A",
        "NULL",
        "None",
        "nan",
        "<NA>",
        "-",
        "--",
        ".",
        "?",
    ),
    *("missing", "not known", "未知", "不详", "无", "空"),
]


@pytest.mark.parametrize("marker", MARKERS)
def test_a_word_for_a_missing_group_is_no_known_group_and_never_the_reference(
    tmp_path: Path, marker: str
) -> None:
    rows = [(marker, "raise", 200), (marker, "hold", 200), ("a", "raise", 100), ("a", "hold", 100)]
    path = tmp_path / "decisions.csv"
    named = [
        "fairness", "--decisions", str(path), "--action", "decision", "--outcome", "outcome",
        "--group", "region", "--count", "n", "--on", "2026-01-01", "--json",
    ]  # fmt: skip
    for more, known in (
        ([], "known groups: a"),
        ([("b", "raise", 400), ("b", "hold", 400)], "a, b"),
    ):
        text = "".join(f"{g},{action},good,{n}\n" for g, action, n in [*rows, *more])
        path.write_text("region,decision,outcome,n\n" + text, encoding="utf-8")
        done = RUNNER.invoke(app, named)
        found = {
            (m["measure"], m["scope"].get("group", "")): m
            for m in json.loads(done.stdout)["measurements"]
        }
        assert done.exit_code == 14, done.output
        assert known in found["fairness.coverage", ""]["reason"]
        assert found["fairness.coverage", ""]["value"] == pytest.approx(
            1 - 400 / (600 + 4 * 200 * bool(more))
        )
        # It is still told, under the name that it has.
        assert found["fairness.raise_rate", marker]["value"] == 0.5
        assert ("fairness.raise_ratio", marker) in found


def test_an_attribute_that_is_unknown_of_most_cannot_tell() -> None:
    few = {"men": (200, 400), "women": (200, 400)}
    found = _judged({**few, "unknown": (400, 801)})["fairness.coverage", ""]
    assert found.outcome is Outcome.INCONCLUSIVE
    assert _judged({**few, "unknown": (400, 800)})["fairness.coverage", ""].outcome is Outcome.INFO


@pytest.mark.parametrize("missing", ["", "   ", None])
def test_a_group_without_a_name_is_unknown_and_never_the_reference(
    tmp_path: Path, missing: str | None
) -> None:
    path = tmp_path / "decisions.csv"
    rows = [("" if missing is None else missing, "raise", 200)]
    rows += [(group, "raise", 90) for group in ("a", "b")]
    rows += [(group, "hold", 90) for group in ("a", "b")]
    text = "".join(f'"{g}",{action},good,{n}\n' for g, action, n in rows)
    path.write_text("region,decision,outcome,n\n" + text)
    done = RUNNER.invoke(
        app,
        [
            "fairness", "--decisions", str(path), "--action", "decision", "--outcome", "outcome",
            "--group", "region", "--count", "n", "--on", "2026-01-01", "--json",
        ],
    )  # fmt: skip
    assert done.exit_code == 13, done.output
    assert '"group": "unknown"' in done.stdout
    assert "against 0.500 (b)" in done.stdout


@pytest.mark.parametrize("code", ["", " ", "\t"])
def test_a_contract_with_a_group_without_a_name_is_refused(code: str) -> None:
    text = (Path(__file__).parents[2] / "privacy" / "contracts" / "uci_credit.toml").read_text()
    with pytest.raises(ContractError, match="a group needs a name"):
        ColumnContract.parse(text.replace('1 = "male"', f'1 = "{code}"'))


def test_a_contract_whose_reference_group_does_not_exist_is_refused() -> None:
    text = (Path(__file__).parents[2] / "privacy" / "contracts" / "uci_credit.toml").read_text()
    with pytest.raises(ContractError, match="reference group of sex is none of its groups"):
        ColumnContract.parse(
            text.replace('reference_group = "female"', 'reference_group = "Female"')
        )


@pytest.mark.parametrize("n", [100, 300, 1_500, 5_000])
@pytest.mark.parametrize("rate", [0.05, 0.1, 0.3, 0.8])
def test_fair_books_are_accused_in_fewer_than_one_year_of_a_hundred(n: int, rate: float) -> None:
    assert share_of_false_years(n, rate, years=500, seed=n) <= 0.01


def test_from_two_hundred_expected_events_on_an_interval_speaks_for_itself() -> None:
    """Of 2,000 customers 400 are raised, so 200 are expected of either side; or 399 are."""
    large = _judged({"men": (225, 1_000), "women": (175, 1_000)})["fairness.raise_ratio", "women"]
    assert large.high is not None
    assert large.high < 0.95
    small = _judged({"men": (224, 1_000), "women": (175, 1_000)})["fairness.raise_ratio", "women"]
    assert small.high == 1.0
    assert "chance reaches to 1" in small.reason


def test_two_small_groups_are_not_accused_of_each_other() -> None:
    assert share_of_false_years(150, 0.2, years=500, seed=3, reference=200) <= 0.01


@pytest.mark.parametrize(("n", "least"), [(300, 0.76), (500, 0.92), (1_000, 0.99)])
def test_a_ratio_of_seven_tenths_is_still_found(n: int, least: float) -> None:
    assert power(n, 0.8, 0.7, runs=1_000, seed=n) >= least
