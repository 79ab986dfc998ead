"""Subject ids in one form: two spellings of one id are one customer, never two.

Which spellings are the same depends on what kind of id it is, so the contract declares the kind.
Full-width and other digits, invisible characters and look-alike capitals are one form in every
kind; case, country codes and the older form of a resident id only where they mean nothing.

References
----------
Unicode Standard Annex 15 (NFKC); GB 11643-1999, sections 4 and 5 (15 and 18 digits, check digit).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from governance.contract import Column, IdKind
from governance.errors import ContractError
from privacy import personal_data

FORM = "1"
"""Version of the canonical forms; it is part of the context of the blind index's key."""

_INVISIBLE = re.compile("[\u034f\u115f\u1160\u3164\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_SPOILED = r"^(?:'|[0-9]+\.0+$|[0-9]+(?:\.[0-9]*)?[Ee]\+[0-9]+$|[0-9]+\.[0-9]+[Ee][0-9]+$)"
"""What spreadsheets make of an id that they take for a number; which one it was, nobody knows."""

_LOOK_ALIKES = str.maketrans(
    "АВЕЅІЈКМНОРСТУХΑΒΕΖΗΙΚΜΝΟΡΤΥΧ×",
    "ABESIJKMHOPCTYXABEZHIKMNOPTYXX",
)
_SEPARATORS = re.compile(r"[\s\-.·/()]")
_CHINESE_MOBILE = re.compile(r"(?:\+?86)?(1\d{10})")
_FOREIGN_NUMBER = re.compile(r"\+\d{6,15}")

# What looks like this already is in its form; nothing is done to it, which is most of all rows.
_IN_FORM: Mapping[IdKind, str] = {
    "code": r"^[ -`{-~]*$",
    "token": r"^[ -~]*$",
    "mobile": r"^1[0-9]{10}$",
    "resident_id": r"^[0-9]{17}[0-9X]$",
}


def canonical(values: pa.Array | pa.ChunkedArray, column: Column) -> pa.Array:
    """Return the ids in the one form of the kind that `column` declares.

    Raises
    ------
    ContractError
        If some are no ids of that kind; the message says how many and never which.
    """
    ids = pa.concat_arrays(values.chunks) if isinstance(values, pa.ChunkedArray) else values
    spoiled = pc.match_substring_regex(ids, _SPOILED)
    other = pc.or_(pc.invert(pc.match_substring_regex(ids, _IN_FORM[column.id_kind])), spoiled)
    if not pc.any(other, min_count=0).as_py():
        return ids
    form = _FORMS[column.id_kind]
    formed = [form(text) for text in ids.filter(other).to_pylist()]
    strange = formed.count(None)
    if strange:
        raise ContractError(
            f"{strange} values of the column {column.name} are no ids of the declared kind "
            f"{column.id_kind}. Correct the export, or declare the kind that they are."
        )
    return pc.replace_with_mask(ids, other, pa.array(formed, type=ids.type))


def _visible(text: str) -> str:
    """Return `text` in compatibility form, with plain digits and dashes and nothing invisible."""
    kept = []
    for letter in _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)):
        category, digit = unicodedata.category(letter), unicodedata.decimal(letter, None)
        if digit is not None:
            kept.append(str(digit))
        elif category == "Pd" or letter == "\u2212":
            kept.append("-")
        elif category.startswith("Z") or letter == "\u2800":
            kept.append(" ")
        elif category not in ("Cc", "Cf"):
            kept.append(letter)
    return unicodedata.normalize("NFKC", "".join(kept)).translate(_LOOK_ALIKES)


def _token(text: str) -> str | None:
    """Return a visible text as it is; None if a program spoiled it, or nobody can read it."""
    form = _visible(text)
    is_unknown = any(unicodedata.category(letter) in ("Cn", "Co", "Cs") for letter in form)
    return None if is_unknown or re.match(_SPOILED, form) else form


def _code(text: str) -> str | None:
    form = _token(text)
    return None if form is None else _visible(form.casefold().upper())


def _mobile(text: str) -> str | None:
    number = re.sub(r"^00", "+", _SEPARATORS.sub("", _visible(text)))
    chinese = _CHINESE_MOBILE.fullmatch(number)
    if chinese:
        return chinese[1]
    return number if _FOREIGN_NUMBER.fullmatch(number) else None


def _resident_id(text: str) -> str | None:
    number = _SEPARATORS.sub("", _code(text) or "")
    if re.fullmatch(r"\d{15}", number):
        body = number[:6] + "19" + number[6:]
        return body + personal_data.check_digit(body)
    return number if re.fullmatch(r"\d{17}[\dX]", number) else None


_FORMS: Mapping[IdKind, Callable[[str], str | None]] = {
    "code": _code,
    "token": _token,
    "mobile": _mobile,
    "resident_id": _resident_id,
}
