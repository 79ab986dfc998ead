"""What is done when a default probability does not mean what it says.

A sigmoid is fitted only if the model is worse than nearly all simulated perfect models or its slope
is off.
"""

from __future__ import annotations

from dataclasses import dataclass

from governance.measurement import Measurement

SLOPE_RANGE = (0.9, 1.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a sigmoid is needed, and the sentence that says why."""

    is_sigmoid_needed: bool
    reason: str


def judge_calibration(slope: Measurement, error: Measurement, floor: Measurement) -> Verdict:
    """Decide whether a model is calibrated as it is.

    A sigmoid is needed if the slope is undefined or outside [0.9, 1.1], or if the error exceeds
    the 95th percentile of its noise floor.
    """
    low, high = SLOPE_RANGE
    if slope.value is None:
        why = slope.reason or "The calibration line has no maximum."
        return Verdict(is_sigmoid_needed=True, reason=f"The slope is undefined: {why}")
    if not low <= slope.value <= high:
        found = f"{slope.value:.3f}"
        return Verdict(
            is_sigmoid_needed=True, reason=f"The slope is {found}, outside [{low}, {high}]."
        )
    if error.value is None or floor.value is None:
        return Verdict(is_sigmoid_needed=True, reason="The calibration error is undefined.")
    numbers = f"{error.value:.4f} against a noise floor of {floor.value:.4f} (95th percentile)"
    if error.value > floor.value:
        return Verdict(is_sigmoid_needed=True, reason=f"The calibration error is {numbers}.")
    return Verdict(
        is_sigmoid_needed=False,
        reason=f"Calibrated: slope {slope.value:.3f}, error {numbers}.",
    )
