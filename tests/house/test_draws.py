"""What the test process draws at random repeats in every run, so that no test is red by luck."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from tests.conftest import DRAWS

if TYPE_CHECKING:
    from tests.conftest import World


def test_the_small_world_has_the_same_ring_whoever_asks_first(world: World) -> None:
    again = random.Random(f"{DRAWS} tests::world")
    again.randbytes(32)  # the key file is drawn before the ring gets its name
    assert world.keyring.ring_id == again.randbytes(8).hex()
