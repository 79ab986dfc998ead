"""Whatever table a verb is handed, it answers or refuses with a documented code and no value."""

from __future__ import annotations

import csv
import datetime
import functools
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from decisions.policy import packaged as policy
from lab.optimizer.economics import packaged as economics
from limitline.commands import app

DOCUMENTED = {0, 2, 10, 11, 12, 13, 14, 15, 16}
CANARY = "canary7"
N = 40

BOOK: dict[str, list[Any]] = {
    "customer": [f"c{row}" for row in range(N)],
    "default_probability": [0.01 + row / 100 for row in range(N)],
    "current_limit_minor": [5_000_000] * N,
    "balance_minor": [2_000_000] * N,
    "utilization": [0.4] * N,
    "months_delinquent": [0] * N,
    "months_since_raise": [None] * N,
    "months_since_cut": [None, *[9] * (N - 1)],
    "segment": ["consumer"] * N,
    "currency": ["TWD"] * N,
    "reference_limit_minor": [5_000_000] * N,
}
DECISIONS: dict[str, list[Any]] = {
    "action": ["raise", "cut"] * (N // 2),
    "bad": [0, 1, 0, None] * (N // 4),
    "amount": [100, 200] * (N // 2),
    "people": [3] * N,
    "branch": ["01", "1"] * (N // 2),
}
OWNED: dict[str, list[Any]] = {
    "id": [f"k{row}" for row in range(N)],
    "limit_before_minor": [1_000] * N,
    "limit_after_minor": [1_200] * N,
    "default_probability": [0.1] * N,
    "model_stamp": ["own@1#abc"] * N,
    "policy_stamp": ["own@1#def"] * N,
}
SUGGESTED: dict[str, list[Any]] = {
    "id": [f"k{row}" for row in range(N)],
    "suggested_limit_minor": [1_300] * N,
    "partner_score": [0.5] * N,
}
PAST: dict[str, list[Any]] = {
    "default_probability": [0.1] * N,
    "utilization": [0.4] * N,
    "limit_before_minor": [1_000] * N,
    "limit_after_minor": [1_200] * N,
}
RAW: dict[str, list[Any]] = {
    "no": [f"{row:04}" for row in range(N)],
    "opened": [datetime.date(2024, 2, 1)] * N,
    "bal": [10.5, None] * (N // 2),
    "late": [0] * N,
    "vip": [True, False] * (N // 2),
    "sex": ["F", "M"] * (N // 2),
}
CONTRACT = """
schema = "column-contract/1"
id = "quirks"
version = "1"
title = "t"
source = "s"
legal_basis = "c"
""" + "".join(
    f'[[columns]]\nname = "{name}"\ntype = "{kind}"\nsensitivity = "C2"\nrole = "{role}"\n'
    f'action = "{action}"\nwhy = "w"\n{more}\n'
    for name, kind, role, action, more in (
        ("no", "string", "subject_id", "pseudonymize", ""),
        ("opened", "date32", "time", "keep", 'purposes = ["training"]'),
        ("bal", "float64", "feature", "keep", 'purposes = ["training"]\nmay_be_null = true'),
        ("late", "int64", "feature", "keep", 'purposes = ["training"]\nmay_be_null = true'),
        ("vip", "bool", "feature", "keep", 'purposes = ["training"]'),
        (
            *("sex", "string", "protected_attribute", "audit"),
            'codes = { F = "female", M = "male" }\nreference_group = "female"',
        ),
    )
)

# Verb, its arguments, and the tables that it is handed with their options.
VERBS: dict[str, tuple[str, dict[str, dict[str, list[Any]]]]] = {
    "drift": ("drift", {"--reference": DECISIONS, "--current": DECISIONS}),
    "misjudgment": (
        "misjudgment --action action --outcome bad --amount amount --count people",
        {"--decisions": DECISIONS},
    ),
    "fairness": (
        "fairness --action action --outcome bad --group branch",
        {"--decisions": DECISIONS},
    ),
    "decide": (
        "decide --policy policy.toml --as-of 2005-10-01 --customer customer --output o.parquet",
        {"--input": BOOK},
    ),
    "explain": (
        "explain --policy policy.toml --as-of 2005-10-01 --row 3",
        {"--input": BOOK},
    ),
    "impact": (
        "policy impact --policy policy.toml --against policy.toml --as-of 2005-10-01 --by segment",
        {"--input": BOOK},
    ),
    "ownership": (
        "ownership --key id",
        {"--decisions": OWNED, "--suggestions": SUGGESTED},
    ),
    "optimize": (
        "lab optimize --policy policy.toml --economics e.toml --as-of 2005-10-01 --output o.pq",
        {"--input": BOOK, "--history": PAST},
    ),
    "protect": (
        "protect --contract contract.toml --purpose training",
        {"--input": RAW},
    ),
}
TABLES = [(verb, option) for verb, (_, tables) in VERBS.items() for option in tables]
# An application is some hundred commands, and building it costs as much as running one of them.
BUILT = functools.cache(typer.main.get_command)
# Three verbs read a book alike, and what differs behind it is seen with columns.
READERS = [(verb, option) for verb, option in TABLES if verb not in ("explain", "impact")]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIMITLINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("typer.testing._get_command", BUILT)
    (tmp_path / "policy.toml").write_text(policy("uci_demo"), encoding="utf-8")
    (tmp_path / "e.toml").write_text(economics("uci_stylized"), encoding="utf-8")
    (tmp_path / "contract.toml").write_text(CONTRACT, encoding="utf-8")
    assert CliRunner().invoke(app, ["keys", "init"]).exit_code == 0
    return tmp_path


def answer(verb: str, spoiled: str, path: Path) -> tuple[int, str]:
    """Run a verb on good tables but for the one of the option `spoiled`."""
    arguments, tables = VERBS[verb]
    named = []
    for option, rows in tables.items():
        good = Path(f"good{option}.parquet")
        pq.write_table(pa.table(rows), good)
        named += [option, str(path if option == spoiled else good)]
    done = CliRunner().invoke(app, [*arguments.split(), *named])
    return done.exit_code, done.output


def complaints(verb: str, option: str, path: Path, what: str) -> Iterator[str]:
    code, said = answer(verb, option, path)
    if code not in DOCUMENTED or "internal error" in said or "Traceback" in said:
        yield f"{what}: exit {code}: {said[-300:]}"
    # A group and the codes of a column are what these two verbs report.
    elif CANARY in said.lower() and verb not in ("fairness", "drift"):
        yield f"{what}: exit {code} repeats a value: {said[-300:]}"


def written(rows: dict[str, list[Any]]) -> Path:
    path, text = Path("t.csv"), io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([list(rows), *zip(*rows.values(), strict=True)])
    path.write_text(text.getvalue(), encoding="utf-8")
    return path


@pytest.mark.parametrize(("verb", "option"), TABLES)
def test_a_good_table_is_no_refusal(here: Path, verb: str, option: str) -> None:
    rows = VERBS[verb][1][option]
    pq.write_table(pa.table(rows), "t.parquet")
    assert answer(verb, option, Path("t.parquet"))[0] in {0, 13, 14}
    said, again = answer(verb, option, written(rows)), answer(verb, option, Path("t.parquet"))
    # What is computed anew or named after its file differs: an address of its own, a digest.
    assert said[0] == again[0]
    if verb not in ("protect", "impact"):
        assert said[1] == again[1]


MOMENT = datetime.datetime(2024, 2, 29, 23, 30, tzinfo=datetime.UTC)
COLUMNS: dict[str, pa.Array] = {
    "text": pa.array([CANARY] * N),
    "no value": pa.nulls(N),
    "empty text": pa.array([""] * N),
    "space": pa.array([" "] * N),
    "flags": pa.array([True, False] * (N // 2)),
    "days": pa.array([MOMENT.date()] * N),
    "moments": pa.array([MOMENT] * N, pa.timestamp("us", "Asia/Shanghai")),
    "moments without a zone": pa.array([MOMENT.replace(tzinfo=None)] * N, pa.timestamp("ns")),
    "times of day": pa.array([datetime.time(1)] * N),
    "durations": pa.array([datetime.timedelta(days=1)] * N),
    "bytes": pa.array([b"\xff\xfe"] * N),
    "bytes that are text": pa.array([CANARY.encode()] * N),
    "ids of bytes": pa.array([bytes([row] * 16) for row in range(N)], pa.binary(16)),
    "lists": pa.array([[1]] * N),
    "structures": pa.array([{"a": CANARY}] * N),
    "maps": pa.array([[("a", 1)]] * N, pa.map_(pa.string(), pa.int64())),
    "categories": pa.array([CANARY] * N).dictionary_encode(),
    "number categories": pa.array([1] * N).dictionary_encode(),
    "text views": pa.array([CANARY] * N, pa.string_view()),
    "large text": pa.array([CANARY] * N, pa.large_string()),
    "decimals": pa.array([Decimal("1.50")] * N),
    "wide decimals": pa.array([Decimal(10**50)] * N, pa.decimal256(60, 0)),
    "small whole numbers": pa.array([1] * N, pa.int8()),
    "unsigned numbers": pa.array([2**64 - 1] * N, pa.uint64()),
    "large numbers": pa.array([2**63 - 1] * N),
    "most negative numbers": pa.array([-(2**63)] * N),
    "half floats": pa.array([1.5] * N, pa.float16()),
    "floats": pa.array([1.5] * N, pa.float32()),
    "whole floats": pa.array([1.0] * N),
    "not numbers": pa.array([float("nan")] * N),
    "infinity": pa.array([float("inf")] * N),
    "huge floats": pa.array([1e308] * N),
    "numbers in text": pa.array(["1"] * N),
    "huge numbers in text": pa.array(["1e999", "9" * 400] * (N // 2)),
    "commas in text": pa.array(["1,234"] * N),
    "days in text": pa.array(["2024-02-30", "2024-02-29"] * (N // 2)),
    "zero in text": pa.array(["a\0b"] * N),
    "every row another": pa.array([f"{CANARY}{row}" for row in range(N)]),
    "long text": pa.array([CANARY * 10_000] * N),
    "markup": pa.array(["[bold]", "[/nothing]"] * (N // 2)),
    "quotes": pa.array(["'", '"'] * (N // 2)),
    "Chinese": pa.array(["支行", "分行"] * (N // 2)),
    "half a pair": pa.array([b"\xed\xa0\x80"] * N).view(pa.string()),
}


def turns(items: Mapping[str, Any] | Sequence[str], place: int) -> Iterator[tuple[int, str]]:
    """Take every fourth item, another fourth in each place, so that all places together see all."""
    return ((turn, item) for turn, item in enumerate(items) if (turn + place) % 4 == 0)


@pytest.mark.parametrize(("verb", "option"), TABLES)
def test_a_column_of_any_kind_is_answered_or_refused(here: Path, verb: str, option: str) -> None:
    rows = pa.table(VERBS[verb][1][option])
    found = []
    for place, name in enumerate([*rows.column_names, "extra"]):
        for _, kind in turns(COLUMNS, place):
            spoiled = rows.append_column(name, COLUMNS[kind])
            if name in rows.column_names:
                spoiled = rows.set_column(place, name, COLUMNS[kind])
            pq.write_table(spoiled, "t.parquet")
            found += complaints(verb, option, Path("t.parquet"), f"{name} holds {kind}")
    assert found == []


CELLS = [
    *("", " ", "-", "NA", "nan", "NULL", "inf", "-1", "1.5", "1e5", "1E400", "0x1F", "007"),
    *("9" * 40, "10,5", "1,234,567", "50%", "¥100", "２", "true", "YES", "2024-02-29", "24:00"),
    *(CANARY, f"{CANARY}\n", f'{CANARY}"', "=1+1", "a\tb", "\u200b", "\ufeff1", "١", "٫", "[/b]"),
]


@pytest.mark.parametrize(("verb", "option"), READERS)
def test_a_cell_of_any_kind_is_answered_or_refused(here: Path, verb: str, option: str) -> None:
    rows = VERBS[verb][1][option]
    found = []
    for place, name in enumerate(rows):
        for turn, cell in turns(CELLS, place):
            # One cell in some turns, the whole column in the others.
            reach = slice(0, 1 if turn % 8 < 4 else N)
            spoiled = {**rows, name: [*rows[name]]}
            spoiled[name][reach] = [cell] * len(spoiled[name][reach])
            found += complaints(verb, option, written(spoiled), f"{name} holds {cell!r}")
    assert found == []


def _lines(text: str) -> list[str]:
    return text.splitlines()


TEXTS: dict[str, Callable[[str], bytes]] = {
    "nothing": lambda _: b"",
    "header only": lambda t: _lines(t)[0].encode(),
    "no header": lambda t: "\n".join(_lines(t)[1:]).encode(),
    "no header and canaries": lambda t: "\n".join(
        [f"{CANARY}," * _lines(t)[0].count(",") + CANARY, *_lines(t)[1:]]
    ).encode(),
    "header twice": lambda t: f"{_lines(t)[0]},{_lines(t)[0]}\n".encode(),
    "a name twice": lambda t: "\n".join(f"{x},{x.split(',')[0]}" for x in _lines(t)).encode(),
    "empty names": lambda t: t.replace(",", ",,", 1).encode(),
    "semicolons": lambda t: t.replace(",", ";").encode(),
    "tabs": lambda t: t.replace(",", "\t").encode(),
    "short row": lambda t: (t + f"{CANARY}\n").encode(),
    "long row": lambda t: (t + f"{CANARY}," * 80 + "\n").encode(),
    "open quote": lambda t: (t + f'"{CANARY}').encode(),
    "zero bytes": lambda t: t.encode() + b"\0" * 64,
    "noise": lambda _: bytes(range(256)) * 40,
    "GBK": lambda t: t.replace(",", ",支行", 1).encode("gbk"),
    "broken end": lambda t: t.encode() + b"\xff",
    "UTF-16": lambda t: t.encode("utf-16"),
    "UTF-16 cut": lambda t: t.encode("utf-16")[:-1],
    "old Mac": lambda t: t.replace("\n", "\r").encode(),
    "blank lines": lambda t: t.replace("\n", "\n\n").encode(),
    "spaces": lambda t: t.replace(",", " , ").encode(),
    "upper case": lambda t: t.upper().encode(),
    "one long line": lambda t: t.encode() + b"x" * (5 << 20),
    "gzip": lambda _: b"\x1f\x8b" + b"\0" * 20,
    "Parquet by its first letters": lambda _: b"PAR1" + b"\0" * 20 + b"PAR1",
}


@pytest.mark.parametrize(("verb", "option"), READERS)
def test_a_text_of_any_kind_is_answered_or_refused(here: Path, verb: str, option: str) -> None:
    text = written(VERBS[verb][1][option]).read_text(encoding="utf-8")
    found = []
    for turn, kind in enumerate(TEXTS):
        ending = ("csv", "csv", "CSV", "parquet", "txt")[turn % 5]
        path = Path(f"u.{ending}")
        path.write_bytes(TEXTS[kind](text))
        found += complaints(verb, option, path, kind)
    assert found == []


@pytest.mark.parametrize(("verb", "option"), TABLES)
def test_a_path_of_any_kind_is_answered_or_refused(here: Path, verb: str, option: str) -> None:
    pq.write_table(pa.table(VERBS[verb][1][option]).slice(0, 0), "no rows.parquet")
    pq.write_table(pa.table({}), "no columns.parquet")
    (here / "folder.csv").mkdir()
    (here / "loop.csv").symlink_to("loop.csv")
    paths = ["no rows.parquet", "no columns.parquet", "folder.csv", "loop.csv", "none.csv", ""]
    paths += ["/proc/self/mem", "/dev/null", "x" * 300, "policy.toml/t.csv"]
    found = [list(complaints(verb, option, Path(path), path)) for path in paths]
    assert [each for each in found if each] == []


@pytest.mark.parametrize("verb", ["decide", "optimize"])
@pytest.mark.parametrize("output", ["none/out.parquet", "folder", "policy.toml/x", "x" * 300])
def test_a_place_that_takes_no_output_is_no_bug(here: Path, verb: str, output: str) -> None:
    (here / "folder").mkdir()
    arguments, tables = VERBS[verb]
    named = []
    for option, rows in tables.items():
        pq.write_table(pa.table(rows), f"good{option}.parquet")
        named += [option, f"good{option}.parquet"]
    done = CliRunner().invoke(app, [*arguments.split(), *named, "--output", output])
    assert done.exit_code in DOCUMENTED, done.output
