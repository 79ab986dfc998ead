"""The verbs of ``limitline review``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from decisions.options import Vintage
from governance import command
from governance.command import AsJson, OnDay
from governance.errors import Breach, Inconclusive, UsageError

if TYPE_CHECKING:
    from decisions.reviewing.docket import Docket

app = typer.Typer(no_args_is_help=True, help="Let people decide what a machine may not.")

Number = Annotated[int, typer.Argument(metavar="CASE", help="The number of the case.")]


@app.callback()
def review(as_json: AsJson = False) -> None:
    """Let people decide what a machine may not, and measure how well they do."""


@app.command("queue")
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
    from decisions.reviewing import intake, involvement
    from privacy.keyring import Keyring

    home, day = command.load_home(), command.parse_day(on)
    ring = Keyring.open(home.keyring)
    chosen = None if row < 0 else row
    numbers = intake.queue(home, vintage, keyring=ring, on=day, row=chosen)
    involvement.publish(home, intake.docket(home, ring))
    document = {"schema": "review-queue/1", "vintage": vintage, "queued": numbers}
    _say(document, [f"New cases of {vintage}: {len(numbers):,}"], as_json=as_json)


@app.command("list")
@command.guarded
def list_(
    state: Annotated[str, typer.Option(help="open, decided or outcome_known; left out: all.")] = "",
    as_json: AsJson = False,
) -> None:
    """List the cases by number; amounts and names are not shown."""
    from decisions.reviewing.case import State

    if state and state not in set(State):
        raise UsageError(f"A state is one of {', '.join(State)}.")
    rows = [case.as_row() for case in _docket().cases() if state in ("", case.state)]
    lines = [
        f"case {row['case']}  {row['vintage']}  {row['trigger']}  queued {row['queued_on']}  "
        f"{row['state']}" + (f"  {row['decision']}" if row["decision"] else "")
        for row in rows
    ]
    document = {"schema": "review-list/1", "cases": rows}
    _say(document, [*lines, f"Cases: {len(rows):,}"], as_json=as_json)


@app.command("show")
@command.guarded
def show(number: Number, as_json: AsJson = False) -> None:
    """Show what a reviewer needs: limit, reasons, and what the policy lets a person decide."""
    shown = _docket().case(number).as_document()
    unit = shown["currency"]
    names = {
        "limit_before_minor": "limit",
        "limit_of_machine_minor": "the machine says",
        "lowest_minor": "lowest",
        "highest_minor": "highest",
    }
    lines = [f"case {number}: {shown['trigger']}, {shown['state']}"]
    lines += [f"  {said}: {unit} {shown[name] / 100:,.2f}" for name, said in names.items()]
    lines += [f"  - {reason}" for reason in shown["reasons"]]
    _say({"schema": "review-case/1", **shown}, lines, as_json=as_json)


@app.command("decide")
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
    from decisions.reviewing import intake, involvement
    from decisions.reviewing.case import Decision
    from privacy.keyring import Keyring

    if decision not in set(Decision):
        raise UsageError(f"A person decides {', '.join(Decision)}.")
    home, day = command.load_home(), command.parse_day(on)
    ring = Keyring.open(home.keyring)
    verdict = (
        intake.docket(home, ring)
        .case(number)
        .verdict_of(
            Decision(decision),
            None if amount_minor < 0 else amount_minor,
            reviewer=reviewer,
            reason=reason,
            on=day,
        )
    )
    intake.decide(home, number, verdict, keyring=ring)
    involvement.publish(home, intake.docket(home, ring))
    row = intake.docket(home, ring).case(number).as_row()
    said = "otherwise than the machine" if row["is_override"] else "as the machine"
    line = f"Case {number} is decided: {decision}, {said}."
    _say({"schema": "review-decision/1", **row}, [line], as_json=as_json)


@app.command("outcome")
@command.guarded
def outcome(
    number: Number,
    turned: Annotated[str, typer.Option("--turned", help="good or bad.")],
    on: OnDay = "",
    as_json: AsJson = False,
) -> None:
    """Record later how a decided case turned out; once."""
    from decisions.reviewing import involvement
    from decisions.reviewing.case import Turned

    if turned not in set(Turned):
        raise UsageError(f"A case turned out {' or '.join(Turned)}.")
    held, day = _docket(), command.parse_day(on)
    held.turn(held.case(number), Turned(turned), on=day)
    involvement.publish(command.load_home(), held)
    document = {"schema": "review-outcome/1", **held.case(number).as_row()}
    _say(document, [f"Case {number} turned out {turned}."], as_json=as_json)


@app.command("report")
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
    from decisions import printing
    from decisions.reviewing import involvement, quality

    day, held = command.parse_day(on), _docket()
    found = quality.measure(held.cases(), on=day, within_days=within_days, tolerance=tolerance)
    found.append(involvement.measure(command.load_home(), held))
    document = quality.document(found, day)
    tell = printing.measured
    command.emit(
        document, as_json=as_json, people=lambda out: tell(out, f"Human review on {day}", document)
    )
    if document["outcome"] == "BREACH":
        raise Breach("Human review is outside its tolerance: cases wait, or overrides go wrong.")
    if document["outcome"] == "INCONCLUSIVE":
        raise Inconclusive("Too few outcomes are known to say whether overrides are well done.")


def _docket() -> Docket:
    from decisions.reviewing import intake
    from privacy.keyring import Keyring

    home = command.load_home()
    return intake.docket(home, Keyring.open(home.keyring))


def _say(document: dict[str, Any], lines: list[str], *, as_json: bool) -> None:
    def people(out: Console) -> None:
        for line in lines:
            out.print(line, markup=False)

    command.emit(document, as_json=as_json, people=people)
