"""Shorter lists of features beside the champion's, on all 30,000 published rows.

Run from the repository's root (half a minute on one core)::

    python -m benchmarks.feature_lists

What the drop-one study (``training necessity``) says of single features does not say what several
of them cost together; this does. The lists were chosen by that study on the same rows, so their
figures are a little too good.
"""

from __future__ import annotations

from benchmarks.training import SEED, Proof, world
from limits import features
from training import alternatives, recipes
from training.alternatives import Alternative
from training.fitted import Lesson

# One of each set of features that the study calls redundant with each other.
TWINS = (
    *("dlq_max_6m", "dlq_cnt_6m", "dlq_cnt2_6m", "months_since_dlq", "util_avg_6m", "util_now"),
    *("bill_trend", "payratio_last", "pay_max_6m", "bill_avg_6m", "bill_min"),
)
TWELVE = (
    *("dlq_m0", "dlq_sum_6m", "months_since_dlq", "util_now", "util_max_6m", "revolve_cnt"),
    *("pay_sum_3m_to_limit", "payratio_avg", "pay_amt_m0", "pay_avg_6m", "bill_now", "bill_min"),
)
THREE = ("dlq_m0", "util_now", "bill_now")


def main() -> None:
    here, text = world(), features.packaged("uci_features")
    names = here.spec.names
    lists = {
        "all 36": names,
        "without 11 twins": tuple(name for name in names if name not in TWINS),
        "12 features": TWELVE,
        "one of each needed group": THREE,
    }
    family = [
        Alternative(
            name=title,
            title=title,
            recipe=recipes.CHAMPION,
            features_text=alternatives.without(
                text, [name for name in names if name not in kept], suffix="shorter"
            ),
        )
        for title, kept in lists.items()
    ]
    print("| figure | value | 95 % interval | n | | |\n|---|---|---|---|---|---|")
    for found in alternatives.evaluate_family(
        family, here.spec, Lesson(here.matrix, here.labels), seed=SEED
    ):
        title = found.alternative.title
        print(Proof(f"{title}: AUC", found.measurements[0]).line())
        print(Proof(f"{title}: AUC minus that of all", found.measurements[-1]).line())


if __name__ == "__main__":
    main()
