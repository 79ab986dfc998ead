"""The command ``limitline``: every room's verbs in one list, in panels, each with examples.

A verb is declared in the room that does its work; what needs two rooms is declared here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from decisions.commands import app as decisions_app
from governance import command
from governance.command import AsJson
from governance.errors import UsageError
from lab.commands import app as lab_app
from limitline import examples
from monitoring.commands import app as monitoring_app
from privacy.commands import app as privacy_app
from registry.commands import app as registry_app
from registry.gate_commands import lines_of, pairs_of
from training.commands import app as training_app

PROMISE = (
    "Who set this credit limit, with which data, was it right, was it fair, and can an outsider "
    "check it?"
)

keys_app = typer.Typer(no_args_is_help=True)
both_app = typer.Typer()


@keys_app.callback()
def keys() -> None:
    """The keys of this home: data keys and signing keys."""


@keys_app.command("init")
@command.guarded
def make_keys(
    names: Annotated[
        list[str] | None, typer.Option("--name", help="Who holds a key: role=name; repeatable.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make the keyring, development keys for every role, and the ledger; keep what exists."""
    from privacy import keyring as rings
    from registry import people as roll
    from registry.ledger import Ledger
    from registry.signing import NOTICE, Role, Signer

    home = command.load_home()
    is_new = not (home.keyring / rings.RING_FILE).exists()
    ring = rings.create(home.keyring) if is_new else rings.Keyring.open(home.keyring)
    people = roll.found(home, pairs_of(names or [], "--name risk_approver='Li Wei'"))
    head = Ledger.open(home.ledger, Signer.open(home.keyring, Role.LEDGER), people=people).verify()
    keys = {person.role: person.key_id for person in people.by_key.values()}
    document = {
        "schema": "keys-init/1",
        "created": is_new,
        "ring_id": ring.ring_id,
        "key_version": ring.key_version,
        "folder": str(home.keyring),
        "keys": keys,
        "notice": NOTICE,
        "entries": head.size,
    }
    lines = [
        f"{'Made' if is_new else 'Found'} the keyring {ring.ring_id} at {home.keyring}.",
        f"Signing keys for {len(keys)} roles there; {NOTICE}.",
        f"Ledger in {home.ledger}.",
    ]
    if is_new:
        lines.append("Back the keyring up: without it no feature table and no vault can be opened.")
    command.emit(document, as_json=as_json, people=lines_of(lines))


@both_app.command()
@command.guarded
def verify(
    pack: Annotated[
        Path | None, typer.Argument(help="An evidence pack; the home if left out.")
    ] = None,
    table: Annotated[
        Path | None, typer.Option(help="Instead: the folder of a feature table.")
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="A ledger head witnessed earlier.")
    ] = None,
    people: Annotated[Path | None, typer.Option(help="Public keys obtained another way.")] = None,
    as_json: AsJson = False,
) -> None:
    """Verify the home, an evidence pack or a feature table, every byte; exit 15 if one differs."""
    from registry import evidence

    if table is not None:
        if (pack, checkpoint, people) != (None, None, None):
            raise UsageError("--table is verified alone: give nothing else with it.")
        _verify_table(table, as_json=as_json)
        return
    if pack is not None:
        document = evidence.verify(pack, people_file=people, witness_file=checkpoint)
    elif people is not None:
        raise UsageError("--people is for a pack; a home has its own list of people.")
    else:
        document = evidence.verify_home(command.load_home(), witness_file=checkpoint)
    command.emit(
        {"schema": "registry-verify/2", **document},
        as_json=as_json,
        people=lambda out: evidence.render(document, out, people_file=people),
    )


def _verify_table(path: Path, *, as_json: bool) -> None:
    from privacy.commands import describe
    from privacy.feature_table import FeatureTable, Part
    from privacy.keyring import Keyring

    keyring = Keyring.open(command.load_home().keyring)
    table = FeatureTable.open(path.absolute(), keyring=keyring, part=Part.ALL)
    rows = sum(batch.num_rows for batch in table.reader())
    line = (
        f"{table.path.name}: intact, {rows} rows, {len(table.schema.names)} columns, purpose "
        f"{table.purpose}, key version {table.key_version}."
    )
    command.emit(describe(table) | {"rows": rows}, as_json=as_json, people=lines_of([line]))


def _furnish(room: typer.Typer, panel: str, path: str = "") -> None:
    """Give each verb of a room its panel and its examples."""
    for verb in room.registered_commands:
        named = verb.name or getattr(verb.callback, "__name__", "").replace("_", "-")
        verb.rich_help_panel = panel
        verb.epilog = "\n\n".join(["Examples:", *examples.lines_of(path + named)])
    for group in room.registered_groups:
        group.rich_help_panel = panel
        if group.typer_instance is not None:
            _furnish(group.typer_instance, panel, f"{path}{group.name} " if group.name else path)


def _composed() -> typer.Typer:
    """Return all verbs in the order of the work; the panel says which room answers."""
    whole, lab, keys = command.group(PROMISE), typer.Typer(), typer.Typer()
    lab.add_typer(lab_app, name="lab", no_args_is_help=True, help="Rehearse on simulated people.")
    keys.add_typer(keys_app, name="keys")
    for panel, rooms in (
        ("Privacy: raw rows stop here", (keys, privacy_app)),
        ("Training: fit and hand over", (training_app,)),
        ("Monitoring: is it right, is it fair, has the world moved", (monitoring_app,)),
        ("Registry: who said what about which bytes", (registry_app, both_app)),
        ("Decisions: a risk becomes a limit, with reasons", (decisions_app,)),
        ("Lab: rehearse, prove nothing", (lab,)),
    ):
        for room in rooms:
            _furnish(room, panel)
            whole.add_typer(room)
    return whole


app = _composed()


def main() -> None:
    """Run the command; the console script."""
    app(prog_name="limitline")
