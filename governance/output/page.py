"""Pages: one static HTML file each, verdict first, made from templates that escape everything.

A page loads nothing and runs no script. It shows what it is given; whoever fills it gives no row
and no small cell.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field

from jinja2 import Environment, PackageLoader, StrictUndefined

from governance.measurement import Measurement
from governance.outcome import Outcome
from governance.output import picture, texts
from governance.output.picture import Histogram

ORDER = (Outcome.BREACH, Outcome.INCONCLUSIVE, Outcome.PASS, Outcome.INFO)
# Below this, a column that nobody judges is not worth a line of its own.
_CALM_PSI = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """A small table of words and numbers that are written already."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One part of a page.

    Parameters
    ----------
    name : str
        Of its heading in the texts.
    line : str
        A sentence below the table.
    """

    name: str
    measurements: tuple[Measurement, ...]
    line: str = ""
    histograms: tuple[Histogram, ...] = ()
    cells: Cells | None = None

    @property
    def rows(self) -> list[Measurement]:
        """What stands in the open, the gravest first."""
        found = [m for m in self.measurements if not texts.is_group_rate(m) and not _is_calm(m)]
        return sorted(found, key=lambda m: ORDER.index(m.outcome))

    @property
    def folded(self) -> list[Measurement]:
        """What hardly anybody wants to see."""
        return [m for m in self.measurements if _is_calm(m)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a page says.

    Parameters
    ----------
    subject : mapping of str to str
        Role to digest of what was looked at.
    links : mapping of str to str
        Files beside the page, and what they hold.
    """

    kicker: str
    title: str
    title_zh: str
    outcome: Outcome
    sections: tuple[Section, ...]
    notes: tuple[str, ...] = ()
    subject: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def measurements(self) -> list[Measurement]:
        """Everything that is measured, in the order of the sections."""
        return [m for section in self.sections for m in section.measurements]

    @property
    def urgent(self) -> list[Measurement]:
        """What needs somebody: breaches first, what is merely undefined last."""
        found = self.measurements
        silent = [m for m in found if m.outcome is Outcome.INCONCLUSIVE]
        breaches = [m for m in found if m.outcome is Outcome.BREACH]
        return breaches + sorted(silent, key=lambda m: m.value is None)


def render(page: Page) -> str:
    """Return the HTML of a page."""
    return write("page.html", page=page)


def write(template: str, **given: object) -> str:
    """Return a template of this room filled with what is given; everything is escaped."""
    return _environment().get_template(template).render(given)


@functools.cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("governance.output"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(
        texts=texts.texts(),
        picture=picture,
        order=ORDER,
        by_group=texts.by_group,
        name_of=texts.name_of,
    )
    made.filters.update(number=texts.number, interval=texts.interval, about=texts.about)
    return made


def _is_calm(measurement: Measurement) -> bool:
    is_shown = measurement.outcome is Outcome.INFO and measurement.measure.startswith("drift.")
    return is_shown and (measurement.high or 0.0) < _CALM_PSI
