"""The one SQL runner: Arrow in, one ANSI SELECT, Arrow out, nothing else reachable.

The engine is DuckDB, embedded and locked: a statement sees the tables it is handed and neither the
disk nor the network, so that a feature file is data, not a way out.
"""

from __future__ import annotations

from typing import TypeAlias

import duckdb
import pyarrow as pa

from governance.errors import ContractError, EnvironmentFault

# What a statement can meet in rows: values that do not convert, types that the engine has not.
_ON_ROWS = (
    duckdb.ConversionException,
    duckdb.OutOfRangeException,
    duckdb.InvalidInputException,
    duckdb.NotImplementedException,
    duckdb.InvalidTypeException,
    duckdb.TypeMismatchException,
)

Source: TypeAlias = "pa.Table | pa.RecordBatchReader"


def run(statement: str, **sources: Source) -> pa.Table:
    """Run one SELECT over the named Arrow sources and return its rows in input order.

    Parameters
    ----------
    statement : str
        ANSI SQL; the sources are its tables.
    **sources : pyarrow.Table or pyarrow.RecordBatchReader
        A reader is streamed, so memory follows the result, not the input.

    Raises
    ------
    ContractError
        If the statement does not fit the sources; the engine's own text names columns, not values,
        and is passed on only for binding and syntax errors.
    """
    with duckdb.connect(":memory:") as connection:
        for name, source in sources.items():
            _refuse_ambiguous(name, source.schema.names)
            connection.register(name, source)
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        try:
            result: pa.Table = connection.sql(statement).to_arrow_table()
        except (duckdb.BinderException, duckdb.ParserException, duckdb.CatalogException) as error:
            first_line = str(error).splitlines()[0]
            raise ContractError(f"The SQL does not fit the table: {first_line}") from None
        except _ON_ROWS as error:
            # The engine quotes the value that it could not convert; the message must not.
            kind = type(error).__name__
            raise ContractError(f"The SQL cannot be evaluated on these rows ({kind}).") from None
        except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
            kind = type(error).__name__
            raise EnvironmentFault(f"The SQL engine has no room to work ({kind}).") from None
    return result


def quoted(name: str) -> str:
    """Quote an identifier."""
    return '"' + name.replace('"', '""') + '"'


def _refuse_ambiguous(source: str, names: list[str]) -> None:
    if len({name.lower() for name in names}) != len(names):
        raise ContractError(
            f"Two columns of {source} differ only by upper and lower case; SQL folds them into one."
        )
