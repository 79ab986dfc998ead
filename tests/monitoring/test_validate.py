"""Validation looks at sealed customers only, is repeatable to the byte, and signs what it found."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from governance.contract import Purpose
from governance.outcome import Outcome
from monitoring import validate as validation
from monitoring.decisions import OUTCOME, outcomes
from monitoring.validate import validate
from monitoring.watch import read_appetite
from privacy import gate
from privacy.feature_table import FeatureTable, Part
from registry.attestation import how_to_measure
from registry.load import load_verified
from registry.record import Record as History
from registry.record import read_evidence

if TYPE_CHECKING:
    from tests.conftest import World

DAY = date(2005, 10, 1)


def test_a_sound_model_passes_what_two_thousand_customers_can_decide(moved_world: World) -> None:
    settings = moved_world.settings
    appetite = read_appetite()
    done = validate(
        settings, str(moved_world.champion), contract="uci-credit", appetite=appetite, on=DAY
    )
    found = {m.measure: m for m in done.record.measurements if not m.scope}
    sealed = done.record.measurements[0].n
    assert 300 < sealed < 500
    for measure in ("soundness.monotonicity_violations", "soundness.feedback_share"):
        assert found[measure].outcome is Outcome.PASS, found[measure]
    # The sealed fifth is drawn by a key of its own in every home, so these values vary.
    assert (found["discrimination.auc"].value or 0) > 0.65
    assert found["stability.score_psi"].value is not None
    # A few hundred customers cannot decide calibration, and nobody is told that they did.
    assert found["calibration.slope"].outcome is Outcome.INCONCLUSIVE

    entry = History.load(settings).evidence(done.version)
    assert entry is not None
    assert entry.seq == done.entry
    assert read_evidence(entry).digest == done.evidence.digest
    bins = json.loads((done.folder / "bins.json").read_text())
    assert bins["schema"] == "bins/2"

    again = validate(
        settings, str(moved_world.champion), contract="uci-credit", appetite=appetite, on=DAY
    )
    assert again.evidence.digest == done.evidence.digest
    assert again.entry == done.entry


def test_every_required_measure_of_the_appetite_is_measured(moved_world: World) -> None:
    """Except what is measured on the policy alone, and attached by other commands."""
    appetite = read_appetite()
    done = validate(
        moved_world.settings, "champion", contract="uci-credit", appetite=appetite, on=DAY
    )
    for threshold in appetite.in_force(DAY):
        if threshold.need == "required" and not how_to_measure(threshold.measure, 1):
            assert any(threshold.concerns(m) for m in done.evidence.measurements), threshold


def test_evidence_holds_no_pseudonym_and_no_small_cell(moved_world: World) -> None:
    settings, appetite = moved_world.settings, read_appetite()
    done = validate(settings, "champion", contract="uci-credit", appetite=appetite, on=DAY)
    for m in done.evidence.measurements:
        if m.measure.startswith("fairness.") and m.unit == "rate" and m.value is not None:
            events = round(m.value * m.n)
            assert events == 0 or events >= 10, m
    text = (done.folder / "evidence.json").read_text()
    assert "customer_pseudonym" not in text


@pytest.mark.parametrize(("share", "is_told"), [(0.04, True), (0.06, False)])
def test_a_validation_by_too_few_outcomes_tells_no_figure(
    world: World, share: float, *, is_told: bool
) -> None:
    keyring = world.keyring
    path = gate.latest(
        world.settings.features,
        contract_id="uci-credit",
        purpose=Purpose.TRAINING,
        keyring=keyring,
    )
    sealed = FeatureTable.open(path, keyring=keyring, part=Part.SEALED)
    opened = FeatureTable.open(path, keyring=keyring, part=Part.OPEN)
    verified = load_verified(world.settings, "champion")
    subject = validation._read(verified, opened, sealed, DAY)
    label = subject.maturity.label.to_pylist()
    hidden = int(len(label) * share)
    masked = pa.chunked_array([pa.array([*[None] * hidden, *label[hidden:]], pa.int64())])
    place = subject.decided.column_names.index(OUTCOME)
    short = replace(
        subject,
        maturity=replace(subject.maturity, label=masked),
        decided=subject.decided.set_column(place, OUTCOME, outcomes(masked)),
    )
    told = {
        m.measure: m.value for m in validation._model(short) if m.measure[:4] in ("disc", "cali")
    }
    assert len(told) == 8
    assert {value is not None for value in told.values()} == {is_told}


@pytest.mark.parametrize("labels", [[0, 1, None], [0, 0, 1]])
def test_labels_become_good_bad_and_pending(labels: list[int | None]) -> None:
    words = {0: "good", 1: "bad", None: "pending"}
    assert outcomes(pa.chunked_array([labels])).to_pylist() == [words[label] for label in labels]
