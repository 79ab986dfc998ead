"""A small world with everything in it, lived once for all tests that only look."""

from __future__ import annotations

import pytest

from lab.world import simulation
from lab.world.settings import WorldSettings, packaged
from lab.world.simulation import WorldState

ACCOUNTS = 3_000


@pytest.fixture(scope="session")
def baseline() -> WorldSettings:
    return WorldSettings.parse(packaged()).changed(accounts=ACCOUNTS)


@pytest.fixture(scope="session")
def lived(baseline: WorldSettings) -> list[WorldState]:
    return simulation.live(baseline)
