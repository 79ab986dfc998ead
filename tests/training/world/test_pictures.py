from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from matplotlib.figure import Figure

from training.world import fidelity, pictures
from training.world.panel import Chunk
from training.world.settings import WorldSettings


def words(figure: Figure) -> str:
    parts = [axes.get_title() + axes.get_xlabel() + axes.get_ylabel() for axes in figure.axes]
    return (figure.get_suptitle() + " ".join(parts)).lower()


def test_every_picture_says_that_it_is_simulated(baseline: WorldSettings, lived: Chunk) -> None:
    drawn = (
        pictures.movement(fidelity.measure(baseline)),
        pictures.calendar(lived, baseline),
        pictures.truth(lived),
        pictures.response(baseline.changed(accounts=500)),
    )
    assert all("simulated" in words(figure) for figure in drawn)


def test_no_point_stands_for_fewer_than_twenty(baseline: WorldSettings, lived: Chunk) -> None:
    few = replace(lived, oracle=lived.oracle.slice(0, 150))
    lines = pictures.truth(few).axes[0].lines
    # Only the diagonal is left: 150 rows in twenty groups are too few for any point.
    assert {len(line.get_xdata()) for line in lines[1:]} == {0}
    assert len(pictures.truth(lived).axes[0].lines[1].get_xdata()) == 20


def test_every_picture_of_a_measurement_says_its_n_and_its_interval(
    baseline: WorldSettings, lived: Chunk
) -> None:
    found = fidelity.measure(baseline)
    movement = pictures.movement(found)
    n = f"n = {found.marginal_n[1]:,}"
    assert any(n in text.get_text() for text in movement.axes[1].get_legend().get_texts())
    drawn = (
        movement,
        pictures.calendar(lived, baseline),
        pictures.truth(lived),
        pictures.response(baseline.changed(accounts=500)),
    )
    for figure in drawn:
        assert "95 % interval" in words(figure)
        assert any(axes.collections or axes.containers for axes in figure.axes)


def test_the_same_world_is_drawn_to_the_same_bytes(baseline: WorldSettings, tmp_path: Path) -> None:
    small = baseline.changed(accounts=400, months=6)
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
    first, second = (pictures.draw(folder, small) for folder in folders)
    assert set(first) == {"movement", "calendar", "truth", "response"}
    assert all(first[name].read_bytes() == second[name].read_bytes() for name in first)
