"""The verbs of ``limitline policy``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from decisions.options import AsOf, DemandIndex, InLanguage, Language, PolicyFile, Regime
from governance import command
from governance.command import AsJson, Encoding, OnDay
from governance.errors import Breach, Inconclusive, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from decisions.activation import Attached

app = typer.Typer(no_args_is_help=True, help="Check, compare and weigh limit policies.")

Version = Annotated[
    str, typer.Option("--version", help="A registered version: a number, latest or champion.")
]


@app.callback()
def policy_group(as_json: AsJson = False) -> None:
    """Check a limit policy, compare two, and say whom a new one would concern."""


@app.command("check")
@command.guarded
def policy_check(
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="A limit policy.")] = None,
    version: Version = "",
    on: OnDay = "",
    inputs: Annotated[int, typer.Option(help="How many customers to make up.")] = 1_000_000,
    seed: Annotated[int, typer.Option(help="Seed of the search.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Search for inputs by which a policy breaks a law; exit 13 with the smallest ones.

    With --version: the policy of a registered version, and what was found is signed and attached.
    """
    from decisions import activation, policy_check, printing
    from decisions.policy import LimitPolicy

    if inputs < 1:
        raise UsageError("A search needs at least one input.")
    if (file is None) == (not version):
        raise UsageError("Give a policy file, or --version for the policy of a version.")
    attached: Attached | None = None
    with command.stderr.status("Searching ...") as status:

        def progress(done: int) -> None:
            status.update(f"Searching: {done:,} of {inputs:,} inputs ...")

        if file is None:
            search = activation.Search(inputs=inputs, seed=seed, progress=progress)
            home, day = command.load_home(), command.parse_day(on)
            document, attached = activation.check(home, version, search=search, on=day)
        else:
            policy = LimitPolicy.load(file)
            document = policy_check.check(policy, inputs=inputs, seed=seed, progress=progress)

    def show(out: Console) -> None:
        printing.checked(out, document)
        if attached is not None:
            out.print(attached.in_words())

    more = {"attached": attached.as_document()} if attached else {}
    command.emit({**document, **more}, as_json=as_json, people=show)
    if document["outcome"] == "BREACH":
        broken = sorted({example["law"] for example in document["counterexamples"]})
        raise Breach(
            f"The policy {document['policy']} breaks {', '.join(broken)}. Do not activate it."
        )
    if document["outcome"] == "INCONCLUSIVE":
        raise Inconclusive(
            f"Some rules of the policy {document['policy']} never acted, so nothing was shown "
            "about them."
        )


@app.command("diff")
@command.guarded
def policy_diff(
    old: PolicyFile,
    new: PolicyFile,
    language: InLanguage = Language.EN,
    as_json: AsJson = False,
) -> None:
    """Say in words what differs between two policies."""
    from decisions import policy_review
    from decisions.policy import LimitPolicy

    before, after = LimitPolicy.load(old), LimitPolicy.load(new)
    changes = policy_review.diff(before, after)
    document = {
        "schema": "policy-diff/1",
        "old": before.stamp,
        "new": after.stamp,
        "changes": [
            {"path": list(c.path), "old": c.old, "new": c.new, "text": c.in_words(language)}
            for c in changes
        ],
    }
    lines = [change.in_words(language) for change in changes]
    same = policy_review.SAME.zh if language == "zh" else policy_review.SAME.en
    text = "\n".join(lines or [same])
    command.emit(
        document,
        as_json=as_json,
        people=lambda out: out.print(text, markup=False, soft_wrap=True),
    )


@app.command("impact")
@command.guarded
def policy_impact(
    new: Annotated[
        Path | None, typer.Option("--policy", help="The policy that is proposed.")
    ] = None,
    against: Annotated[Path | None, typer.Option(help="The policy that decides today.")] = None,
    input_file: Annotated[
        Path | None, typer.Option("--input", help="A Parquet or CSV table.")
    ] = None,
    version: Version = "",
    features: Annotated[
        Path | None,
        typer.Option(help="With --version: feature table; default: the newest of --contract."),
    ] = None,
    contract: Annotated[
        str, typer.Option(help="With --version: contract id of the table.")
    ] = "uci-credit",
    as_of: AsOf = "",
    by: Annotated[list[str] | None, typer.Option(help="A column to count by; repeat it.")] = None,
    regime: Regime = "neutral",
    demand_index: DemandIndex = "",
    encoding: Encoding = "",
    as_json: AsJson = False,
) -> None:
    """Say who would be raised and cut, with how much money and which expected loss.

    With --version: the version's policy against the champion's (or the book in which every limit
    stays) on the table that `decide` reads, and what was found is signed and attached.
    """
    from decisions import activation, policy_review, printing
    from decisions.plan import Climate

    climate = Climate.read({"regime": regime, "demand_index": demand_index})
    day = command.parse_day(as_of)
    if version:
        if new or against or input_file:
            raise UsageError("--version has its policy and its table; give no files with it.")
        question = activation.Question(as_of=day, by=tuple(by or ()), climate=climate)
        with command.stderr.status("Verifying the version and deciding the book twice ..."):
            attached = activation.weigh(
                command.load_home(), version, table=features or contract, question=question
            )
        document = {
            **policy_review.as_document(attached.evidence),
            "attached": attached.as_document(),
        }

        def show(out: Console) -> None:
            printing.impact(out, attached.evidence)
            out.print(attached.in_words())

        command.emit(document, as_json=as_json, people=show)
        return
    if new is None or against is None or input_file is None:
        raise UsageError("Give --policy, --against and --input together, or --version.")
    from decisions.plain_table import Source
    from decisions.policy import LimitPolicy

    source = Source(path=input_file, policy=LimitPolicy.load(against), encoding=encoding)
    found = policy_review.measure_impact(
        LimitPolicy.load(new), source, as_of=day, by=by or (), climate=climate
    )
    document = policy_review.as_document(found)
    command.emit(document, as_json=as_json, people=lambda out: printing.impact(out, found))
