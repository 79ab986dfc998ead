"""The verb ``limitline notify``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from decisions.options import InLanguage, Language, Vintage
from governance import command
from governance.command import AsJson
from governance.errors import EnvironmentFault, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from decisions.notifying.notification import Queued
    from decisions.notifying.outbox import Outbox, Sent
    from decisions.notifying.routes import Route
    from governance.settings import Settings


@command.guarded
def notify(
    vintage: Vintage,
    on: Annotated[
        str,
        typer.Option(metavar="YYYY-MM-DD", help="First day of the limits, in the texts: today."),
    ] = "",
    language: InLanguage = Language.ZH,
    to: Annotated[
        Path | None, typer.Option(help="A file to append to, in place of routes.toml and terminal.")
    ] = None,
    route: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=ADDRESS", help="An Apprise address or env:VARIABLE of one."),
    ] = None,
    retry_now: Annotated[
        bool, typer.Option("--retry-now", help="Try again also what still rests.")
    ] = False,
    lender: Annotated[str, typer.Option(help="Who writes; default: an example bank.")] = "",
    as_json: AsJson = False,
) -> None:
    """Queue a vintage's notices, deliver each by every route at least once; 16 if a route fails."""
    from decisions.notifying import notification
    from decisions.notifying.notices import Lender
    from privacy.keyring import Keyring

    settings, day = command.load_home(), command.parse_day(on)
    routes = _routes(settings, to, route or [])
    announcement = notification.Announcement(
        lender=Lender(name_en=lender or "Example Bank", name_zh=lender or "示例银行"),
        language=language,
        on=day,
    )
    ring = Keyring.open(settings.keyring)
    with command.stderr.status("Finding the reasons of cuts ..."):
        queued = notification.queue(settings, vintage, announcement, keyring=ring, routes=routes)
    box = notification.outbox(settings)
    if retry_now:
        box.wake()
    sent = _deliver(box, routes, datetime.now(UTC))
    document = _document(vintage, queued, sent, box)
    command.emit(document, as_json=as_json, people=lambda out: _say(out, document))
    failing = [one.route for one in sent if one.failed]
    if failing:
        raise EnvironmentFault(
            f"Not every notice was taken by {', '.join(failing)}. Nothing is lost: what waits is "
            "tried again by the next run, when its rest is over."
        )


def _routes(settings: Settings, to: Path | None, given: Sequence[str]) -> list[Route]:
    from decisions.notifying import routes, routing

    if to is not None and given:
        raise UsageError("Give --to or --route.")
    if to is not None:
        return [routes.File(path=to)]
    return routing.configured(settings, given) or [
        routes.Console(say=lambda text: command.stderr.print(text, markup=False))
    ]


def _deliver(box: Outbox, routes: Sequence[Route], now: datetime) -> list[Sent]:
    from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    waiting = box.waiting()
    total = sum(waiting.get(route.name, 0) for route in routes)
    columns = (TextColumn("Delivering"), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=command.stderr, transient=True) as bar:
        task = bar.add_task("", total=total)
        return box.deliver(routes, now=now, progress=lambda count: bar.advance(task, count))


def _document(vintage: str, queued: Queued, sent: Sequence[Sent], box: Outbox) -> dict[str, Any]:
    named = {one.route for one in sent}
    return {
        "schema": "notices/2",
        "vintage": vintage,
        "queued": queued.new,
        "explained_by_model": queued.explained,
        "model_reasons": {"outcome": queued.outcome.value, "reason": queued.reason},
        "delivered": sum(one.delivered for one in sent),
        "failed": sum(one.failed for one in sent),
        "waiting": sum(one.waiting for one in sent),
        "routes": [
            {
                "route": one.route,
                "delivered": one.delivered,
                "failed": one.failed,
                "waiting": one.waiting,
                "reason": one.reason,
            }
            for one in sent
        ],
        # A route that nobody names any more still owes its customers what it did not take.
        "waiting_elsewhere": {
            name: count for name, count in box.waiting().items() if count and name not in named
        },
        "sms": box.sms(vintage),
    }


def _say(out: Console, document: dict[str, Any]) -> None:
    out.print(f"{document['queued']:,} queued for {document['vintage']}", markup=False)
    for one in document["routes"]:
        line = f"{one['route']}: {one['delivered']:,} delivered, {one['waiting']:,} waiting"
        why = f" ({one['failed']:,} failed: {one['reason']})" if one["failed"] else ""
        out.print(line + why, markup=False)
    for name, count in document["waiting_elsewhere"].items():
        out.print(f"{name}: {count:,} waiting, and not asked for now", markup=False)
    sms = document["sms"]
    if sms["texts"]:
        out.print(f"{sms['texts']:,} SMS texts in {sms['parts']:,} parts, {sms['longest']} at most")
