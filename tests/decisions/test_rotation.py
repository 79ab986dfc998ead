"""A ring that went on to a new key version: what was decided, told and asked stays what it is.

There is no command for a rotation yet; a ring is made here as one would leave it.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from decisions import book, notices, replay, review_measures, review_queue
from decisions.decision_log import DecisionLog
from decisions.review_queue import ReviewQueue
from decisions.routes import File
from governance.outcome import Outcome
from privacy.keyring import Keyring

if TYPE_CHECKING:
    from tests.conftest import World

DAY, NEXT = date(2005, 10, 1), date(2005, 11, 1)
SAID = notices.Announcement(
    lender=notices.Lender(name_en="Bank", name_zh="银行"), language="en", on=DAY
)


def rotated(ring: Keyring) -> Keyring:
    """Return the ring with one key version more, which new things are sealed under."""
    secrets = {**ring._secrets, "2": bytes(range(32))}
    return Keyring(ring_id=ring.ring_id, key_version=2, _secrets=secrets, folder=ring.folder)


@pytest.fixture
def decided(own_world: World) -> World:
    here, ring = own_world.settings, own_world.keyring
    book.decide(here, book.open_table(here, "uci-credit", keyring=ring), keyring=ring, as_of=DAY)
    return own_world


def announced(world: World, ring: Keyring, folder: Path) -> int:
    routes = [File(path=folder / "notices.jsonl")]
    return notices.queue(world.settings, "2005-10", SAID, keyring=ring, routes=routes)[0]


def test_nobody_is_told_twice_of_one_decision(decided: World, tmp_path: Path) -> None:
    before = announced(decided, decided.keyring, tmp_path)
    assert before > 100
    assert announced(decided, rotated(decided.keyring), tmp_path) == 0


def test_no_decision_becomes_a_second_case_and_the_ledger_knows_the_first(decided: World) -> None:
    here, ring = decided.settings, decided.keyring
    asked: dict[str, Any] = {"vintage": "2005-10", "on": DAY, "row": 3}
    assert review_queue.queue_vintage(here, keyring=ring, **asked) == [1]
    assert review_measures.publish(here, ReviewQueue.of(here, ring)) == 1
    newer = rotated(ring)
    assert review_queue.queue_vintage(here, keyring=newer, **asked) == []
    held = ReviewQueue.of(here, newer)
    assert review_measures.publish(here, held) == 0
    assert review_measures.measure_accounting(here, held).outcome is Outcome.PASS


def test_a_vintage_of_the_older_key_replays_and_is_history_for_the_next(decided: World) -> None:
    here, newer = decided.settings, rotated(decided.keyring)
    table = book.open_table(here, "uci-credit", keyring=newer)
    log = book.decide(here, table, keyring=newer, as_of=NEXT).log
    assert [one["vintage"] for one in log.identity["history"]["vintages"]] == ["2005-10"]
    assert (
        log.key_version,
        DecisionLog.open(here.decisions / "2005-10", keyring=newer).key_version,
    ) == (2, 1)
    for vintage in ("2005-10", "2005-11"):
        found = replay.replay(here, vintage, keyring=newer, sample=200, seed=0)
        assert (found.is_equal, found.decisions) == (True, 200)
