"""Prove the figures of the training room on all 30,000 published rows, and print them.

Run from the repository's root::

    python -m benchmarks.training                        # about two minutes on one core
    python -m benchmarks.training --more                 # adds the alternatives
    python -m benchmarks.training --export folds.npz     # what benchmarks.training_peers compares

Fits use one thread, and times are CPU seconds, so that other work on the machine changes little.
The command ends with 1 if a figure misses its target.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# The libraries read this once, when they are first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import pyarrow as pa
from sklearn.isotonic import IsotonicRegression
from threadpoolctl import threadpool_limits

from decisions import features, scoring
from decisions.features import FeatureSpec
from decisions.model_reasons import explain
from governance.measurement import Measurement
from governance.measures import calibration, comparison, discrimination
from registry import serialize
from training import alternatives, demo_data, evaluation, reasons, recipes
from training.evaluation import LabeledRows, OutOfFold
from training.recipes import Recipe

SEED = 0
RISKY = 1_000
# Stands in for what monitoring finds: the features most correlated with sex or age band on UCI.
STRONGEST = 3
PUBLISHED = (
    ("EBM, PiML's TaiwanCredit notebook", 0.7693),
    ("GAMI-Net, PiML's TaiwanCredit notebook", 0.7679),
    ("ReLU network, PiML's TaiwanCredit notebook", 0.7407),
)


@dataclass(frozen=True)
class World:
    """The published customers as the model sees them."""

    table: pa.Table
    spec: FeatureSpec
    matrix: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Proof:
    """One printed line: a figure, its interval, its target and whether it is met."""

    what: str
    measured: Measurement
    target: str = ""
    is_met: bool | None = None
    digits: int = 4

    def line(self) -> str:
        shown = (self.measured.value, self.measured.low, self.measured.high)
        value, low, high = ("" if x is None else f"{x:,.{self.digits}f}" for x in shown)
        interval = f"{low} … {high}" if low else ""
        verdict = {None: "", True: "met", False: "MISSED"}[self.is_met]
        n = f"{self.measured.n:,}"
        return f"| {self.what} | {value} | {interval} | {n} | {self.target} | {verdict} |"


def world() -> World:
    table = demo_data.load()
    table = table.append_column("reference_limit", table["limit_bal"])
    spec = FeatureSpec.parse(features.packaged("uci_features"))
    computed = features.compute(spec, table, keep=(demo_data.LABEL,))
    matrix = scoring.design_matrix(spec, computed)
    return World(table=table, spec=spec, matrix=matrix, labels=computed[demo_data.LABEL].to_numpy())


def scored(recipe: Recipe, here: World, *, signs: tuple[int, ...] | None = None) -> OutOfFold:
    declared = here.spec.signs if signs is None else signs
    return evaluation.out_of_fold(
        lambda: recipe.estimator(declared, seed=SEED), here.matrix, here.labels, seed=SEED
    )


def plain(measure: str, value: float, n: int, unit: str = "number") -> Measurement:
    return Measurement(measure=measure, value=value, n=n, unit=unit)


def of_champion(champion: OutOfFold) -> Iterator[Proof]:
    found = {m.measure: m for m in evaluation.evaluate(champion, seed=SEED)}
    auc, ks = found["discrimination.auc"], found["discrimination.ks"]
    brier, slope = found["calibration.brier"], found["calibration.slope"]
    ece, floor = found["calibration.ece"], found["calibration.ece_floor"]
    yield Proof("champion AUC", auc, "≥ .784", auc.value >= 0.784)
    yield Proof("champion KS", ks, "≥ .433", ks.value >= 0.433)
    yield Proof("champion Brier", brier, "≤ .1345", brier.value <= 0.1345)
    yield Proof("champion log loss", found["accuracy.log_loss"])
    yield Proof("champion ECE", ece, "≤ its floor", ece.value <= floor.value)
    yield Proof("floor of that ECE, 95th percentile", floor)
    yield Proof("champion slope", slope, ".95 … 1.05", 0.95 <= slope.value <= 1.05)
    yield Proof("champion intercept", found["calibration.intercept"])
    first, captured = evaluation.measure_lift(champion.labels, champion.probability)[:2]
    yield Proof("champion lift, riskiest tenth", first, digits=2)
    yield Proof("defaults in the riskiest tenth", captured)


def of_others(here: World, champion: OutOfFold) -> Iterator[Proof]:
    y = here.labels
    challenger, floor = scored(recipes.CHALLENGER, here), scored(recipes.FLOOR, here)
    free = scored(recipes.CHAMPION, here, signs=(0,) * len(here.spec.names))
    for name, result, target in (
        ("additive challenger", challenger, 0.778),
        ("floor, splines", floor, 0.774),
    ):
        auc = next(iter(evaluation.evaluate(result, seed=SEED)))
        yield Proof(f"{name} AUC", auc, f"≥ {target:.3f}".replace("0.", "."), auc.value >= target)
    measured = {m.measure: m for m in evaluation.evaluate(challenger, seed=SEED)}
    ece, limit = measured["calibration.ece"], measured["calibration.ece_floor"].value
    yield Proof("additive challenger ECE", ece, f"≤ {limit:.4f}, its floor", ece.value <= limit)
    slope = measured["calibration.slope"]
    yield Proof("additive challenger slope", slope, ".95 … 1.05", 0.95 <= slope.value <= 1.05)
    yield Proof("additive challenger KS", measured["discrimination.ks"])
    yield from of_calibrations(challenger)
    for name, other, target in (
        ("monotone minus free", free, -0.15),
        ("champion minus additive challenger", challenger, None),
        ("champion minus floor", floor, None),
    ):
        found = comparison.measure_auc_difference(
            y, champion.probability, other.probability, seed=SEED, against=name
        )
        # A point is a hundredth of the area.
        in_points = {key: 100 * getattr(found, key) for key in ("value", "low", "high")}
        found = found.model_copy(update=in_points)
        met = None if target is None else found.value >= target
        stated = "" if target is None else "≥ −0.15"
        yield Proof(f"{name}, AUC points, paired", found, stated, met, digits=2)


def of_calibrations(raw: OutOfFold) -> Iterator[Proof]:
    """Tell what a map on top would gain and cost; each is fitted on the other folds only."""
    odds, mapped = calibration.log_odds(raw.probability), raw.probability.copy()
    for fold in range(evaluation.FOLDS):
        left_out = raw.fold == fold
        # Without bounds the first and last step are 0 and 1, and nobody's default is impossible.
        steps = IsotonicRegression(out_of_bounds="clip", y_min=0.005, y_max=0.995)
        steps.fit(odds[~left_out], raw.labels[~left_out])
        mapped[left_out] = steps.predict(odds[left_out])
    isotonic = OutOfFold(labels=raw.labels, probability=mapped, fold=raw.fold)
    for name, result in (("a sigmoid", raw.with_sigmoid()), ("isotonic steps", isotonic)):
        measured = {m.measure: m for m in evaluation.evaluate(result, seed=SEED)}
        limit = measured["calibration.ece_floor"].value
        ece, loss = measured["calibration.ece"], measured["accuracy.log_loss"]
        yield Proof(f"additive behind {name}: ECE (floor {limit:.4f})", ece)
        yield Proof(f"additive behind {name}: log loss", loss)
        cost = comparison.measure_auc_difference(
            raw.labels, result.probability, raw.probability, seed=SEED
        )
        yield Proof(f"additive behind {name}: AUC minus that of the bare one", cost)


def of_calibration_seeds(here: World) -> Iterator[Proof]:
    for seed in range(1, 4):
        result = evaluation.out_of_fold(
            lambda seed=seed: recipes.CHALLENGER.estimator(here.spec.signs, seed=seed),
            here.matrix,
            here.labels,
            seed=seed,
        )
        ece = calibration.measure_calibration_error(result.labels, result.probability, seed=seed)
        limit = calibration.measure_noise_floor(result.probability, seed=seed).value
        yield Proof(f"additive challenger ECE, seed {seed} (floor {limit:.4f})", ece)


def of_fits(here: World) -> Iterator[Proof]:
    n = len(here.labels)
    recipe = recipes.CHAMPION
    digests, seconds = [], []
    with tempfile.TemporaryDirectory() as place:
        for threads in (1, 2):
            estimator = recipe.estimator(here.spec.signs, seed=SEED)
            started = time.process_time()
            with threadpool_limits(limits=threads, user_api="openmp"):
                estimator.fit(here.matrix, here.labels)
            seconds.append(time.process_time() - started)
            digests.append(serialize.dump(estimator, Path(place) / f"{threads}.skops"))
    fit = plain("fit", seconds[0], n)
    yield Proof("champion fit, CPU seconds, one thread", fit, "≤ 5", seconds[0] <= 5, digits=2)
    distinct = plain("digests", len(set(digests)), 2, "count")
    what = "distinct canonical digests on 1 and 2 threads"
    yield Proof(what, distinct, "1", len(set(digests)) == 1, digits=0)
    found = evaluation.measure_violations(
        estimator, here.matrix[:6_000], here.spec.names, here.spec.signs
    )
    yield Proof("monotone violations", found, "0", found.value == 0, digits=0)


def of_reasons(here: World, champion: OutOfFold) -> Iterator[Proof]:
    """Explain customers whom the model was not fitted on: the last fold."""
    left_out = champion.fold == evaluation.FOLDS - 1
    seen = ~left_out
    model = evaluation.fit(
        recipes.CHAMPION.estimator(here.spec.signs, seed=SEED), here.matrix[seen], here.labels[seen]
    )
    reference = reasons.make_reference(
        here.spec, here.matrix[seen], here.labels[seen], champion.probability[seen]
    )
    rows = np.flatnonzero(left_out)
    rows = rows[np.argsort(-champion.probability[rows])[:RISKY]]
    told = explain(model, here.spec, reference, here.matrix[rows])
    at_best = reasons.measure_cited_at_best(told, here.spec, here.matrix[rows])
    yield Proof("cited though nothing could be better", at_best, "0", at_best.value == 0)
    yield Proof("risky customers with a reason", reasons.measure_explained(told))


def of_alternatives(here: World) -> Iterator[Proof]:
    strongest = proxies(here)
    family = alternatives.family(features.packaged("uci_features"), proxies=strongest)
    for found in alternatives.evaluate_family(
        family, here.spec, LabeledRows(here.matrix, here.labels), seed=SEED
    ):
        auc, difference = found.measurements[0], found.measurements[-1]
        yield Proof(f"{found.alternative.name}: AUC", auc)
        yield Proof(f"{found.alternative.name}: AUC minus the champion's", difference)
    print(f"Strongest proxies of sex and of an age up to 25: {', '.join(strongest)}.\n")


def proxies(here: World) -> tuple[str, ...]:
    groups = (here.table["sex"].to_numpy() == 2, here.table["age"].to_numpy() <= 25)
    strength = np.zeros(len(here.spec.names))
    for group in groups:
        for column in range(len(strength)):
            area = discrimination.areas(
                group.astype(np.int64), here.matrix[:, column], np.ones((1, len(group)))
            )
            strength[column] = max(strength[column], abs(float(area[0]) - 0.5))
    return tuple(here.spec.names[column] for column in np.argsort(-strength)[:STRONGEST])


def show(title: str, proofs: Iterator[Proof]) -> bool:
    """Print one table; tell whether every target in it is met."""
    print(f"### {title}\n\n| figure | value | 95 % interval | n | target | |")
    print("|---|---|---|---|---|---|")
    is_met = True
    for proof in proofs:
        print(proof.line(), flush=True)
        is_met = is_met and proof.is_met is not False
    print()
    return is_met


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--more", action="store_true", help="the alternatives as well")
    parser.add_argument("--export", type=Path, help="write features, folds and scores for peers")
    asked = parser.parse_args()
    here = world()
    champion = scored(recipes.CHAMPION, here)
    if asked.export:
        signs = np.array(here.spec.signs)
        kept = {"features": here.matrix, "labels": here.labels, "signs": signs}
        np.savez(asked.export, **kept, fold=champion.fold, champion=champion.probability)
        return 0
    met = [
        show("Champion, out-of-fold", of_champion(champion)),
        show("Other models, same folds", of_others(here, champion)),
        show("Fits and directions", of_fits(here)),
        show(f"Reasons of the {RISKY:,} riskiest of a fold left out", of_reasons(here, champion)),
    ]
    if asked.more:
        met.append(show("Calibration of the challenger, other seeds", of_calibration_seeds(here)))
        met.append(show("The family of alternatives", of_alternatives(here)))
    published = ((name, plain("published", auc, 6_000)) for name, auc in PUBLISHED)
    show("Published AUC on other splits of these data", (Proof(*row) for row in published))
    print("Splits differ, so the published figures stand beside ours and prove nothing.")
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
