"""A book in which one model is unfair by construction, with alternatives whose truth is known.

Whether a customer defaults follows from strain alone. The version was taught that the district
matters, and the district is nearly the customer's sex. So a model on strain alone is less
discriminatory and separates no worse, a refit of the version is exactly as unfair, and a model that
knows nothing is fair because everybody is treated alike and worthless.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.linear_model import LogisticRegression

from decisions import model
from decisions import policy as policies
from governance.contract import ColumnContract, Purpose
from governance.settings import Settings
from privacy import gate, keyring
from registry import alternatives, serialize, submission
from registry.alternatives import FamilyRecord, ModelFamily, record_family
from registry.ledger import Ledger
from registry.signing import Role, Signer, create_people
from registry.submission import RunFacts

CONTRACT_ID = "strained"

_COLUMN = """
[[columns]]
name = "{name}"
type = "{type}"
sensitivity = "C1"
role = "{role}"
action = "keep"
purposes = ["training", "decision"]
why = "Simulated."
"""
CONTRACT = (
    """
schema = "column-contract/1"
id = "strained"
version = "1"
title = "Simulated lines of strained customers"
source = "simulated"

[[columns]]
name = "holder"
type = "string"
sensitivity = "C2"
role = "subject_id"
action = "pseudonymize"
why = "Who it is."

[[columns]]
name = "sex"
type = "int64"
sensitivity = "C2"
role = "protected_attribute"
action = "audit"
codes = { 1 = "male", 2 = "female" }
reference_group = "female"
why = "Protected; fairness is audited by it, no model sees it."
"""
    + "".join(
        _COLUMN.format(name=n, type="float64", role="feature") for n in ("strain", "district")
    )
    + "".join(_COLUMN.format(name=n, type="int64", role="feature") for n in ("line", "owed"))
    + _COLUMN.format(name="failed", type="int64", role="label")
)

_FEATURE = """
[[features]]
name = "{name}"
sql = "{name}"
sources = ["{name}"]
sign = 0
reason_group = "delinquency"
why = "Simulated."
"""
_HEAD = """
schema = "feature-spec/1"
id = "strained-{id}"
version = "1.0.0"
title = "Simulated strain"
horizon_months = 1
currency = "TWD"
current_limit_column = "line"
"""
_INPUTS = """
[inputs]
current_limit_minor = "CAST(line AS BIGINT)"
balance_minor = "CAST(owed AS BIGINT)"
utilization = "owed / line"
months_delinquent = "CAST(0 AS BIGINT)"
months_since_raise = "CAST(12 AS BIGINT)"
months_since_cut = "CAST(12 AS BIGINT)"
segment = "'consumer'"
"""

APPETITE = """
schema = "risk-appetite/1"
id = "strained"
version = "1"

[[thresholds]]
measure = "alternatives.ratio_gain"
scope = { attribute = "sex", of = "*" }
at_most = 0.05
minimum_n = 300
need = "reported"
kind = "house"
owner = "tests"
source = "tests"
effective_from = 2005-01-01

[[thresholds]]
measure = "alternatives.auc_difference"
at_least = -0.02
minimum_n = 300
need = "reported"
kind = "house"
owner = "tests"
source = "tests"
effective_from = 2005-01-01
"""

WHOLE = ("strain", "district")


def features_text(*names: str) -> str:
    """Return a feature spec of these features."""
    blocks = "".join(_FEATURE.format(name=name) for name in names)
    return _HEAD.format(id="-".join(names)) + blocks + _INPUTS


def customers(n: int, seed: int = 0) -> pa.Table:
    """Simulate customers whose district is nearly their sex, and whose default is not."""
    rng = np.random.default_rng(seed)
    is_male = rng.random(n) < 0.5
    strain = rng.normal(size=n)
    failed = rng.random(n) < 1 / (1 + np.exp(1.6 - 1.3 * strain))
    return pa.table(
        {
            "holder": [f"holder CANARY{number:06d}" for number in range(n)],
            "sex": np.where(is_male, 1, 2),
            "strain": strain,
            "district": np.where(is_male, 1.0, 0.0) + rng.normal(scale=0.2, size=n),
            "line": np.full(n, 10_000_000),
            "owed": rng.integers(2_000_000, 6_000_000, n),
            "failed": failed.astype(np.int64),
        }
    )


def taught(*names: str, unfair: float = 0.0, known: bool = True) -> LogisticRegression:
    """Fit a model on customers of its own, taught that the district matters by so much."""
    table, rng = customers(6_000, seed=1), np.random.default_rng(2)
    strain, district = table["strain"].to_numpy(), table["district"].to_numpy()
    odds = -1.6 + 1.3 * strain + unfair * district
    failed = rng.random(len(odds)) < 1 / (1 + np.exp(-odds))
    if not known:
        rng.shuffle(failed)
    matrix = np.column_stack([table[name].to_numpy() for name in names])
    return LogisticRegression().fit(matrix, failed)


MEMBERS: dict[str, tuple[tuple[str, ...], LogisticRegression]] = {
    "fair": (("strain",), taught("strain")),
    "clone": (WHOLE, taught(*WHOLE, unfair=1.2)),
    "blind": (("strain",), taught("strain", known=False)),
}


@dataclass(frozen=True)
class Book:
    """A home with one signed version and its signed family."""

    settings: Settings
    version: int
    manifest_digest: str


def furnish(place: Path, n: int) -> Settings:
    """Make a home with keys, a ledger and a protected table of `n` customers."""
    here = Settings(home=place)
    ring = keyring.create(here.keyring)
    people = create_people(here.keyring)
    Ledger.open(here.ledger, Signer.open(here.keyring, Role.LEDGER), people=people)
    raw = place / "raw.parquet"
    pq.write_table(customers(n), raw)
    gate.protect(
        raw,
        ColumnContract.parse(CONTRACT),
        keyring=ring,
        out=here.features,
        purpose=Purpose.TRAINING,
        vault=here.vault,
    )
    raw.unlink()
    return here


def submit(here: Settings, place: Path, *, unfair: float = 1.2) -> Book:
    """Submit a version that was taught that the district matters."""
    place.mkdir()
    estimator = place / "estimator.skops"
    serialize.dump(taught(*WHOLE, unfair=unfair), estimator)
    schema = customers(1).drop_columns(["holder", "sex"]).schema
    parts = model.ModelParts(
        estimator=estimator,
        features_text=features_text(*WHOLE),
        policy_text=policies.packaged("uci_demo"),
        facts={},
        released=schema,
    )
    files = model.assemble(place / "model", parts)
    signer = Signer.open(here.keyring, Role.DEVELOPER)
    lineage = {"data_digest": "ab" * 32, "unfair": str(unfair)}
    made = submission.submit(files, RunFacts(run_name="v"), lineage, settings=here, signer=signer)
    return Book(settings=here, version=made.version, manifest_digest=made.manifest_digest)


def log_family(book: Book, place: Path, *names: str, **said: Any) -> FamilyRecord:
    """Sign some of the `MEMBERS` as alternatives of the version; `said` changes the document."""
    runs, told = [], []
    for name in names or tuple(MEMBERS):
        features, estimator = MEMBERS[name]
        folder = place / name
        folder.mkdir(parents=True)
        serialize.dump(estimator, folder / alternatives.ESTIMATOR_FILE)
        (folder / alternatives.FEATURES_FILE).write_text(features_text(*features))
        told.append({"name": name, "title": f"The {name} one"})
        runs.append(RunFacts(run_name=name, figures={alternatives.FAMILY: folder}))
    document = {
        "version": book.version,
        "manifest_digest": book.manifest_digest,
        "compared_with": f"version-{book.version}",
        "alternatives": told,
    } | said
    family = ModelFamily(document=document, headlines=(), runs=runs)
    signer = Signer.open(book.settings.keyring, Role.DEVELOPER)
    return record_family(book.settings, book.version, family, signer=signer)
