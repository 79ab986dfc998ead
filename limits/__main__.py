"""Commands of the limits room."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from governance import command
from governance.command import AsJson
from governance.errors import IntegrityError, UsageError

if TYPE_CHECKING:
    from limits.decision_log import DecisionLog

app = command.room("limits", "Turn a risk into a limit, say why, and be able to do it again.")

AsOf = Annotated[str, typer.Option("--as-of", metavar="YYYY-MM-DD", help="Day of the decision.")]


@app.command()
@command.guarded
def decide(
    as_of: AsOf = "",
    features: Annotated[
        Path | None, typer.Option(help="Feature table; default: the newest of --contract.")
    ] = None,
    contract: Annotated[str, typer.Option(help="Contract id of the table.")] = "uci-credit",
    policy: Annotated[
        Path | None, typer.Option(help="Bring your own: a limit policy file.")
    ] = None,
    input_file: Annotated[
        Path | None, typer.Option("--input", help="Bring your own: a plain Parquet or CSV table.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Bring your own: where the decisions go (Parquet).")
    ] = None,
    freeze: Annotated[str, typer.Option(help="nothing, or raises.")] = "nothing",
    as_json: AsJson = False,
) -> None:
    """Decide a book with the verified champion, or a plain table with a policy of yours."""
    from limits.engine import Freeze

    day = command.parse_day(as_of)
    if freeze not in set(Freeze):
        raise UsageError("--freeze takes nothing or raises.")
    own = [policy, input_file, output]
    if any(own):
        if policy is None or input_file is None or output is None:
            raise UsageError("Your own table needs --policy, --input and --output together.")
        from limits import plain_table

        document = plain_table.decide(
            input_file, output, policy=policy, as_of=day, freeze=Freeze(freeze)
        )
        command.emit(document, as_json=as_json, people=lambda out: _show_counts(out, document))
        return
    from limits import book
    from privacy.keyring import Keyring

    settings = command.load_home()
    keyring = Keyring.open(settings.keyring)
    with command.stderr.status("Verifying the champion and deciding the book ..."):
        table = book.open_table(settings, features or contract, keyring=keyring)
        decided = book.decide(settings, table, keyring=keyring, as_of=day, freeze=Freeze(freeze))
    document = {**_document(decided.log), "is_new": decided.is_new}
    command.emit(document, as_json=as_json, people=lambda out: _show_counts(out, document))


@app.command()
@command.guarded
def replay(
    vintage: Annotated[str, typer.Option(metavar="YYYY-MM", help="Month of the decisions.")],
    sample: Annotated[int, typer.Option(help="How many decisions to make again.")] = 100,
    seed: Annotated[int, typer.Option(help="Seed of the sample.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Make a sample of logged decisions again and compare, to the cent; exit 15 if one differs."""
    from limits import replay as replaying
    from privacy.keyring import Keyring

    settings = command.load_home()
    keyring = Keyring.open(settings.keyring)
    with command.stderr.status("Replaying decisions ..."):
        found = replaying.replay(settings, vintage, keyring=keyring, sample=sample, seed=seed)
    document = {
        "schema": "replay/1",
        "vintage": found.vintage,
        "model": found.model,
        "decisions": found.decisions,
        "differing": found.differing,
    }
    said = "all equal to the cent" if found.is_equal else f"NOT equal: {found.differing}"
    line = f"{found.decisions:,} decisions of {vintage} made again: {said}\nModel {found.model}"
    command.emit(document, as_json=as_json, people=lambda out: out.print(line))
    if not found.is_equal:
        raise IntegrityError(
            f"Replayed decisions of {vintage} differ from the log: {found.differing}."
        )


def _document(log: DecisionLog) -> dict[str, Any]:
    return {
        "schema": "decisions/1",
        "identity": dict(log.identity),
        "counts": dict(log.manifest["counts"]),
        "path": str(log.path),
    }


def _show_counts(out: Any, document: dict[str, Any]) -> None:
    from rich.table import Table

    counts, identity = document["counts"], document["identity"]
    table = Table(title=f"Limit decisions as of {identity['as_of']}", title_justify="left")
    table.add_column("action")
    table.add_column("customers", justify="right")
    table.add_column("share", justify="right")
    customers = counts["customers"]
    for action, number in counts["actions"].items():
        share = f"{number / customers:.1%}" if customers else "none"
        table.add_row(action, f"{number:,}", share)
    out.print(table)
    before, after = counts["limits_before_minor"] / 100, counts["limits_after_minor"] / 100
    out.print(f"Sum of limits: {identity['currency']} {before:,.0f} before, {after:,.0f} after")
    again = "" if document.get("is_new", True) else " (decided before; nothing was rewritten)"
    out.print(f"Policy {identity['policy']}{again}")
    out.print(f"Decision log: {document['path']}")


if __name__ == "__main__":
    app(prog_name="python -m limits")
