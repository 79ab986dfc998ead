"""Commands on a signed version: documents and alternatives."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from governance import command
from governance.settings import Settings

if TYPE_CHECKING:
    from registry.study import Recorded, Study
    from training.study import Subject

Version = Annotated[
    str, typer.Option("--version", help="champion, latest, a version number or a run id.")
]
Table = Annotated[
    Path | None,
    typer.Option("--features", help="Folder of the pinned table; default: looked up in home."),
]


def register(app: typer.Typer) -> None:
    """Add these commands to the room's commands."""
    for verb in (document, challenge):
        app.command()(verb)


@command.guarded
def document(
    version: Annotated[str, typer.Option(help="champion, latest or a version number.")] = "latest",
    output: Annotated[
        Path | None, typer.Option(help="Folder for the files; default: reports/ in home.")
    ] = None,
    as_json: command.AsJson = False,
) -> None:
    """Write model card and technical file of a verified version, in English and Chinese."""
    from decisions.features import FeatureSpec
    from decisions.policy import LimitPolicy
    from registry.load import load_verified
    from training import document as documents

    settings = command.load_home()
    verified = load_verified(settings, version)
    told = documents.Facts(
        spec=FeatureSpec.parse(verified.features_text),
        policy=LimitPolicy.parse(verified.policy_text),
        metadata=verified.metadata,
        observed=verified.observed,
    )
    place = output or settings.reports / documents.FOLDER / f"version-{verified.version}"
    folder = documents.write(place, told)
    names = sorted(path.name for path in folder.glob("*.md"))
    found = {
        "schema": "limitline/training-document/1",
        "version": verified.version,
        "manifest_digest": verified.manifest_digest,
        "folder": str(folder),
        "files": names,
    }
    command.emit(
        found,
        as_json=as_json,
        people=lambda console: console.print(
            f"{', '.join(names)}: {folder}", soft_wrap=True, markup=False
        ),
    )


@command.guarded
def challenge(
    version: Version = "latest",
    proxy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FEATURE",
            help="A feature that stands in for a protected attribute, says monitoring; repeat it.",
        ),
    ] = None,
    features: Table = None,
    as_json: command.AsJson = False,
) -> None:
    """Make the fixed family of alternatives to a version and sign them as its child runs."""
    from training import challenge as challenging
    from training import study

    settings = command.load_home()
    with command.stderr.status("verifying the version"):
        subject = study.take_up(settings, version, table=features)
    proxies = tuple(dict.fromkeys(proxy or ()))
    members = challenging.family(subject, proxies=proxies)
    with tempfile.TemporaryDirectory(prefix="limitline-challenge-") as place:
        with command.progress(f"challenge {subject.name}", challenging.steps(members)) as done:
            made = challenging.challenge(subject, members, Path(place), proxies=proxies, done=done)
        _hand_over(settings, subject, made, as_json=as_json)


def _hand_over(settings: Settings, subject: Subject, made: Study, *, as_json: bool) -> None:
    """Sign a study and tell it."""
    from training import study, study_telling

    with command.stderr.status("signing"):
        recorded = study.publish(settings, subject, made)
    document: dict[str, Any] = study.speak(made.document) | _where(recorded)
    command.emit(
        document,
        as_json=as_json,
        people=lambda console: study_telling.print_study(console, made, recorded),
    )


def _where(recorded: Recorded) -> dict[str, Any]:
    return {
        "digest": recorded.digest,
        "ledger_entry": recorded.seq,
        "run_ids": list(recorded.run_ids),
        "is_new": recorded.is_new,
    }
