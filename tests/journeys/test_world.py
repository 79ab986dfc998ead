"""The simulated world through the whole product: snapshot, gate, candidate, approval, limits."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from decisions.decision_log import DecisionLog
from decisions.reasons import Reason
from governance import settings as governance_settings
from governance.evidence import Evidence
from governance.measurement import Measurement
from lab.world.settings import packaged
from limitline.commands import app
from privacy.keyring import Keyring
from registry import attestation, judgement, promotion, signing
from tests import appetites
from tests.conftest import APPETITE

pytestmark = pytest.mark.journey

ROOT = Path(__file__).parents[2]
SPECS, POLICIES = ROOT / "decisions" / "specs", ROOT / "decisions" / "policies"
ON = date(2025, 10, 31)


@dataclass(frozen=True)
class Office:
    """A home with a world in it, worked by command."""

    home: Path

    def say(self, *arguments: str) -> dict[str, object]:
        ran = CliRunner().invoke(app, [*arguments, "--json"])
        assert ran.exit_code == 0, ran.output
        found: dict[str, object] = json.loads(ran.stdout)
        return found

    def release(self, of: str, days: Sequence[str], purpose: str, known_on: str = "") -> Path:
        asked = [text for day in days for text in ("--as-of", day)]
        raw = self.home / "raw" / f"{of}-{purpose}.parquet"
        known = ["--known-on", known_on] if known_on else []
        cut = self.say(
            "lab", "snapshot", "--of", of, *asked, *known, "--out", str(raw), *self._world()
        )
        contract = str(cut["contract"])
        self.protect(raw, contract, purpose)
        return raw

    def protect(self, raw: Path, contract: str, purpose: str) -> dict[str, object]:
        given = ["--contract", contract, "--input", str(raw), "--purpose", purpose]
        return self.say("protect", *given)

    def train(self, name: str, policy: str, *more: str) -> dict[str, object]:
        return self.say(
            "train",
            *("--contract", f"world-{name}", "--target", "is_90_days_late"),
            *("--spec", str(SPECS / f"world_{name}_features.toml")),
            *("--policy", str(POLICIES / f"{policy}.toml"), *more),
        )

    def _world(self) -> list[str]:
        return ["--world", str(next((self.home / "raw").glob("world-*")))]


def opened(place: Path, monkeypatch: pytest.MonkeyPatch, *, firms_only: bool) -> Office:
    monkeypatch.setenv("LIMITLINE_HOME", str(place / "home"))
    office = Office(place / "home")
    office.say("keys", "init")
    text = packaged().replace("sme_share = 0.12", "sme_share = 1.0") if firms_only else packaged()
    (place / "world.toml").write_text(text, encoding="utf-8")
    given = ["--settings", str(place / "world.toml"), "--accounts", "3000"]
    office.say("lab", "world", *given)
    return office


def test_consumers_go_from_the_world_to_a_candidate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = opened(tmp_path, monkeypatch, firms_only=False)
    raw = office.release("consumer", ["2024-06-30", "2024-09-30"], "training")
    assert set(pq.read_table(raw)["as_of"].to_pylist()) == {date(2024, 6, 30), date(2024, 9, 30)}
    cutoff = ("--observed-at", "outcome_known_on", "--cutoff", "2025-12-31", "--vintage", "as_of")
    made = office.train("consumer", "uci_demo", *cutoff)
    lineage = made["lineage"]
    assert isinstance(lineage, dict)
    assert lineage["data_contract"] == "world-consumer"
    assert lineage["horizon_months"] == "12"
    # Nobody is there twice: two days, and every account on one of them.
    assert lineage["data_rows_superseded"] == "0"
    assert int(lineage["data_rows"]) > 1_500
    said = json.dumps(made).replace("uci-demo", "").lower()
    assert "uci" not in said


def test_firms_are_decided_by_their_figures_end_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = opened(tmp_path, monkeypatch, firms_only=True)
    office.release("business", ["2024-09-30"], "training")
    made = office.train("business", "world_business", "--segment", "segment")
    promote(int(str(made["version"])))
    # A year later nobody knows the outcomes yet, and some firms have not filed.
    raw = office.release("business", ["2025-09-30"], "decision", known_on="2025-10-31")
    book = pq.read_table(raw)
    assert book["is_90_days_late"].null_count == book.num_rows
    spoiled, silent = without_statements(book)
    pq.write_table(spoiled, raw)
    office.protect(raw, "world_business", "decision")
    table = ("--contract", "world-business", "--as-of", ON.isoformat())
    decided = office.say("decide", *table)
    log = decisions(office)
    assert log.num_rows == book.num_rows
    reasons, actions = log["reasons"].to_numpy(), np.array(log["action"].to_pylist())
    asked = actions == "review"
    # Exactly the firms without figures go to a person; their limit stays.
    assert asked.sum() == silent > 50
    assert (reasons[asked] == int(Reason.INPUT_MISSING)).all()
    kept = log["limit_after_minor"].to_numpy() == log["limit_before_minor"].to_numpy()
    assert kept[asked].all()
    distressed = (reasons & int(Reason.BUSINESS_SOUNDNESS)) > 0
    assert (distressed & (actions == "cut")).any()
    assert (distressed & (actions != "raise")).sum() == distressed.sum()
    assert ((reasons & int(Reason.DEBT_COVERAGE)) > 0).any()
    assert (actions == "raise").any()
    replayed = office.say("replay", "--vintage", "2025-10", "--sample", "200")
    assert (replayed["decisions"], replayed["differing"]) == (200, {})
    assert decided["is_new"] is True


def test_what_the_refused_may_hide_is_reported_by_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = opened(tmp_path, monkeypatch, firms_only=False)
    office.release("applicant", [], "training")
    given = ["--spec", str(SPECS / "world_applicant_features.toml"), "--refused", "is_refused"]
    found = office.say("lab", "reject-inference", *given, "--accepted-anyway", "is_accepted_anyway")
    assert found["applied"] == "nothing"
    measured = found["measurements"]
    assert isinstance(measured, list)
    bound = next(m for m in measured if m["scope"] == {"method": "worst_case"})
    assert bound["outcome"] == "INCONCLUSIVE"
    # Two in a hundred were let in anyway: too few to stand for anybody.
    raw = next(m for m in measured if m["scope"] == {"method": "exploration_weights"})
    assert raw["outcome"] == "INCONCLUSIVE"


def without_statements(book: pa.Table) -> tuple[pa.Table, int]:
    """Take the figures of every tenth firm away; a sole trader has fewer to lose."""
    mask = pa.array(np.arange(book.num_rows) % 10 == 0)
    for name in ("ebit_minor", "revenue_minor", "cash_flow_minor", "debt_service_minor"):
        at = book.column_names.index(name)
        emptied = pa.compute.if_else(mask, pa.scalar(None, pa.int64()), book[name])
        book = book.set_column(at, name, emptied)
    return book, int(np.ceil(book.num_rows / 10))


def promote(version: int) -> None:
    settings = governance_settings.load()
    folder = registry_version(version)
    evidence = Evidence(
        kind="validation",
        subject={"model": folder},
        measurements=(Measurement(measure="accuracy.auc", value=0.75, n=400),),
        measured_on=ON,
    )
    appetites.sign(settings, APPETITE, ON)
    validator = signing.Signer.open(settings.keyring, signing.Role.VALIDATOR)
    attestation.attest(settings, evidence, version=version, signer=validator)
    judgement.gate(settings, version, on=ON)
    for role in ("risk_approver", "business_approver"):
        judgement.approve(settings, version, role=role, on=ON)
    promotion.promote(settings, version, on=ON)


def registry_version(version: int) -> str:
    from registry.load import load_verified

    return load_verified(governance_settings.load(), str(version)).manifest_digest


def decisions(office: Office) -> pa.Table:
    settings = governance_settings.load()
    ring = Keyring.open(settings.keyring)
    return DecisionLog.open(settings.decisions / "2025-10", keyring=ring).read()
