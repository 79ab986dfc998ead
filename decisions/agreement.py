"""Agreement: how often a limit equals the partner's, and how far the partner's score moved it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from decisions.suggestions import Compared, Floats, Integers
from governance import proportion
from governance.measurement import Measurement
from governance.outcome import Outcome

RISK_CLASSES = 20
SMALLEST = 100
EXPECTED, EXCESS = "ownership.expected_share", "ownership.excess_share"
DECISION = "own decision"
INFLUENCE = "ownership.partner_influence"


Judge = Callable[[Measurement], Measurement]


def measure(compared: Compared, judge: Judge) -> list[Measurement]:
    """Measure equality with the partner, what of it is to be expected, and the score's influence.

    Parameters
    ----------
    judge : callable
        Gives ``excess_share`` and the stronger ``partner_influence`` their outcome.

    Notes
    -----
    ``excess_share`` is the share of limits equal to the suggestion, less the share expected. With
    the own decision made again, expected is the share of *those* that equal the suggestion. Without
    it, it is the mean over rows of the share of other customers' suggestions, at the same limit and
    in the same tenth of the own default probability, that equal the row's limit.
    """
    n = len(compared.after)
    is_equal = compared.after == compared.suggested
    equal = int(is_equal.sum())
    found = [
        _rate("ownership.covered_share", n, compared.decisions),
        Measurement(measure="ownership.equal_count", value=equal, n=n, unit="count"),
        _rate("ownership.equal_share", equal, n),
    ]
    if compared.own is not None:
        chance, excess = _against_own(compared, compared.own)
    else:
        chance, excess = _against_others(compared)
    found += [chance, judge(excess)]
    if compared.score is not None:
        found += _influences(compared, judge)
    return found


def _against_own(compared: Compared, own: Integers) -> tuple[Measurement, Measurement]:
    """Expect what the own policy gives when it decides again, alone."""
    n = len(compared.after)
    is_equal, would_be = compared.after == compared.suggested, own == compared.suggested
    only_logged, only_own = int((is_equal & ~would_be).sum()), int((would_be & ~is_equal).sum())
    chance = _rate(EXPECTED, int(would_be.sum()), n)
    chance = chance.judged(Outcome.INFO, "the own policy, decided again alone")
    ends = proportion.paired(only_logged, only_own, n)
    if ends is None:
        return chance, _undefined(EXCESS, n, "no decision has a suggestion")
    value, (low, high) = (only_logged - only_own) / n, ends
    return chance, Measurement(measure=EXCESS, value=value, low=low, high=high, n=n)


def _against_others(compared: Compared) -> tuple[Measurement, Measurement]:
    """Expect what other customers of the same limit and risk were suggested."""
    stratum = np.stack([compared.before, _classes(compared.probability, 10)], axis=1)
    _, group, size = np.unique(stratum, axis=0, return_inverse=True, return_counts=True)
    group = group.ravel()
    proposed = np.stack([group, compared.suggested], axis=1)
    wanted = np.stack([group, compared.after], axis=1)
    _, code = np.unique(np.concatenate([proposed, wanted]), axis=0, return_inverse=True)
    code = code.ravel()
    n_rows = len(group)
    hits = np.bincount(code[:n_rows], minlength=code.max(initial=0) + 1)[code[n_rows:]]
    is_equal = compared.after == compared.suggested
    others = size[group] - 1
    usable = others > 0
    n = int(usable.sum())
    if n < SMALLEST:
        text = f"{n} decisions have another of the same limit and risk; {SMALLEST} are needed"
        return _undefined(EXPECTED, n, text), _undefined(EXCESS, n, text)
    expected = (hits - is_equal)[usable] / others[usable]
    beyond = is_equal[usable] - expected
    chance = Measurement(measure=EXPECTED, value=float(expected.mean()), n=n)
    value, spread = float(beyond.mean()), proportion.QUANTILE * float(beyond.std()) / n**0.5
    excess = Measurement(measure=EXCESS, value=value, low=value - spread, high=value + spread, n=n)
    return chance.judged(Outcome.INFO, "other customers of the same limit and risk"), excess


def _influences(compared: Compared, judge: Judge) -> list[Measurement]:
    """Correlate the change with the score, beyond the own probability and the own decision.

    Only the strongest condition is judged: utilization moves limits within a risk class too, and a
    partner's score that sees it is no influence if the own decision came out the same.
    """
    change = _change(compared.after, compared.before)
    plain = _influence(compared, change, "own default probability")
    if compared.own is None:
        return [judge(plain)]
    left_over = change - _change(compared.own, compared.before)
    beyond = _influence(compared, left_over, DECISION)
    return [plain, judge(beyond)]


def _influence(compared: Compared, change: Floats, beyond: str) -> Measurement:
    score = np.full(len(change), np.nan) if compared.score is None else compared.score
    usable = np.isfinite(change) & np.isfinite(score)
    change, score = change[usable], score[usable]
    n = len(change)
    found = Measurement(measure=INFLUENCE, scope={"beyond": beyond}, n=n, unit="ratio")
    if n < SMALLEST:
        text = f"{n} decisions have a score and a limit before; {SMALLEST} are needed"
        return found.judged(Outcome.INCONCLUSIVE, text)
    if beyond == DECISION and not change.any():
        text = "no limit differs from the own decision, so no score has moved one"
        return found.model_copy(update={"value": 0.0, "low": 0.0, "high": 0.0, "reason": text})
    classes = _classes(compared.probability[usable], RISK_CLASSES)
    left, right = (_within(_ranks(values), classes) for values in (change, score))
    scale = float(np.sqrt((left @ left) * (right @ right)))
    if scale < 1e-9:
        text = "within a class of risk, limits or scores do not differ"
        return found.judged(Outcome.INCONCLUSIVE, text)
    value = float(left @ right) / scale
    low, high = proportion.correlation(value, n - len(np.unique(classes))) or (-1.0, 1.0)
    return found.model_copy(update={"value": value, "low": low, "high": high})


def _rate(measure_: str, events: int, n: int) -> Measurement:
    ends = proportion.wilson(events, n)
    if ends is None:
        return _undefined(measure_, n, "there is nothing to divide by")
    return Measurement(measure=measure_, value=events / n, low=ends[0], high=ends[1], n=n)


def _undefined(measure_: str, n: int, reason: str) -> Measurement:
    return Measurement(measure=measure_, n=n, outcome=Outcome.INCONCLUSIVE, reason=reason)


def _change(after: Integers, before: Integers) -> Floats:
    """Return the relative change; without a limit before there is none."""
    change = np.full(len(before), np.nan)
    np.divide(after - before, before, out=change, where=before > 0)
    return change


def _classes(values: Floats, number: int) -> Integers:
    """Cut into `number` classes of equally many rows; equal values stay together."""
    return np.floor(_ranks(values) / (len(values) + 1) * number).astype(np.int64)


def _ranks(values: Floats) -> Floats:
    """Rank from 1; equal values share the mean of their ranks."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    mean: Floats = (last - (count - 1) / 2)[place.ravel()]
    return mean


def _within(values: Floats, classes: Integers) -> Floats:
    """Take the mean of each class away."""
    _, place = np.unique(classes, return_inverse=True)
    means = np.bincount(place, values) / np.bincount(place)
    left: Floats = values - means[place]
    return left
