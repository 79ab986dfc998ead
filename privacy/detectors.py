"""Detectors for columns: personal data in a column that should have none, as text or in numbers.

Text is first narrowed by one RE2 pattern over the whole column; only what it lets through is folded
to one plain spelling and looked at value by value. A column is read generously: what looks like a
person's number in any grouping has no business there.

References
----------
RFC 5321 and RFC 6531 (e-mail).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from privacy import personal_data, spelling
from privacy.personal_data import DataKind, Finding

_GAP = r"[^0-9A-Za-z\u0080-\U0010ffff@#$%^&=<>?!;]"
_RUN = re.compile(rf"[0-9](?:{_GAP}{{0,4}}[0-9])*(?:{_GAP}{{0,4}}[Xx](?![0-9]))?")
_RANDOM = re.compile(
    r"(?<![0-9A-Za-z])(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"|(?=[0-9]*[a-f])[0-9a-f]{24,})(?![0-9A-Za-z])",
    re.IGNORECASE,
)
"""Hashes and random ids, in which some digits make a number by chance."""

_GROUP = re.compile(r"([0-9]+[Xx]?|[Xx])([^0-9Xx]*)")
_AMBIGUOUS = frozenset(".,:")
"""Between two groups alone these make a decimal, a list or a time; repeated alike they separate."""

_ALIKE = re.compile(
    r"(?<![0-9])[0-9]{1,13}(?:([^0-9]{1,12})[0-9]{1,13})(?:\1[0-9]{1,13})+(?:\1?[Xx])?"
)
"""Groups with one and the same separator between them, whatever it is."""

_SHAPES = frozenset(
    {(3, 4, 4), (3, 3, 5), (4, 3, 4), (4, 4, 3), (5, 3, 3), (6, 8, 4), (6, 4, 4, 4),
     (6, 4, 2, 2, 4), (6, 6, 3), (4, 6, 4), (4, 6, 5),
     *((4, 4, 4, 4, *rest) for rest in ((), (1,), (2,), (3,))),
     *((1,) * count for count in range(11, personal_data.LONGEST + 1))}
)  # fmt: skip
"""Groups in which people write a number whose separator says nothing."""

_AREA = re.compile(r"(?:0|(?:00)?86)(?:10|2[0-9]|[3-9][0-9]{2})")
_LOCAL_SHAPES = ((7,), (8,), (3, 4), (4, 4))
_LIST_MARK = re.compile("[1-9][0-9]?")
_LOCAL = re.compile(
    r"(?:\"[^\"\r\n]{1,64}\"|[^\s@<>()\[\]:;,\"\\]{1,64})(?:\([^()@]{0,40}\))?\s{0,2}\Z"
)
_LABEL, _DOT = r"[\w\-\u2600-\u27bf\U0001f000-\U0001faff]{1,63}", r"\s?\.\s?"
_DOMAIN = re.compile(
    rf"\s{{0,2}}(?:{_LABEL}(?:{_DOT}{_LABEL}){{0,6}}?{_DOT}(?:xn--[\w\-]{{2,59}}|[^\W\d_]{{2,24}})"
    r"(?![\w\-])|[(\[](?:IPv6:)?[0-9A-Fa-f:.]{3,45}[)\]]|[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9]))"
)
_LOCAL_REACH, _DOMAIN_REACH = 70, 260
_SAID = r"\s?[(\[{{<]\s?{0}\s?[)\]}}>]\s?|\s{0}\s"
_SAID_AT = re.compile(_SAID.format("at") + r"|\s?[(\[{<]a[)\]}>]\s?|\s?艾特\s?", re.IGNORECASE)
_SAID_DOT = re.compile(_SAID.format("dot"), re.IGNORECASE)

_DIGIT = rf"[\p{{N}}{spelling.DIGITS.removeprefix(chr(92) + 'd')}]"
_PREFILTER = (
    rf"(?is)(?:{_DIGIT}[^{spelling.DIGITS.removeprefix(chr(92) + 'd')}\p{{N}}]{{0,12}}){{10}}"
    rf"|[0-9][.,][0-9]{{1,18}} ?(?:[ed]|[x*\x{{D7}}] ?10)"
    rf"|[@\x{{FF20}}\x{{FE6B}}]|\\[ux01]|&#?[a-z0-9]+;|%(?:25)*40|[(\[{{<] ?at? ?[)\]}}>]|艾特"
    rf"|\bat\b.*\bdot\b"
)


def find(values: pa.Array) -> Counter[DataKind]:
    """Count the values of one column in which each kind of personal data is found.

    Parameters
    ----------
    values : pyarrow.Array
        Text, ``int64`` or ``float64``; other types cannot hold any and give an empty count.
    """
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        return _find_in_text(values)
    if pa.types.is_floating(values.type):
        return personal_data.find_in_floats(pc.drop_null(values).to_numpy(zero_copy_only=False))
    if pa.types.is_integer(values.type):
        return personal_data.find_in_integers(
            pc.drop_null(values).cast(pa.int64()).to_numpy(zero_copy_only=False)
        )
    return Counter()


def is_suspect(values: pa.Array) -> pa.Array:
    """Tell which texts hold so many digits, or a sign of an address, that they are looked at."""
    return pc.match_substring_regex(values, _PREFILTER)


def in_column(text: str) -> Iterator[Finding]:
    """Yield every personal datum in one text of a column, however it is spelled."""
    for form in dict.fromkeys((text, spelling.unescaped(text))):
        for reading in spelling.readings(form):
            yield from _numbers_in(spelling.written_out(reading))
        yield from _addresses_in(_SAID_DOT.sub(".", _SAID_AT.sub("@", spelling.folded(form))))


def _find_in_text(values: pa.Array) -> Counter[DataKind]:
    # A feature of text has few different values; each is looked at once.
    counted = pc.value_counts(values.drop_null())
    found: Counter[DataKind] = Counter()
    for suspect in counted.filter(is_suspect(counted.field("values"))).to_pylist():
        for kind in {kind for kind, _ in in_column(suspect["values"])}:
            found[kind] += suspect["counts"]
    return found


def _numbers_in(text: str) -> Iterator[Finding]:
    """Yield the numbers that some neighboring groups of digits make together."""
    text = _RANDOM.sub(" ", text)
    for run in _RUN.finditer(text):
        yield from _kinds_in_run(_GROUP.findall(run[0]))
    for run in _ALIKE.finditer(text):
        if run[1] not in ("x", "X"):  # These stand between lengths.
            yield from _of_a_shape(run[0].split(run[1]))


def _of_a_shape(groups: Sequence[str]) -> Iterator[Finding]:
    """Yield what groups are between which stands one and the same, whatever it is."""
    digits = "".join(groups)
    mobile = personal_data.MOBILE.fullmatch(digits)
    if tuple(map(len, groups)) not in _SHAPES:
        return
    if personal_data.is_resident_id(digits) or personal_data.is_old_resident_id(digits):
        yield DataKind.RESIDENT_ID, digits
    elif personal_data.CARD.fullmatch(digits) and personal_data.is_luhn(digits):
        yield DataKind.BANK_CARD, digits
    elif mobile:
        yield DataKind.MOBILE, mobile[1]


def _kinds_in_run(groups: Sequence[tuple[str, str]]) -> Iterator[Finding]:
    for first in range(len(groups)):
        digits = ""
        for last in range(first, len(groups)):
            digits += groups[last][0]
            if len(digits) > personal_data.LONGEST:
                break
            if len(digits) > 10:
                yield from _kinds_of(digits, groups, first, last)


def _kinds_of(
    digits: str, groups: Sequence[tuple[str, str]], first: int, last: int
) -> Iterator[Finding]:
    """Yield what the digits of ``groups[first : last + 1]`` are, given what stands around them."""
    own = groups[first : last + 1]
    before, left = groups[first - 1] if first else ("", "")
    right, after = groups[last][1], groups[last + 1][0] if last + 1 < len(groups) else ""
    is_listed = left == "." and first == 1 and _LIST_MARK.fullmatch(before) is not None
    if left == "." and not is_listed:
        return
    if personal_data.is_resident_id(digits):
        yield DataKind.RESIDENT_ID, digits
        return
    digits = digits.rstrip("Xx")
    if not digits.isdigit() or not _is_spelled(own, left, right):
        return
    is_amount = right == "." and after.strip("0") != ""
    if is_listed:
        mobile = personal_data.MOBILE.fullmatch(digits)
        if mobile and len(own) == 1 and not is_amount:
            yield DataKind.MOBILE, mobile[1]
        return
    yield from _with_their_shape(digits, [group for group, _ in own], is_amount)


def _with_their_shape(digits: str, own: Sequence[str], is_amount: bool) -> Iterator[Finding]:
    if personal_data.is_old_resident_id(digits):
        yield DataKind.RESIDENT_ID, digits
        return
    if personal_data.CARD.fullmatch(digits) and personal_data.is_luhn(digits):
        if len(digits) > 14:
            yield DataKind.BANK_CARD, digits
        elif len(own) != 2:
            yield DataKind.SHORT_CARD, digits
    if is_amount:
        return
    is_dated = len(own[0]) == 2 and own[0][0] == "0"
    mobile = None if is_dated else personal_data.MOBILE.fullmatch(digits)
    mobile = mobile or (personal_data.ANY_MOBILE.fullmatch(digits) if len(own) == 1 else None)
    if mobile:
        yield DataKind.MOBILE, mobile[1]
    elif personal_data.LANDLINE.fullmatch(digits) and _is_landline(own):
        yield DataKind.LANDLINE, digits


def _is_landline(own: Sequence[str]) -> bool:
    """Tell whether an area code stands alone before one or two groups, or there are no groups."""
    if len(own) == 1:
        return own[0][0] == "0"
    if own[0] in personal_data.COUNTRY_CODES:
        own = ["0" + own[1], *own[2:]]
    return _AREA.fullmatch(own[0]) is not None and tuple(map(len, own[1:])) in _LOCAL_SHAPES


def _is_spelled(own: Sequence[tuple[str, str]], left: str, right: str) -> bool:
    """Tell whether the gaps separate groups of one number, and not numbers from each other."""
    gaps, sizes = [gap for _, gap in own[:-1]], {len(group) for group, _ in own}
    if len(own) == 2 and len(sizes) == 1 and gaps[0].strip() in ("-", "~"):
        return own[1][0] < own[0][0]  # Otherwise these are the two ends of a range.
    marks = {gap for gap in gaps if not _AMBIGUOUS.isdisjoint(gap)}
    if not marks:
        return True
    is_alike = len(gaps) > 1 and {*gaps} == marks and len(marks) == 1
    if not is_alike or not marks.isdisjoint((left, right)):
        return False
    # Groups between dots or colons are a host, a version or a time, unless people group so.
    return marks.isdisjoint(".:") or _is_grouped([group for group, _ in own])


def _is_grouped(groups: Sequence[str]) -> bool:
    """Tell whether groups have a shape of a number of people, or are thousands of no host."""
    own = groups[1:] if groups[0] in personal_data.COUNTRY_CODES else groups
    is_thousands = len(own[0]) < 4 and all(len(group) == 3 for group in own[1:])
    is_host = all(int(group) < 256 for group in own)
    return tuple(map(len, own)) in _SHAPES or (is_thousands and not is_host)


def _addresses_in(text: str) -> Iterator[Finding]:
    at = text.find("@")
    while at >= 0:
        local = _LOCAL.search(text, max(at - _LOCAL_REACH, 0), at)
        domain = _DOMAIN.match(text, at + 1, at + _DOMAIN_REACH)
        if local and domain:
            yield DataKind.EMAIL, local[0] + "@" + domain[0]
        at = text.find("@", at + 1)
