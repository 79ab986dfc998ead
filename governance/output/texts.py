"""Texts: what a measure, a verdict and a number are called where a person reads them."""

from __future__ import annotations

import functools
import importlib.resources
import tomllib
from collections.abc import Mapping, Sequence

from governance.measurement import Measurement, describe_scope

Texts = Mapping[str, Mapping[str, Sequence[str]]]


@functools.cache
def texts() -> Texts:
    """Return the texts by kind and name; English first, then Chinese."""
    found = importlib.resources.files("governance.output") / "texts.toml"
    told: Texts = tomllib.loads(found.read_text(encoding="utf-8"))
    return told


def name_of(measure: str) -> tuple[str, str]:
    """Return the English and Chinese name of a measure.

    Examples
    --------
    >>> name_of("misjudgment.good_cut"), name_of("own.new_measure")
    (('Good customers cut', '好客户被降额'), ('new measure', ''))
    """
    english, chinese = texts()["measures"].get(
        measure, (measure.rpartition(".")[2].replace("_", " "), "")
    )
    return english, chinese


def number(measurement: Measurement, end: str = "value") -> str:
    """Write a value, or the ``low`` or ``high`` end of its interval; undefined is never 0."""
    found: float | None = getattr(measurement, end)
    if found is None:
        return "undefined"
    match measurement.unit:
        case "minor":
            return f"{found / 100:,.2f}"
        case "count":
            return f"{found:,.0f}"
        case "rate":
            return f"{found:.2%}"
        case "ratio" | "coefficient":
            return f"{found:,.3f}"
        case _:
            return f"{found:,.4f}"


def interval(measurement: Measurement) -> str:
    """Write both ends of an interval, or nothing if there is none."""
    if measurement.value is None or measurement.low is None or measurement.high is None:
        return ""
    return f"{number(measurement, 'low')} to {number(measurement, 'high')}"


def about(measurement: Measurement) -> str:
    """Write the scope as short as it can be understood."""
    scope = dict(measurement.scope)
    if set(scope) == {"attribute", "group"}:
        return f"{scope['attribute']} {scope['group']}"
    return ", ".join(scope.values()) if len(scope) == 1 else describe_scope(scope)


def is_group_rate(measurement: Measurement) -> bool:
    """Tell whether it is the rate of one group, which stands in a table of groups."""
    return (
        measurement.measure.startswith("fairness.")
        and measurement.unit == "rate"
        and ("group" in measurement.scope)
    )


def by_group(found: Sequence[Measurement]) -> dict[str, dict[str, dict[str, Measurement]]]:
    """Return the rates of groups by attribute, group and measure: tables in the order given."""
    tables: dict[str, dict[str, dict[str, Measurement]]] = {}
    for m in filter(is_group_rate, found):
        table = tables.setdefault(m.scope["attribute"], {})
        table.setdefault(m.scope["group"], {})[m.measure] = m
    return tables
