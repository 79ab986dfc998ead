"""Models on the simulated world beside the truth: firms with and without ratios, and the refused.

Run: python -m benchmarks.world_models
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.measures.discrimination import measure_auc
from lab.reject_inference import bounds, intake, study
from lab.reject_inference.intake import Intake, Method, Rules
from lab.world import applicants, business, panel, persons
from lab.world.settings import WorldSettings, packaged
from lab.world.snapshot import Moment
from limits import features, scoring
from limits.features import FeatureSpec
from training import evaluation
from training.recipes import CHAMPION

SEEN, LATER, ACCOUNTS = date(2024, 9, 30), date(2026, 12, 31), 10_000
RATIOS = {"soundness", "earnings", "leverage", "debt service"}


def world(seed: int, **population: float) -> WorldSettings:
    settings = WorldSettings.parse(packaged())
    changed = settings.population.model_copy(update=population)
    return settings.changed(seed=seed, accounts=ACCOUNTS, population=changed.model_dump())


def truth(rows: pa.Table, settings: WorldSettings, chunk: panel.Chunk, day: date) -> pa.Table:
    """Return the oracle's rows of these customers, in their order."""
    people = persons.block(settings, 0, settings.accounts)
    place = pc.index_in(rows["customer_id"], value_set=people["customer_id"].combine_chunks())
    account = people["account"].take(place)
    is_meant = pc.and_(
        pc.equal(chunk.oracle["as_of"], day), pc.equal(chunk.oracle["horizon_months"], 12)
    )
    told = chunk.oracle.filter(is_meant)
    return told.take(pc.index_in(account, value_set=told["account"].combine_chunks()))


def shown(found: object) -> str:
    return f"{found.value:.4f} [{found.low:.4f}, {found.high:.4f}]"  # type: ignore[attr-defined]


def firms(seed: int) -> None:
    settings = world(seed, sme_share=1.0)
    chunk = panel.live(settings, 0, settings.accounts)
    people = persons.block(settings, 0, settings.accounts)
    moment = Moment(as_of=SEEN, horizon_months=12, known_on=LATER)
    rows = business.take(chunk, people, settings, moment)
    spec = FeatureSpec.parse(features.packaged("world_business_features"))
    computed = features.compute(spec, rows, keep=("is_90_days_late",))
    y = computed["is_90_days_late"].to_numpy().astype(np.int64)
    matrix = scoring.design_matrix(spec, computed)
    plain = [i for i, group in enumerate(spec.reason_groups) if group not in RATIOS]
    chance = truth(rows, settings, chunk, SEEN)["true_default_probability"].to_numpy()
    told = {}
    for name, columns in (("all features", list(range(matrix.shape[1]))), ("no ratios", plain)):
        signs = [spec.signs[i] for i in columns]
        found = evaluation.out_of_fold(
            lambda signs=signs: CHAMPION.estimator(signs, seed=0), matrix[:, columns], y, seed=0
        )
        told[name] = shown(measure_auc(y, found.probability))
    z = computed["altman_z_score"].to_numpy()
    legal = np.array(rows["segment"].to_pylist()) == business.LEGAL_PERSON
    zones = np.digitize(z[legal], [1.10, 2.60])
    rates = [
        f"{y[legal][zones == zone].mean():.4f} (n {(zones == zone).sum():,})" for zone in range(3)
    ]
    print(f"seed {seed}: n {len(y):,}, rate {y.mean():.4f}")
    for name, text in told.items():
        print(f"  AUC, {name:<12} {text}")
    print(f"  AUC of the truth  {shown(measure_auc(y, chance))}")
    print(f"  default rate by Z'' zone (distress, gray, safe): {', '.join(rates)}")


def asking(
    settings: WorldSettings,
) -> tuple[FeatureSpec, np.ndarray, Intake, np.ndarray]:
    """Return spec, features, intake and the true outcomes of everybody who asked."""
    chunk = panel.live(settings, 0, settings.accounts)
    people = persons.block(settings, 0, settings.accounts)
    day = applicants.day(settings)
    rows = applicants.take(
        chunk, people, settings, Moment(as_of=day, horizon_months=12, known_on=LATER)
    )
    spec = FeatureSpec.parse(features.packaged("world_applicant_features"))
    y = truth(rows, settings, chunk, day)["true_outcome"].to_numpy().astype(np.int64)
    known = rows["is_90_days_late"].is_valid().to_numpy()
    asked = Intake(
        is_known=known,
        y=np.where(known, y, 0),
        is_refused=rows["is_refused"].to_numpy(),
        is_explored=rows["is_accepted_anyway"].to_numpy(),
    )
    return spec, scoring.design_matrix(spec, features.compute(spec, rows)), asked, y


def coverage(worlds: int = 24) -> None:
    """Count the worlds in which the interval of a rate holds the true rate of everybody."""
    methods = (Method.ACCEPTED_ONLY, Method.AS_THEY_ARE, Method.CLIPPED, Method.RAW)
    held = dict.fromkeys(methods, 0)
    bounded = 0
    for seed in range(1, worlds + 1):
        settings = world(seed, refused_share=0.4, accepted_anyway=0.15).changed(accounts=6_000)
        _, _, asked, y = asking(settings)
        for method in methods:
            found = intake.measure_default_rate(asked, method, Rules())
            held[method] += found.low < y.mean() < found.high  # type: ignore[operator]
        worst = bounds.bound_default_rate(asked, Rules())
        bounded += worst.low < y.mean() < worst.high  # type: ignore[operator]
    for method, count in held.items():
        print(f"  {method.value:<28} {count} of {worlds}")
    print(f"  worst_case                   {bounded} of {worlds}")


def refused(seed: int) -> None:
    settings = world(seed, refused_share=0.4, accepted_anyway=0.15)
    spec, matrix, asked, y = asking(settings)
    rules = Rules()
    found = study.measure(
        lambda: CHAMPION.estimator(spec.signs, seed=0), matrix, asked, rules, seed=0
    )
    counts = ", ".join(f"{count:,} {name}" for name, count in found.counts.items())
    print(f"seed {seed}: {counts}; TRUE rate {y.mean():.4f}")
    for one in found.measurements:
        if one.measure == intake.RATE:
            edges = "" if one.low is None else f" [{one.low:.4f}, {one.high:.4f}]"
            print(f"  rate by {one.scope['method']:<28} {one.value:.4f}{edges} {one.outcome}")
    splits = study._splits(asked, seed=0)
    base = None
    for method in study.MODELS:
        taught = study.weighting(asked, method, rules, base)
        told = study._out_of_fold(
            lambda: CHAMPION.estimator(spec.signs, seed=0), matrix, asked, splits, taught
        )
        base = told if base is None else base
        beyond = asked.is_refused
        print(
            f"  model {method.value:<28} AUC over everybody {measure_auc(y, told).value:.4f}, "
            f"refused {measure_auc(y[beyond], told[beyond]).value:.4f}; promised less than "
            f"happened to the refused: {y[beyond].mean() - told[beyond].mean():+.4f}"
        )


def main() -> None:
    print(f"# Simulated firms, {ACCOUNTS:,} accounts a seed, 12-month 90+ as of {SEEN}")
    for seed in (1, 2, 3):
        firms(seed)
    print(f"\n# Simulated applicants, {ACCOUNTS:,} a seed; true outcomes of the refused are used")
    print("# to judge here and never to fit")
    for seed in (1, 2, 3):
        refused(seed)
    print("\n# Worlds of 6,000 in which the 95 % interval of the rate holds the true rate")
    coverage()


if __name__ == "__main__":
    main()
