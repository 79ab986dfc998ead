"""The bundled data set: real credit-card customers, checked by content before anybody uses them.

Parquet bytes change with the library that writes them, so the check is over the table's content:
its canonical CSV text must have the digest below, on every machine and with every Arrow version.

References
----------
Yeh, I-C. and Lien, C-H. (2009). The comparisons of data mining techniques for the predictive
accuracy of probability of default of credit card clients. Expert Systems with Applications 36(2).
Data set 350 of the UCI Machine Learning Repository, CC BY 4.0; see ``training/data/NOTICE``.
"""

from __future__ import annotations

import hashlib
import io
from importlib.resources import as_file, files

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from governance.errors import IntegrityError

CONTENT_DIGEST = "e28803eec99215182faffbced63edd940d5034ed240443084ae72d254f147f89"
ROWS = 30_000
OBSERVED_ON = "2005-09-30"

LABEL = "default_next_month"
BEHAVIOR = (
    *("pay_0", "pay_2", "pay_3", "pay_4", "pay_5", "pay_6"),
    *(f"bill_amt{month}" for month in range(1, 7)),
    *(f"pay_amt{month}" for month in range(1, 7)),
)


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
