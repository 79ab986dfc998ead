"""SMS parts: how many messages a text becomes on its way to a telephone.

A part holds 160 signs of the GSM 7-bit alphabet or 70 UTF-16 units if one sign is outside it, which
every Chinese text is. Longer texts are sent in parts that each give up some room for a header.

References
----------
3GPP TS 23.038 (alphabets) and TS 23.040, section 9.2.3.24.1 (concatenated messages).
"""

from __future__ import annotations

_ONE = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_TWO = "\f^{}\\[~]|€"


def parts(text: str) -> int:
    """Return how many SMS a text becomes.

    Examples
    --------
    >>> parts("a" * 160), parts("a" * 161), parts("额" * 70), parts("额" * 71)
    (1, 2, 1, 2)
    """
    if all(sign in _ONE or sign in _TWO for sign in text):
        return _fit([2 if sign in _TWO else 1 for sign in text], alone=160, each=153)
    return _fit([len(sign.encode("utf-16-le")) // 2 for sign in text], alone=70, each=67)


def _fit(sizes: list[int], *, alone: int, each: int) -> int:
    """Fill parts in order; a sign of two units is not torn apart."""
    if sum(sizes) <= alone:
        return 1
    count, room = 1, each
    for size in sizes:
        if size > room:
            count, room = count + 1, each
        room -= size
    return count
