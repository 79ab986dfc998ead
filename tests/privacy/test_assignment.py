"""The draw is stable, independent of the pseudonyms, and joins no tables."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from governance.contract import Purpose
from privacy import assignment, keyring
from privacy.keyring import Keyring

N = 40_000


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    return keyring.create(tmp_path_factory.mktemp("ring"))


@pytest.fixture(scope="module")
def ids() -> pa.Array:
    return pa.array([os.urandom(16) for _ in range(N)], type=pa.binary(16))


def test_a_fifth_is_sealed_and_the_arms_have_their_shares(ring: Keyring, ids: pa.Array) -> None:
    drawn = assignment.draw(ids, assignment.keys(ring, Purpose.DECISION))
    assert drawn.type == pa.uint32()
    sealed = assignment.is_sealed(drawn)
    arms = assignment.arm(drawn)
    # Six standard deviations of a share over 40,000 draws.
    assert pc.mean(sealed).as_py() == pytest.approx(0.20, abs=6 * np.sqrt(0.16 / N))
    for name, share in (("policy", 0.90), ("hold_out", 0.05), ("explore", 0.05)):
        of_all = pc.mean(pc.equal(arms, name)).as_py()
        of_sealed = pc.mean(pc.equal(arms.filter(sealed), name)).as_py()
        assert of_all == pytest.approx(share, abs=0.01)
        assert of_sealed == pytest.approx(share, abs=0.02)


def test_every_purpose_seals_the_same_customers_and_shares_no_other_bit(
    ring: Keyring, ids: pa.Array
) -> None:
    training = assignment.draw(ids, assignment.keys(ring, Purpose.TRAINING))
    decision = assignment.draw(ids, assignment.keys(ring, Purpose.DECISION))
    assert assignment.is_sealed(training).equals(assignment.is_sealed(decision))
    assert len(set(training.to_pylist()) & set(decision.to_pylist())) < 10
    same = (training.to_numpy() ^ decision.to_numpy())[:, None] >> np.arange(1, 32) & 1
    assert np.abs(same.mean(axis=0) - 0.5).max() < 0.02


def test_the_draw_outlives_a_reopened_ring_and_differs_between_rings(
    ids: pa.Array, tmp_path: Path
) -> None:
    keyring.create(tmp_path / "a")
    draws = [
        assignment.draw(ids, assignment.keys(Keyring.open(tmp_path / "a"), Purpose.TRAINING))
        for _ in range(2)
    ]
    assert draws[0].equals(draws[1])
    other = keyring.create(tmp_path / "b")
    assert not draws[0].equals(assignment.draw(ids, assignment.keys(other, Purpose.TRAINING)))
