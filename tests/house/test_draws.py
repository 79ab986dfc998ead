"""What the test process draws at random repeats in every run, so that no test is red by luck."""

from __future__ import annotations

from typing import TYPE_CHECKING

from governance.contract import Purpose
from privacy import gate, keyring
from privacy.feature_table import PSEUDONYM, FeatureTable
from privacy.raw_table import packaged_contract
from tests.conftest import Draws

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import World


def test_the_small_world_is_the_same_whoever_asks_for_it_first(
    world: World, tmp_path: Path
) -> None:
    """Drawn again in another home it has the same ring, and the same customers are sealed away."""
    Draws.start_again("tests::world")
    ring = keyring.create(tmp_path / "keyring")
    for purpose in (Purpose.TRAINING, Purpose.DECISION):
        again = gate.protect(
            world.settings.raw / "uci_credit.parquet",
            packaged_contract("uci_credit"),
            keyring=ring,
            out=tmp_path / "features",
            purpose=purpose,
            vault=tmp_path / "vault",
        )
        path = gate.latest(
            world.settings.features,
            contract_id="uci-credit",
            purpose=purpose,
            keyring=world.keyring,
        )
        first = FeatureTable.open(path, keyring=world.keyring)
        assert again.read().column(PSEUDONYM) == first.read().column(PSEUDONYM)
        assert again.read().column("assignment") == first.read().column("assignment")
