"""The command that judges the alternatives of a version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from governance import command
from governance.command import AsJson, OnDay

if TYPE_CHECKING:
    from rich.console import Console

    from governance.settings import Settings
    from monitoring.alternatives import Judged

FOLDER = "alternatives"


def register(app: typer.Typer) -> None:
    """Add the command to the room's commands."""
    app.command()(alternatives)


@command.guarded
def alternatives(
    version: Annotated[str, typer.Option(help="A version number, latest or champion.")] = "latest",
    on: OnDay = "",
    contract: Annotated[str, typer.Option(help="Contract id of the table.")] = "uci-credit",
    appetite: Annotated[
        Path | None, typer.Option(help="Risk appetite; the demonstration's if left out.")
    ] = None,
    mandate: Annotated[
        str | None, typer.Option(help="On whose order the audit vault is asked; it is logged.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for picture and record; reports/ in home.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Judge, on sealed customers, whether a less discriminatory alternative would have done."""
    from monitoring import alternatives as judging
    from monitoring.watch import read_appetite

    settings = command.load_home()
    question = judging.Question(
        version=version,
        contract=contract,
        appetite=read_appetite(str(appetite) if appetite else "uci_demo"),
        on=command.parse_day(on),
        mandate=judging.MANDATE if mandate is None else mandate,
    )
    with command.stderr.status("Verifying the alternatives ...") as status:
        judged = judging.judge_alternatives(
            settings, question, done=lambda name: status.update(f"Judging: {name} is scored")
        )
        status.update("Signing")
        document = _published(settings, judged, out)
    command.emit(document, as_json=as_json, people=lambda to: _tell(to, judged, document))


def _published(settings: Settings, judged: Judged, out: Path | None) -> dict[str, Any]:
    """Write picture, evidence and record, sign, and return what is printed."""
    from governance import canonical, durable
    from monitoring import alternatives_picture
    from registry.alternative import attest_alternatives
    from registry.signing import Role, Signer

    # The key comes first: a missing one should leave no folder behind.
    signer = Signer.open(settings.keyring, Role.VALIDATOR)
    place = out or settings.reports / FOLDER / f"version-{judged.version}"
    folder = durable.make_folder(place)
    written = {
        "alternatives.png": alternatives_picture.draw(judged),
        "evidence.json": canonical.dumps(judged.evidence.model_dump(by_alias=True)) + b"\n",
        "judgement.json": canonical.dumps(judged.as_signed()) + b"\n",
    }
    for name, data in written.items():
        durable.write_bytes(folder / name, data)
    entry = attest_alternatives(settings, judged.evidence, judged.as_signed(), signer=signer)
    return {
        "schema": "alternatives/1",
        **judged.as_signed(),
        "study_entry": judged.family.entry,
        "evidence": judged.evidence.digest,
        "entry": entry,
        "measurements": [found.as_json() for found in judged.measurements],
        "not_evidenced": list(judged.evidence.not_evidenced),
        "picture": str(folder / "alternatives.png"),
    }


def _tell(out: Console, judged: Judged, document: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    from monitoring.verdict import RULE

    title = f"Alternatives to version {judged.version}, sealed customers, 95 % paired intervals"
    table = Table(title=title, title_justify="left")
    for name in ("", "alternative", "AUC, minus the version's", "gain in equality, the gravest"):
        table.add_column(name, overflow="fold")
    colors = {"PASS": "green", "BREACH": "red", "INCONCLUSIVE": "yellow"}
    for found in judged.judgements:
        outcome = Text(found.outcome.value, style=colors[found.outcome.value])
        table.add_row(outcome, found.alternative, *_shown(judged, found.alternative))
    out.print(table)
    for found in judged.judgements:
        said = f"{found.alternative}: {found.verdict.value}: {found.why}."
        out.print(said, markup=False, soft_wrap=True)
    out.print(RULE, markup=False, style="dim")
    out.print(
        f"Nothing was chosen by this. Evidence {judged.evidence.digest[:16]}, ledger entry "
        f"{document['entry']}, about the study in entry {judged.family.entry}.",
        markup=False,
    )
    out.print(f"Picture: {document['picture']}", soft_wrap=True, markup=False)


def _shown(judged: Judged, name: str) -> tuple[str, str]:
    """Return the difference of the area and the largest gain that a line speaks about."""
    from governance.outcome import Outcome
    from monitoring.paired_accuracy import AUC_DIFFERENCE
    from monitoring.paired_fairness import GAIN

    mine = [m for m in judged.measurements if m.scope.get("alternative") == name]
    area = [m for m in mine if m.measure == AUC_DIFFERENCE]
    gains = [
        m
        for m in mine
        if m.measure == GAIN and judged.limit(GAIN, m.scope["attribute"]) is not None
    ]
    order = (Outcome.BREACH, Outcome.INCONCLUSIVE, Outcome.PASS, Outcome.INFO)
    gains.sort(key=lambda m: (order.index(m.outcome), -(m.value if m.value is not None else -9)))
    return _number(area), f"{_about(gains)} {_number(gains)}".strip()


def _about(found: list[Any]) -> str:
    return " ".join(found[0].scope[name] for name in ("attribute", "of")) if found else ""


def _number(found: list[Any]) -> str:
    if not found or found[0].value is None:
        return "undefined"
    if found[0].low is None or found[0].high is None:
        return f"{found[0].value:+.3f}"
    return f"{found[0].value:+.3f} [{found[0].low:+.3f}, {found[0].high:+.3f}]"
