"""A book is decided once, sealed, and can be decided again to the cent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from decisions import book, decision_log
from decisions import replay as replaying
from decisions.decision_log import FILE, MANIFEST, DecisionLog
from decisions.engine import Freeze
from governance import canonical, durable
from governance.contract import Purpose
from governance.errors import ContractError, EnvironmentFault, IntegrityError, UsageError
from privacy import gate, keyring
from privacy.feature_table import PSEUDONYM, FeatureTable

if TYPE_CHECKING:
    from tests.conftest import World

AS_OF = date(2005, 10, 1)


def decide(world: World, as_of: date = AS_OF, freeze: Freeze = Freeze.NOTHING) -> book.Decided:
    table = book.open_table(world.settings, "uci-credit", keyring=world.keyring)
    return book.decide(world.settings, table, keyring=world.keyring, as_of=as_of, freeze=freeze)


def replay(world: World, vintage: str = "2005-10", sample: int = 500) -> replaying.Replayed:
    ring = world.keyring
    return replaying.replay(world.settings, vintage, keyring=ring, sample=sample, seed=1)


def test_the_counts_of_the_manifest_reconcile_with_the_rows(own_world: World) -> None:
    decided = decide(own_world)
    rows = decided.log.read()
    counts = decided.log.manifest["counts"]
    assert decided.is_new
    assert rows.num_rows == counts["customers"] == 2_000
    assert len(set(rows[PSEUDONYM].to_pylist())) == 2_000
    actions = Counter(rows["action"].to_pylist())
    assert {name: number for name, number in counts["actions"].items() if number} == actions
    assert min(actions["raise"], actions["cut"], actions["hold"]) > 100
    assert sum(rows["limit_after_minor"].to_pylist()) == counts["limits_after_minor"]


@pytest.mark.parametrize("customers", [4, 6])
def test_decisions_that_are_not_one_for_each_row_make_no_vintage(
    own_world: World, customers: int
) -> None:
    log = decide(own_world).log
    folder = own_world.settings.decisions / "2005-12"
    identity = {**log.identity, "vintage": "2005-12"}
    rows = log.read().slice(0, 5)
    with pytest.raises(IntegrityError, match=f"holds {customers} rows, and 5 decisions"):
        decision_log.write(
            folder, book.reconciled([rows], customers), identity, keyring=own_world.keyring
        )
    assert not folder.exists()
    whole = book.reconciled([rows], 5)
    assert decision_log.write(folder, whole, identity, keyring=own_world.keyring).read() == rows


def test_a_vintage_that_another_run_has_just_written_stays_as_it_is(own_world: World) -> None:
    log = decide(own_world).log
    before = {path.name: path.read_bytes() for path in log.path.iterdir()}
    with pytest.raises(EnvironmentFault, match="Another run has just decided 2005-10"):
        decision_log.write(log.path, [log.read().slice(1)], log.identity, keyring=own_world.keyring)
    assert {path.name: path.read_bytes() for path in log.path.iterdir()} == before


def test_deciding_again_rewrites_nothing(own_world: World) -> None:
    first = decide(own_world)
    before = (first.log.path / FILE).read_bytes()
    second = decide(own_world)
    assert not second.is_new
    assert (second.log.path / FILE).read_bytes() == before


def test_a_vintage_is_not_decided_twice_in_different_ways(own_world: World) -> None:
    decide(own_world)
    with pytest.raises(ContractError, match="already decided, with another freeze"):
        decide(own_world, freeze=Freeze.RAISES)


def test_a_frozen_book_raises_nobody_and_cuts_the_same(own_world: World) -> None:
    free = decide(own_world).log.manifest["counts"]["actions"]
    frozen = decide(own_world, date(2005, 11, 1), Freeze.RAISES).log.manifest["counts"]["actions"]
    assert (frozen["raise"], frozen["cut"]) == (0, free["cut"])


def test_every_replayed_decision_is_equal(own_world: World) -> None:
    decide(own_world)
    found = replay(own_world)
    assert (found.decisions, found.differing) == (500, {})


def test_a_replay_notices_one_altered_decision(own_world: World) -> None:
    """The log itself would refuse an edit; here it was written wrongly, under valid keys."""
    log = decide(own_world).log
    rows = log.read()
    forged = rows["limit_after_minor"].to_pylist()
    forged[7] += 1
    position = rows.column_names.index("limit_after_minor")
    rows = rows.set_column(position, "limit_after_minor", pa.array(forged, pa.int64()))
    folder = own_world.settings.decisions / "2005-12"
    identity = {**log.identity, "vintage": "2005-12"}
    decision_log.write(folder, [rows], identity, keyring=own_world.keyring)
    found = replay(own_world, "2005-12", 2_000)
    assert (found.differing, found.rows) == ({"limit_after_minor": 1}, (7,))


def test_a_replay_needs_the_very_model_that_decided(own_world: World) -> None:
    decide(own_world)
    for model in own_world.settings.mlflow_artifacts.rglob("limit_policy.toml"):
        model.write_text(model.read_text() + "\n# edited\n")
    with pytest.raises(IntegrityError, match=r"limit_policy\.toml was changed"):
        replay(own_world)


def test_without_a_champion_nothing_is_decided(own_world: World) -> None:
    for model in own_world.settings.mlflow_artifacts.rglob("default_model.skops"):
        model.unlink()
    with pytest.raises(IntegrityError, match=r"default_model\.skops is missing"):
        decide(own_world)
    assert not own_world.settings.decisions.exists()


def test_a_training_table_is_not_decided_on(own_world: World) -> None:
    path = gate.latest(
        own_world.settings.features,
        contract_id="uci-credit",
        purpose=Purpose.TRAINING,
        keyring=own_world.keyring,
    )
    table = FeatureTable.open(path, keyring=own_world.keyring)
    with pytest.raises(ContractError, match="purpose training"):
        book.decide(
            own_world.settings,
            table,
            keyring=own_world.keyring,
            as_of=AS_OF,
            freeze=Freeze.NOTHING,
        )


@pytest.mark.parametrize("name", [FILE, MANIFEST])
def test_any_flipped_byte_of_a_decision_log_is_found(own_world: World, name: str) -> None:
    log = decide(own_world).log
    whole = bytearray((log.path / name).read_bytes())
    for position in range(0, len(whole), 1 if name == MANIFEST else max(1, len(whole) // 60)):
        edited = bytearray(whole)
        edited[position] ^= 1
        (log.path / name).write_bytes(edited)
        with pytest.raises(IntegrityError, match="was altered"):
            DecisionLog.open(log.path, keyring=own_world.keyring).read()


def test_another_ring_does_not_open_the_log(own_world: World, tmp_path: Path) -> None:
    log = decide(own_world).log
    with pytest.raises(IntegrityError, match="manifest of the decisions in 2005-10 was altered"):
        DecisionLog.open(log.path, keyring=keyring.create(tmp_path / "other")).read()


def test_the_log_holds_no_pseudonym_in_clear(own_world: World) -> None:
    log = decide(own_world).log
    content = (log.path / FILE).read_bytes() + (log.path / MANIFEST).read_bytes()
    pseudonyms = log.read([PSEUDONYM])[PSEUDONYM].to_pylist()
    assert not any(value in content or value.hex().encode() in content for value in pseudonyms)


def test_a_missing_vintage_is_named(own_world: World) -> None:
    with pytest.raises(UsageError, match="no decisions"):
        replay(own_world, "2004-01")


def test_a_killed_run_leaves_no_vintage_and_the_next_run_makes_it(own_world: World) -> None:
    script = """
        import os, signal
        from datetime import date
        from governance import settings
        from decisions import book, decision_log
        from decisions.engine import Freeze
        from privacy.keyring import Keyring
        here = settings.load()
        ring = Keyring.open(here.keyring)
        table = book.open_table(here, "uci-credit", keyring=ring)
        finish = decision_log.sealed_parquet.SealedWriter.finish
        def killed(writer):
            finish(writer)
            os.kill(os.getpid(), signal.SIGKILL)
        decision_log.sealed_parquet.SealedWriter.finish = killed
        book.decide(here, table, keyring=ring, as_of=date(2005, 10, 1), freeze=Freeze.NOTHING)
    """
    died = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert died.returncode == -signal.SIGKILL
    folder = own_world.settings.decisions
    assert not (folder / "2005-10").exists()
    assert decide(own_world).is_new
    assert sorted(item.name for item in folder.iterdir()) == [decision_log.LOCK, "2005-10"]


def verb(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "limitline", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=os.environ,
    )


def test_the_verbs_decide_and_replay(own_world: World) -> None:
    decided = verb("decide", "--as-of", "2005-10-01", "--json")
    assert decided.returncode == 0, decided.stderr
    assert json.loads(decided.stdout)["counts"]["customers"] == 2_000
    replayed = verb("replay", "--vintage", "2005-10", "--sample", "50")
    assert replayed.returncode == 0, replayed.stderr
    assert "50 decisions of 2005-10" in replayed.stdout
    assert "all equal to the cent" in replayed.stdout


def test_of_two_runs_at_once_one_is_told_to_wait_and_nothing_breaks(own_world: World) -> None:
    decisions = own_world.settings.decisions
    with durable.locked(decisions / decision_log.LOCK, what="Deciding"):
        second = verb("decide", "--as-of", "2005-10-01")
    assert second.returncode == 16, second.stderr
    assert "Wait for it, then run this again" in second.stderr
    assert not (decisions / "2005-10").exists()
    runs = [
        subprocess.Popen(
            [sys.executable, "-m", "limitline", "decide", "--as-of", "2005-10-01"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(2)
    ]
    codes = sorted(run.wait() for run in runs)
    assert codes in ([0, 0], [0, 16])
    assert verb("replay", "--vintage", "2005-10", "--sample", "50").returncode == 0


def own_table(folder: Path) -> tuple[Path, Path]:
    from decisions.policy import packaged

    policy, table = folder / "policy.toml", folder / "book.parquet"
    policy.write_text(packaged("uci_demo"))
    row = {
        "account": "a",
        "default_probability": 0.05,
        "current_limit_minor": 10_000_000,
        "balance_minor": 0,
        "utilization": 0.4,
        "months_delinquent": 0,
        "months_since_raise": 12,
        "months_since_cut": 12,
        "segment": "consumer",
    }
    pq.write_table(pa.Table.from_pylist([row, row | {"default_probability": 0.4}]), table)
    return policy, table


def test_a_plain_table_is_decided_with_a_policy_of_ones_own(tmp_path: Path) -> None:
    policy, table = own_table(tmp_path)
    out = tmp_path / "out.parquet"
    arguments = ["--policy", str(policy), "--input", str(table), "--output", str(out)]
    done = verb("decide", *arguments, "--as-of", "2005-10-01", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    decided = pq.read_table(out)
    assert decided["limit_after_minor"].to_pylist() == [13_000_000, 8_000_000]
    assert decided["account"].to_pylist() == ["a", "a"]
    assert not (tmp_path / "var").exists()
    before = table.read_bytes()
    arguments = ["--policy", str(policy), "--input", str(table), "--output", str(table)]
    over = verb("decide", *arguments, "--as-of", "2005-10-01", cwd=tmp_path)
    assert over.returncode == 2, over.stderr
    assert "is the table itself" in over.stderr
    assert table.read_bytes() == before


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda p, t: t.write_bytes(b""), "is empty (0 bytes)"),
        (lambda p, t: t.write_bytes(t.read_bytes()[:200]), "cannot be read"),
        (lambda p, t: t.unlink(), "no table"),
        (lambda p, t: p.write_text("[bands"), "limit policy cannot be used"),
        (lambda p, t: p.unlink(), "no limit policy"),
        (
            lambda p, t: pq.write_table(pq.read_table(t).drop_columns(["segment"]), t),
            "lacks the column segment",
        ),
    ],
)
def test_bad_files_are_one_line_and_leave_nothing(tmp_path: Path, break_it, said: str) -> None:  # type: ignore[no-untyped-def]
    policy, table = own_table(tmp_path)
    break_it(policy, table)
    out = tmp_path / "out.parquet"
    arguments = ["--policy", str(policy), "--input", str(table), "--output", str(out)]
    done = verb("decide", *arguments, "--as-of", "2005-10-01", cwd=tmp_path)
    assert done.returncode == 10, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not out.exists()
    assert not list(tmp_path.glob(".*tmp"))


@pytest.mark.parametrize(
    ("differs", "said"),
    [
        ({}, "appear more than once"),
        ({"segment": "business"}, "appear in two segments"),
    ],
)
def test_a_customer_is_decided_once_and_in_one_segment(
    tmp_path: Path, differs: dict[str, str], said: str
) -> None:
    policy, table = own_table(tmp_path)
    second = """
[[caps]]
segment = "business"
cap_minor = 100_000_000
effective_from = 2005-04-01
kind = "house"
source = "test"
"""
    policy.write_text(policy.read_text() + second)
    rows = pq.read_table(table).to_pylist()
    pq.write_table(pa.Table.from_pylist([rows[0], rows[1] | differs]), table)
    out = tmp_path / "out.parquet"
    arguments = ["--policy", str(policy), "--input", str(table), "--output", str(out)]
    done = verb("decide", *arguments, "--as-of", "2005-10-01", "--customer", "account")
    assert done.returncode == 10, done.stderr
    assert said in done.stderr
    assert not out.exists()


def test_a_table_of_two_currencies_is_refused(tmp_path: Path) -> None:
    policy, table = own_table(tmp_path)
    rows = pq.read_table(table)
    pq.write_table(rows.append_column("currency", pa.array(["TWD", "USD"])), table)
    out = tmp_path / "out.parquet"
    arguments = ["--policy", str(policy), "--input", str(table), "--output", str(out)]
    done = verb("decide", *arguments, "--as-of", "2005-10-01")
    assert done.returncode == 10
    assert "another currency than TWD" in done.stderr


def test_a_replay_remembers_the_climate(own_world: World) -> None:
    """The champion's policy has no dials, so that any regime but the neutral one is refused."""
    from decisions.plan import Climate, Regime

    table = book.open_table(own_world.settings, "uci-credit", keyring=own_world.keyring)
    common = {"keyring": own_world.keyring, "as_of": AS_OF, "freeze": Freeze.NOTHING}
    with pytest.raises(ContractError, match="no dials"):
        book.decide(own_world.settings, table, climate=Climate(regime=Regime.DOWNTURN), **common)
    busy = book.decide(own_world.settings, table, climate=Climate(demand_index=1.5), **common)
    assert busy.log.identity["demand_index"] == "1.5"
    assert replay(own_world).is_equal
    with pytest.raises(ContractError, match="another demand_index"):
        decide(own_world)


def test_features_and_policy_must_fit_together() -> None:
    from decisions import features, model
    from decisions.policy import LimitPolicy, packaged

    spec = features.FeatureSpec.parse(features.packaged("uci_features"))
    full = LimitPolicy.parse(packaged("consumer_sme"))
    with pytest.raises(ContractError, match="count in TWD and the limit policy in CNY"):
        model.require_fit(spec, full)
    with pytest.raises(ContractError, match="reads altman_z"):
        model.require_fit(spec, full.model_copy(update={"currency": "TWD"}))


def test_a_vintage_in_a_form_of_another_release_is_not_read(own_world: World) -> None:
    path = decide(own_world).log.path
    sealed = json.loads((path / MANIFEST).read_bytes())
    sealed["manifest"]["schema"] = "decision-log/9"
    mac = own_world.keyring.mac(canonical.dumps(sealed["manifest"]), use="decision-log")
    (path / MANIFEST).write_text(json.dumps({**sealed, "mac": mac.hex()}))
    with pytest.raises(ContractError, match="decision-log/9, which this release does not know"):
        DecisionLog.open(path, keyring=own_world.keyring)


def test_the_rows_of_a_vintage_are_bound_to_what_decided_them(own_world: World) -> None:
    ring, identity = own_world.keyring, {"vintage": "2005-10", "model_digest": "a"}
    bound = {
        decision_log._seal(ring, {**identity, **changed}).associated_data
        for changed in ({}, {"vintage": "2005-11"}, {"model_digest": "b"})
    }
    assert len(bound) == 3


def test_a_replay_of_nothing_is_no_replay(own_world: World) -> None:
    decide(own_world)
    with pytest.raises(UsageError, match="at least one decision"):
        replay(own_world, sample=0)
    assert replay(own_world, sample=1).decisions == 1


def test_a_frozen_book_is_replayed_frozen(own_world: World) -> None:
    assert decide(own_world, freeze=Freeze.RAISES).log.identity["freeze"] == "raises"
    assert replay(own_world, sample=2_000).is_equal
