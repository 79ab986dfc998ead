"""Pages: what the room writes for people, from the templates and texts in ``templates/``."""

from __future__ import annotations

import functools
import tomllib
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from rich.markup import escape

from governance.measurement import Measurement, describe_scope
from governance.outcome import Outcome

GRAVEST_FIRST = (Outcome.BREACH, Outcome.INCONCLUSIVE, Outcome.PASS, Outcome.INFO)


def render(name: str, **told: Any) -> str:
    """Return the page that the template `name` makes of what it is told."""
    return _environment().get_template(name).render(**told)


@functools.cache
def texts(name: str) -> dict[str, Any]:
    """Return a packaged TOML file of texts."""
    place = resources.files("registry") / "templates" / f"{name}.toml"
    return tomllib.loads(place.read_text(encoding="utf-8"))


def numbers(measurement: Measurement) -> str:
    """Write value and interval for people; undefined is said, not shown as 0."""
    if measurement.value is None:
        return "undefined"
    if measurement.low is None or measurement.high is None:
        return f"{measurement.value:.4g}"
    return f"{measurement.value:.4g} [{measurement.low:.4g}, {measurement.high:.4g}]"


def gravest_first(measurements: list[Measurement]) -> list[Measurement]:
    """Return measurements by outcome, then by name and scope."""
    return sorted(measurements, key=lambda item: (GRAVEST_FIRST.index(item.outcome), item.key))


def cell(text: object) -> str:
    """Keep a text inside its cell of a Markdown table, and its markup harmless."""
    return str(text).replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def line(text: str) -> str:
    """Keep a text on one line and inside its cell."""
    return " ".join(text.split()).replace("|", "\\|")


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("registry"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    for made in (cell, line, numbers, gravest_first):
        environment.filters[made.__name__] = made
    environment.filters |= {"plain": escape, "scope": describe_scope}
    return environment
