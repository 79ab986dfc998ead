"""Declared files: a TOML text, read once, frozen, checked to the last key, known by its digest."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from governance import canonical
from governance.errors import ContractError


class Declaration(BaseModel):
    """Base of everything that people review as a file: contract, appetite, features, policy."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    called: ClassVar[str] = "declaration"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the declaration from TOML text.

        Raises
        ------
        ContractError
            If the text is not TOML or breaks a rule; the message names the field and the rule, and
            does not repeat the offending value.
        """
        try:
            return cls.model_validate(tomllib.loads(text))
        except (tomllib.TOMLDecodeError, ValidationError) as error:
            raise ContractError(f"The {cls.called} cannot be used: {_first(error)}") from None

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a declaration file.

        Raises
        ------
        ContractError
            If there is no such file, it is not UTF-8 text, or `parse` refuses it.
        """
        try:
            return cls.parse(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ContractError(f"There is no {cls.called} at {path}.") from None
        except (IsADirectoryError, UnicodeDecodeError):
            raise ContractError(f"The {cls.called} at {path} is not a text file.") from None

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical form: two files that say the same have the same digest."""
        return canonical.digest(self)


def _first(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    problems = error.errors(include_input=False, include_url=False, include_context=False)
    # A key that nobody declared is most often the misspelling of one that then seems to be missing.
    unknown = [problem for problem in problems if problem["type"] == "extra_forbidden"]
    if unknown:
        keys = ", ".join(_place(problem["loc"]) for problem in unknown)
        return f"unknown key {keys}. Correct or remove it."
    problem = problems[0]
    if problem["type"] == "missing":
        return f"the key {_place(problem['loc'])} is missing."
    said = problem["msg"].removeprefix("Value error, ")
    return f"{_place(problem['loc'])}: {said}." if problem["loc"] else f"{said}."


def _place(path: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in path)
