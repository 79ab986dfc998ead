"""An exact document: JSON in which every number is read back as the same binary fraction.

Such a file is a model or a part of one, not evidence: the 12 digits of canonical JSON would make
another model of it.
"""

from __future__ import annotations

import hashlib
import json
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from governance.errors import IntegrityError


class ExactDocument(BaseModel):
    """Base of the JSON files of a model folder that explain the model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    called: ClassVar[str] = "a document"

    @classmethod
    def loads(cls, text: bytes | str) -> Self:
        """Read the document from JSON.

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
                f"This is not {cls.called}: {place}: {problem['msg']}. It was not used."
            ) from None

    def dumps(self) -> bytes:
        """Return the document as JSON; the same content is the same bytes."""
        plain = self.model_dump(mode="json", by_alias=True)
        return (json.dumps(plain, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()

    @property
    def digest(self) -> str:
        """SHA-256 of the JSON text."""
        return hashlib.sha256(self.dumps()).hexdigest()
