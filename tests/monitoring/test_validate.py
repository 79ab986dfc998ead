"""Validation looks at sealed customers only, is repeatable to the byte, and signs what it found."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from governance.outcome import Outcome
from monitoring.validate import validate
from monitoring.watch import read_appetite
from registry.attachment import how_to_measure
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


@pytest.mark.parametrize("labels", [[0, 1, None], [0, 0, 1]])
def test_labels_become_good_bad_and_pending(labels: list[int | None]) -> None:
    from monitoring.decisions import outcomes

    words = {0: "good", 1: "bad", None: "pending"}
    assert outcomes(pa.chunked_array([labels])).to_pylist() == [words[label] for label in labels]
