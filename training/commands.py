"""Commands of the training room, with the bundled data as the default of each."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from governance import command
from governance.contract import Purpose
from governance.errors import UsageError
from governance.measurement import Measurement
from governance.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console

    from training.candidate import Candidate

app = typer.Typer()

RAW_NAME = "uci_credit.parquet"
CONTRACT = "uci-credit"
FEATURES = "uci_features"
POLICY = "uci_demo"


class Fault(StrEnum):
    """A fault that is planted on purpose, so that a refusal can be shown."""

    LIMIT_LEAK = "limit-leak"


FAULTY_FEATURES: Mapping[Fault, str] = {Fault.LIMIT_LEAK: "uci_features_limit_leak"}

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
        help="Lift a check (leak, special-code, protected-name, constant); the lineage has it.",
    ),
]
Reasons = Annotated[Path | None, typer.Option(help="Reason texts; default: the bundled ones.")]
Pinned = Annotated[
    Path | None,
    typer.Option("--features", help="Folder of the pinned table; default: looked up in home."),
]


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
    from training import demo_data

    target = out or command.load_home().raw / RAW_NAME
    written = demo_data.simulate(target, customers=customers, seed=seed)
    document = {
        "schema": "limitline/training-simulate/1",
        "path": str(written.path),
        "rows": written.rows,
        "seed": written.seed,
        "content_digest": written.content_digest,
        "identities": "simulated",
    }
    line = f"{written.rows:,} real customers under simulated identities: {written.path}"
    command.emit(document, as_json=as_json, people=lambda out: _lines(out, [line]))


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
    from training import candidate, recipes
    from training.data_checks import Allowance
    from training.job import Job

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
        made = candidate.train(job, settings=settings, clock=lambda: datetime.now(UTC), done=done)
    command.emit(
        _candidate_document(made), as_json=as_json, people=lambda out: _print_candidate(out, made)
    )


@app.command()
@command.guarded
def reproduce(
    which: Annotated[
        str, typer.Argument(metavar="VERSION|RUN", help="champion, latest, a number or a run id.")
    ],
    features: Pinned = None,
    fresh_environment: Annotated[
        bool, typer.Option(help="Make a new environment from requirements.lock first (minutes).")
    ] = False,
    as_json: command.AsJson = False,
) -> None:
    """Fit a signed version again in a fresh process; exit 15 if anything differs."""
    import dataclasses

    from training import lineage, reproduction

    settings = command.load_home()
    lock = lineage.LOCK if fresh_environment else None
    with command.stderr.status("fitting again"):
        found = reproduction.reproduce(which, settings=settings, table=features, lock=lock)
    document = {
        "schema": "limitline/training-reproduce/1",
        "is_same": not found.differences,
        **dataclasses.asdict(found),
    }
    same = (
        f"Version {found.version} was fitted again ({found.environment} environment): the "
        "same estimator, predictions, evaluation and lineage."
    )
    # A difference is an error and says itself.
    shown = [] if found.differences else [same, *(f"Note: {note}." for note in found.notes)]
    command.emit(document, as_json=as_json, people=lambda out: _lines(out, shown))
    found.refuse_difference()


@app.command()
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
    from training import model_card

    settings = command.load_home()
    verified = load_verified(settings, version)
    facts = model_card.CardFacts(
        spec=FeatureSpec.parse(verified.features_text),
        policy=LimitPolicy.parse(verified.policy_text),
        metadata=verified.metadata,
        observed=verified.observed,
    )
    place = output or settings.reports / model_card.FOLDER / f"version-{verified.version}"
    folder = model_card.write(place, facts)
    names = sorted(path.name for path in folder.glob("*.md"))
    found = {
        "schema": "limitline/training-document/1",
        "version": verified.version,
        "manifest_digest": verified.manifest_digest,
        "folder": str(folder),
        "files": names,
    }
    line = f"{', '.join(names)}: {folder}"
    command.emit(found, as_json=as_json, people=lambda out: _lines(out, [line]))


@app.command()
@command.guarded
def challenge(
    version: Annotated[
        str, typer.Option("--version", help="champion, latest, a version number or a run id.")
    ] = "latest",
    proxy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FEATURE",
            help="A feature that stands in for a protected attribute, says monitoring; repeat it.",
        ),
    ] = None,
    features: Pinned = None,
    as_json: command.AsJson = False,
) -> None:
    """Make the fixed family of alternatives to a version and sign them as its child runs."""
    from training import alternatives as making

    settings = command.load_home()
    with command.stderr.status("verifying the version"):
        subject = making.take_up(settings, version, table=features)
    proxies = tuple(dict.fromkeys(proxy or ()))
    members = making.family_of(subject, proxies=proxies)
    with tempfile.TemporaryDirectory(prefix="limitline-challenge-") as place:
        with command.progress(f"challenge {subject.name}", making.steps(members)) as done:
            made = making.challenge(subject, members, Path(place), proxies=proxies, done=done)
        with command.stderr.status("signing"):
            recorded = making.publish(settings, subject, made)
    told = [
        {**each, "measurements": [found.as_json() for found in each["measurements"]]}
        for each in made.document["alternatives"]
    ]
    found = {
        **made.document,
        "alternatives": told,
        "digest": recorded.digest,
        "ledger_entry": recorded.seq,
        "run_ids": list(recorded.run_ids),
        "is_new": recorded.is_new,
    }
    state = "signed" if recorded.is_new else "signed before; nothing changed"
    line = (
        f"{len(recorded.run_ids)} child runs of version {subject.version}, {state}: ledger entry "
        f"{recorded.seq}, digest {recorded.digest[:12]}. Nothing was chosen by this; validation "
        "judges."
    )
    title = f"Alternatives of version {subject.version}, out-of-fold; 95 % intervals"

    def show(console: Console) -> None:
        _table(console, made.headlines, title)
        _lines(console, [line])

    command.emit(found, as_json=as_json, people=show)


def _candidate_document(made: Candidate) -> dict[str, Any]:
    return {
        "schema": "limitline/training-train/1",
        "version": made.version.version,
        "manifest_digest": made.version.manifest_digest,
        "is_new": made.version.is_new,
        "run_id": made.version.run_id,
        "calibration": made.metadata["calibration"],
        "is_sigmoid_fitted": made.metadata["is_sigmoid_fitted"],
        "measurements": [measurement.as_json() for measurement in made.measurements],
        "lineage": dict(made.lineage),
        "caveats": list(made.caveats),
        "seconds": round(made.seconds, 3),
    }


def _print_candidate(console: Console, made: Candidate) -> None:
    """Print the evaluation of a candidate and what must be known about it."""
    shown = [
        found
        for found in made.measurements
        if not found.measure.startswith("lift.")
        and (not found.scope or found.measure == "discrimination.auc")
    ]
    _table(console, shown, "Out-of-fold, open customers")
    state = "submitted"
    if not made.version.is_new:
        state = "submitted before, from the same inputs; nothing was fitted and nothing changed"
    last = (
        f"Version {made.version.version} ({made.lineage['recipe_title']}, "
        f"{made.lineage['features_id']}): {state}. It waits for validation."
    )
    _lines(console, [made.metadata["calibration"], *made.caveats, last])


def _table(console: Console, measured: Sequence[Measurement], title: str) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table("measure", "value", "95 % interval", "n", title=title)
    for found in measured:
        is_count = found.unit == "count"
        value, low, high = (
            "undefined" if x is None else f"{x:,.{0 if is_count else 4}f}"
            for x in (found.value, found.low, found.high)
        )
        name = " ".join([found.measure, *(f"{k}={v}" for k, v in found.scope.items())])
        interval = "none: exact" if is_count and found.low is None else f"{low} – {high}"
        table.add_row(escape(name), value, interval, f"{found.n:,}")
    console.print(table)


def _lines(console: Console, lines: Sequence[str]) -> None:
    for line in lines:
        console.print(line, soft_wrap=True, markup=False)


def _latest(settings: Settings, contract: str) -> Path:
    from privacy import gate
    from privacy.keyring import Keyring

    ring = Keyring.open(settings.keyring)
    return gate.latest(
        settings.features, contract_id=contract, purpose=Purpose.TRAINING, keyring=ring
    )
