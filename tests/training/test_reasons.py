"""A candidate is handed over with the way it explains itself, measured, or with why it cannot."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from decisions import model_reasons as method
from decisions.book import Engine
from decisions.explanation import Explainer
from governance.errors import ContractError
from governance.settings import Settings
from registry.catalogue import Catalogue
from registry.load import VerifiedModel, load_verified
from training import candidate, reasons
from training.candidate import Candidate
from training.job import Job

Release = Callable[..., Path]
Shops = Callable[..., pa.Table]
Jobs = Callable[..., Job]

OWN = """
schema = "reason-texts/1"
id = "shop-words"
version = "1"
[groups.delinquency]
en = "Behind with the line"
zh = "还款逾期"
[groups.utilization]
en = "Much of the line is used"
zh = "额度使用较多"
[groups.income]
en = "Little turnover"
zh = "营业收入偏低"
[[levers]]
name = "owe_less"
reason_group = "utilization"
en = "Owe less"
zh = "减少欠款"
[levers.columns]
owed = "least(owed, 0.2 * first_line)"
"""


def noon() -> datetime:
    return datetime(2026, 3, 1, 12, tzinfo=UTC)


def handed_over(home: Settings, job: Job) -> tuple[Candidate, VerifiedModel]:
    made = candidate.train(job, settings=home, clock=noon)
    return made, load_verified(home, made.version.version)


def safe(make_shops: Shops, n: int = 3_000) -> pa.Table:
    """Shops of which enough are good: the reference needs two hundred below ten percent."""
    table = make_shops(n)
    turnover = pa.array(table["turnover"].to_numpy() + 1.0)
    place = table.column_names.index("turnover")
    kept = np.random.default_rng(5).random(n) < 0.5
    failed = table["failed"].to_numpy() * kept
    table = table.set_column(place, "turnover", turnover)
    return table.set_column(table.column_names.index("failed"), "failed", pa.array(failed))


def test_a_candidate_explains_itself_and_its_run_shows_how_well(
    home: Settings, release: Release, make_shops: Shops, job: Jobs
) -> None:
    made, verified = handed_over(home, job(release(safe(make_shops))))
    spec = Engine.of(verified).spec
    found = method.of_folder(verified.folder, spec)
    assert found is not None
    assert (found.outcome, found.reason, found.levers) == ("PASS", "", ())
    assert set(found.texts) == {"delinquency", "utilization", "income"}
    told = verified.metadata["explanation"]
    measured = {item["measure"]: item for item in told["measures"]}
    assert float(measured["explanation.cited_at_best"]["value"]) == 0
    assert float(measured["explanation.explained"]["value"]) > 0.9
    shown = Catalogue.open(home)._client.get_run(made.version.run_id).data.metrics
    for name, item in measured.items():
        assert shown[f"reasons.{name}"] == pytest.approx(float(item["value"]), abs=1e-11)
    assert not any("Reasons of the model" in said for said in made.caveats)


def test_an_own_wording_travels_with_what_customers_can_change(
    home: Settings, release: Release, make_shops: Shops, job: Jobs
) -> None:
    asked = job(release(safe(make_shops)), reasons_text=OWN)
    _, verified = handed_over(home, asked)
    found = method.of_folder(verified.folder, Engine.of(verified).spec)
    assert found is not None
    assert found.texts_id == "shop-words@1"
    assert found.texts["income"].zh == "营业收入偏低"
    assert [lever.name for lever in found.levers] == ["owe_less"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[groups.income]", "[groups.revenue]", "income of corner-shops has no wording"),
        ("Little turnover", "Owner of young age", "names a protected attribute: age"),
        ("owed = ", "shoes = ", "which no feature of corner-shops reads"),
        ("zh = ", "cn = ", "cannot be used"),
    ],
)
def test_an_own_wording_that_does_not_do_is_refused_before_the_fit(
    home: Settings, job: Jobs, old: str, new: str, said: str, tmp_path: Path
) -> None:
    # There is no table at all: the wording comes first, so that no fit is lost to it.
    asked = job(tmp_path / "none", reasons_text=OWN.replace(old, new))
    with pytest.raises(ContractError, match=said):
        candidate.train(asked, settings=home, clock=noon)


def test_groups_without_words_are_said_to_be_inconclusive_and_stop_nothing(
    home: Settings, release: Release, make_shops: Shops, job: Jobs, shop_spec: str
) -> None:
    own = shop_spec.replace('reason_group = "income"', 'reason_group = "weather"')
    made, verified = handed_over(home, job(release(safe(make_shops)), features_text=own))
    found = method.of_folder(verified.folder, Engine.of(verified).spec)
    assert found is not None
    assert found.outcome == "INCONCLUSIVE"
    assert "weather of corner-shops have no wording" in found.reason
    (said,) = [text for text in made.caveats if text.startswith("Reasons of the model")]
    assert "INCONCLUSIVE" in said
    assert "--reasons" in said
    assert Explainer.of(Engine.of(verified)).problem == found.reason


def test_a_sample_without_enough_good_customers_says_that_it_cannot_explain(world: Any) -> None:
    verified = load_verified(world.home, world.made.version.version)
    told = verified.metadata["explanation"]
    if told["reference_n"] is None:
        assert told["outcome"] == "INCONCLUSIVE"
        assert "good customers" in told["reason"]
        assert told["measures"] == []
    assert reasons.caveats(verified.metadata) == tuple(
        said for said in world.made.caveats if said.startswith("Reasons of the model")
    )
