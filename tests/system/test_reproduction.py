"""A champion is fitted again in an environment that was just made from the lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from training import lineage, reproduction

if TYPE_CHECKING:
    from tests.conftest import World

pytestmark = pytest.mark.system


def test_a_version_comes_out_the_same_in_an_environment_made_from_the_lock(world: World) -> None:
    found = reproduction.reproduce(str(world.champion), settings=world.settings, lock=lineage.LOCK)
    assert found.environment == "fresh"
    assert found.differences == ()
    assert found.largest_gap == 0.0
