"""The verbs of decisions: decide, explain, replay; the others are composed here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from decisions.case_commands import notify, ownership, review_app
from decisions.options import AsOf, DemandIndex, InLanguage, Language, Regime, Vintage
from decisions.policy_commands import app as policy_app
from governance import command
from governance.command import AsJson, Encoding
from governance.errors import IntegrityError, UsageError

if TYPE_CHECKING:
    from decisions.decision_log import DecisionLog

app = typer.Typer()


@app.command()
@command.guarded
def decide(
    as_of: AsOf = "",
    features: Annotated[
        Path | None, typer.Option(help="Feature table; default: the newest of --contract.")
    ] = None,
    contract: Annotated[str, typer.Option(help="Contract id of the table.")] = "uci-credit",
    policy: Annotated[
        Path | None,
        typer.Option(help="Bring your own: a limit policy file; no gate is asked about it."),
    ] = None,
    input_file: Annotated[
        Path | None, typer.Option("--input", help="Bring your own: a plain Parquet or CSV table.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Bring your own: where the decisions go (Parquet).")
    ] = None,
    customer: Annotated[
        str, typer.Option(help="Bring your own: the column that says whose row it is.")
    ] = "",
    engine: Annotated[str, typer.Option(help="Bring your own: embedded, or spark.")] = "embedded",
    freeze: Annotated[
        str, typer.Option(help="nothing, or raises; left out, the ledger says.")
    ] = "",
    regime: Regime = "neutral",
    demand_index: DemandIndex = "",
    encoding: Encoding = "",
    as_json: AsJson = False,
) -> None:
    """Decide a book with the verified champion, or a plain table with a policy of yours."""
    from decisions import printing
    from decisions.plan import Climate, Freeze

    day = command.parse_day(as_of)
    climate = Climate.read({"regime": regime, "demand_index": demand_index})
    if freeze and freeze not in set(Freeze):
        raise UsageError("--freeze takes nothing or raises.")
    frozen = Freeze(freeze) if freeze else None
    own = [policy, input_file, output]
    if any(own):
        if policy is None or input_file is None or output is None:
            raise UsageError("Your own table needs --policy, --input and --output together.")
        from decisions import plain_table, spark
        from decisions.policy import LimitPolicy

        run = spark.decide if spark.is_asked(engine) else plain_table.decide
        source = plain_table.Source(
            path=input_file,
            policy=LimitPolicy.load(policy),
            customer=customer or None,
            encoding=encoding,
        )
        stop = frozen or Freeze.NOTHING
        document = run(source, output, as_of=day, freeze=stop, climate=climate)
        command.emit(document, as_json=as_json, people=lambda out: printing.decided(out, document))
        return
    if engine != "embedded":
        raise UsageError("--engine takes a table of your own: --policy, --input and --output.")
    from decisions import book
    from privacy.keyring import Keyring

    settings = command.load_home()
    keyring = Keyring.open(settings.keyring)
    with command.stderr.status("Verifying the champion and deciding the book ..."):
        table = book.open_table(settings, features or contract, keyring=keyring)
        decided = book.decide(
            settings, table, keyring=keyring, as_of=day, freeze=frozen, climate=climate
        )
    said = {
        "is_new": decided.is_new,
        "is_supervised": decided.is_supervised,
        "raises_stopped_because": list(decided.reasons),
    }
    document = {**_document(decided.log), **said}
    command.emit(document, as_json=as_json, people=lambda out: printing.decided(out, document))


@app.command()
@command.guarded
def explain(
    row: Annotated[int, typer.Option(help="Which row, counted from 0.")] = 0,
    vintage: Annotated[str, typer.Option(metavar="YYYY-MM", help="A vintage of the log.")] = "",
    action: Annotated[
        str, typer.Option(help="With --vintage: count only raise, hold, cut or review.")
    ] = "",
    policy: Annotated[Path | None, typer.Option(help="Bring your own: a policy.")] = None,
    input_file: Annotated[
        Path | None, typer.Option("--input", help="Bring your own: a table.")
    ] = None,
    as_of: AsOf = "",
    regime: Regime = "neutral",
    demand_index: DemandIndex = "",
    language: InLanguage = Language.EN,
    encoding: Encoding = "",
    as_json: AsJson = False,
) -> None:
    """Say why one limit is what it is: of a vintage, or of a plain table with a policy."""
    from decisions import explanation, printing
    from decisions.engine import Action
    from decisions.plain_table import Source
    from decisions.plan import Climate, Moment
    from decisions.policy import LimitPolicy

    if action and (action not in set(Action) or not vintage):
        raise UsageError("--action takes raise, hold, cut or review, beside --vintage.")
    kind = Action(action) if action else None
    if vintage and (policy or input_file):
        raise UsageError("Give --vintage, or --policy with --input.")
    if vintage:
        document = explanation.of_vintage(command.load_home(), vintage, row, kind=kind)
    elif policy and input_file:
        source = Source(path=input_file, policy=LimitPolicy.load(policy), encoding=encoding)
        climate = Climate.read({"regime": regime, "demand_index": demand_index})
        moment = Moment(as_of=command.parse_day(as_of), climate=climate)
        document = explanation.explain(source.policy, source.row(row), moment)
    else:
        raise UsageError("Give --vintage, or --policy with --input.")
    tell = printing.explained
    command.emit(document, as_json=as_json, people=lambda out: tell(out, document, language))


@app.command()
@command.guarded
def replay(
    vintage: Vintage,
    sample: Annotated[int, typer.Option(help="How many decisions to make again.")] = 100,
    seed: Annotated[int, typer.Option(help="Seed of the sample.")] = 0,
    row: Annotated[
        int, typer.Option(help="One decision: its row in the vintage, from 0.", min=-1)
    ] = -1,
    kit: Annotated[
        Path | None,
        typer.Option(help="Instead: pack a new folder in which another machine can replay."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a sample of logged decisions again and compare, to the cent; exit 15 if one differs."""
    from decisions import replay as replaying
    from privacy.keyring import Keyring

    if kit is not None:
        _pack_kit(vintage, kit, as_json=as_json)
        return

    settings = command.load_home()
    keyring = Keyring.open(settings.keyring)
    with command.stderr.status("Verifying the model and replaying decisions ..."):
        if row < 0:
            found = replaying.replay(settings, vintage, keyring=keyring, sample=sample, seed=seed)
        else:
            found = replaying.replay_one(settings, vintage, row, keyring=keyring)
    document = {
        "schema": "replay/2",
        "vintage": found.vintage,
        "model": found.model,
        "decisions": found.decisions,
        "differing": found.differing,
        "differing_rows": list(found.rows),
        "other_code": found.other_code,
    }
    said = "all equal to the cent" if found.is_equal else f"NOT equal: {found.differing}"
    line = f"{found.decisions:,} decisions of {vintage} made again: {said}\nModel {found.model}"
    if found.rows:
        line += (
            f"\nRows that differ, the first {len(found.rows)}: {', '.join(map(str, found.rows))}"
        )
    if found.other_code:
        line += f"\nOther code: {found.other_code}"
    command.emit(document, as_json=as_json, people=lambda out: out.print(line))
    if not found.is_equal:
        raise IntegrityError(
            f"Replayed decisions of {vintage} differ from the log: {found.differing}. "
            f"{found.other_code.capitalize() or 'The code is the one that decided'}."
        )


def _pack_kit(vintage: str, output: Path, *, as_json: bool) -> None:
    """Pack what another machine needs to replay a vintage: no vault, no other table or key."""
    from decisions import replay as replaying
    from privacy.keyring import Keyring

    settings = command.load_home()
    keyring = Keyring.open(settings.keyring)
    with command.stderr.status("Packing the replay kit ..."):
        kit = replaying.pack(settings, vintage, output, keyring=keyring)
    document = {
        "schema": "replay-kit/1",
        "vintage": vintage,
        "path": str(kit.path),
        "files": list(kit.files),
        "keys": kit.keys,
    }
    lines = [
        f"{len(kit.files)} files and {kit.keys} keys in {kit.path}. There, with this product:",
        f"LIMITLINE_HOME={kit.path} limitline replay --vintage {vintage} --sample 10000",
    ]
    command.emit(
        document, as_json=as_json, people=lambda out: out.print("\n".join(lines), markup=False)
    )


def _document(log: DecisionLog) -> dict[str, Any]:
    return {
        "schema": "decisions/1",
        "identity": dict(log.identity),
        "counts": dict(log.manifest["counts"]),
        "path": str(log.path),
    }


# The order of the list is that of the work: decide, make sure, tell, look again.
app.command()(notify)
app.command()(ownership)
app.add_typer(policy_app, name="policy")
app.add_typer(review_app, name="review")
