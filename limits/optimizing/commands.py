"""The verb ``python -m limits optimize``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from governance import command
from governance.command import AsJson
from governance.errors import Inconclusive, UsageError
from limits.options import AsOf, DemandIndex, Regime


@command.guarded
def optimize(
    policy: Annotated[Path, typer.Option(help="A limit policy file; its bounds are kept.")],
    input_file: Annotated[Path, typer.Option("--input", help="A plain Parquet or CSV table.")],
    economics: Annotated[Path, typer.Option(help="The reviewed economics and budgets.")],
    history: Annotated[Path, typer.Option(help="Past limit changes, which bound what is tried.")],
    output: Annotated[Path, typer.Option(help="Where the recommendations go (Parquet).")],
    reach: Annotated[
        str,
        typer.Option(
            help="declared: what the policy's envelope says. To compare: matrix, direction, step."
        ),
    ] = "declared",
    as_of: AsOf = "",
    freeze: Annotated[str, typer.Option(help="nothing, or raises.")] = "nothing",
    regime: Regime = "neutral",
    demand_index: DemandIndex = "",
    as_json: AsJson = False,
) -> None:
    """Recommend limits within policy and budgets; exit 14 if a budget cannot be met."""
    from limits.optimizing import recommendation
    from limits.optimizing.envelope import Reach
    from limits.stages.climate import Climate, Freeze

    if reach not in set(Reach):
        raise UsageError(f"--reach takes one of {', '.join(Reach)}.")
    if freeze not in set(Freeze):
        raise UsageError("--freeze takes nothing or raises.")
    request = recommendation.Request(
        policy=policy,
        economics=economics,
        table=input_file,
        history=history,
        reach=Reach(reach),
        as_of=command.parse_day(as_of),
        freeze=Freeze(freeze),
        climate=Climate.read({"regime": regime, "demand_index": demand_index}),
    )
    with command.stderr.status("Optimizing ..."):
        document = recommendation.recommend(request, output)
    lines = "\n".join(recommendation.in_words(document))
    command.emit(document, as_json=as_json, people=lambda out: out.print(lines, markup=False))
    if document["outcome"] != "PASS":
        raise Inconclusive(" ".join(document["reasons"]))
