from __future__ import annotations

import pytest

from benchmarks import training as proofs
from benchmarks.training import Proof
from governance.measurement import Measurement

AUC = Measurement(measure="discrimination.auc", value=0.78614, low=0.7796, high=0.7925, n=30_000)
BARE = Measurement(measure="soundness.monotonicity_violations", value=0.0, n=162_000, unit="count")


def test_a_line_shows_value_interval_n_target_and_verdict() -> None:
    assert Proof("champion AUC", AUC, "≥ .784", True).line() == (
        "| champion AUC | 0.7861 | 0.7796 … 0.7925 | 30,000 | ≥ .784 | met |"
    )
    assert Proof("violations", BARE, digits=0).line() == "| violations | 0 |  | 162,000 |  |  |"


def test_one_missed_target_fails_the_proof(capsys: pytest.CaptureFixture[str]) -> None:
    fine, missed = Proof("a", AUC, "≥ .7", True), Proof("b", AUC, "≥ .8", False)
    assert proofs.show("Fine", iter([fine, Proof("c", BARE)]))
    assert not proofs.show("Missed", iter([missed, fine]))
    assert "| b | 0.7861 | 0.7796 … 0.7925 | 30,000 | ≥ .8 | MISSED |" in capsys.readouterr().out
