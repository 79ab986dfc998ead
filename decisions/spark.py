"""Spark: the same engine over partitions, for books that have outgrown one machine.

Each partition goes by ``mapInArrow`` through the engine of the wheel that is installed on the
worker, so a limit does not depend on how a table was cut; a worker with another release refuses.
PySpark is an optional extra; this is its one door.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from decisions import engine, model, plain_table
from decisions.engine import Freeze
from decisions.plain_table import Source, repeated_customers
from decisions.plan import PLAIN, Climate, Moment
from decisions.policy import LimitPolicy
from governance import canonical, durable, errors
from governance.errors import ContractError, EnvironmentFault, IntegrityError, UsageError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

EMBEDDED, SPARK = "embedded", "spark"
MASTER_VARIABLE = "LIMITLINE_SPARK_MASTER"

# Spark has no unsigned integers; the mask of reasons fits a signed one of the next size.
DECIDED = pa.schema(
    [
        field.with_type(pa.int64()) if field.type == pa.uint32() else field
        for field in engine.OUTPUT_SCHEMA
    ]
)
_TYPES = {"int64": "bigint", "double": "double", "string": "string", "date32[day]": "date"}
_SUMS = {
    "limits_before_minor": "limit_before_minor",
    "limits_after_minor": "limit_after_minor",
    "temporary_uplifts_minor": "temporary_uplift_minor",
}
_OURS = re.compile(r"governance\.errors\.(\w+): (.+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What a worker decides its partitions by; `digest` is the driver's, of policy and code."""

    source: Source
    moment: Moment
    digest: str

    def decided(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Decide one partition, batch by batch.

        Raises
        ------
        IntegrityError
            If policy or engine on the worker are not those of the driver.
        ContractError
            As `decisions.plain_table.Source.checked` and `decisions.engine.decide`.
        """
        if digest_of(self.source.policy) != self.digest:
            raise IntegrityError(
                "The policy or the engine's code on a worker is not the one of the driver. Install "
                "the same wheel on every worker and run again; nothing was decided."
            )
        when = self.moment
        for batch in batches:
            if not batch.num_rows:
                continue
            rows = self.source.checked(batch)
            made = engine.decide(
                self.source.policy,
                rows,
                as_of=when.as_of,
                freeze=when.freeze,
                climate=when.climate,
            )
            # What is carried along goes back as it came, not in the engine's types.
            columns = {name: batch[name] for name in batch.schema.names}
            columns |= {field.name: made[field.name].cast(field.type) for field in DECIDED}
            yield pa.RecordBatch.from_pydict(columns)


def is_asked(name: str) -> bool:
    """Tell whether the engine called `name` is Spark.

    Raises
    ------
    UsageError
        If there is no such engine.
    """
    if name not in (EMBEDDED, SPARK):
        raise UsageError(f"--engine takes {EMBEDDED} or {SPARK}.")
    return name == SPARK


def decide(
    source: Source, output: Path, *, as_of: date, freeze: Freeze, climate: Climate = PLAIN
) -> dict[str, Any]:
    """Decide every row of a plain Parquet table on Spark; as `decisions.plain_table.decide`.

    Parameters
    ----------
    output : Path
        A new folder of Parquet files, which appears whole or not at all.

    Returns
    -------
    dict
        The document that the embedded engine gives for the same table.

    Raises
    ------
    UsageError
        If PySpark is not installed, the table is no Parquet, or `output` exists.
    EnvironmentFault
        If there is no Java.
    ContractError
        As `decisions.plain_table.decide`.
    """
    if source.path.suffix.lower() == ".csv":
        raise UsageError("Spark decides Parquet tables. Convert the table, or leave out --engine.")
    if not source.path.exists():
        raise ContractError(f"There is no table at {source.path}.")
    if output.exists():
        raise UsageError(f"{output} exists already. Name a new folder for the decisions.")
    moment = Moment(as_of=as_of, freeze=freeze, climate=climate)
    with session() as spark, _named_faults(source), durable.replacing_folder(output) as folder:
        frame = spark.read.parquet(str(source.path.absolute()))
        if source.customer:
            require_unique(frame, source.customer)
        decided(frame, source, moment).write.mode("append").parquet(str(folder))
        counts = _counts(spark.read.parquet(str(folder)))
        if not counts["customers"]:
            raise ContractError(f"The table {source.path.name} holds no rows.")
    return plain_table.document(source, moment, counts, output)


def decided(frame: DataFrame, source: Source, moment: Moment) -> DataFrame:
    """Decide a frame of any partitioning.

    Returns
    -------
    pyspark.sql.DataFrame
        The carried columns, then those of `decisions.engine.OUTPUT_SCHEMA`; the mask of reasons is
        a ``bigint``. Nothing is computed before an action asks for it.
    """
    taken = sorted(set(frame.columns) & set(DECIDED.names))
    if taken:
        raise ContractError(
            f"The table already has the columns {', '.join(taken)}, which a decision adds. Rename "
            "or drop them."
        )
    columns = [f"`{field.name}` {field.dataType.simpleString()}" for field in frame.schema]
    columns += [f"{field.name} {_TYPES[str(field.type)]}" for field in DECIDED]
    work = Workload(source=source, moment=moment, digest=digest_of(source.policy))
    with _unwarned():
        return frame.mapInArrow(work.decided, ", ".join(columns))


def require_unique(frame: DataFrame, customer: str) -> None:
    """Refuse a customer who is in the frame more than once, or a row without one.

    Raises
    ------
    ContractError
        As `decisions.plain_table.Customers`; it counts customers and names none.
    """
    from pyspark.sql import functions

    if customer not in frame.columns:
        raise ContractError(f"The table lacks the columns {customer}.")
    missing = frame.filter(f"`{customer}` IS NULL").count()
    if missing:
        raise ContractError(f"{missing} row(s) have no customer in {customer}.")
    split = "min(segment) <> max(segment)" if "segment" in frame.columns else "false"
    counted = frame.groupBy(customer).agg(
        functions.expr("count(*) AS rows"), functions.expr(f"{split} AS is_split")
    )
    repeated = counted.filter("rows > 1").select("is_split").toArrow()
    if repeated.num_rows:
        raise repeated_customers(repeated.num_rows, is_split=any(repeated["is_split"].to_pylist()))


@contextmanager
def session(master: str = "") -> Iterator[SparkSession]:
    """Yield a Spark session and stop it, unless it was there before.

    Parameters
    ----------
    master : str
        As Spark names it; left out, ``LIMITLINE_SPARK_MASTER``, and without that this machine. A
        local session listens on loopback alone and has no web pages.

    Raises
    ------
    UsageError
        If PySpark is not installed.
    EnvironmentFault
        If there is no Java.
    """
    try:
        with _unwarned():
            from pyspark.sql import SparkSession
    except ModuleNotFoundError:
        raise UsageError(
            "PySpark is not installed. Run `pip install 'limitline[spark]'`, or leave out --engine."
        ) from None
    if (running := SparkSession.getActiveSession()) is not None:
        yield running
        return
    home = os.environ.get("JAVA_HOME", "")
    if not shutil.which("java", path=f"{home}/bin" if home else None):
        raise EnvironmentFault(
            "Spark needs Java 17 or newer, and there is none on this machine. Run `apt-get install "
            "openjdk-17-jre-headless`, or leave out --engine."
        )
    place = master or os.environ.get(MASTER_VARIABLE, "") or "local[*]"
    builder: Any = SparkSession.builder
    begun = builder.master(place).appName("limitline").config(map=_settings(place)).getOrCreate()
    begun.sparkContext.setLogLevel("OFF")
    try:
        yield begun
    finally:
        begun.stop()


def _settings(master: str) -> dict[str, str]:
    settings = {
        "spark.sql.execution.arrow.maxRecordsPerBatch": "65536",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.ansi.enabled": "true",
        "spark.ui.showConsoleProgress": "false",
    }
    if master.startswith("local"):
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        settings |= {
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.ui.enabled": "false",
            "spark.sql.shuffle.partitions": "4",
            # The workers run the code that this process runs, wherever it was started.
            "spark.executorEnv.PYTHONPATH": str(Path(engine.__file__).parents[1]),
        }
    return settings


@contextmanager
def _unwarned() -> Iterator[None]:
    """Leave out PySpark's warning of pandas 3: no row passes through pandas here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas")
        yield


@contextmanager
def _named_faults(source: Source) -> Iterator[None]:
    """Turn what a worker refused back into the error that it raised there."""
    from pyspark.errors import AnalysisException, PySparkException

    try:
        yield
    except PySparkException as fault:
        if found := _OURS.search(str(fault)):
            kind = getattr(errors, found[1], None)
            if isinstance(kind, type) and issubclass(kind, errors.LimitlineError):
                raise kind(found[2].strip()) from None
        if isinstance(fault, AnalysisException):
            raise ContractError(
                f"The table {source.path.name} cannot be read as Parquet with the columns that the "
                "engine needs."
            ) from None
        # Spark's own text may quote a row; its condition is a name.
        raise EnvironmentFault(
            f"Spark stopped ({fault.getCondition() or type(fault).__name__}). Nothing was written; "
            "see Spark's own log."
        ) from None


def _counts(written: DataFrame) -> dict[str, Any]:
    """Count what was written, read back from where it was written to."""
    # A row that a person must look at may hold any number, so the sum needs more than 64 bits.
    asked = [f"sum(CAST({column} AS DECIMAL(38, 0))) AS {name}" for name, column in _SUMS.items()]
    found = written.selectExpr("count(*) AS customers", *asked).toArrow().to_pylist()[0]
    actions = dict.fromkeys([action.value for action in engine.Action], 0)
    for row in written.groupBy("action").count().toArrow().to_pylist():
        actions[row["action"]] += row["count"]
    return {**{name: int(value or 0) for name, value in found.items()}, "actions": actions}


def digest_of(policy: LimitPolicy) -> str:
    """Return one digest of `policy` and of the engine's code that is installed here."""
    return canonical.digest([policy.digest, _code()])


@functools.cache
def _code() -> str:
    """Digest the engine that is installed here; read once in a process."""
    return model.code_digest()
