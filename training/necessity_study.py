"""The necessity table of a version, as one study with a picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from registry.study import Study
from training import figures
from training.fitted import say_nothing
from training.necessity import Asked, Dropped, Verdict, measure_necessity
from training.study import Subject, single_run

NAME = "necessity"


def study(subject: Subject, place: Path, *, done: Callable[[str], None] = say_nothing) -> Study:
    """Take everything out of a version in turn, and draw what each cost."""
    asked = Asked(
        recipe=subject.job.recipe,
        spec=subject.spec,
        features=subject.rows.features,
        labels=subject.rows.labels,
        seed=subject.job.seed,
        customers=subject.rows.customers,
    )
    found = measure_necessity(asked, done=done)
    document = {
        **subject.header(NAME),
        "luck": found.luck,
        "dropped": [_told(item) for item in found.dropped],
        "counts": {
            verdict.value: sum(item.verdict is verdict for item in found.dropped)
            for verdict in Verdict
        },
    }
    costs = [item.log_loss for item in found.dropped]
    # A card has room for what is needed; the document has every row.
    needed = [item.log_loss for item in found.dropped if item.verdict is Verdict.NEEDED]
    return single_run(
        subject,
        document,
        (found.luck, *costs, *(item.auc for item in found.dropped)),
        headlines=(found.luck, *needed),
        files={"necessity": figures.draw_necessity(place / "necessity.png", found)},
    )


def _told(item: Dropped) -> dict[str, Any]:
    return {
        "name": item.name,
        "is_group": item.is_group,
        "features": list(item.features),
        "outcome": item.verdict.value,
        "told": item.told,
        "redundant_with": list(item.alike),
        "why": item.why,
        "is_protected": item.is_protected,
        "measurements": [item.log_loss, item.auc],
    }
