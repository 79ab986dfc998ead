from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from lab.world import outcomes, panel
from lab.world.panel import Chunk
from lab.world.settings import Labels, Release, WorldSettings

# The opening and months 0 to 3 by account: never late; 90 days in month 2; 90 days at the end of
# month 0; closed before; late all the time, yet less than 90 days.
LIVED = np.array(
    [[2, 2, 2, 2, 2], [2, 3, 3, 4, 5], [2, 4, 3, 2, 2], [-1, -1, -1, -1, -1], [3, 3, 3, 3, 3]],
    dtype=np.int8,
)


@pytest.mark.parametrize(
    ("horizon", "release", "y", "known"),
    [
        (1, Release.WINDOW_END, [0, 0, 0], [3, 3, 3]),
        (2, Release.WINDOW_END, [0, 1, 0], [4, 4, 4]),
        (3, Release.WINDOW_END, [0, 1, 0], [5, 5, 5]),
        (3, Release.EVENT, [0, 1, 0], [5, 4, 5]),
        (4, Release.EVENT, [-1, -1, -1], [6, 6, 6]),
    ],
)
def test_hand_worked_outcomes(
    horizon: int, release: Release, y: list[int], known: list[int]
) -> None:
    labels = Labels(delay_months=2, release=release)
    found = outcomes.measure_outcomes(LIVED, labels, 0, horizon)
    assert found.is_asked.tolist() == [True, True, False, False, True]
    assert found.y[found.is_asked].tolist() == y
    assert found.observed_month[found.is_asked].tolist() == known


def test_labels_can_be_counted_again_from_the_panel(lived: Chunk) -> None:
    rows = lived.panel.to_pandas()
    rows["month"] = pd.to_datetime(rows.month)
    labels = lived.labels.to_pandas().sample(400, random_state=0)
    serious = rows[rows.status >= 3].groupby("account").month.apply(list).to_dict()
    for label in labels.itertuples():
        first = pd.Timestamp(label.as_of)
        last = first + pd.DateOffset(months=label.horizon_months)
        hits = [month for month in serious.get(label.account, []) if first < month <= last]
        assert label.y == int(bool(hits))


@pytest.mark.parametrize("release", list(Release))
def test_no_label_is_known_before_it_could_be(baseline: WorldSettings, release: Release) -> None:
    timing = {"delay_months": 2, "release": release}
    chunk = panel.live(baseline.changed(labels=timing), 0, 1_500)
    labels = chunk.labels.to_pandas()
    rows = chunk.panel.to_pandas()
    as_of, seen = (pd.to_datetime(labels[name]) for name in ("as_of", "observed_at"))
    months = (seen.dt.year - as_of.dt.year) * 12 + seen.dt.month - as_of.dt.month
    if release is Release.WINDOW_END:
        assert (months == labels.horizon_months + 2).all()
        return
    assert (months[labels.y == 0] == labels.horizon_months[labels.y == 0] + 2).all()
    assert (months[labels.y == 1] < labels.horizon_months[labels.y == 1] + 2).any()
    serious = rows[rows.status >= 3]
    joined = labels[labels.y == 1].merge(serious, on="account")
    joined = joined[joined.month > joined.as_of]
    first = joined.groupby(["account", "as_of", "horizon_months"]).agg(
        month=("month", "min"), observed_at=("observed_at", "first")
    )
    wait = pd.to_datetime(first.observed_at) - pd.to_datetime(first.month)
    assert wait.min() >= pd.Timedelta(days=59)


def test_windows_beyond_the_recorded_months_have_no_label(lived: Chunk) -> None:
    labels = lived.labels.to_pandas()
    latest = labels.groupby("horizon_months").as_of.max()
    assert latest[3] == date(2025, 9, 30)
    assert latest[12] == date(2024, 12, 31)
    # The first question is asked on the day before the first month: the day of the application.
    assert labels.as_of.min() == date(2023, 12, 31)
    assert set(labels.y) == {0, 1}
    assert not labels.duplicated(["account", "as_of", "horizon_months"]).any()
