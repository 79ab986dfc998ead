"""The verbs of ``python -m limits policy``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from governance import command
from governance.command import AsJson
from governance.errors import Breach, Inconclusive, UsageError

app = typer.Typer(no_args_is_help=True, help="Check, compare and weigh limit policies.")

Regime = Annotated[str, typer.Option(help="Macro regime: neutral, downturn or boom.")]
DemandIndex = Annotated[
    str, typer.Option(help="Demand on the day against an ordinary month (1.0), for seasons.")
]
PolicyFile = Annotated[Path, typer.Argument(metavar="FILE", help="A limit policy.")]
Language = Annotated[str, typer.Option(help="en or zh.")]
AsOf = Annotated[str, typer.Option("--as-of", metavar="YYYY-MM-DD", help="Day of the decision.")]


@app.callback()
def policy_group(as_json: AsJson = False) -> None:
    """Check a limit policy, compare two, and say whom a new one would concern."""


@app.command("check")
@command.guarded
def policy_check(
    file: PolicyFile,
    inputs: Annotated[int, typer.Option(help="How many customers to make up.")] = 1_000_000,
    seed: Annotated[int, typer.Option(help="Seed of the search.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Search for inputs by which a policy breaks a law; exit 13 with the smallest ones."""
    from limits import printing
    from limits.checking import policy_check as checking
    from limits.policy import LimitPolicy

    if inputs < 1:
        raise UsageError("A search needs at least one input.")
    policy = LimitPolicy.load(file)
    with command.stderr.status("Searching ...") as status:

        def progress(done: int) -> None:
            status.update(f"Searching: {done:,} of {inputs:,} inputs ...")

        document = checking.check(policy, inputs=inputs, seed=seed, progress=progress)
    command.emit(document, as_json=as_json, people=lambda out: printing.checked(out, document))
    if document["outcome"] == "BREACH":
        broken = sorted({example["law"] for example in document["counterexamples"]})
        raise Breach(f"The policy {policy.id} breaks {', '.join(broken)}. Do not activate it.")
    if document["outcome"] == "INCONCLUSIVE":
        raise Inconclusive(
            f"Some rules of the policy {policy.id} never acted, so nothing was shown about them."
        )


@app.command("diff")
@command.guarded
def policy_diff(
    old: PolicyFile,
    new: PolicyFile,
    language: Language = "en",
    as_json: AsJson = False,
) -> None:
    """Say in words what differs between two policies."""
    from limits import policy_diff as comparing
    from limits.policy import LimitPolicy

    before, after = LimitPolicy.load(old), LimitPolicy.load(new)
    changes = comparing.diff(before, after)
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
    text = "\n".join(lines or ["The two policies say the same."])
    command.emit(document, as_json=as_json, people=lambda out: out.print(text, markup=False))


@app.command("impact")
@command.guarded
def policy_impact(
    new: Annotated[Path, typer.Option("--policy", help="The policy that is proposed.")],
    against: Annotated[Path, typer.Option(help="The policy that decides today.")],
    input_file: Annotated[Path, typer.Option("--input", help="A Parquet or CSV table.")],
    as_of: AsOf = "",
    by: Annotated[list[str] | None, typer.Option(help="A column to count by; repeat it.")] = None,
    regime: Regime = "neutral",
    demand_index: DemandIndex = "",
    as_json: AsJson = False,
) -> None:
    """Say who would be raised and cut, with how much money and which expected loss."""
    from limits import impact, printing
    from limits.plain_table import Source
    from limits.policy import LimitPolicy
    from limits.stages.climate import Climate

    climate = Climate.read({"regime": regime, "demand_index": demand_index})
    source = Source(path=input_file, policy=LimitPolicy.load(against))
    day, proposed = command.parse_day(as_of), LimitPolicy.load(new)
    found = impact.measure_impact(proposed, source, as_of=day, by=by or (), climate=climate)
    document = impact.as_document(found)
    command.emit(document, as_json=as_json, people=lambda out: printing.impact(out, found))
