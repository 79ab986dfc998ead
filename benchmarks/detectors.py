"""How many spellings of personal data are found, and how much of what is none.

Run: python -m benchmarks.detectors
"""

from __future__ import annotations

import base64
import gzip
import json
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from governance.contract import Column
from governance.errors import ContractError
from privacy import detectors
from privacy.kept_columns import KeptColumn
from privacy.leak_scan import scan
from tests.hostile import spellings
from tests.hostile.spellings import Spelling

ENCODINGS: dict[str, Callable[[str], bytes]] = {
    "UTF-8": str.encode,
    "GB 18030": lambda text: text.encode("gb18030"),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16-BE": lambda text: text.encode("utf-16-be"),
    "JSON": lambda text: json.dumps({"a": text}).encode(),
    "HTML": lambda text: text.encode("ascii", "xmlcharrefreplace"),
    "URL": lambda text: b"a=" + urllib.parse.quote(text).encode(),
    "base64": lambda text: base64.b64encode(f"a: {text} ".encode()),
    "gzip": lambda text: gzip.compress(text.encode()),
}


def found_in_column(texts: Sequence[Spelling]) -> list[Spelling]:
    is_suspect = detectors.is_suspect(pa.array([s.text for s in texts])).to_pylist()
    return [
        s
        for s, looked_at in zip(texts, is_suspect, strict=True)
        if looked_at and s.kind in dict(detectors.in_column(s.text))
    ]


def found_in_files(texts: Sequence[Spelling], encode: Callable[[str], bytes]) -> list[Spelling]:
    with tempfile.TemporaryDirectory() as folder:
        for number, spelling in enumerate(texts):
            # A line of prose before and after, as a page has it.
            around = f"备注 remark:\n{spelling.text}\n以上 end.\n"
            Path(folder, f"{number:05d}.txt").write_bytes(encode(around))
        hits = {(hit.file.split("!")[0], hit.kind) for hit in scan(Path(folder)).hits}
    return [s for n, s in enumerate(texts) if (f"{n:05d}.txt", s.kind.value) in hits]


def recall() -> None:
    print("Spellings found (share, found/all)")
    print(f"{'':16}{'column':>18}", *(f"{name:>10}" for name in ENCODINGS), f"{'+ odd ones':>12}")
    for kind, texts in spellings.ALL.items():
        usual = [s for s in texts if s.usual]
        own = len(found_in_column(texts))
        shares = [len(found_in_files(usual, e)) / len(usual) for e in ENCODINGS.values()]
        odd = len(found_in_files(texts, str.encode)) / len(texts)
        said = f"{own / len(texts):.3f} ({own}/{len(texts)})"
        print(f"{kind.value:16}{said:>18}", *(f"{s:10.3f}" for s in shares), f"{odd:12.3f}")


def precision() -> None:
    print("\nWhat names nobody: values with a hit, in a column of text and in a file")
    for name, texts in spellings.clean().items():
        wrong = detectors.find(pa.array(texts))
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "a.csv").write_text("\n".join(texts))
            hits = sum(hit.values for hit in scan(Path(folder)).hits)
        print(f"{name:26}{len(texts):8} values {sum(wrong.values()):6} {hits:6}")
    table = pq.read_table(Path("training/data/uci_credit_default.parquet"))
    wrong_cells = sum(sum(detectors.find(c.combine_chunks()).values()) for c in table.columns)
    print(f"{'the UCI table':26}{table.num_rows * table.num_columns:8} values {wrong_cells:6}")


def refused(values: np.ndarray) -> bool:
    column = Column.model_validate({
        "name": "turnover", "type": "int64", "sensitivity": "C2", "role": "feature",
        "action": "keep", "purposes": ["training"], "maximum": 1e13, "why": "benchmark",
    })  # fmt: skip
    kept = KeptColumn(column)
    try:
        kept.look_at(pa.array(values), pa.array(["x"] * len(values)))
        kept.close()
    except ContractError:
        return True
    return False


def crowds() -> None:
    print("\nMobile numbers among amounts (in fen, declared up to 1e13), 1,000 rows, 300 draws:")
    print("share of columns refused, by the number of mobile numbers among the rows")
    planted = (0, 3, 6, 10, 20, 50, 100, 190)
    print(f"{'amounts':34}", *(f"{n:6}" for n in planted))
    rng = np.random.default_rng(4)
    worlds: dict[str, Callable[[int], np.ndarray]] = {
        "below a million yuan": lambda n: rng.lognormal(15, 1, n),
        "median 5 million yuan, sigma 1": lambda n: rng.lognormal(np.log(5e8), 1, n),
        "median 50 million yuan, sigma 1": lambda n: rng.lognormal(np.log(5e9), 1, n),
        "median 160 million yuan, sigma 1": lambda n: rng.lognormal(np.log(1.6e10), 1, n),
        "median 160 million yuan, sigma 2": lambda n: rng.lognormal(np.log(1.6e10), 2, n),
        "even up to 10 billion yuan": lambda n: rng.uniform(0, 1e12, n),
    }
    for name, draw in worlds.items():
        shares = []
        for count in planted:
            times = 0
            for _ in range(300):
                values = draw(1_000).astype(np.int64)
                values[:count] = rng.integers(13 * 10**9, 20 * 10**9, count)
                times += refused(values)
            shares.append(times / 300)
        print(f"{name:34}", *(f"{share:6.2f}" for share in shares))


def speed() -> None:
    print("\nCPU time, one million values")
    rng = np.random.default_rng(0)
    columns = {
        "codes as text": pa.array(rng.choice(["retail", "catering", "transport"], 1_000_000)),
        "amounts": pa.array(rng.integers(0, 10**9, 1_000_000)),
        "16-digit numbers": pa.array(rng.integers(10**15, 10**16, 1_000_000)),
    }
    for name, values in columns.items():
        began = time.process_time()
        detectors.find(values)
        print(f"{name:26}{(time.process_time() - began) * 1e3:8.0f} ns each")


if __name__ == "__main__":
    recall()
    precision()
    crowds()
    speed()
