"""Copied limits are caught, honest agreement stays silent, no decision is without provenance."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from decisions import book, decision_log, ownership
from decisions.engine import Freeze
from decisions.ownership import Tolerance
from governance.errors import ContractError
from governance.measurement import Measurement
from governance.outcome import Outcome
from limitline.commands import app
from privacy.feature_table import PSEUDONYM
from registry import offline, record
from registry.judgement import read_appetite
from registry.record import Record
from registry.signing import Kind, Role, Signer

if TYPE_CHECKING:
    from tests.conftest import World

AS_OF = date(2005, 10, 1)
TOLERANCE = Tolerance(appetite=read_appetite(None), on=AS_OF)
STAMPS = {"model_stamp": "own@1#abc", "policy_stamp": "own@1#def"}


def named(found: list[Measurement], name: str, **scope: str) -> Measurement:
    return next(
        m
        for m in found
        if m.measure == f"ownership.{name}" and scope.items() <= {**m.scope}.items()
    )


def made_up(rows: int = 4_000, copied: float = 0.0, seed: int = 3) -> tuple[pa.Table, pa.Table]:
    """An own policy and a partner who see the same risk, each through a fog of its own."""
    rng = np.random.default_rng(seed)
    risk = rng.normal(size=rows)
    probability = 1 / (1 + np.exp(-(risk + rng.normal(0, 0.7, rows))))
    score = -risk + rng.normal(0, 0.7, rows)
    before = rng.choice([1_000_000, 2_000_000, 5_000_000], rows)
    own = before * np.select([probability < 0.3, probability < 0.7], [12, 10], 7) // 10
    suggested = before * np.select([score > 0.6, score > -0.4], [12, 10], 6) // 10
    after = np.where(rng.random(rows) < copied, suggested, own)
    keys = [f"k{number}" for number in range(rows)]
    decisions = {
        "id": keys,
        "limit_before_minor": before,
        "limit_after_minor": after,
        "default_probability": probability,
        **{name: [stamp] * rows for name, stamp in STAMPS.items()},
    }
    proposed = {"id": keys, "suggested_limit_minor": suggested, "partner_score": score}
    # Another order, so that only the key can join them.
    return pa.table(decisions), pa.table(proposed).take(pa.array(rng.permutation(rows)))


def measured(copied: float, seed: int = 3) -> list[Measurement]:
    decisions, proposed = made_up(copied=copied, seed=seed)
    return ownership.of_tables(decisions, proposed, key="id", tolerance=TOLERANCE)[0]


@pytest.mark.parametrize("seed", range(5))
def test_a_plain_batch_of_seventy_percent_copies_is_caught(seed: int) -> None:
    found = measured(0.7, seed)
    assert named(found, "excess_share").outcome is Outcome.BREACH
    assert named(found, "partner_influence").outcome is Outcome.BREACH


@pytest.mark.parametrize("seed", range(5))
def test_an_honest_plain_batch_stays_silent_although_both_often_agree(seed: int) -> None:
    found = measured(0.0, seed)
    assert (named(found, "equal_share").value or 0) > 0.3
    assert {m.outcome for m in found} == {Outcome.PASS, Outcome.INFO}


def by_hand(*left_out: str) -> pa.Table:
    """Ten decisions: four equal the suggestion, of which the own policy gives three."""
    columns = {
        "limit_before_minor": np.full(10, 100),
        "limit_after_minor": np.array([120] * 4 + [100] * 6),
        "suggested_limit_minor": np.array([120] * 4 + [80] * 6),
        "default_probability": np.linspace(0.1, 0.2, 10),
        "own_limit_minor": np.array([120] * 3 + [100] * 7),
    }
    return pa.table(columns).drop_columns(list(left_out))


def test_the_shares_of_a_table_worked_by_hand() -> None:
    found = ownership.measure(by_hand(), 20, judge=TOLERANCE.judge)
    values = {m.measure.removeprefix("ownership."): m.value for m in found}
    assert values == {
        "covered_share": 0.5,
        "equal_count": 4,
        "equal_share": 0.4,
        "expected_share": 0.3,
        "excess_share": pytest.approx(0.1),
    }
    assert named(found, "excess_share").outcome is Outcome.INCONCLUSIVE


def test_without_others_of_the_same_risk_nothing_is_expected_and_nothing_passes() -> None:
    found = ownership.measure(by_hand("own_limit_minor"), 20, judge=TOLERANCE.judge)
    assert named(found, "excess_share").outcome is Outcome.INCONCLUSIVE
    assert named(found, "excess_share").value is None


def test_what_is_expected_is_what_others_in_the_same_place_were_suggested() -> None:
    # 200 alike: half are suggested 120, half 80; all get 120. Each has 100 or 99 such others.
    compared = pa.table(
        {
            "limit_before_minor": np.full(200, 100),
            "limit_after_minor": np.full(200, 120),
            "suggested_limit_minor": np.array([120, 80] * 100),
            "default_probability": np.full(200, 0.1),
        }
    )
    found = ownership.measure(compared, 200, judge=TOLERANCE.judge)
    expected = (100 * 99 + 100 * 100) / (200 * 199)
    assert named(found, "expected_share").value == pytest.approx(expected)
    assert named(found, "excess_share").value == pytest.approx(0.5 - expected)


@pytest.mark.parametrize("empty", ["model_stamp", "policy_stamp"])
@pytest.mark.parametrize("value", [None, ""])
def test_one_decision_without_a_stamp_is_one_too_many(empty: str, value: str | None) -> None:
    decisions, proposed = made_up(200)
    stamps = ["own@1#abc"] * 199 + [value]
    position = decisions.column_names.index(empty)
    decisions = decisions.set_column(position, empty, pa.array(stamps, pa.string()))
    found = ownership.of_tables(decisions, proposed, key="id", tolerance=TOLERANCE)[0]
    assert named(found, "without_provenance").value == 1
    assert named(found, "without_provenance").outcome is Outcome.BREACH


def test_without_stamps_provenance_cannot_be_told() -> None:
    decisions, proposed = made_up(200)
    found = ownership.of_tables(
        decisions.drop_columns(list(STAMPS)), proposed, key="id", tolerance=TOLERANCE
    )[0]
    assert named(found, "without_provenance").outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda d, s: (d, pa.concat_tables([s, s.slice(0, 1)])), "twice"),
        (lambda d, s: (d.drop_columns(["default_probability"]), s), "lack"),
        (lambda d, s: (d, s.drop_columns(["suggested_limit_minor"])), "lack"),
        (
            lambda d, s: (d, s.set_column(1, "suggested_limit_minor", pa.array(["secret"] * 200))),
            "whole numbers",
        ),
        (
            lambda d, s: (
                d,
                s.set_column(1, "suggested_limit_minor", pa.array([None] * 200, pa.int64())),
            ),
            "without",
        ),
    ],
)
def test_tables_that_cannot_be_compared_are_refused_without_a_value(spoil: Any, said: str) -> None:
    decisions, proposed = spoil(*made_up(200))
    with pytest.raises(ContractError, match=said) as refused:
        ownership.of_tables(decisions, proposed, key="id", tolerance=TOLERANCE)
    assert "secret" not in str(refused.value)
    assert "k1" not in str(refused.value)


def decided(world: World) -> decision_log.DecisionLog:
    table = book.open_table(world.settings, "uci-credit", keyring=world.keyring)
    done = book.decide(
        world.settings, table, keyring=world.keyring, as_of=AS_OF, freeze=Freeze.NOTHING
    )
    return done.log


def suggested_for(rows: pa.Table, seed: int = 5) -> pa.Table:
    """A partner who sees the own probability through a fog, and knows no policy."""
    rng = np.random.default_rng(seed)
    score = -rows["default_probability"].to_numpy() + rng.normal(0, 0.15, rows.num_rows)
    before = rows["limit_before_minor"].to_numpy()
    limits = before * np.select([score > -0.1, score > -0.3], [13, 10], 8) // 10
    return pa.table(
        {
            PSEUDONYM: [name.hex() for name in rows[PSEUDONYM].to_pylist()],
            "suggested_limit_minor": limits,
            "partner_score": score,
        }
    )


def forge(world: World, log: decision_log.DecisionLog, column: str, values: list[Any]) -> None:
    """Write a vintage that says something else, under valid keys."""
    rows = log.read()
    position = rows.column_names.index(column)
    rows = rows.set_column(position, column, pa.array(values, rows.schema.field(column).type))
    identity = {**log.identity, "vintage": "2005-12"}
    folder = world.settings.decisions / "2005-12"
    decision_log.write(folder, [rows], identity, keyring=world.keyring)


def of_vintage(world: World, vintage: str, proposed: pa.Table | None) -> list[Measurement]:
    ring = world.keyring
    return ownership.of_vintage(
        world.settings, vintage, proposed, keyring=ring, tolerance=TOLERANCE
    )[0]


def test_an_honest_vintage_stays_silent_and_a_copied_one_is_caught(own_world: World) -> None:
    log = decided(own_world)
    rows = log.read()
    proposed = suggested_for(rows)
    honest = of_vintage(own_world, "2005-10", proposed)
    assert (named(honest, "equal_count").value or 0) > 100
    assert named(honest, "excess_share").value == 0
    judged = {m.outcome for m in honest}
    assert judged == {Outcome.PASS, Outcome.INFO}

    copies = np.random.default_rng(1).random(rows.num_rows) < 0.7
    limits = np.where(copies, proposed["suggested_limit_minor"], rows["limit_after_minor"])
    forge(own_world, log, "limit_after_minor", limits.tolist())
    copied = of_vintage(own_world, "2005-12", proposed)
    assert (named(copied, "equal_share").value or 0) > 0.7
    assert named(copied, "excess_share").outcome is Outcome.BREACH
    assert named(copied, "partner_influence", beyond="own decision").outcome is Outcome.BREACH


def test_equal_limits_are_listed_by_row_and_a_copied_one_is_told_from_an_own_one(
    own_world: World, tmp_path: Path
) -> None:
    log = decided(own_world)
    rows = log.read()
    proposed = suggested_for(rows)
    limits, theirs = (
        rows["limit_after_minor"].to_pylist(),
        proposed["suggested_limit_minor"].to_pylist(),
    )
    agreed = [place for place in range(2_000) if limits[place] == theirs[place]]
    copied = [place for place in range(2_000) if limits[place] != theirs[place]][:50]
    forged = [theirs[place] if place in copied else limit for place, limit in enumerate(limits)]
    forge(own_world, log, "limit_after_minor", forged)
    files = [tmp_path / "suggested.csv", tmp_path / "equal.csv"]
    pyarrow.csv.write_csv(proposed.take(pa.array(range(1_999, -1, -1))), files[0])
    arguments = ["ownership", "--vintage", "2005-12", "--suggestions", str(files[0])]
    done = CliRunner().invoke(app, [*arguments, "--list", str(files[1]), "--json"])
    listed = pyarrow.csv.read_csv(files[1])
    assert listed.column_names == ["row", "own_is_equal"]
    assert listed["row"].to_pylist() == sorted(agreed + copied)
    held = zip(listed["row"].to_pylist(), listed["own_is_equal"].to_pylist(), strict=True)
    assert [row for row, is_own in held if not is_own] == copied
    assert f'"rows": {len(agreed) + 50}' in done.stdout
    alone = CliRunner().invoke(app, ["ownership", "--vintage", "2005-12", "--list", str(files[1])])
    assert alone.exit_code == 2, alone.output


@pytest.mark.parametrize(
    ("column", "stamp"),
    [
        ("model_stamp", "partner@7#0123456789abcdef"),
        ("policy_stamp", "uci-demo@1.0.0#0123456789abcdef"),
        ("model_stamp", None),
    ],
)
def test_decisions_of_a_model_or_policy_that_nobody_signed_are_counted(
    own_world: World, column: str, stamp: str | None
) -> None:
    log = decided(own_world)
    stamps = log.read([column])[column].to_pylist()
    forge(own_world, log, column, [*[stamp] * 3, *stamps[3:]])
    assert named(of_vintage(own_world, "2005-10", None), "without_provenance").value == 0
    found = named(of_vintage(own_world, "2005-12", None), "without_provenance")
    assert (found.value, found.n, found.outcome) == (3, 2_000, Outcome.BREACH)


def test_a_model_that_was_signed_and_never_promoted_gives_no_provenance(own_world: World) -> None:
    """A developer's signature alone is no leave to decide by it."""
    settings = own_world.settings
    first = Record.load(settings).manifest(own_world.champion).statement
    files = first.predicate["files"][1:]
    other = offline.manifest_digest(files)
    record.append(
        settings,
        Kind.MANIFEST,
        subject=(record.subject_of(own_world.champion + 1), other),
        predicate={**first.predicate, "files": files},
        signer=Signer.open(settings.keyring, Role.DEVELOPER),
    )
    known = ownership.in_ledger(Record.load(settings))
    assert {stamp for stamp, _ in known} == {f"{first.subject_name}#{first.sha256[:16]}"}
    log = decided(own_world)
    stamps = log.read(["model_stamp"])["model_stamp"].to_pylist()
    signed = f"{record.subject_of(own_world.champion + 1)}#{other[:16]}"
    forge(own_world, log, "model_stamp", [signed, *stamps[1:]])
    found = named(of_vintage(own_world, "2005-12", None), "without_provenance")
    assert (found.value, found.outcome) == (1, Outcome.BREACH)


def test_the_verb_ends_with_the_outcome_and_prints_no_pseudonym(
    own_world: World, tmp_path: Path
) -> None:
    log = decided(own_world)
    rows = log.read()
    proposed = suggested_for(rows)
    file = tmp_path / "suggested.csv"
    pyarrow.csv.write_csv(proposed, file)
    honest = CliRunner().invoke(
        app, ["ownership", "--vintage", "2005-10", "--suggestions", str(file), "--json"]
    )
    assert honest.exit_code == 0, honest.output
    assert json.loads(honest.stdout)["outcome"] == "PASS"
    assert not any(name in honest.output for name in proposed[PSEUDONYM].to_pylist())
    alone = CliRunner().invoke(app, ["ownership", "--vintage", "2005-10"])
    assert alone.exit_code == 0, alone.output
    assert "none were given" in alone.output


@pytest.mark.parametrize(
    ("rows", "copied", "code"), [(4_000, 0.7, 13), (50, 0.0, 14), (4_000, 0.0, 0)]
)
def test_the_verb_takes_plain_tables(tmp_path: Path, rows: int, copied: float, code: int) -> None:
    decisions, proposed = made_up(rows, copied)
    pq.write_table(decisions, tmp_path / "d.parquet")
    pq.write_table(proposed, tmp_path / "s.parquet")
    arguments = ["ownership", "--decisions", str(tmp_path / "d.parquet"), "--key", "id"]
    arguments += ["--suggestions", str(tmp_path / "s.parquet")]
    done = CliRunner().invoke(app, [*arguments, "--list", str(tmp_path / "equal.csv")])
    assert done.exit_code == code, done.output
    listed = pyarrow.csv.read_csv(tmp_path / "equal.csv")
    limits = pa.Table.join(decisions, proposed, keys="id").sort_by("id")
    equal = limits.filter(pc.equal(limits["limit_after_minor"], limits["suggested_limit_minor"]))
    names = decisions["id"].take(listed["row"]).to_pylist()
    assert sorted(names) == equal["id"].to_pylist()
    # Nobody decided again here, so nobody can say which of them are copies.
    assert listed["own_is_equal"].null_count == listed.num_rows


def run_verb(folder: Path, *more: str) -> tuple[int, dict[str, Any]]:
    decisions, proposed = made_up(copied=0.7)
    pq.write_table(decisions, folder / "d.parquet")
    pq.write_table(proposed, folder / "s.parquet")
    arguments = ["ownership", "--decisions", str(folder / "d.parquet"), "--key", "id", "--json"]
    arguments += ["--suggestions", str(folder / "s.parquet"), *more]
    done = CliRunner().invoke(app, arguments)
    return done.exit_code, json.loads(done.stdout)


def test_the_document_says_whose_lines_judged_and_from_when(tmp_path: Path) -> None:
    code, document = run_verb(tmp_path)
    held = document["tolerance"]
    assert code == 13
    assert held["appetite"].startswith("uci-demo@1.3.0#")
    line = held["lines"]["ownership.excess_share"]
    assert (line["allowed"], line["kind"]) == ("<= 0.05", "house")
    assert line["owner"]
    assert line["source"]
    assert line["effective_from"] == "2005-04-01"


def test_on_a_day_without_a_line_nothing_passes(tmp_path: Path) -> None:
    code, document = run_verb(tmp_path, "--on", "2005-03-31")
    assert code == 14
    assert document["tolerance"]["lines"] == {}
    judged = [item for item in document["measurements"] if item["outcome"] != "INFO"]
    assert {item["outcome"] for item in judged} == {"INCONCLUSIVE"}
    assert len(judged) == 3
