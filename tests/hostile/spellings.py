"""How people write a mobile number, a resident id, a card and an address; and what is none.

Everything is invented and made in order, so that two runs see the same. `usual` marks spellings
that a document is searched for; the others are looked for in columns alone.
"""

from __future__ import annotations

import itertools
import random
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from privacy.personal_data import DataKind

USUAL_GAPS = (
    " -._/\u00a0\u2009\u202f\u3000\u2010\u2011\u2012"
    "\u2013\u2014\u2212\uff0d\u00b7\u30fb\uff0e\u2044"
)
UNSEEN = "\u200b\u200c\u200d\u2060\ufeff\u00ad\ufe0f\u200e\u202c"
ODD_GAPS = ("\t", "  ", "\n", "\\", "'", "\u2019", "|", "~", "*", "\u3000\u3000", " \u2014 ", "__")
ANY_GAPS = (
    *"=#;>&^!?$%@<:+", "\u2028", "\x85", "\u3164", "→", "📞", "转", "><", "] [", " " * 9,
    " / ", "\r\n",
)  # fmt: skip
SCRIPTS = {
    "full width": 0xFF10, "Arabic": 0x660, "Persian": 0x6F0, "Devanagari": 0x966, "Bengali": 0x9E6,
    "Thai": 0xE50, "Tibetan": 0xF20, "Khmer": 0x17E0, "bold": 0x1D7CE, "monospace": 0x1D7F6,
}  # fmt: skip
DRAWN = {
    "circled": "⓪①②③④⑤⑥⑦⑧⑨", "black circles": "⓿❶❷❸❹❺❻❼❽❾", "raised": "⁰¹²³⁴⁵⁶⁷⁸⁹",
    "lowered": "₀₁₂₃₄₅₆₇₈₉", "everyday": "〇一二三四五六七八九",
    "financial": "零壹贰叁肆伍陆柒捌玖",
    "in rings": "〇㊀㊁㊂㊃㊄㊅㊆㊇㊈", "in brackets": "〇㈠㈡㈢㈣㈤㈥㈦㈧㈨",
    "spoken": "零幺两三四五六七八九",
    "keycaps": [f"{digit}\ufe0f\u20e3" for digit in range(10)],
}  # fmt: skip
BEFORE = (
    "", "电话", "手机号码为", "号码：", "客户姓", "卡号为", "身份证号为",
    "Tel.", "No.", "ID No.", "tel:",
    "call ", "N° ", "m=", "user_", "tel", "【", "(", "'", '"', "<b>", "①", "1. ", "2) ", "，", "é ",
)  # fmt: skip
AFTER = (
    "",
    "。",
    ",",
    "为本人",
    "转1",
    " (home)",
    "）",
    ";",
    "\n",
    '"',
    "</b>",
    "_x",
    " 2024",
    "、",
)


ESCAPES: tuple[Callable[[str], str], ...] = (
    lambda c: f"&#{ord(c)};", lambda c: f"&#x{ord(c):x};", lambda c: f"&amp;#{ord(c)};",
    lambda c: f"%{ord(c):02x}", lambda c: f"%25{ord(c):02X}", lambda c: f"\\u{ord(c):04x}",
    lambda c: f"\\U{ord(c):08x}", lambda c: f"\\u{{{ord(c):x}}}", lambda c: f"\\x{ord(c):02x}",
    lambda c: f"\\{ord(c):03o}",
)  # fmt: skip


@dataclass(frozen=True)
class Spelling:
    """One way to write one datum."""

    kind: DataKind
    text: str
    usual: bool = True


def mobile(number: int) -> str:
    """Return an invented mobile number of eleven digits."""
    return f"1{3 + number % 7}{(number * 7_919_143 + 271_828_182) % 10**9:09d}"


def resident_id(number: int) -> str:
    """Return an invented resident id of 18 characters; one in eleven ends with X."""
    day = datetime(1950, 1, 1, tzinfo=UTC) + timedelta(days=number * 97 % 18_000)
    body = f"{(110105, 310104, 440305, 510107)[number % 4]}{day:%Y%m%d}{number * 37 % 1000:03d}"
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return body + "10X98765432"[sum(int(d) * w for d, w in zip(body, weights, strict=True)) % 11]


def card(number: int, length: int = 16) -> str:
    """Return an invented card number with its check digit."""
    head = {14: "36", 15: "37"}.get(length, ("4", "62", "53", "62")[number % 4])
    head = "62" if length > 16 else "4" if length == 13 else head
    body = head + str(number * 982_451_653 + 10**18)[-(length - 1 - len(head)) :]
    total = sum(
        d if place % 2 else (2 * d - 9 if d > 4 else 2 * d)
        for place, d in enumerate(map(int, reversed(body)))
    )
    return body + str(-total % 10)


def grouped(text: str, shape: Sequence[int], gap: str) -> str:
    """Write a number in groups."""
    ends = list(itertools.accumulate(shape))
    return gap.join(text[end - size : end] for end, size in zip(ends, shape, strict=True))


def in_digits(text: str, digits: Sequence[str]) -> str:
    """Write a number with other digits."""
    return "".join(digits[int(c)] if c.isdigit() else c for c in text)


SHAPES: dict[DataKind, tuple[tuple[int, ...], ...]] = {
    DataKind.MOBILE: ((11,), (3, 4, 4)),
    DataKind.RESIDENT_ID: ((18,), (6, 8, 4), (6, 4, 4, 4), (6, 8, 3, 1), (17, 1), (3, 3, 4, 4, 4)),
    DataKind.BANK_CARD: ((16,), (4, 4, 4, 4)),
}
ODD_SHAPES: dict[DataKind, tuple[tuple[int, ...], ...]] = {
    DataKind.MOBILE: ((3, 8), (4, 4, 3), (4, 3, 4), (3, 3, 5), (5, 6), (2, 3, 3, 3), (1,) * 11),
    DataKind.RESIDENT_ID: ((2, 16), (10, 8), (6, 12), (1,) * 18),
    DataKind.BANK_CARD: ((4, 12), (6, 10), (2,) * 8, (1,) * 16),
}


def numbers(kind: DataKind) -> Iterator[Spelling]:
    """Yield the spellings of one kind of number."""
    draws = itertools.count(1)
    make = {DataKind.MOBILE: mobile, DataKind.RESIDENT_ID: resident_id, DataKind.BANK_CARD: card}[
        kind
    ]
    whole, usual = SHAPES[kind][0], SHAPES[kind][1]
    for shape, gap in itertools.product(SHAPES[kind][1:], USUAL_GAPS):
        yield Spelling(kind, grouped(make(next(draws)), shape, gap))
    for shape, gap in itertools.product(SHAPES[kind][1:], UNSEEN):
        yield Spelling(kind, grouped(make(next(draws)), shape, gap))
    for shape, gap in itertools.product(SHAPES[kind][1:], ODD_GAPS):
        yield Spelling(kind, grouped(make(next(draws)), shape, gap), usual=False)
    for gap in ANY_GAPS:
        yield Spelling(kind, grouped(make(next(draws)), usual, gap), usual=False)
    for shape, gap in itertools.product(ODD_SHAPES[kind], (" ", "-", "\u00a0", "\uff0d", "_")):
        yield Spelling(kind, grouped(make(next(draws)), shape, gap), usual=False)
    scripts = [[chr(zero + digit) for digit in range(10)] for zero in SCRIPTS.values()]
    for digits, shape in itertools.product([*scripts, *DRAWN.values()], (whole, usual)):
        for gap in (" ", "-") if shape is usual else ("",):
            yield Spelling(kind, in_digits(grouped(make(next(draws)), shape, gap), digits))
    for before, after in itertools.product(BEFORE, AFTER):
        yield Spelling(kind, f"{before}{make(next(draws))}{after}")
    for before in BEFORE:
        yield Spelling(
            kind, f"{before}{grouped(make(next(draws)), usual, '-')}。", usual=before[-1:] != "_"
        )


def escaped(kind: DataKind) -> Iterator[Spelling]:
    """Yield a number of one kind in the escapes of page, address and program."""
    make = {DataKind.MOBILE: mobile, DataKind.RESIDENT_ID: resident_id, DataKind.BANK_CARD: card}[
        kind
    ]
    for number, escape in enumerate(ESCAPES, 2_001):
        yield Spelling(kind, "".join(map(escape, make(number))), usual=False)


def mobiles() -> Iterator[Spelling]:
    """Yield what only mobile numbers are written like."""
    yield from numbers(DataKind.MOBILE)
    yield from escaped(DataKind.MOBILE)
    for number, code in enumerate(("+86", "+86 ", "+86-", "0086", "0086 ", "86", "(86)", "(+86) ",
                                   "+86(0)", "＋86", "+ 86 ", "00 86 ", "0", "86-")):  # fmt: skip
        for text in (mobile(number), grouped(mobile(number), (3, 4, 4), " "),
                     grouped(mobile(number), (3, 4, 4), "-")):  # fmt: skip
            odd = code in ("+86(0)", "00 86 ", "0") or (code in ("0086", "86") and text[3] in " -")
            yield Spelling(DataKind.MOBILE, code + text, usual=not odd)
    for number in range(20):
        own = mobile(number * 13 + 1)
        yield Spelling(DataKind.MOBILE, f"({own[:3]}) {own[3:7]}-{own[7:]}")
        yield Spelling(DataKind.MOBILE, f"+86({own[:3]}){own[3:7]}-{own[7:]}")
        yield Spelling(DataKind.MOBILE, f"{own}.0")
        yield Spelling(DataKind.MOBILE, f"{own[0]}.{own[1:]}E10")
        yield Spelling(DataKind.MOBILE, f"{own[0]}.{own[1:]}e+10")
        yield Spelling(DataKind.MOBILE, f"{int(own):,}", usual=False)
        yield Spelling(DataKind.MOBILE, f"{own[:3]},{own[3:7]},{own[7:]}", usual=False)
        yield Spelling(DataKind.MOBILE, f"1.{own}", usual=False)
        yield Spelling(DataKind.MOBILE, f"ID{own}X", usual=False)
        yield Spelling(
            DataKind.MOBILE,
            f"{int(own):,}".replace(",", ".") if own[2:5] > "255" else own,
            usual=False,
        )
        yield Spelling(DataKind.MOBILE, f"{own[0]},{own[1:]}E+10")
        yield Spelling(DataKind.MOBILE, f"{own[0]}.{own[1:]}*10**10")


def resident_ids() -> Iterator[Spelling]:
    """Yield what only resident ids are written like."""
    yield from numbers(DataKind.RESIDENT_ID)
    yield from escaped(DataKind.RESIDENT_ID)
    ending = [own for own in map(resident_id, range(1, 900)) if own.endswith("X")]
    for own, letter in zip(ending, itertools.cycle("xＸｘХх×Ⅹ"), strict=False):
        yield Spelling(DataKind.RESIDENT_ID, own[:-1] + letter)
    for own, gap in zip(ending, itertools.cycle(" -\u200b\u00a0\uff0d"), strict=False):
        yield Spelling(DataKind.RESIDENT_ID, f"{own[:-1]}{gap}X")
    for number in range(30):
        old = (own := resident_id(number * 7))[:6] + own[8:17]
        yield Spelling(DataKind.RESIDENT_ID, old)
        yield Spelling(DataKind.RESIDENT_ID, f"身份证{old}")
        yield Spelling(DataKind.RESIDENT_ID, grouped(old, (6, 6, 3), " "))


def cards() -> Iterator[Spelling]:
    """Yield what only cards are written like."""
    yield from numbers(DataKind.BANK_CARD)
    yield from escaped(DataKind.BANK_CARD)
    for length, number in itertools.product((13, 14, 15, 16, 17, 18, 19), range(5)):
        kind = DataKind.SHORT_CARD if length < 15 else DataKind.BANK_CARD
        usual = length in (15, 16, 19)
        yield Spelling(kind, card(number * 4 + 1, length), usual=usual)
    for number in range(10):
        long, amex = card(number * 4 + 1, 19), card(number, 15)
        yield Spelling(DataKind.BANK_CARD, grouped(long, (4, 4, 4, 4, 3), " "))
        yield Spelling(DataKind.BANK_CARD, grouped(long, (6, 13), " "))
        yield Spelling(DataKind.BANK_CARD, grouped(amex, (4, 6, 5), "-"))


def addresses() -> Iterator[Spelling]:
    """Yield e-mail addresses, in Chinese, quoted, in full width, at literals."""
    locals_ = (
        "li.lei",
        "l",
        "li+tag",
        "li_lei-2",
        "李四",
        "ЛиЛэй",
        "josé",
        '"li lei"',
        "o'neil",
        "138x",
    )
    domains = ("example.com", "mail.example.com.cn", "例子.中国", "xn--fsqu00a.xn--fiqs8s",
               "EXAMPLE.ORG",
               "exa-mple.co", "münchen.example", "[10.0.0.1]", "163.com", "пример.рф",
               "उदाहरण.कॉम", "ตัวอย่าง.ไทย", "例子.公司")  # fmt: skip
    for local, domain in itertools.product(locals_, domains):
        for at in ("@", "＠", "﹫"):
            yield Spelling(DataKind.EMAIL, f"{local}{at}{domain}")
    for local, before, after in itertools.product(
        ("li.lei", "李四"), BEFORE[:19], ("", "。", ",", ">", "\n")
    ):
        yield Spelling(DataKind.EMAIL, f"{before}{local}@example.com{after}")
    for local in ("li.lei", "wang"):
        for text in (f"{local} @ example.com", f"{local}@ example.com", f"{local}＠example．com",
                     f"{local}\u200b@example.com", f"mailto:{local}@example.com",
                     f"<{local}@example.com>", f"{local}@example。com"):  # fmt: skip
            yield Spelling(DataKind.EMAIL, text)
        for text in (f"{local} [at] example [dot] com", f"{local}(at)example.com",
                     f"{local} at example dot com", f"{local}@10.0.0.1",
                     f"{local}@example . com", f"{local}(a)example.com", f"{local}艾特example.com",
                     f"{local}%2540example.com", f"{local}\\x40example.com", f"{local}@😀.com",
                     f"{local}(home)@example.com"):  # fmt: skip
            yield Spelling(DataKind.EMAIL, text, usual=False)


ALL = {
    DataKind.MOBILE: tuple(dict.fromkeys(mobiles())),
    DataKind.RESIDENT_ID: tuple(dict.fromkeys(resident_ids())),
    DataKind.BANK_CARD: tuple(dict.fromkeys(cards())),
    DataKind.EMAIL: tuple(dict.fromkeys(addresses())),
}


def clean() -> dict[str, list[str]]:
    """Return texts of tables and reports that name nobody, a list for each kind of text."""
    draws = random.Random(11)
    n = 3_000
    start = datetime(2019, 1, 1, tzinfo=UTC)
    times = [start + timedelta(seconds=draws.randrange(10**8), microseconds=draws.randrange(10**6))
             for _ in range(n)]  # fmt: skip
    amounts = [draws.randrange(10**9) for _ in range(n)]
    return {
        "amounts": [str(a) for a in amounts] + [f"{a:,}" for a in amounts],
        "amounts with hundredths": [f"{a:,.2f}" for a in amounts]
        + [f"¥{a / 100:.2f}" for a in amounts],
        "dates": [f"{t:{how}}" for t in times
                  for how in ("%Y-%m-%d", "%d.%m.%Y", "%Y/%m/%d", "%Y%m%d")],
        "times": [t.isoformat() for t in times] + [f"{t:%Y-%m-%d %H:%M:%S.%f}" for t in times]
        + [f"{t:%Y%m%d%H%M%S}" for t in times],
        "epochs": [str(int(t.timestamp() * scale)) for t in times
                   for scale in (1, 1_000, 1_000_000)],
        "ranges": [f"{t:%Y-%m-%d}/{t + timedelta(days=30):%Y-%m-%d}" for t in times],
        "order numbers": [f"{t:%Y%m%d}{draws.randrange(10**9):09d}" for t in times]
        + [f"SO-{draws.randrange(10**6):06d}-{t:%y}" for t in times]
        + [str(draws.randrange(2 * 10**11, 3 * 10**11)) for _ in range(n)],
        "floats": [repr(draws.gauss(0, 10 ** draws.randrange(-3, 6))) for _ in range(n)]
        + [f"{draws.gauss(0, 3):.3e}" for _ in range(n)],
        "hashes": [f"{draws.getrandbits(256):064x}" for _ in range(n)]
        + [str(uuid.UUID(int=draws.getrandbits(128))) for _ in range(n)],
        "versions and hosts": [
            ".".join(str(draws.randrange(255)) for _ in range(4)) for _ in range(n)]
        + [f"Chrome/{draws.randrange(60, 199)}.0.{draws.randrange(10**4)}.{draws.randrange(999)}"
           for _ in range(n)]
        + [f"pkg@{draws.randrange(9)}.{draws.randrange(20)}.1" for _ in range(n)],
        "bands": [f"{a}-{a + 4999}" for a in range(0, 9_000_000, 5_000)],
        "coordinates": [f"{draws.uniform(18, 53):.4f} {draws.uniform(73, 135):.4f}"
                        for _ in range(n)],
        "words": ["大专", "本科", "制造业", "self-employed", "北京市", "N/A", "-", "②",
                  "一二三", "a @ b", "50%"],
    }  # fmt: skip
