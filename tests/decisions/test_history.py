"""What was decided before is known from the decision log, and a replay knows exactly the same."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from decisions import book, decision_log, history
from decisions import replay as replaying
from decisions.decision_log import FILE, MANIFEST, DecisionLog
from decisions.engine import Freeze
from decisions.history import History
from decisions.policy import LimitPolicy, packaged
from decisions.reasons import Reason
from governance.errors import ContractError, IntegrityError
from privacy.feature_table import PSEUDONYM
from registry import findings, judgement

if TYPE_CHECKING:
    from tests.conftest import World

FIRST, SECOND = date(2005, 10, 1), date(2005, 11, 1)
POLICY = LimitPolicy.parse(packaged("consumer_sme"))


def attend(world: World, on: date) -> None:
    """Let monitoring look and both approvers approve anew, so that nothing else stops raises."""
    findings.record_heartbeat(world.settings, "watch", on=on, facts={})
    for role in ("risk_approver", "business_approver"):
        judgement.approve(world.settings, world.champion, role=role, on=on)


def decide(world: World, as_of: date) -> DecisionLog:
    attend(world, as_of)
    table = book.open_table(world.settings, "uci-credit", keyring=world.keyring)
    ring = world.keyring
    free = Freeze.NOTHING
    return book.decide(world.settings, table, keyring=ring, as_of=as_of, freeze=free).log


def replay(world: World, vintage: str) -> replaying.Replayed:
    return replaying.replay(world.settings, vintage, keyring=world.keyring, sample=2_000, seed=1)


def by_customer(log: DecisionLog) -> dict[bytes, dict[str, Any]]:
    return {row[PSEUDONYM]: row for row in log.read().to_pylist()}


def test_who_was_raised_last_month_is_not_raised_again_whatever_the_table_says(
    own_world: World,
) -> None:
    """The table states six months for everybody; the log knows better."""
    first, second = by_customer(decide(own_world, FIRST)), by_customer(decide(own_world, SECOND))
    raised = [customer for customer, row in first.items() if row["action"] == "raise"]
    cut = [customer for customer, row in first.items() if row["action"] == "cut"]
    assert len(raised) > 100
    assert len(cut) > 100
    for customer in raised:
        assert second[customer]["action"] == "hold"
        assert second[customer]["reasons"] & Reason.COOL_DOWN
    # A month is all that the policy asks between two cuts.
    assert all(second[customer]["action"] == "cut" for customer in cut)
    untouched = set(first) - set(raised) - set(cut)
    assert all(second[who]["action"] == first[who]["action"] for who in untouched)


def test_after_the_cool_down_the_same_customers_are_raised_again(own_world: World) -> None:
    first = by_customer(decide(own_world, FIRST))
    log = decide(own_world, date(2006, 4, 1))
    later = by_customer(log)
    assert {who: row["action"] for who, row in later.items()} == {
        who: row["action"] for who, row in first.items()
    }
    # Six months is how long a raise has to wait: a vintage of exactly that age is still read, and
    # none that is older.
    read = log.identity["history"]
    assert ([item["vintage"] for item in read["vintages"]], len(read["gaps"])) == (["2005-10"], 5)
    policy = LimitPolicy.parse(packaged("uci_demo"))
    asked = history.survey(
        own_world.settings.decisions, date(2006, 5, 1), policy, keyring=own_world.keyring
    )
    assert [item["vintage"] for item in asked["vintages"]] == ["2006-04"]


def test_both_vintages_replay_and_name_the_history_they_read(own_world: World) -> None:
    first, second = decide(own_world, FIRST), decide(own_world, SECOND)
    assert first.identity["history"] == {"vintages": [], "gaps": []}
    read = [{"vintage": "2005-10", "digest": first.digest}]
    assert second.identity["history"] == {"vintages": read, "gaps": []}
    assert replay(own_world, "2005-10").is_equal
    assert replay(own_world, "2005-11").is_equal
    assert decide(own_world, SECOND).digest == second.digest


def test_a_month_without_a_vintage_is_named(own_world: World) -> None:
    decide(own_world, FIRST)
    log = decide(own_world, date(2006, 1, 1))
    assert log.identity["history"]["gaps"] == ["2005-11", "2005-12"]


def test_a_month_is_not_decided_after_a_later_one(own_world: World) -> None:
    decide(own_world, SECOND)
    with pytest.raises(ContractError, match="2005-10 cannot be decided after 2005-11"):
        decide(own_world, FIRST)
    assert not (own_world.settings.decisions / "2005-10").exists()


def flip_a_row(folder: Path) -> None:
    content = bytearray((folder / FILE).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / FILE).write_bytes(content)


def flip_the_manifest(folder: Path) -> None:
    text = (folder / MANIFEST).read_text()
    (folder / MANIFEST).write_text(text.replace('"customers": 2000', '"customers": 2001'))


def take_the_manifest_away(folder: Path) -> None:
    (folder / MANIFEST).unlink()


@pytest.mark.parametrize("tamper", [flip_a_row, flip_the_manifest, take_the_manifest_away])
def test_a_tampered_history_is_refused_with_15(own_world: World, tamper: Any) -> None:
    decide(own_world, FIRST)
    decide(own_world, SECOND)
    attend(own_world, date(2005, 12, 1))
    tamper(own_world.settings.decisions / "2005-10")
    for verb in (
        ["replay", "--vintage", "2005-11"],
        ["decide", "--as-of", "2005-12-01", "--freeze", "nothing"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "limitline", *verb],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ,
        )
        assert done.returncode == 15, (verb, done.stderr)
        assert "Traceback" not in done.stderr
    assert not (own_world.settings.decisions / "2005-12").exists()


def test_a_history_that_was_exchanged_under_valid_keys_is_refused(own_world: World) -> None:
    log = decide(own_world, FIRST)
    decide(own_world, SECOND)
    rows, identity = log.read(), dict(log.identity)
    shutil.rmtree(log.path)
    decision_log.write(log.path, [rows.slice(1)], identity, keyring=own_world.keyring)
    with pytest.raises(IntegrityError, match="not the one that this decision's history names"):
        replay(own_world, "2005-11")


def test_a_row_says_who_decided_it_and_whether_a_person_was_asked(own_world: World) -> None:
    log = decide(own_world, FIRST)
    rows = log.read()
    stamps = rows["features_stamp"].unique().to_pylist()
    assert stamps == [f"uci-features@1.0.0#{log.identity['features_digest'][:16]}"]
    assert set(rows["human_involvement"].to_pylist()) <= {"none", "requested"}
    asked = [row["action"] == "review" for row in rows.to_pylist()]
    assert [row == "requested" for row in rows["human_involvement"].to_pylist()] == asked


# Pseudonyms that end in zero bytes, which careless comparisons of text would cut off.
ANN, BEN, CAT, DAN = (bytes([n]) + bytes(15) for n in range(4))


def known(**arrays: Any) -> History:
    blank = History._blank(
        24_070, history._pseudonyms(pa.chunked_array([pseudonyms(ANN, BEN, CAT)]))
    )
    blank.first_seen[:] = arrays["first_seen"]
    for action, values in zip(history._SINCE, (arrays["raised"], arrays["cut"]), strict=True):
        blank.last[action][:] = values
    blank.band[:] = arrays["band"]
    blank.probability[:] = arrays["probability"]
    return blank


def pseudonyms(*values: bytes) -> pa.Array:
    return pa.array(values, pa.binary(16))


def test_the_log_and_the_table_are_joined_by_the_stricter_answer() -> None:
    found = known(
        first_seen=[24_060, 24_069, 24_068],
        raised=[24_065, -1, -1],
        cut=[-1, 24_069, -1],
        band=[0, 3, -1],
        probability=[0.01, 0.2, float("nan")],
    )
    table = pa.table(
        {
            PSEUDONYM: pseudonyms(DAN, CAT, BEN, ANN, ANN),
            "months_since_raise": pa.array([None, None, 3, 9, 2], pa.int64()),
            "months_since_cut": pa.array([None, 4, 8, None, 1], pa.int64()),
            "previous_probability": pa.array([None, 0.5, 0.6, 0.7, 0.8], pa.float64()),
        }
    )
    joined = found.applied(table, POLICY).to_pydict()
    # Dan is unknown to the log; Cat was seen two months ago and never raised since.
    assert joined["months_since_raise"] == [None, 2, 3, 5, 2]
    assert joined["months_since_cut"] == [None, 4, 1, 10, 1]
    assert joined["previous_band"] == [None, None, "D", "A", "A"]
    assert joined["previous_probability"] == [None, 0.5, 0.2, 0.01, 0.01]


def test_without_a_history_the_table_stands_and_the_rest_is_unknown() -> None:
    table = pa.table(
        {
            PSEUDONYM: pseudonyms(ANN, BEN),
            "months_since_raise": pa.array([6, None], pa.int64()),
            "months_since_cut": pa.array([6, None], pa.int64()),
        }
    )
    joined = History.nothing().applied(table, POLICY).to_pydict()
    assert joined["months_since_raise"] == [6, None]
    assert joined["previous_band"] == joined["previous_probability"] == [None, None]


def test_a_band_or_a_probability_of_another_meaning_is_no_history(own_world: World) -> None:
    """Of other bands the name says something else, of another horizon the number does."""
    log, folder = decide(own_world, FIRST), own_world.settings.decisions
    read = {"vintages": [{"vintage": "2005-10", "digest": log.digest}]}
    asks = {**log.identity, "vintage": "2005-11", "history": read}
    policy = LimitPolicy.parse(packaged("uci_demo"))

    def read_by(**changed: object) -> tuple[bool, bool]:
        found = History.read(folder, {**asks, **changed}, policy, keyring=own_world.keyring)
        return bool((found.band >= 0).any()), bool((found.probability >= 0).any())

    assert read_by() == (True, True)
    assert read_by(bands_digest="0" * 64) == (False, True)
    assert read_by(horizon_months=24) == (True, False)


def test_a_customer_whom_the_log_does_not_know_has_no_history_wherever_it_sorts() -> None:
    found = known(first_seen=[24_060] * 3, raised=[24_069] * 3, cut=[24_069] * 3,
                  band=[0] * 3, probability=[0.1] * 3)  # fmt: skip
    strangers = [bytes([0] * 15 + [1]), bytes([1] * 16), bytes([255] * 16)]
    table = pa.table(
        {
            PSEUDONYM: pseudonyms(*strangers),
            "months_since_raise": pa.array([None] * 3, pa.int64()),
            "months_since_cut": pa.array([None] * 3, pa.int64()),
        }
    )
    joined = found.applied(table, POLICY).to_pydict()
    for name in ("months_since_raise", "months_since_cut", "previous_band", "previous_probability"):
        assert joined[name] == [None] * 3, name
