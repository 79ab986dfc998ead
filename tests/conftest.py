"""The small world: real rows, protected, trained, approved and promoted once for all tests.

Tests read it. One that wants to change something takes `own_world`, a copy.

A ring's secrets and the random ids of subjects decide who is sealed away, so a test with few
customers could pass with one ring and fail with the next. Inside the test process all draws
therefore repeat: the same test sees the same rings and the same examples, alone or among the
others. A run over other draws is `LIMITLINE_TEST_DRAWS=7 make test`; the journeys start processes
of their own, whose rings stay random.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace

import hypothesis
import pytest

from governance import settings as governance_settings  # sets the switches before anything loads
from governance.appetite import RiskAppetite
from governance.evidence import Evidence
from governance.measurement import Measurement
from governance.settings import HOME_VARIABLE, Settings
from privacy.keyring import Keyring
from privacy.raw_table import packaged_contract
from tests import appetites
from tests.appetites import appetite_text, threshold

CUSTOMERS = 2_000
ON = date(2005, 10, 1)

APPETITE = RiskAppetite.parse(
    appetite_text(threshold("accuracy.auc", "at_least = 0.60", 'basis = "point"'))
)


@dataclass(frozen=True)
class World:
    """A home with a promoted champion."""

    settings: Settings
    champion: int

    @property
    def keyring(self) -> Keyring:
        return Keyring.open(self.settings.keyring)


# Their tests read one finished demonstration, which costs more than all of them.
SHARE_THE_DEMONSTRATION = frozenset(
    f"tests/journeys/test_{name}.py" for name in ("bad_places", "demo", "leak")
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Keep a file's tests on one worker, and those of the demonstration: they share dear fixtures.

    The groups of ``--dist loadgroup`` are marks that pytest-xdist 3.8 writes into an attribute
    which pytest 9 no longer reads, so they kept nothing together.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return "the demonstration" if file in SHARE_THE_DEMONSTRATION else file

    return ByFile(config, log)


DRAWS = os.environ.get("LIMITLINE_TEST_DRAWS", "")
_draws = random.Random()

# How long an example takes says how busy the machine is, not whether the code is right.
hypothesis.settings.register_profile(
    "repeatable",
    derandomize=not DRAWS,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("repeatable")


class Draws:
    """Every fixture starts the draws anew, and so does every test.

    A plugin of its own, because pytest does not ask the hooks of a conftest below the root for a
    fixture of the session: the small world's ring would be another one in every run.
    """

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[object]
    ) -> Generator[None, object, object]:
        """A fixture draws the same whichever test asks for it first."""
        self.start_again(f"{fixturedef.baseid}::{fixturedef.argname}")
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """A test draws the same whatever ran before it."""
        self.start_again(item.nodeid)
        return (yield)

    @staticmethod
    def start_again(place: str) -> None:
        _draws.seed(f"{DRAWS} {place}")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Draws(), "limitline-draws")


@pytest.fixture(scope="session", autouse=True)
def rings_repeat() -> Iterator[None]:
    """A new ring's secrets and the ids of new subjects come from the repeatable draws."""
    with pytest.MonkeyPatch.context() as patch:
        drawn = SimpleNamespace(token_hex=lambda size: _draws.randbytes(size).hex())
        patch.setattr("privacy.keyring.secrets", drawn)
        patch.setattr("privacy.vault_file.secrets", drawn)
        patch.setattr("privacy.subject_vault.os", SimpleNamespace(urandom=_draws.randbytes))
        yield


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("small world")  # a path with a space, on purpose
    before = os.environ.get(HOME_VARIABLE)
    os.environ[HOME_VARIABLE] = str(home)
    try:
        yield _made(governance_settings.load())
    finally:
        os.environ.pop(HOME_VARIABLE)
        if before is not None:
            os.environ[HOME_VARIABLE] = before


@pytest.fixture
def own_world(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A copy of the small world that a test may break; MLflow's database still names the first."""
    home = tmp_path / "own"
    shutil.copytree(world.settings.home, home)
    monkeypatch.setenv(HOME_VARIABLE, str(home))
    return World(settings=governance_settings.load(), champion=world.champion)


def _made(settings: Settings) -> World:
    from decisions import features, policy
    from governance.contract import Purpose
    from privacy import gate, keyring
    from registry import attestation, judgement, ledger, promotion, signing
    from training import candidate, demo_data, recipes

    ring = keyring.create(settings.keyring)
    people = signing.create_people(settings.keyring)
    keeper = signing.Signer.open(settings.keyring, signing.Role.LEDGER)
    ledger.Ledger.open(settings.ledger, keeper, people=people)
    appetites.sign(settings, APPETITE, ON)
    raw = demo_data.simulate(settings.raw / "uci_credit.parquet", customers=CUSTOMERS).path
    contract = packaged_contract("uci_credit")
    tables = {
        purpose: gate.protect(
            raw,
            contract,
            keyring=ring,
            out=settings.features,
            purpose=purpose,
            vault=settings.vault,
        )
        for purpose in (Purpose.TRAINING, Purpose.DECISION)
    }
    job = candidate.Job(
        table=tables[Purpose.TRAINING].path,
        target=None,
        features_text=features.packaged("uci_features"),
        policy_text=policy.packaged("uci_demo"),
        recipe=recipes.CHAMPION,
    )
    version = candidate.train(job, settings=settings, clock=lambda: datetime.now(UTC)).version
    evidence = Evidence(
        kind="validation",
        subject={"model": version.manifest_digest},
        measurements=(Measurement(measure="accuracy.auc", value=0.75, n=400),),
        measured_on=ON,
    )
    validator = signing.Signer.open(settings.keyring, signing.Role.VALIDATOR)
    attestation.attest(settings, evidence, version=version.version, signer=validator)
    judgement.gate(settings, version.version, on=ON)
    for role in ("risk_approver", "business_approver"):
        judgement.approve(settings, version.version, role=role, on=ON)
    promotion.promote(settings, version.version, on=ON)
    return World(settings=settings, champion=version.version)
