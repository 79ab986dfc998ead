"""The explanation method: the part of a model folder that fixes how its reasons are found.

``explanation.json`` holds the reference, the wording and what customers can change. It is signed
with the model, so that a reason told today can be found again by anybody who holds the folder.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from decisions.explaining import reason_texts
from decisions.explaining.contributions import NEGLIGIBLE
from decisions.explaining.reason_texts import Lever, Text, refuse_idle
from decisions.explaining.reference import Reference
from decisions.features import FeatureSpec
from governance.errors import ContractError, IntegrityError
from governance.outcome import Outcome

FILE = "explanation.json"


class Method(BaseModel):
    """How one model explains itself, or why it cannot.

    Parameters
    ----------
    outcome : Outcome
        ``PASS``: reasons can be told. ``INCONCLUSIVE``: `reason` says what is missing.
    texts : mapping of str to Text
        Wording of the spec's reason groups; not more groups than the model has.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_: Literal["explanation-method/1"] = Field(default="explanation-method/1", alias="schema")
    outcome: Literal[Outcome.PASS, Outcome.INCONCLUSIVE]
    reason: str = ""
    how: Literal["group ablation against the reference"] = "group ablation against the reference"
    features_id: str
    features_digest: str
    most_reasons: Literal[4] = 4
    negligible_log_odds: float = NEGLIGIBLE
    reference: Reference | None
    texts_id: str
    texts: dict[str, Text]
    levers: tuple[Lever, ...] = ()

    @model_validator(mode="after")
    def _passes_only_if_complete(self) -> Method:
        if (self.outcome is Outcome.PASS) == bool(self.reason):
            raise ValueError("a reason stands exactly where the outcome is not PASS")
        if self.outcome is Outcome.PASS and self.reference is None:
            raise ValueError("without a reference nothing is explained")
        reason_texts.refuse_protected(self.texts)
        return self

    @classmethod
    def loads(cls, text: bytes | str) -> Self:
        """Read the method from JSON.

        Raises
        ------
        IntegrityError
            If the text is not one; the message repeats no value of it.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            problem = error.errors(include_input=False, include_url=False, include_context=False)[0]
            place = ".".join(str(part) for part in problem["loc"]) or "file"
            raise IntegrityError(
                f"This is not an explanation method: {place}: {problem['msg']}. It was not used."
            ) from None

    def dumps(self) -> bytes:
        """Return the method as JSON; the same content is the same bytes.

        Numbers keep every digit: the 12 digits of canonical JSON would make another reference.
        """
        plain = self.model_dump(mode="json", by_alias=True)
        return (json.dumps(plain, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()

    @property
    def digest(self) -> str:
        """SHA-256 of the JSON text."""
        return hashlib.sha256(self.dumps()).hexdigest()

    def require_fit(self, spec: FeatureSpec) -> None:
        """Refuse a method that is not that of these features.

        Raises
        ------
        ContractError
            If it was made for other features, cannot tell one of their groups, or proposes what
            changes nothing.
        """
        if self.features_digest != spec.digest:
            raise ContractError(
                f"The explanation was made for {self.features_id}, in other words or another "
                f"version than {spec.id}. Make it from the spec of the model."
            )
        refuse_idle(spec, self.levers, self.texts_id)
        missing = sorted(set(spec.reason_groups) - set(self.texts))
        if self.outcome is Outcome.PASS and missing:
            raise ContractError(
                f"The reason group {missing[0]} of {spec.id} has no wording in {self.texts_id}. "
                "Add the group to it in both languages."
            )
        if self.reference is not None and self.reference.names != spec.names:
            raise ContractError(f"The reference is not that of the features {spec.id}.")


def of_folder(folder: Path, spec: FeatureSpec) -> Method | None:
    """Return the method in a verified model folder; ``None`` if the version has none.

    Raises
    ------
    IntegrityError
        If the file is there and is no method of these features.
    """
    place = folder / "artifacts" / FILE
    if not place.is_file():
        return None
    found = Method.loads(place.read_bytes())
    try:
        found.require_fit(spec)
    except ContractError as error:
        raise IntegrityError(f"{error} The model folder contradicts itself.") from None
    return found
