"""Tables as Ibis expressions on an embedded DuckDB: read from files, written in blocks.

DuckDB runs out of core and nothing here holds a whole table. A time without a zone is taken as UTC.
"""

from pathlib import Path

import duckdb
import ibis
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend

from redrec.config import InputError

READABLE = (".parquet", ".csv", ".csv.gz", ".tsv", ".tsv.gz")


def connect() -> Backend:
    """Return a DuckDB session of its own."""
    return ibis.duckdb.connect(":memory:")


def read(connection: Backend, path: Path, name: str) -> ir.Table:
    """Return the table in a Parquet, CSV or TSV file; `name` says in errors which of ours it is.

    Raises:
        InputError: The file is absent, empty, of another kind, or cannot be parsed.
    """
    if not path.is_file():
        raise InputError(f"{name}: {path} does not exist. Give the path of a file ({', '.join(READABLE)}).")
    if path.stat().st_size == 0:
        raise InputError(f"{name}: {path} has 0 bytes. Give a file with a header and at least one row.")
    if not path.name.endswith(READABLE):
        raise InputError(f"{name}: {path} is of no known kind. Allowed: {', '.join(READABLE)}.")
    try:
        return connection.read_parquet(path) if path.suffix == ".parquet" else connection.read_csv(path)
    except duckdb.Error as error:
        first_line = str(error).splitlines()[0]
        raise InputError(f"{name}: {path} cannot be read: {first_line}. Check that it is a whole file.") from error


def require_columns(table: ir.Table, columns: tuple[str, ...], name: str) -> None:
    """Raise InputError, with the columns seen, where one of `columns` is missing."""
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise InputError(
            f"{name}: column {', '.join(missing)} is missing; seen: {', '.join(table.columns)}. "
            f"Rename the columns to {', '.join(columns)}; `redrec validate` names the schemas it maps by itself."
        )
