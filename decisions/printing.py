"""What people read on the terminal; the JSON documents say the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from governance.evidence import Evidence
from governance.measurement import describe_scope

_ACTIONS = ("raise", "hold", "cut", "review")
_MOST_LINES = 5
# Texts that are Chinese for Chinese readers; what is English stays the word of the documents.
_IN_CHINESE = {
    "raise": "提额",
    "hold": "维持",
    "cut": "降额",
    "review": "转人工审核",
    "model": "风险评估",
    "policy_cap": "额度规则",
    "portfolio_action": "机构整体调整",
}
_UNMOVED = ("No rule moves this limit", "现行规则下额度无需调整")


def decided(out: Console, document: Mapping[str, Any]) -> None:
    """Print the counts of a run of decisions."""
    counts, identity = document["counts"], document["identity"]
    out.print(f"Limit decisions as of {identity['as_of']}")
    table = Table()
    table.add_column("action")
    table.add_column("customers", justify="right")
    table.add_column("share", justify="right")
    customers = counts["customers"]
    for action in sorted(counts["actions"], key=_ACTIONS.index):
        number = counts["actions"][action]
        share = f"{number / customers:.1%}" if customers else "none"
        table.add_row(action, f"{number:,}", share)
    out.print(table)
    before, after = counts["limits_before_minor"] / 100, counts["limits_after_minor"] / 100
    out.print(f"Sum of limits: {identity['currency']} {before:,.0f} before, {after:,.0f} after")
    if uplifts := counts.get("temporary_uplifts_minor"):
        out.print(f"Temporary uplifts: {identity['currency']} {uplifts / 100:,.0f}")
    # A vintage that was decided before says itself why; only a new one was told just now.
    stopped = document.get("raises_stopped_because") or identity.get("freeze_reasons", ())
    for reason in stopped[:_MOST_LINES]:
        out.print(f"Raises are stopped: {reason}.", style="yellow", markup=False, soft_wrap=True)
    if len(stopped) > _MOST_LINES:
        out.print(f"    and {len(stopped) - _MOST_LINES} more: --json lists them", style="yellow")
    if not document.get("is_supervised", True):
        out.print(
            "The policy has no [supervision]: a monitor that falls silent stops no raise.",
            style="yellow",
        )
    if gaps := identity.get("history", {}).get("gaps"):
        months = ", ".join(gaps)
        out.print(
            f"The log has no vintage for {months}; it knows of no change then.", style="yellow"
        )
    if document.get("are_customers_unique", True) is None:
        out.print(
            "Whether a customer appears twice was not checked: give --customer.", style="yellow"
        )
    for line in document.get("not_evidenced", ()):
        out.print(f"Not evidenced: {line}", style="yellow", soft_wrap=True)
    again = "" if document.get("is_new", True) else " (decided before; nothing was rewritten)"
    out.print(f"Policy {identity['policy']}{again}")
    name = "Decisions" if "are_customers_unique" in document else "Decision log"
    out.print(f"{name}: {document['path']}", markup=False, soft_wrap=True)


def checked(out: Console, document: Mapping[str, Any]) -> None:
    """Print the laws of a policy check, and the smallest input that breaks each broken one."""
    table = Table(title=f"Laws of {document['policy']}", title_justify="left")
    table.add_column("law")
    table.add_column("inputs", justify="right")
    table.add_column("broken by", justify="right")
    table.add_column("outcome")
    for item in document["measurements"]:
        broken = "" if item["value"] is None else f"{item['value']:,.0f}"
        row = (item["scope"]["law"], f"{item['n']:,}", broken, item["outcome"])
        table.add_row(*row)
    out.print(table)
    for example in document["counterexamples"]:
        title = f"BROKEN {example['law']}: {example['text_en']} ({example['text_zh']})"
        out.print(title, markup=False, soft_wrap=True)
        out.print(
            f"  smallest input, as of {example['as_of']}, regime {example['regime']}, "
            f"freeze {example['freeze']}; everything else is that of an ordinary customer:",
            soft_wrap=True,
        )
        for name, value in example["differs"].items():
            # Laws of two customers compare this one with a second who differs in that alone.
            second = "  (the customer it is compared with)" if name.startswith("other_") else ""
            out.print(f"    {name} = {value}{second}", markup=False, soft_wrap=True)
        told = example["decided"]
        out.print(
            f"  decided: {told['limit_before_minor']} -> {told['limit_after_minor']} minor units, "
            f"uplift {told['temporary_uplift_minor']}, {told['action']}, band {told['band']}",
            soft_wrap=True,
        )
    for rule in document["never_acted"]:
        out.print(f"NEVER ACTED: {rule}")
    out.print(f"{document['inputs']:,} inputs, seed {document['seed']}: {document['outcome']}")


def measured(out: Console, title: str, document: Mapping[str, Any]) -> None:
    """Print measurements with their intervals, outcomes and what was not shown."""
    table = Table(title=title, title_justify="left")
    for name in ("measure", "scope", "value", "95 % interval", "n", "outcome"):
        is_number = name in ("value", "95 % interval", "n")
        # A name that is cut off names nothing; it goes on in the next line.
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for item in document["measurements"]:
        form = ",.0f" if item["unit"] in ("count", "days") else ".3f"
        numbers = [
            "" if item[name] is None else f"{item[name]:{form}}"
            for name in ("value", "low", "high")
        ]
        interval = f"{numbers[1]} to {numbers[2]}" if numbers[1] else ""
        scope = describe_scope(item["scope"]) if item["scope"] else ""
        row = (item["measure"], scope, numbers[0], interval, f"{item['n']:,}")
        table.add_row(*row, item["outcome"])
    out.print(table)
    for item in document["measurements"]:
        if item["reason"]:
            place = f" ({describe_scope(item['scope'])})" if item["scope"] else ""
            said = f"{item['outcome']} {item['measure']}{place}: {item['reason']}"
            out.print(said, markup=False, soft_wrap=True)
    for line in document.get("not_evidenced", ()):
        out.print(f"Not evidenced: {line}", markup=False)
    out.print(f"Outcome: {document['outcome']}")


def impact(out: Console, evidence: Evidence) -> None:
    """Print an impact report."""
    table = Table(title=f"Policy impact as of {evidence.measured_on}", title_justify="left")
    table.add_column("measure", overflow="fold")
    table.add_column("scope")
    table.add_column("value", justify="right", no_wrap=True)
    for item in evidence.measurements:
        scope = dict(item.scope)
        # Money stands beside its currency; evidence of earlier releases does not say which.
        unit = scope.pop("currency", "")
        shown = "withheld"
        if item.value is not None:
            money = f"{unit} {item.value / 100:,.0f}".strip()
            shown = f"{item.value:.2%}" if item.unit == "rate" else money
        table.add_row(item.measure, describe_scope(scope), shown)
    out.print(table)
    for line in evidence.not_evidenced:
        out.print(f"Not evidenced: {line}")
    out.print(f"Evidence {evidence.digest}")


def explained(out: Console, document: Mapping[str, Any], language: str) -> None:
    """Print the explanation of one decision."""
    before, after = (document[f"limit_{when}_minor"] / 100 for when in ("before", "after"))
    # A log of an earlier release does not say in which currency it counts.
    is_chinese, currency = language == "zh", f"{document.get('currency') or ''} ".lstrip()
    action = _IN_CHINESE[document["action"]] if is_chinese else document["action"]
    limits = f"{currency}{before:,.2f} -> {after:,.2f}"
    out.print(f"{action}{':' if is_chinese else ': '}{limits}", markup=False)
    if document["temporary_uplift_minor"]:
        amount, end = document["temporary_uplift_minor"] / 100, document["uplift_expires_on"]
        said = f"临时额度:{currency}{amount:,.2f},有效期至{end}" if is_chinese else ""
        out.print(said or f"temporary: {currency}{amount:,.2f} until {end}")
    if not document["reasons"]:
        out.print(f"  - {_UNMOVED[is_chinese]}", markup=False)
    model = document["model_reasons"]
    for reason in document["reasons"]:
        _told(out, reason, language, "  - ")
        if reason["code"] == model.get("refines"):
            for finer in model["reasons"]:
                _told(out, finer, language, "      - ")
    if model["outcome"] == "INCONCLUSIVE":
        head = "模型原因" if language == "zh" else "Reasons of the model"
        out.print(f"{head}: INCONCLUSIVE. {_why(model, language)}", markup=False, soft_wrap=True)
    undone = document.get("counterfactual")
    if undone is not None and (undone["changes"] or undone["reason"] != model["reason"]):
        _undone(out, undone, language)
    for move in document["stages"] or ():
        limits = f"{move['from_minor'] / 100:,.2f} -> {move['to_minor'] / 100:,.2f}"
        out.print(f"  {'环节' if is_chinese else 'stage'} {move['stage']}: {limits}")
    where = f", {document['vintage']} --row {document['row']}" if "vintage" in document else ""
    out.print(f"{'政策' if is_chinese else 'Policy'} {document['policy']}{where}", markup=False)


def _told(out: Console, reason: Mapping[str, Any], language: str, lead: str) -> None:
    is_chinese, origin = language == "zh", reason["origin"]
    place = ""
    if origin:
        place = f"({_IN_CHINESE[origin]})" if is_chinese else f" ({origin})"
    out.print(f"{lead}{reason['zh' if is_chinese else 'en']}{place}", markup=False, soft_wrap=True)


def _undone(out: Console, found: Mapping[str, Any], language: str) -> None:
    """Print with which change the limit would not have been cut, or that there is none."""
    is_chinese = language == "zh"
    if not found["changes"]:
        head = "如何可以避免" if is_chinese else "What would have helped"
        said = f"{head}: {found['outcome']}. {_why(found, language)}"
        out.print(said, markup=False, soft_wrap=True)
        return
    told = [change["zh" if is_chinese else "en"] for change in found["changes"]]
    head = (
        "经重新计算,若已做到以下事项则不会下调:"
        if is_chinese
        else "Decided again, the limit would not have been cut with this change: "
    )
    out.print(head + ("、" if is_chinese else "; ").join(told), markup=False, soft_wrap=True)


def _why(found: Mapping[str, Any], language: str) -> str:
    return str((language == "zh" and found.get("reason_zh")) or found["reason"])
