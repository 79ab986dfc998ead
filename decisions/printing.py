"""What people read on the terminal; the JSON documents say the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from decisions.reason_texts import TERMS
from governance.evidence import Evidence
from governance.measurement import describe_scope

_ACTIONS = ("raise", "hold", "cut", "review")
_MOST_LINES = 5


def decided(out: Console, document: Mapping[str, Any]) -> None:
    """Print the counts of a run of decisions."""
    counts, identity = document["counts"], document["identity"]
    out.print(f"Limit decisions as of {identity['as_of']}")
    table = _table(None, "action", "customers>", "share>")
    customers = counts["customers"]
    for action in sorted(counts["actions"], key=_ACTIONS.index):
        number = counts["actions"][action]
        table.add_row(action, f"{number:,}", f"{number / customers:.1%}" if customers else "none")
    out.print(table)
    before, after = counts["limits_before_minor"] / 100, counts["limits_after_minor"] / 100
    out.print(f"Sum of limits: {identity['currency']} {before:,.0f} before, {after:,.0f} after")
    if uplifts := counts.get("temporary_uplifts_minor"):
        out.print(f"Temporary uplifts: {identity['currency']} {uplifts / 100:,.0f}")
    for line in _cautions(document, identity):
        out.print(line, style="yellow", markup=False, soft_wrap=True)
    again = "" if document.get("is_new", True) else " (decided before; nothing was rewritten)"
    out.print(f"Policy {identity['policy']}{again}")
    name = "Decisions" if "are_customers_unique" in document else "Decision log"
    out.print(f"{name}: {document['path']}", markup=False, soft_wrap=True)


def _cautions(document: Mapping[str, Any], identity: Mapping[str, Any]) -> list[str]:
    # A vintage that was decided before says itself why raises were stopped.
    stopped = document.get("raises_stopped_because") or identity.get("freeze_reasons", ())
    lines = [f"Raises are stopped: {reason}." for reason in stopped[:_MOST_LINES]]
    if len(stopped) > _MOST_LINES:
        lines.append(f"    and {len(stopped) - _MOST_LINES} more: --json lists them")
    if not document.get("is_supervised", True):
        lines.append("The policy has no [supervision]: a monitor that falls silent stops no raise.")
    if gaps := identity.get("history", {}).get("gaps"):
        lines.append(f"The log has no vintage for {', '.join(gaps)}; it knows of no change then.")
    if document.get("are_customers_unique", True) is None:
        lines.append("Whether a customer appears twice was not checked: give --customer.")
    return lines + [f"Not evidenced: {line}" for line in document.get("not_evidenced", ())]


def checked(out: Console, document: Mapping[str, Any]) -> None:
    """Print the laws of a policy check, and the smallest input that breaks each broken one."""
    table = _table(f"Laws of {document['policy']}", "law", "inputs>", "broken by>", "outcome")
    for item in document["measurements"]:
        broken = "" if item["value"] is None else f"{item['value']:,.0f}"
        table.add_row(item["scope"]["law"], f"{item['n']:,}", broken, item["outcome"])
    out.print(table)
    for example in document["counterexamples"]:
        decided = example["decided"]
        moment = f"as of {example['as_of']}, regime {example['regime']}, freeze {example['freeze']}"
        lines = [
            f"BROKEN {example['law']}: {example['text_en']} ({example['text_zh']})",
            f"  smallest input, {moment}; everything else is that of an ordinary customer:",
        ]
        for name, value in example["differs"].items():
            second = "  (the customer it is compared with)" if name.startswith("other_") else ""
            lines.append(f"    {name} = {value}{second}")
        lines.append(
            f"  decided: {decided['limit_before_minor']} -> {decided['limit_after_minor']} minor "
            f"units, uplift {decided['temporary_uplift_minor']}, {decided['action']}, "
            f"band {decided['band']}"
        )
        out.print("\n".join(lines), markup=False, soft_wrap=True)
    for rule in document["never_acted"]:
        out.print(f"NEVER ACTED: {rule}")
    out.print(f"{document['inputs']:,} inputs, seed {document['seed']}: {document['outcome']}")


def measured(out: Console, title: str, document: Mapping[str, Any]) -> None:
    """Print measurements with their intervals, outcomes and what was not shown."""
    table = _table(title, "measure", "scope", "value>", "95 % interval>", "n>", "outcome")
    for item in document["measurements"]:
        form = ",.0f" if item["unit"] in ("count", "days") else ".3f"
        value, low, high = (
            "" if item[name] is None else f"{item[name]:{form}}"
            for name in ("value", "low", "high")
        )
        scope = describe_scope(item["scope"]) if item["scope"] else ""
        row = (
            item["measure"],
            escape(scope),
            value,
            f"{low} to {high}" if low else "",
            f"{item['n']:,}",
        )
        table.add_row(*row, item["outcome"])
    out.print(table)
    for item in document["measurements"]:
        if item["reason"]:
            place = f" ({describe_scope(item['scope'])})" if item["scope"] else ""
            line = f"{item['outcome']} {item['measure']}{place}: {item['reason']}"
            out.print(line, markup=False, soft_wrap=True)
    for line in document.get("not_evidenced", ()):
        out.print(f"Not evidenced: {line}", markup=False)
    out.print(f"Outcome: {document['outcome']}")


def impact(out: Console, evidence: Evidence) -> None:
    """Print an impact report; money stands beside its currency."""
    table = _table(f"Policy impact as of {evidence.measured_on}", "measure", "scope", "value>")
    for item in evidence.measurements:
        scope, shown = dict(item.scope), "withheld"
        unit = scope.pop("currency", "")
        if item.value is not None:
            money = f"{unit} {item.value / 100:,.0f}".strip()
            shown = f"{item.value:.2%}" if item.unit == "rate" else money
        table.add_row(item.measure, escape(describe_scope(scope)), shown)
    out.print(table)
    for line in evidence.not_evidenced:
        out.print(f"Not evidenced: {line}")
    out.print(f"Evidence {evidence.digest}")


def explained(out: Console, document: Mapping[str, Any], language: str) -> None:
    """Print the explanation of one decision; the words of the documents stay English."""
    for line in (*_limits(document, language), *_reasons(document, language)):
        out.print(line, markup=False, soft_wrap=True)
    stage, policy = _term("stage", language), _term("policy", language)
    for move in document["stages"] or ():
        limits = f"{move['from_minor'] / 100:,.2f} -> {move['to_minor'] / 100:,.2f}"
        out.print(f"  {stage} {move['stage']}: {limits}")
    where = f", {document['vintage']} --row {document['row']}" if "vintage" in document else ""
    out.print(f"{policy} {document['policy']}{where}", markup=False)


def _limits(document: Mapping[str, Any], language: str) -> Iterator[str]:
    currency, colon = document["currency"], ":" if language == "zh" else ": "
    before, after = (document[f"limit_{when}_minor"] / 100 for when in ("before", "after"))
    action = _term(document["action"], language)
    yield f"{action}{colon}{currency} {before:,.2f} -> {after:,.2f}"
    if uplift := document["temporary_uplift_minor"]:
        until = f"{_term('until', language)}{document['uplift_expires_on']}"
        yield f"{_term('temporary', language)}{colon}{currency} {uplift / 100:,.2f}{until}"


def _reasons(document: Mapping[str, Any], language: str) -> Iterator[str]:
    if not document["reasons"]:
        yield f"  - {_term('unmoved', language)}"
    model, undone = document["model_reasons"], document.get("counterfactual")
    for reason in document["reasons"]:
        yield f"  - {_with_origin(reason, language)}"
        if reason["code"] == model.get("refines"):
            yield from (f"      - {_with_origin(finer, language)}" for finer in model["reasons"])
    if model["outcome"] == "INCONCLUSIVE":
        yield f"{_term('model_reasons', language)}: INCONCLUSIVE. {_why(model, language)}"
    if undone is not None and undone["changes"]:
        changes = [change[language] for change in undone["changes"]]
        yield _term("avoided", language) + ("、" if language == "zh" else "; ").join(changes)
    elif undone is not None and undone["reason"] != model["reason"]:
        yield f"{_term('helped', language)}: {undone['outcome']}. {_why(undone, language)}"


def _term(name: str, language: str) -> str:
    return TERMS[name].zh if language == "zh" else TERMS[name].en


def _with_origin(reason: Mapping[str, Any], language: str) -> str:
    if not reason["origin"]:
        return str(reason[language])
    space = "" if language == "zh" else " "
    return f"{reason[language]}{space}({_term(reason['origin'], language)})"


def _why(found: Mapping[str, Any], language: str) -> str:
    return str((language == "zh" and found.get("reason_zh")) or found["reason"])


def _table(title: str | None, *columns: str) -> Table:
    """Return an empty table; a column whose name ends in > holds numbers."""
    table = Table(title=title, title_justify="left")
    for name in columns:
        # A name that is cut off names nothing; it goes on in the next line.
        is_number = name.endswith(">")
        table.add_column(
            name.removesuffix(">"),
            justify="right" if is_number else "left",
            overflow="fold",
            no_wrap=is_number,
        )
    return table
