"""A vintage is decided again to the cent, here and on a machine that holds nothing but a kit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from decisions import book, decision_log, replay
from decisions.decision_log import DecisionLog
from governance.errors import IntegrityError, KeyringError, UsageError
from governance.settings import Settings
from privacy.feature_table import PSEUDONYM, FeatureTable
from privacy.keyring import Keyring
from registry.signing import Role, Signer


def decisions(**changed: list[object]) -> pa.Table:
    columns = {
        PSEUDONYM: [b"a", b"b", b"c"],
        "band": ["A", "B", None],
        "limit_after_minor": [100, 200, 300],
    }
    return pa.table(columns | changed)


@pytest.mark.parametrize(
    ("logged", "again"),
    [
        (["A", "B", None], ["A", "B", "A"]),  # nobody had a band, and now somebody has
        (["A", "B", "A"], ["A", "B", None]),
        (["A", "B", None], ["A", "C", None]),
    ],
)
def test_one_band_that_came_out_differently_is_one_difference(
    logged: list[object], again: list[object]
) -> None:
    found = replay.differences(decisions(band=logged), decisions(band=again))
    assert found == {"band": 1}


def test_the_same_decisions_differ_in_nothing_nulls_included() -> None:
    assert replay.differences(decisions(), decisions()) == {}


def test_a_cent_is_a_difference_and_every_column_counts_its_own() -> None:
    again = decisions(limit_after_minor=[101, 200, 301], band=["A", "B", "B"])
    assert replay.differences(decisions(), again) == {"band": 1, "limit_after_minor": 2}


@pytest.mark.parametrize("rows", [0, 2, 4])
def test_decisions_that_are_not_as_many_differ_all(rows: int) -> None:
    more = pa.concat_tables([decisions(), decisions()]).slice(0, rows)
    assert replay.differences(decisions(), more) == {PSEUDONYM: 3}


if TYPE_CHECKING:
    from tests.conftest import World

ROOT = Path(__file__).parents[2]


def decided(world: World) -> DecisionLog:
    table = book.open_table(world.settings, "uci-credit", keyring=world.keyring)
    return book.decide(world.settings, table, keyring=world.keyring, as_of=date(2005, 10, 1)).log


def packed(world: World, folder: Path, vintage: str = "2005-10") -> Settings:
    kit = replay.pack(world.settings, vintage, folder / "kit", keyring=world.keyring)
    return Settings(home=kit.path)


def elsewhere(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Another process, in another folder, with an environment of its own."""
    command = [sys.executable, "-m", "limitline", "replay", *arguments]
    environment = {"LIMITLINE_HOME": str(home), "PYTHONPATH": str(ROOT), "TZ": "Asia/Shanghai"}
    environment |= {"PATH": os.defpath, "LANG": "C", "PYTHONHASHSEED": "77"}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, cwd=home.parent
    )


def test_another_process_replays_every_decision_from_the_kit_alone(
    own_world: World, tmp_path: Path
) -> None:
    decided(own_world)
    there = packed(own_world, tmp_path)
    own_world.settings.home.rename(tmp_path / "gone")
    done = elsewhere(there.home, "--vintage", "2005-10", "--sample", "2000", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["decisions"], document["differing"]) == (2_000, {})
    assert document["other_code"] == ""
    one = elsewhere(there.home, "--vintage", "2005-10", "--row", "1999", "--json")
    assert json.loads(one.stdout)["decisions"] == 1
    assert elsewhere(there.home, "--vintage", "2005-10", "--row", "2000").returncode == 2


def test_a_kit_opens_its_log_and_its_table_and_nothing_else(
    own_world: World, tmp_path: Path
) -> None:
    log = decided(own_world)
    there = packed(own_world, tmp_path)
    ring = Keyring.open(there.keyring)
    assert DecisionLog.open(there.decisions / "2005-10", keyring=ring).read().num_rows == 2_000
    folders = [path for path in own_world.settings.features.iterdir() if path.is_dir()]
    others = [path for path in folders if path.name != log.identity["table"]]
    assert others
    none = "holds no key version .*, or not the key of this use"
    for path in others:
        with pytest.raises(KeyringError, match=none):
            FeatureTable.open(path, keyring=ring)
    for purpose in ("training", "decision", "audit"):
        with pytest.raises(KeyringError, match=none):
            ring.derive("pseudonym", purpose)
    with pytest.raises(KeyringError, match=none):
        ring.derive_lasting("assignment")
    with pytest.raises(KeyringError, match=none):
        ring.mac(b"case", use="review")
    with pytest.raises(KeyringError, match="no signing key"):
        Signer.open(there.keyring, Role.VALIDATOR)
    kept = {path.relative_to(there.home).parts[0] for path in there.home.rglob("*")}
    assert kept == {"decisions", "features", "keyring", "ledger", "mlartifacts"}


@pytest.mark.parametrize(
    "missing",
    ["decisions", "features", "keyring/ring.json", "keyring/signing", "ledger", "mlartifacts"],
)
def test_each_part_of_a_kit_is_needed_and_its_absence_is_said(
    own_world: World, tmp_path: Path, missing: str
) -> None:
    decided(own_world)
    there = packed(own_world, tmp_path)
    (there.home / missing).rename(tmp_path / "taken out")
    done = elsewhere(there.home, "--vintage", "2005-10", "--sample", "10")
    assert done.returncode in {2, 11, 15, 16}
    assert "limitline: " in done.stderr
    assert "internal error" not in done.stderr


def resealed(world: World, log: DecisionLog, limit_of_row: int = -1, **changed: Any) -> None:
    """Write vintage 2005-12 under valid keys, with something exchanged."""
    rows = log.read()
    if limit_of_row >= 0:
        limits = rows["limit_after_minor"].to_pylist()
        limits[limit_of_row] += 1
        place = rows.column_names.index("limit_after_minor")
        rows = rows.set_column(place, "limit_after_minor", pa.array(limits, pa.int64()))
    identity = {**log.identity, "vintage": "2005-12", **changed}
    folder = world.settings.decisions / "2005-12"
    decision_log.write(folder, [rows], identity, keyring=world.keyring)


def test_one_altered_limit_in_a_resealed_log_is_named_elsewhere(
    own_world: World, tmp_path: Path
) -> None:
    log = decided(own_world)
    resealed(own_world, log, limit_of_row=7)
    there = packed(own_world, tmp_path, "2005-12")
    done = elsewhere(there.home, "--vintage", "2005-12", "--sample", "2000", "--json")
    assert done.returncode == 15
    document = json.loads(done.stdout)
    assert document["differing"] == {"limit_after_minor": 1}
    assert document["differing_rows"] == [7]
    assert "limit_after_minor" in done.stderr
    assert "The code is the one that decided" in done.stderr
    altered = elsewhere(there.home, "--vintage", "2005-12", "--row", "7")
    assert altered.returncode == 15
    assert elsewhere(there.home, "--vintage", "2005-12", "--row", "8").returncode == 0


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"policy_digest": "0" * 64}, "other policy"),
        ({"features_digest": "0" * 64}, "other features"),
        ({"model_digest": "0" * 64}, "is not the model"),
        ({"table_digest": "0" * 64}, "not the one that was decided on"),
    ],
)
def test_an_exchanged_policy_model_or_table_is_named(
    own_world: World, changed: dict[str, str], said: str
) -> None:
    resealed(own_world, decided(own_world), **changed)
    with pytest.raises(IntegrityError, match=said):
        replay.replay(own_world.settings, "2005-12", keyring=own_world.keyring, sample=5, seed=1)


def test_another_season_of_code_is_named_beside_equal_limits(own_world: World) -> None:
    resealed(own_world, decided(own_world), code_digest="f" * 64)
    found = replay.replay(
        own_world.settings, "2005-12", keyring=own_world.keyring, sample=50, seed=1
    )
    assert found.is_equal
    assert "ffffffffffffffff" in found.other_code


def test_a_kit_never_overwrites_and_packs_no_vintage_that_is_not_there(
    own_world: World, tmp_path: Path
) -> None:
    decided(own_world)
    (tmp_path / "kit").mkdir()
    with pytest.raises(UsageError, match="already"):
        packed(own_world, tmp_path)
    with pytest.raises(UsageError, match=r"There are no decisions at .*1999-01"):
        replay.pack(own_world.settings, "1999-01", tmp_path / "other", keyring=own_world.keyring)
    assert not (tmp_path / "other").exists()
