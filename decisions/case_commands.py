"""Verbs about single customers' cases: notices, human review, and who computed a limit."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from decisions.options import InLanguage, Language, Vintage
from governance import command
from governance.command import AsJson, Encoding, OnDay
from governance.errors import Breach, EnvironmentFault, Inconclusive, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from rich.console import Console

    from decisions.outbox import Outbox, Sent
    from decisions.review_queue import ReviewQueue
    from decisions.routes import Route
    from governance.settings import Settings

review_app = typer.Typer(no_args_is_help=True, help="Let people decide what a machine may not.")

Number = Annotated[int, typer.Argument(metavar="CASE", help="The number of the case.")]


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
    from decisions import notices
    from privacy.keyring import Keyring

    settings, day = command.load_home(), command.parse_day(on)
    routes = _routes(settings, to, route or [])
    announcement = notices.Announcement(
        lender=notices.Lender(name_en=lender or "Example Bank", name_zh=lender or "示例银行"),
        language=language,
        on=day,
    )
    ring = Keyring.open(settings.keyring)
    with command.stderr.status("Finding the reasons of cuts ..."):
        new, reasons = notices.queue(settings, vintage, announcement, keyring=ring, routes=routes)
    box = notices.outbox(settings)
    if retry_now:
        box.wake()
    sent = _deliver(box, routes, datetime.now(UTC))
    document = {
        "schema": "notices/3",
        "vintage": vintage,
        "queued": new,
        "explained_by_model": int((reasons.cited >= 0).any(axis=1).sum()),
        "model_reasons": {
            "outcome": reasons.outcome.value,
            "reason": reasons.explainer.problem,
        },
        **_delivered(sent, box),
    }
    command.emit(document, as_json=as_json, people=lambda out: _tell_sent(out, document))
    failing = [one.route for one in sent if one.failed]
    if failing:
        raise EnvironmentFault(
            f"Not every notice was taken by {', '.join(failing)}. Nothing is lost: what waits is "
            "tried again by the next run, when its rest is over."
        )


def _routes(settings: Settings, to: Path | None, given: Sequence[str]) -> list[Route]:
    from decisions import routes

    if to is not None and given:
        raise UsageError("Give --to or --route.")
    if to is not None:
        return [routes.File(path=to)]
    return routes.configured(settings, given) or [
        routes.Terminal(say=lambda text: command.stderr.print(text, markup=False))
    ]


def _deliver(box: Outbox, routes: Sequence[Route], now: datetime) -> list[Sent]:
    waiting = box.waiting()
    total = sum(waiting.get(route.name, 0) for route in routes)
    with command.progress("Delivering", total) as done:
        return box.deliver(routes, now=now, progress=lambda count: done("notices", count))


def _delivered(sent: Sequence[Sent], box: Outbox) -> dict[str, Any]:
    named = {one.route for one in sent}
    names = ("delivered", "failed", "waiting")
    return {
        **{name: sum(getattr(one, name) for one in sent) for name in names},
        "routes": [
            {name: getattr(one, name) for name in ("route", *names, "reason")} for one in sent
        ],
        # A route that nobody names any more still owes its customers what it did not take.
        "waiting_elsewhere": {
            name: count for name, count in box.waiting().items() if count and name not in named
        },
    }


def _tell_sent(out: Console, document: dict[str, Any]) -> None:
    out.print(f"{document['queued']:,} queued for {document['vintage']}", markup=False)
    for one in document["routes"]:
        line = f"{one['route']}: {one['delivered']:,} delivered, {one['waiting']:,} waiting"
        why = f" ({one['failed']:,} failed: {one['reason']})" if one["failed"] else ""
        out.print(line + why, markup=False)
    for name, count in document["waiting_elsewhere"].items():
        out.print(f"{name}: {count:,} waiting, and not asked for now", markup=False)


@command.guarded
def ownership(
    vintage: Annotated[str, typer.Option(metavar="YYYY-MM", help="A vintage of the log.")] = "",
    suggestions: Annotated[
        Path | None, typer.Option(help="What a partner suggested: Parquet or CSV.")
    ] = None,
    decisions: Annotated[
        Path | None, typer.Option(help="Bring your own: a table of decisions.")
    ] = None,
    key: Annotated[
        str, typer.Option(metavar="COL", help="Bring your own: the column both tables share.")
    ] = "",
    appetite: Annotated[
        Path | None, typer.Option(help="Risk appetite with the tolerances; the demo's if left out.")
    ] = None,
    list_file: Annotated[
        Path | None,
        typer.Option("--list", help="Where the decisions equal to the suggestion go, by row: CSV."),
    ] = None,
    on: OnDay = "",
    encoding: Encoding = "",
    as_json: AsJson = False,
) -> None:
    """Show that limits are computed here and not copied; 13 they are not, 14 cannot tell."""
    from decisions import ownership as owning
    from decisions import printing
    from privacy.keyring import Keyring
    from registry.judgement import read_appetite

    if list_file is not None and suggestions is None:
        raise UsageError("--list needs --suggestions: without them nothing is equal to anything.")
    if bool(vintage) == bool(decisions):
        raise UsageError("Give --vintage, or --decisions with --suggestions and --key.")
    if decisions is not None and (suggestions is None or not key):
        raise UsageError("Your own --decisions need --suggestions and --key.")
    tolerance = owning.Tolerance(
        appetite=read_appetite(appetite),
        # The lines of the month that was decided, and not those of the day that looks back.
        on=command.parse_day(on or (f"{vintage}-01" if vintage else "")),
    )
    proposed = _table(suggestions, "suggestions", encoding)
    decided = _table(decisions, "decisions", encoding)
    if decided is not None and proposed is not None:
        found, compared = owning.of_tables(decided, proposed, key=key, tolerance=tolerance)
    else:
        home = command.load_home()
        ring = Keyring.open(home.keyring)
        found, compared = owning.of_vintage(
            home, vintage, proposed, keyring=ring, tolerance=tolerance
        )
    about: dict[str, Any] = {"vintage": vintage} if vintage else {}
    if list_file is not None and compared is not None:
        about["listed"] = owning.write_equal(compared, list_file)
    document = owning.document(found, tolerance, about)

    def show(out: Console) -> None:
        printing.measured(out, "Own computation", document)
        if list_file is not None:
            out.print(f"{document['listed']['rows']:,} equal limits: {list_file}", markup=False)

    command.emit(document, as_json=as_json, people=show)
    said = "That limits are computed here was not shown: a measurement"
    if document["outcome"] == "BREACH":
        raise Breach(f"{said} is outside its tolerance.")
    if document["outcome"] == "INCONCLUSIVE":
        raise Inconclusive(f"{said} cannot tell.")


def _table(path: Path | None, what: str, encoding: str) -> pa.Table | None:
    from governance.table import PlainFile

    if path is None:
        return None
    return PlainFile(path=path, what=f"table of {what}", encoding=encoding).read()


@review_app.callback()
def review(as_json: AsJson = False) -> None:
    """Let people decide what a machine may not, and measure how well they do."""


@review_app.command("queue")
@command.guarded
def queue(
    vintage: Vintage,
    row: Annotated[
        int, typer.Option(help="This row alone, from 0: its customer objects.", min=-1)
    ] = -1,
    on: OnDay = "",
    as_json: AsJson = False,
) -> None:
    """Queue what the machine handed to a person, or one decision that a customer objects to."""
    from decisions import review_measures, review_queue

    home, held = _review_queue()
    chosen, day = None if row < 0 else row, command.parse_day(on)
    numbers = review_queue.queue_vintage(home, vintage, keyring=held.keyring, on=day, row=chosen)
    review_measures.publish(home, held)
    document = {"schema": "review-queue/1", "vintage": vintage, "queued": numbers}
    _say(document, [f"New cases of {vintage}: {len(numbers):,}"], as_json=as_json)


@review_app.command("list")
@command.guarded
def list_(
    number: Annotated[
        int | None, typer.Argument(metavar="[CASE]", help="One case, with what may be decided.")
    ] = None,
    state: Annotated[str, typer.Option(help="open, decided or outcome_known; left out: all.")] = "",
    as_json: AsJson = False,
) -> None:
    """List the cases by number, without amounts; one case with limit, reasons and bounds."""
    from decisions.review_queue import STATES

    if state and (state not in STATES or number is not None):
        raise UsageError(f"A state is one of {', '.join(STATES)}, and without a case.")
    _, held = _review_queue()
    if number is not None:
        shown = held.case(number).as_document()
        _say({"schema": "review-case/1", **shown}, _lines(shown), as_json=as_json)
        return
    rows = [case.as_row() for case in held.cases() if state in ("", case.state)]
    lines = [
        f"case {row['case']}  {row['vintage']}  {row['trigger']}  queued {row['queued_on']}  "
        f"{row['state']}" + (f"  {row['decision']}" if row["decision"] else "")
        for row in rows
    ]
    document = {"schema": "review-list/1", "cases": rows}
    _say(document, [*lines, f"Cases: {len(rows):,}"], as_json=as_json)


def _lines(shown: dict[str, Any]) -> list[str]:
    names = {
        "limit_before_minor": "limit",
        "limit_of_machine_minor": "the machine says",
        "lowest_minor": "lowest",
        "highest_minor": "highest",
    }
    lines = [f"case {shown['case']}: {shown['trigger']}, {shown['state']}"]
    for name, said in names.items():
        lines.append(f"  {said}: {shown['currency']} {shown[name] / 100:,.2f}")
    return [*lines, *(f"  - {reason}" for reason in shown["reasons"])]


@review_app.command("decide")
@command.guarded
def decide(
    number: Number,
    decision: Annotated[str, typer.Option(help="keep, raise or cut.")],
    reviewer: Annotated[str, typer.Option(help="Who answers for it; kept sealed.")],
    reason: Annotated[str, typer.Option(help="Why, in a sentence; kept sealed.")],
    amount_minor: Annotated[
        int, typer.Option(min=-1, help="The new limit in minor units; keep takes none.")
    ] = -1,
    on: OnDay = "",
    as_json: AsJson = False,
) -> None:
    """Decide a case inside the policy's bounds; once, and while raises stop, no raise (12)."""
    from decisions import review_measures, review_queue

    if decision not in set(review_queue.Ruling):
        raise UsageError(f"A person decides {', '.join(review_queue.Ruling)}.")
    home, held = _review_queue()
    verdict = held.case(number).verdict_of(
        review_queue.Ruling(decision),
        None if amount_minor < 0 else amount_minor,
        reviewer=reviewer,
        reason=reason,
        on=command.parse_day(on),
    )
    review_queue.decide(home, number, verdict, keyring=held.keyring)
    review_measures.publish(home, held)
    row = held.case(number).as_row()
    said = "otherwise than the machine" if row["is_override"] else "as the machine"
    line = f"Case {number} is decided: {decision}, {said}."
    _say({"schema": "review-decision/1", **row}, [line], as_json=as_json)


@review_app.command("outcome")
@command.guarded
def outcome(
    number: Number,
    turned: Annotated[str, typer.Option("--turned", help="good or bad.")],
    on: OnDay = "",
    as_json: AsJson = False,
) -> None:
    """Record later how a decided case turned out; once."""
    from decisions import review_measures
    from decisions.review_queue import Turned

    if turned not in set(Turned):
        raise UsageError(f"A case turned out {' or '.join(Turned)}.")
    home, held = _review_queue()
    held.turn(held.case(number), Turned(turned), on=command.parse_day(on))
    review_measures.publish(home, held)
    document = {"schema": "review-outcome/1", **held.case(number).as_row()}
    _say(document, [f"Case {number} turned out {turned}."], as_json=as_json)


@review_app.command("report")
@command.guarded
def report(
    on: OnDay = "",
    within_days: Annotated[int, typer.Option(min=0, help="How long a case may wait.")] = 30,
    tolerance: Annotated[
        float, typer.Option(min=0, max=1, help="Tolerated excess of bad outcomes of overrides.")
    ] = 0.05,
    as_json: AsJson = False,
) -> None:
    """Measure overrides, their outcomes and who waits; 13 broken, 14 cannot tell."""
    from decisions import printing, review_measures

    day, (home, held) = command.parse_day(on), _review_queue()
    found = review_measures.measure(
        held.cases(), on=day, within_days=within_days, tolerance=tolerance
    )
    found.append(review_measures.measure_accounting(home, held))
    document = review_measures.document(found, day)
    title = f"Human review on {day}"
    command.emit(
        document, as_json=as_json, people=lambda out: printing.measured(out, title, document)
    )
    if document["outcome"] == "BREACH":
        raise Breach("Human review is outside its tolerance: cases wait, or overrides go wrong.")
    if document["outcome"] == "INCONCLUSIVE":
        raise Inconclusive("Too few outcomes are known to say whether overrides are well done.")


def _review_queue() -> tuple[Settings, ReviewQueue]:
    from decisions.review_queue import ReviewQueue
    from privacy.keyring import Keyring

    home = command.load_home()
    return home, ReviewQueue.of(home, Keyring.open(home.keyring))


def _say(document: dict[str, Any], lines: list[str], *, as_json: bool) -> None:
    def people(out: Console) -> None:
        for line in lines:
            out.print(line, markup=False)

    command.emit(document, as_json=as_json, people=people)
