"""What a new policy would change, in words and in money, as evidence that binds what it saw."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from decisions.plain_table import Source
from decisions.policy import LimitPolicy, packaged
from decisions.policy_review import Loss, diff, measure_impact
from decisions.reason_texts import POLICY_KEYS
from governance.errors import ContractError

TEXT = packaged("uci_demo")
OLD = LimitPolicy.parse(TEXT)
# The new version raises nobody in band A any more and cuts band F less.
NEW_TEXT = (
    TEXT.replace('version = "1.1.0"', 'version = "1.2.0"')
    .replace("A = [1.10, 1.30, 1.30, 1.20]", "A = [1.05, 1.20, 1.20, 1.10]")
    .replace("F = [0.50, 0.50, 0.60, 0.60]", "F = [0.60, 0.60, 0.60, 0.60]")
)
NEW = LimitPolicy.parse(NEW_TEXT)
AS_OF = date(2005, 10, 1)


def rows(risk: float, n: int, **more: Any) -> list[dict[str, Any]]:
    row = {
        "default_probability": risk,
        "current_limit_minor": 10_000_000,
        "balance_minor": 2_000_000,
        "utilization": 0.2,
        "months_delinquent": 0,
        "months_since_raise": 12,
        "months_since_cut": 12,
        "segment": "consumer",
    }
    return [row | more] * n


def table(folder: Path, content: list[dict[str, Any]]) -> Path:
    path = folder / "book.parquet"
    pq.write_table(pa.Table.from_pylist(content), path)
    return path


def measured(folder: Path, **more: Any) -> dict[tuple[str, str], float | None]:
    content = rows(0.01, 20, region="north") + rows(0.9, 10, region="south")
    content += rows(0.01, 3, region="islet")
    source = Source(path=table(folder, content), policy=OLD)
    found = measure_impact(NEW, source, as_of=AS_OF, **more)
    return {(m.measure, " ".join(m.scope.values())): m.value for m in found.measurements}


def test_the_impact_is_as_worked_by_hand(tmp_path: Path) -> None:
    found = measured(tmp_path, loss=Loss(loss_given_default=0.5, conversion=0.5))
    # 23 good customers: 110,000 by the old policy, 105,000 by the new; 10 bad: 50,000 and 60,000.
    assert found["policy.impact.limits", f"old {OLD.currency}"] == 23 * 11_000_000 + 10 * 5_000_000
    assert found["policy.impact.limits", f"new {OLD.currency}"] == 23 * 10_500_000 + 10 * 6_000_000
    assert found["policy.impact.moved", "higher"] == pytest.approx(10 / 33)
    assert found["policy.impact.moved", "lower"] == pytest.approx(23 / 33)
    assert found["policy.impact.action", "old raise"] == pytest.approx(23 / 33)
    # Exposure is balance + half of the unused limit: 65,000 and 35,000 in the old world.
    expected = 0.5 * (23 * 0.01 * 6_500_000 + 10 * 0.9 * 3_500_000)
    assert found["policy.impact.expected_loss", f"old 0.5 0.5 {OLD.currency}"] == pytest.approx(
        expected
    )


def test_who_already_holds_more_than_the_cap_is_counted_and_not_cut(tmp_path: Path) -> None:
    cap = max(OLD.caps_on(AS_OF).values())
    above = [row | {"current_limit_minor": cap + 1_000_000} for row in rows(0.15, 4)]
    unknown = [row | {"balance_minor": None} for row in above[:2]]
    source = Source(path=table(tmp_path, above + unknown + rows(0.01, 16)), policy=OLD)
    found = {
        (m.measure, *m.scope.values()): m.value
        for m in measure_impact(NEW, source, as_of=AS_OF).measurements
    }
    assert found["policy.impact.above_cap", "new"] == pytest.approx(4 / 22)
    assert found["policy.impact.action", "new", "cut"] == 0


def test_small_groups_are_withheld(tmp_path: Path) -> None:
    found = measured(tmp_path, by=["region"])
    assert found["policy.impact.group_action", "old raise north"] == 1.0
    assert found["policy.impact.group_action", "old cut south"] == 1.0
    assert found["policy.impact.group_action", "old raise islet"] is None


def test_a_share_that_gives_a_small_rest_away_is_withheld(tmp_path: Path) -> None:
    content = rows(0.01, 12, region="coast") + rows(0.9, 3, region="coast")
    source = Source(path=table(tmp_path, content), policy=OLD)
    found = measure_impact(NEW, source, as_of=AS_OF, by=["region"])
    shares = {m.scope["action"]: m.value for m in found.measurements if "region" in m.scope}
    assert shares == {"raise": None, "cut": None, "hold": 0.0, "review": 0.0}


def test_the_same_input_gives_the_same_digest_and_another_input_another(tmp_path: Path) -> None:
    source = Source(path=table(tmp_path, rows(0.01, 20)), policy=OLD)
    first, second = (measure_impact(NEW, source, as_of=AS_OF) for _ in range(2))
    assert first.digest == second.digest
    assert first.subject["policy"] == NEW.digest
    other = Source(path=table(tmp_path, rows(0.01, 21)), policy=OLD)
    assert measure_impact(NEW, other, as_of=AS_OF).subject["table"] != first.subject["table"]


def test_two_currencies_do_not_compare(tmp_path: Path) -> None:
    source = Source(path=table(tmp_path, rows(0.01, 1)), policy=OLD)
    dollars = LimitPolicy.parse(TEXT.replace('currency = "TWD"', 'currency = "USD"'))
    with pytest.raises(ContractError, match="counts in USD"):
        measure_impact(dollars, source, as_of=AS_OF)


def test_a_column_to_count_by_must_exist(tmp_path: Path) -> None:
    source = Source(path=table(tmp_path, rows(0.01, 1)), policy=OLD)
    with pytest.raises(ContractError, match="lacks the columns region"):
        measure_impact(NEW, source, as_of=AS_OF, by=["region"])


def test_a_diff_says_in_words_what_changed() -> None:
    english = [change.in_words() for change in diff(OLD, NEW)]
    assert english == [
        "version: 1.1.0 -> 1.2.0",
        "matrix, A: 1.1, 1.3, 1.3, 1.2 -> 1.05, 1.2, 1.2, 1.1",
        "matrix, F: 0.5, 0.5, 0.6, 0.6 -> 0.6, 0.6, 0.6, 0.6",
    ]
    chinese = [change.in_words("zh") for change in diff(OLD, NEW)]
    assert chinese[0] == "版本:1.1.0 → 1.2.0"
    assert diff(OLD, OLD) == []


def test_a_diff_names_a_section_that_comes_or_goes() -> None:
    full = LimitPolicy.parse(packaged("consumer_sme"))
    without = full.model_copy(update={"affordability": None})
    gone = [change.in_words() for change in diff(full, without)]
    assert "affordability, highest debt service to income: 0.5 -> absent" in gone


def test_every_key_of_a_policy_has_words() -> None:
    full = LimitPolicy.parse(packaged("consumer_sme"))
    empty = OLD.model_copy(update={"caps": ()})
    words = {part for change in diff(empty, full) for part in change.path if part.islower()}
    rowed = {part for part in words if " " in part or "from" in part}
    assert words - rowed - set(POLICY_KEYS) == set()


def test_the_verbs_diff_and_impact(tmp_path: Path) -> None:
    old, new = tmp_path / "old.toml", tmp_path / "new.toml"
    old.write_text(TEXT, encoding="utf-8")
    new.write_text(NEW_TEXT, encoding="utf-8")
    book = table(tmp_path, rows(0.01, 20))

    def verb(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "limitline", "policy", *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=tmp_path, env=os.environ
        )

    said = verb("diff", str(old), str(new), "--language", "zh")
    assert said.returncode == 0, said.stderr
    assert "版本" in said.stdout
    files = ["--policy", str(new), "--against", str(old), "--input", str(book)]
    done = verb("impact", *files, "--as-of", "2005-10-01", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["kind"] == "policy-impact"
    assert document["not_evidenced"]
    people = verb("impact", *files, "--as-of", "2005-10-01")
    assert document["digest"] in people.stdout
    # A sum without its currency is no sum.
    sums = [line for line in people.stdout.splitlines() if "impact.limits" in line]
    assert len(sums) == 2
    assert all(f"{OLD.currency} " in line for line in sums)
