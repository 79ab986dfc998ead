"""The credit-limit model as a folder: default model, features, policy and the code that joins them.

A default probability alone moves no money; a policy alone knows no risk. What is validated,
approved, promoted and replayed is therefore the two together, with the pure code between them.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa

from decisions import engine, inputs, model_reasons, scoring
from decisions.features import FeatureSpec
from decisions.model_reasons import Method
from decisions.policy import LimitPolicy
from governance.errors import ContractError
from registry.submission import CandidateFiles

# Everything that deciding needs, and nothing that reads a disk, a key or a registry.
TRAVELLING_CODE: Mapping[str, tuple[str, ...]] = {
    "governance": ("__init__", "canonical", "column_types", "declaration", "errors", "outcome"),
    "decisions": (
        "__init__",
        "engine",
        "features",
        "inputs",
        "plan",
        "policy",
        "reasons",
        "scoring",
        "sections",
        "sql",
        "stages",
    ),
    "registry": ("__init__", "serialize"),
}


# What a served model needs installed; everything else arrives with these.
REQUIREMENTS = (
    "duckdb",
    "mlflow",
    "numpy",
    "pandas",
    "pyarrow",
    "pydantic",
    "scikit-learn",
    "skops",
)

_KNOWN_ELSEWHERE = frozenset({"arm", "assignment", "previous_band", "previous_probability"})

# An empty day cannot be read, so whoever forgets it gets an error and not a decision.
SERVED_PARAMS = {"as_of": "", "regime": "neutral", "demand_index": "", "freeze": "nothing"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelParts:
    """What makes one credit-limit model.

    Parameters
    ----------
    estimator : Path
        The fitted default model, ``skops``.
    features_text, policy_text : str
        The declarations, kept as they were reviewed, to the letter.
    facts : mapping
        What else an auditor asks: data digest, commit, seed; becomes ``limitline.json``.
    released : pyarrow.Schema
        Names and types of the feature table's columns.
    explanation : Method or None
        How the model explains itself; becomes ``explanation.json``.
    """

    estimator: Path
    features_text: str
    policy_text: str
    facts: Mapping[str, Any]
    released: pa.Schema
    explanation: Method | None = None


def assemble(folder: Path, parts: ModelParts) -> CandidateFiles:
    """Lay out a credit-limit model in the empty staging folder `folder`.

    Returns
    -------
    CandidateFiles
        Ready for `registry.submission.submit`.

    Raises
    ------
    ContractError
        If a declaration is unusable, the parts do not fit together, or a reason could not be told.
    """
    spec, policy = FeatureSpec.parse(parts.features_text), LimitPolicy.parse(parts.policy_text)
    require_fit(spec, policy)
    explained = (
        {} if parts.explanation is None else {Path(model_reasons.FILE).stem: parts.explanation}
    )
    for part in explained.values():
        part.require_fit(spec)
    described = {
        **parts.facts,
        **{f"{name}_digest": part.digest for name, part in explained.items()},
        "features_digest": spec.digest,
        "policy_digest": policy.digest,
        "policy_stamp": policy.stamp,
        "code_digest": code_digest(),
        "horizon_months": spec.horizon_months,
    }
    place = folder / "parts"
    place.mkdir(parents=True)
    shutil.copyfile(parts.estimator, place / "default_model.skops")
    (place / "features.toml").write_text(parts.features_text, encoding="utf-8")
    (place / "limit_policy.toml").write_text(parts.policy_text, encoding="utf-8")
    text = json.dumps(described, ensure_ascii=False, indent=1, sort_keys=True)
    (place / "limitline.json").write_text(text, encoding="utf-8")
    for name, part in explained.items():
        (place / f"{name}.json").write_bytes(part.dumps())
    return CandidateFiles(
        python_model=_copied(folder, "decisions", "credit_limit_model"),
        artifacts={
            "default_model": place / "default_model.skops",
            "features": place / "features.toml",
            "limit_policy": place / "limit_policy.toml",
            "limitline": place / "limitline.json",
            **{name: place / f"{name}.json" for name in explained},
        },
        code_paths=_packages(folder / "code"),
        signature_input=_asked_schema(spec, policy, parts.released),
        signature_output=_served_schema(),
        pip_requirements=[f"{name}=={version(name)}" for name in REQUIREMENTS],
        signature_params=SERVED_PARAMS,
    )


def require_fit(spec: FeatureSpec, policy: LimitPolicy) -> None:
    """Refuse features and a policy that cannot decide together.

    Raises
    ------
    ContractError
        If they count in different currencies, or the policy reads an input that the features do
        not declare. The arm and the assignment come with the feature table, and what was decided
        before comes from the decision log.
    """
    if spec.currency != policy.currency:
        raise ContractError(
            f"The features count in {spec.currency} and the limit policy in {policy.currency}. "
            "Limits are never converted on the way; declare both in one currency."
        )
    missing = sorted(set(inputs.needed(policy)) - set(spec.inputs) - _KNOWN_ELSEWHERE)
    if missing:
        raise ContractError(
            f"The limit policy {policy.id} reads {', '.join(missing)}; the feature spec {spec.id} "
            "does not declare such an input. Declare it, or leave the section out."
        )


def _asked_schema(spec: FeatureSpec, policy: LimitPolicy, released: pa.Schema) -> pa.Schema:
    """Return what a caller of the served model passes: it has neither table nor decision log."""
    fields = [released.field(name) for name in spec.reads(released.names)]
    others = {name: inputs.OPTIONAL_TYPES[name] for name in scoring.from_elsewhere(spec, policy)}
    # Columns of a signature have no unsigned type.
    kinds = {name: pa.int64() if kind == pa.uint32() else kind for name, kind in others.items()}
    asked = {field.name for field in fields}
    return pa.schema([*fields, *(pa.field(n, k) for n, k in kinds.items() if n not in asked)])


def _served_schema() -> pa.Schema:
    known = engine.OUTPUT_SCHEMA.append(pa.field(scoring.DEFAULT_PROBABILITY, pa.float64()))
    # JSON has no dates, and a day that is missing in some rows has no other column type.
    days = {"uplift_expires_on": pa.string()}
    return pa.schema(
        [(name, days.get(name, known.field(name).type)) for name in scoring.SERVED_COLUMNS]
    )


def code_digest() -> str:
    """SHA-256 over the code that decides; a decision made by other code says so."""
    total = hashlib.sha256()
    for package, modules in sorted(TRAVELLING_CODE.items()):
        for module in modules:
            content = (importlib.resources.files(package) / f"{module}.py").read_bytes()
            total.update(f"{package}/{module}.py\0{len(content)}\0".encode() + content)
    return total.hexdigest()


def _packages(folder: Path) -> list[Path]:
    for package, modules in TRAVELLING_CODE.items():
        for module in modules:
            source = importlib.resources.files(package) / f"{module}.py"
            target = folder / package / f"{module}.py"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    return sorted(folder.iterdir())


def _copied(folder: Path, package: str, module: str) -> Path:
    target = folder / f"{module}.py"
    target.write_bytes((importlib.resources.files(package) / f"{module}.py").read_bytes())
    return target
