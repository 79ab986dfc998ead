from __future__ import annotations

import pytest

from governance.errors import ContractError
from lab.world.settings import WorldSettings, packaged

MINIMAL = 'schema = "world/1"\nid = "tiny"\ntitle = "Tiny"\n'


@pytest.mark.parametrize(
    "text",
    [
        "accounts = 0",
        "months = 0",
        "seed = -1",
        "unknown = 1",
        "starts_on = 2024-01-02",
        '[[schedule]]\nfrom_month = 1\nregime = "neutral"',
        '[[schedule]]\nfrom_month = 0\nregime = "gold rush"',
        '[[breaks]]\nkind = "unit"\nfrom_month = 1\namount = 1000.0',
        '[[breaks]]\nkind = "spending"\nfrom_month = 1\namount = 0.0',
        '[[seasons]]\nname = "never"\ndays = []',
        '[[seasons]]\nname = "odd"\ndays = [2024-02-10]\nlifts = { yachts = 1.0 }',
        "[bias]\nlimit_share = 1.5",
        "[labels]\nhorizons = []",
    ],
)
def test_a_world_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ContractError, match="The world cannot be used"):
        WorldSettings.parse(MINIMAL + text)


def test_a_changed_world_is_checked_like_a_file() -> None:
    tiny = WorldSettings.parse(MINIMAL)
    assert tiny.changed(accounts=5).accounts == 5
    with pytest.raises(ContractError, match="accounts: Input should be greater than or equal to 1"):
        tiny.changed(accounts=0)


def test_the_same_words_have_the_same_digest_and_others_another() -> None:
    tiny = WorldSettings.parse(MINIMAL)
    assert WorldSettings.parse(MINIMAL + "# a remark\n").digest == tiny.digest
    assert tiny.changed(seed=1).digest != tiny.digest


def test_what_is_bundled_is_named_when_something_else_is_asked_for() -> None:
    with pytest.raises(ContractError, match="baseline"):
        packaged("atlantis")
