"""The demonstration's data: real credit-card customers under simulated identities.

The bundled rows are real behavior, real limits and real outcomes, checked by content before anybody
uses them: Parquet bytes change with the library that writes them, so the check is over the table's
canonical CSV text. They hold no names, so every row gets a simulated zh_CN identity that can belong
to nobody, because the privacy room needs something real to protect. A generator that draws from
live number ranges will sooner or later print a living person's number. Here every number is valid
in form and impossible by construction:

* a resident id carries the area code 999999, which no place has, with a valid GB 11643 check digit;
* a mobile number starts with 100, a range no operator assigns to handsets (those start 13 to 19);
* a bank card starts with 9999: major industry 9 is national assignment by country code, and the
  country code 999 belongs to no country (ISO/IEC 7812-1, ISO 3166-1); its Luhn digit is valid;
* an address lies on an invented street of an invented city.

Names are common Chinese names; no name belongs to one person only.

References
----------
Yeh, I-C. and Lien, C-H. (2009). The comparisons of data mining techniques for the predictive
accuracy of probability of default of credit card clients. Expert Systems with Applications 36(2).
Data set 350 of the UCI Machine Learning Repository, CC BY 4.0; see ``training/data/NOTICE``.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from faker.providers.person.zh_CN import Provider as Names
from numpy.random import Generator
from numpy.typing import NDArray

from governance import durable
from governance.errors import ContractError, IntegrityError, UsageError

CONTENT_DIGEST = "e28803eec99215182faffbced63edd940d5034ed240443084ae72d254f147f89"
ROWS = 30_000
OBSERVED_ON = "2005-09-30"

LABEL = "default_next_month"
BEHAVIOR = (
    *("pay_0", "pay_2", "pay_3", "pay_4", "pay_5", "pay_6"),
    *(f"bill_amt{month}" for month in range(1, 7)),
    *(f"pay_amt{month}" for month in range(1, 7)),
)
_FRONT = ("sex", "education", "marriage", "age", "limit_bal", "reference_limit")

AREA_CODE = "999999"
MOBILE_PREFIX = "100"
CARD_PREFIX = "9999"
MALE = 1

_ID_WEIGHTS = np.array([7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2])
_ID_CHECKS = np.frombuffer(b"10X98765432", dtype=np.uint8)
_SEQUENCES = 500  # Three digits, odd for men and even for women (GB 11643).
_CARD_WIDTH = 19
_ZERO = np.uint8(ord("0"))

_PLACE = "模拟省虚构市"
_DISTRICTS = ("甲样区", "乙样区", "丙样区", "丁样区", "戊样区", "己样区")
_STREETS = ("云杉", "星槎", "墨竹", "砚池", "纸鸢", "青瓷", "听雨", "拾光", "沉香", "鹿鸣")
_STREET_KIND = "虚拟路"

Integers = NDArray[np.int64]
Digits = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoTable:
    """Receipt of a raw table that was written; the digest is of the published rows behind it."""

    path: Path
    rows: int
    seed: int
    content_digest: str


def simulate(out: Path, *, customers: int = ROWS, seed: int = 0) -> DemoTable:
    """Write the raw demo table to `out`, whole or not at all.

    A customer keeps the same identity however many are asked for: identities belong to the
    published rows, and a smaller table is a seeded sample of the full one in its order.

    Parameters
    ----------
    out : Path
        Parquet file; an existing one is replaced. It holds raw rows and belongs below ``raw/``.
    customers : int
        Between 1 and 30,000.

    Raises
    ------
    UsageError
        If more customers are asked for than there are.
    """
    if not 1 <= customers <= ROWS:
        raise UsageError(
            f"{customers} customers were asked for; the bundled data have 1 to {ROWS}."
        )
    table = raw_table(seed=seed)
    if customers < ROWS:
        drawn = np.random.default_rng([seed, 2]).choice(ROWS, size=customers, replace=False)
        table = table.take(np.sort(drawn))
    durable.make_folder(out.parent)
    with durable.replacing(out) as temporary:
        pyarrow.parquet.write_table(table, temporary, compression="zstd")
    return DemoTable(path=out, rows=table.num_rows, seed=seed, content_digest=CONTENT_DIGEST)


def raw_table(*, seed: int) -> pa.Table:
    """Return all 30,000 published rows, each behind a simulated identity."""
    rows = load()
    made = make_identities(
        sex=rows["sex"].to_numpy(),
        age=rows["age"].to_numpy(),
        observed_on=OBSERVED_ON,
        seed=seed,
    )
    # The published file holds one limit per customer. It is both the limit under decision, which
    # later decisions change, and the frozen reference that utilization is measured against.
    rows = rows.append_column("reference_limit", rows["limit_bal"])
    ordered = (*_FRONT, *BEHAVIOR, LABEL)
    for name in ordered:
        made = made.append_column(name, rows[name])
    return made


def load() -> pa.Table:
    """Return the 30,000 customers: 24 ``int64`` columns, published values and order.

    Column names are the published ones in lower case; the label is ``default_next_month``, which
    says its horizon. No column identifies anybody.

    Raises
    ------
    IntegrityError
        If the bundled file is not the published content.
    """
    with as_file(files("training") / "data" / "uci_credit_default.parquet") as path:
        table = pyarrow.parquet.read_table(path).replace_schema_metadata(None)
    found = content_digest(table)
    if found != CONTENT_DIGEST:
        raise IntegrityError(
            f"The bundled data have the content digest {found[:12]}…; {CONTENT_DIGEST[:12]}… was "
            "expected. Restore training/data/uci_credit_default.parquet from the repository."
        )
    return named(table)


def named(table: pa.Table) -> pa.Table:
    """Return the published columns under our names: lower case, and the label with its horizon."""
    *lowered, _ = (name.lower() for name in table.column_names)
    renamed = table.rename_columns([*lowered, LABEL])
    return renamed.cast(pa.schema([(name, pa.int64()) for name in renamed.column_names]))


def content_digest(table: pa.Table) -> str:
    """Return the SHA-256 of `table` as CSV text: header, line feeds, columns in order."""
    text = io.BytesIO()
    text.write((",".join(table.column_names) + "\n").encode())
    options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="none")
    pyarrow.csv.write_csv(table, text, options)
    return hashlib.sha256(text.getvalue()).hexdigest()


def make_identities(*, sex: Integers, age: Integers, observed_on: str, seed: int) -> pa.Table:
    """Return one simulated identity per customer, all of them distinct.

    Parameters
    ----------
    sex, age : ndarray of int64, shape (n_customers,)
        1 is male; age in completed years on the day `observed_on`. The resident id agrees with
        both, as real ones do.
    observed_on : str
        ISO day.
    seed : int
        The same seed gives the same identities.

    Returns
    -------
    pyarrow.Table
        String columns ``customer_id``, ``name``, ``mobile``, ``resident_id``, ``bank_card`` and
        ``address``.

    Raises
    ------
    ContractError
        If more customers of one sex share a birthday than resident ids can tell apart.
    """
    rng = np.random.default_rng([seed, 1])
    n = len(sex)
    columns = {
        "customer_id": _text(_prefixed("C", _digits(_distinct(n, 9, rng), 9))),
        "name": _names(sex, rng),
        "mobile": _text(_prefixed(MOBILE_PREFIX, _digits(_distinct(n, 8, rng), 8))),
        "resident_id": _text(_resident_ids(sex, age, observed_on, rng)),
        "bank_card": _bank_cards(n, rng),
        "address": _addresses(n, rng),
    }
    return pa.table(columns)


def _names(sex: Integers, rng: Generator) -> pa.Array:
    surnames, weights = pa.array(Names.last_names), np.array(list(Names.last_names.values()))
    surname = rng.choice(len(surnames), size=len(sex), p=weights / weights.sum())
    men, women = list(Names.first_names_male), list(Names.first_names_female)
    is_male = sex == MALE
    drawn = rng.random(len(sex)) * np.where(is_male, len(men), len(women))
    given = drawn.astype(np.int64) + np.where(is_male, 0, len(men))
    parts = (surnames.take(surname), pa.array(men + women).take(given))
    return pc.binary_join_element_wise(*parts, "")


def _resident_ids(sex: Integers, age: Integers, observed_on: str, rng: Generator) -> Digits:
    # A birthday up to 364 days before the anniversary makes the age exact on the observed day.
    observed = np.datetime64(observed_on, "D")
    month = observed.astype("datetime64[M]")
    then = month - 12 * age
    month_end = (then + 1).astype("datetime64[D]") - 1
    anniversary = np.minimum(then.astype("datetime64[D]") + (observed - month), month_end)
    born = anniversary - rng.integers(0, 365, size=len(age))
    rank = _rank_within(born.astype(np.int64) * 2 + (sex == MALE))
    if len(rank) and int(rank.max()) >= _SEQUENCES:
        raise ContractError(
            f"More than {_SEQUENCES} customers of one sex share a birthday: simulated resident ids "
            "cannot tell them apart. Simulate fewer customers."
        )
    sequence = _digits(2 * rank + (sex == MALE), 3)
    body = np.hstack([_prefixed(AREA_CODE, _date_digits(born)), sequence])
    check = (body.astype(np.int64) - int(_ZERO)) @ _ID_WEIGHTS % 11
    return np.hstack([body, _ID_CHECKS[check][:, None]])


def _date_digits(days: NDArray[np.datetime64]) -> Digits:
    months = days.astype("datetime64[M]")
    year = months.astype("datetime64[Y]").astype(np.int64) + 1970
    month = months.astype(np.int64) % 12 + 1
    day = (days - months.astype("datetime64[D]")).astype(np.int64) + 1
    return _digits(year * 10_000 + month * 100 + day, 8)


def _bank_cards(n: int, rng: Generator) -> pa.Array:
    # Numbers are built flush right, because the Luhn sum counts its places from the right.
    codes = np.zeros((n, _CARD_WIDTH), dtype=np.uint8)
    codes[:, :-1] = rng.integers(0, 10, size=(n, _CARD_WIDTH - 1), dtype=np.uint8)
    codes[:, -12:-1] = _digits(_distinct(n, 11, rng), 11) - _ZERO
    length = rng.integers(16, _CARD_WIDTH + 1, size=n)
    place = np.arange(_CARD_WIDTH)[None, :] - (_CARD_WIDTH - length)[:, None]
    codes[(place >= 0) & (place < len(CARD_PREFIX))] = 9
    codes[place < 0] = 0
    doubled = codes[:, -2::-2].astype(np.int64) * 2
    total = (doubled // 10 + doubled % 10).sum(axis=1) + codes[:, -3::-2].sum(axis=1)
    codes[:, -1] = -total % 10
    return _text(codes + _ZERO, is_kept=place >= 0)


def _addresses(n: int, rng: Generator) -> pa.Array:
    district = pa.array(_DISTRICTS).take(rng.integers(0, len(_DISTRICTS), size=n))
    street = pa.array(_STREETS).take(rng.integers(0, len(_STREETS), size=n))
    house = pc.cast(pa.array(rng.integers(1, 1_000, size=n)), pa.string())
    room = pc.cast(pa.array(rng.integers(101, 3_000, size=n)), pa.string())
    parts = (_PLACE, district, street, _STREET_KIND, house, "号", room, "室")
    return pc.binary_join_element_wise(*parts, "")


def _distinct(n: int, digits: int, rng: Generator) -> Integers:
    """Return `n` different numbers below ``10**digits``: an affine walk that meets none twice."""
    modulus = 10**digits
    start, step = (int(value) for value in rng.integers(0, modulus // 10, size=2))
    # A step that ends in 7 shares no factor with a power of ten.
    walk: Integers = (start + np.arange(n, dtype=np.int64) * (step // 10 * 10 + 7)) % modulus
    return walk


def _rank_within(keys: Integers) -> Integers:
    """Return how many earlier rows have the same key."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    first = np.searchsorted(ordered, ordered, side="left")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(keys)) - first
    return rank


def _digits(numbers: Integers, width: int) -> Digits:
    """Return the decimal digits of `numbers` as ASCII codes, shape ``(n, width)``."""
    powers: Integers = np.power(10, np.arange(width - 1, -1, -1, dtype=np.int64))
    return (numbers[:, None] // powers % 10).astype(np.uint8) + _ZERO


def _prefixed(prefix: str, codes: Digits) -> Digits:
    front = np.frombuffer(prefix.encode("ascii"), dtype=np.uint8)
    return np.hstack([np.broadcast_to(front, (len(codes), len(front))), codes])


def _text(codes: Digits, *, is_kept: NDArray[np.bool_] | None = None) -> pa.Array:
    """Turn rows of ASCII codes into strings without visiting a row in Python."""
    kept = np.ones(codes.shape, dtype=np.bool_) if is_kept is None else is_kept
    offsets = np.concatenate([[0], np.cumsum(kept.sum(axis=1))]).astype(np.int32)
    data = np.ascontiguousarray(codes)[kept]
    return pa.StringArray.from_buffers(len(codes), pa.py_buffer(offsets), pa.py_buffer(data))
