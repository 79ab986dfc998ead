"""A small world with everything in it, lived once for all tests that only look."""

from __future__ import annotations

import pytest

from lab.world import panel
from lab.world.panel import Chunk
from lab.world.settings import WorldSettings, packaged

ACCOUNTS = 3_000


@pytest.fixture(scope="session")
def baseline() -> WorldSettings:
    return WorldSettings.parse(packaged()).changed(accounts=ACCOUNTS)


@pytest.fixture(scope="session")
def lived(baseline: WorldSettings) -> Chunk:
    return panel.live(baseline, 0, baseline.accounts)
