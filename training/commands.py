"""Commands of the training room, with the bundled data as the default of each."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from governance import command
from governance.contract import Purpose
from governance.errors import UsageError
from governance.settings import Settings
from training import table_commands, version_commands

app = typer.Typer()

RAW_NAME = "uci_credit.parquet"
CONTRACT = "uci-credit"
FEATURES = "uci_features"
POLICY = "uci_demo"


class Fault(StrEnum):
    """A fault that is planted on purpose, so that a refusal can be shown."""

    LIMIT_LEAK = "limit-leak"


Challenger = Annotated[
    bool, typer.Option("--challenger", help="Fit the additive recipe: --recipe challenger.")
]
RecipeName = Annotated[
    str | None, typer.Option("--recipe", help="champion, challenger, pairwise, simpler or floor.")
]
Planted = Annotated[Fault | None, typer.Option(help="Plant a fault, to watch the gate refuse it.")]
Features = Annotated[
    Path | None, typer.Option(help="Folder of a feature table; default: the latest one.")
]
Target = Annotated[
    str | None, typer.Option(help="Outcome column of 0 and 1; default: the contract's label.")
]
Spec = Annotated[Path | None, typer.Option(help="Feature spec; default: the bundled one.")]
Policy = Annotated[Path | None, typer.Option(help="Limit policy; default: the bundled one.")]
Seed = Annotated[int, typer.Option(help="Seed of folds and trees.")]
Contract = Annotated[
    str, typer.Option(help="Contract id whose latest table is taken when --features is not given.")
]
ObservedAt = Annotated[
    str | None, typer.Option(help="Column with the day on which the outcome became known.")
]
Cutoff = Annotated[
    str | None,
    typer.Option(metavar="YYYY-MM-DD", help="Learn only from outcomes known on this day."),
]
Vintage = Annotated[
    str | None, typer.Option(help="Column with the day that a row describes: out-of-time split.")
]
Segment = Annotated[
    str | None, typer.Option(help="Column by whose values the evaluation is broken down as well.")
]
Allow = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KIND:NAME=REASON",
        help="Lift a suspicion (leak, special-code, protected-name, constant); the lineage has it.",
    ),
]
Reasons = Annotated[Path | None, typer.Option(help="Reason texts; default: the bundled ones.")]

FAULTY_FEATURES: Mapping[Fault, str] = {Fault.LIMIT_LEAK: "uci_features_limit_leak"}


@app.command()
@command.guarded
def simulate(
    customers: Annotated[
        int, typer.Option(help="How many of the 30,000 published customers, as a seeded sample.")
    ] = 30_000,
    seed: Annotated[int, typer.Option(help="Seed of the simulated identities.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Parquet file; default: raw/ in home.")] = None,
    as_json: command.AsJson = False,
) -> None:
    """Write the raw demo table: real behavior, simulated identities."""
    from training import simulate as simulation

    target = out or command.load_home().raw / RAW_NAME
    written = simulation.simulate(target, customers=customers, seed=seed)
    document = {
        "schema": "limitline/training-simulate/1",
        "path": str(written.path),
        "rows": written.rows,
        "seed": written.seed,
        "content_digest": written.content_digest,
        "identities": "simulated",
    }
    command.emit(
        document,
        as_json=as_json,
        people=lambda console: console.print(
            f"{written.rows:,} real customers under simulated identities: {written.path}",
            soft_wrap=True,
            markup=False,
        ),
    )


@app.command()
@command.guarded
def train(
    recipe: RecipeName = None,
    challenger: Challenger = False,
    fault: Planted = None,
    features: Features = None,
    target: Target = None,
    spec: Spec = None,
    policy: Policy = None,
    contract: Contract = CONTRACT,
    observed_at: ObservedAt = None,
    cutoff: Cutoff = None,
    vintage: Vintage = None,
    segment: Segment = None,
    allow: Allow = None,
    reasons: Reasons = None,
    seed: Seed = 0,
    as_json: command.AsJson = False,
) -> None:
    """Fit a candidate on the open customers, evaluate it out-of-fold and hand it over."""
    if fault is not None and spec is not None:
        raise UsageError("A planted fault replaces the feature spec; give --fault or --spec.")
    settings = command.load_home()
    from decisions import features as declared
    from decisions import policy as policies
    from training import candidate, recipes, telling
    from training.job import Job
    from training.suspicion import Allowance

    bundled = FAULTY_FEATURES[fault] if fault is not None else FEATURES
    chosen = recipes.choose(recipe, is_challenger=challenger)
    job = Job(
        table=features or _latest(settings, contract),
        target=target,
        features_text=command.read_text(spec) if spec else declared.packaged(bundled),
        policy_text=command.read_text(policy) if policy else policies.packaged(POLICY),
        recipe=chosen,
        seed=seed,
        observed_at=observed_at,
        vintage=vintage,
        cutoff=command.parse_day(cutoff) if cutoff else None,
        segment=segment,
        allowances=tuple(Allowance.parse(text) for text in allow or ()),
        reasons_text=command.read_text(reasons) if reasons else None,
    )
    with command.progress(f"train {chosen.name}", candidate.STEPS) as done:
        made = candidate.train(job, settings=settings, clock=_now, done=done)
    command.emit(
        telling.as_document(made),
        as_json=as_json,
        people=lambda console: telling.print_candidate(console, made),
    )


@app.command()
@command.guarded
def reproduce(
    which: Annotated[
        str, typer.Argument(metavar="VERSION|RUN", help="champion, latest, a number or a run id.")
    ],
    features: Annotated[
        Path | None, typer.Option(help="Folder of the pinned table; default: looked up in home.")
    ] = None,
    fresh_environment: Annotated[
        bool, typer.Option(help="Make a new environment from requirements.lock first (minutes).")
    ] = False,
    as_json: command.AsJson = False,
) -> None:
    """Fit a signed version again in a fresh process; exit 15 if anything differs."""
    from training import lineage, reproduction, telling

    settings = command.load_home()
    lock = lineage.LOCK if fresh_environment else None
    with command.stderr.status("fitting again"):
        found = reproduction.reproduce(which, settings=settings, table=features, lock=lock)
    command.emit(
        telling.reproduced_document(found),
        as_json=as_json,
        people=lambda console: telling.print_reproduced(console, found),
    )
    found.refuse_difference()


version_commands.register(app)
table_commands.register(app)


def _now() -> datetime:
    return datetime.now(UTC)


def _latest(settings: Settings, contract: str) -> Path:
    from privacy import gate
    from privacy.keyring import Keyring

    ring = Keyring.open(settings.keyring)
    return gate.latest(
        settings.features, contract_id=contract, purpose=Purpose.TRAINING, keyring=ring
    )
