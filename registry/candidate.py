"""What is handed over to become a version, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateFiles:
    """The files that make one credit-limit model.

    Parameters
    ----------
    python_model : Path
        The models-from-code file.
    artifacts : mapping of str to Path
        Artifact name to file; the file keeps its own name below ``artifacts/``.
    code_paths : sequence of Path
        Packages or modules that travel with the model.
    signature_params : mapping of str to str
        Parameters of ``predict`` with their defaults, such as ``as_of``.
    """

    python_model: Path
    artifacts: Mapping[str, Path]
    code_paths: Sequence[Path]
    signature_input: pa.Schema
    signature_output: pa.Schema
    pip_requirements: Sequence[str]
    signature_params: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What a run shows in the catalogue; nothing of it decides anything.

    Parameters
    ----------
    observed : mapping of str to str
        Times, machine and the like: signed with the version, and no part of what makes two
        candidates the same.
    """

    run_name: str
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    observed: Mapping[str, str] = field(default_factory=dict)
    figures: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedModel:
    """A registered version, with the folder that holds its bytes."""

    name: str
    version: int
    run_id: str
    model_id: str
    folder: Path
