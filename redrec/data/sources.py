"""Sources: a table where a person has it, as an Ibis table: files of several formats, URLs, databases, data frames.

Local files are read where they are. The rest is copied to a scratch folder first, in blocks: files of an object store
as they are, a database's table or a data frame as one Parquet file. The columns of CSV files are text, since an id may
look like a number, such as 007.

| source             | such as                                                                                 |
|--------------------|-----------------------------------------------------------------------------------------|
| file               | `events.parquet`, `events.csv`, `events.tsv`, `events.jsonl`; text also as .gz or .zst  |
| folder or glob     | `events/`, `'events/2024-*.parquet'`: one table in several files of one type            |
| object store       | `s3://bucket/events.parquet`, `gs://...`, folders and globs (`redrec.store.objects`)    |
| table of a database| `duckdb://shop.db#events`, `sqlite://shop.db#events`, `postgres://host/shop#app.events` |
| data frame         | of pandas, Polars or PyArrow, from Python                                               |
"""

import glob
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq
from ibis.backends.sql import SQLBackend

from redrec.config import InputError
from redrec.data.files import (
    JSON,
    PARQUET,
    TEXT,
    TYPES,
    is_table,
    read_json,
    read_parquet,
    read_text,
    tables_in,
    type_of,
)
from redrec.data.tables import ROWS_PER_BATCH, errors_of
from redrec.store.objects import SCHEMES, Objects, is_object

Source = str | Path | Any  # Any: a data frame, by the Arrow stream that it exports
TEXT_HINT = (  # MovieLens 1M: ratings.dat
    " If it is text, give its columns names and its separator a tab: "
    "(echo userId::movieId::rating::timestamp; cat {file}) | sed 's/::/\\t/g' > {stem}.tsv."
)


def open_source(connection: SQLBackend, source: Source, name: str, scratch: Path) -> ir.Table:
    """Return the table; `name`, events or items, is its name in errors; `scratch` must outlive the table.

    Raises:
        InputError: The source does not exist, is empty or of another type, or cannot be read.
    """
    if not isinstance(source, str | Path):
        return connection.read_parquet(_copied(_frame(source, name), scratch / f"{name}-source.parquet", name))
    scheme, is_url, rest = str(source).partition("://")
    if not is_url or scheme == "file":
        return _read_files(connection, _local_files(rest if is_url else str(source), name), name)
    if is_object(str(source)):
        return _read_files(connection, _downloaded(str(source), name, scratch / f"{name}-source"), name)
    return connection.read_parquet(_copied(_rows(str(source), name), scratch / f"{name}-source.parquet", name))


def _local_files(text: str, name: str) -> list[Path]:
    path = Path(text)
    if path.is_dir():
        files = tables_in(path)
        if not files:
            raise InputError(f"{name}: {path} holds no table. Give a folder with files of one type: {TYPES}.")
        return files
    files = [path] if path.is_file() else sorted(Path(file) for file in glob.glob(text, recursive=True))
    if not files:
        raise InputError(f"{name}: {path} does not exist. Give a file, folder, glob or URL ({TYPES}).")
    return files


def _read_files(connection: SQLBackend, files: Sequence[Path], name: str) -> ir.Table:
    shown = str(files[0]) if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"
    if sum(file.stat().st_size for file in files) == 0:
        raise InputError(f"{name}: {shown} has 0 bytes. Give a file with a header and at least one row.")
    types = {_type(file, name) for file in files}
    if len(types) > 1:
        raise InputError(f"{name}: {shown} are of several types: {', '.join(sorted(types))}. Give a glob of one type.")
    if connection.name != "duckdb" and any(file.suffix == ".zst" for file in files):
        raise InputError(f"{name}: Spark cannot read {shown}. Decompress it, or set data.engine to duckdb.")
    try:
        return _READERS[types.pop()](connection, files)
    except (OSError, UnicodeDecodeError, errors_of(connection)) as error:
        first_line = str(error).splitlines()[0]
        raise InputError(f"{name}: {shown} cannot be read: {first_line}. Check that it is a whole file.") from error


def _type(file: Path, name: str) -> str:
    type_ = type_of(file)
    if type_ is None:
        text = TEXT_HINT.format(file=file, stem=file.stem) if file.suffix in (".dat", ".data", ".txt") else ""
        raise InputError(f"{name}: {file} is of no known type. Allowed: {TYPES}.{text}")
    return type_


_READERS = {PARQUET: read_parquet, TEXT: read_text, JSON: read_json}


def _downloaded(url: str, name: str, folder: Path) -> list[Path]:
    """Copy the files that an object's URL, a folder's, or a glob names."""
    objects = Objects(url)
    keys = list(objects.etags())
    if len(keys) > 1:  # a folder may hold other files too
        keys = [key for key in keys if is_table(Path(key.removeprefix(objects.base)))]
    if not keys:
        raise InputError(f"{name}: {url} does not exist, or holds no table ({TYPES}).")
    return objects.copy(keys, folder)


def _rows(url: str, name: str) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a database's table."""
    address, _, table = url.partition("#")
    shown = re.sub("//[^/@]*@", "//", address)  # without a password
    scheme, _, path = address.partition("://")
    if type_of(Path(address)):
        raise InputError(
            f"{name}: {shown} is a file at a {scheme} address, which is not read. Download it first; of addresses "
            f"those of {', '.join(SCHEMES)} are read."
        )
    if not table:
        raise InputError(f"{name}: {shown} names no table. Add it after a #, such as {shown}#{name}.")
    if scheme in ("duckdb", "sqlite") and not Path(path).is_file():
        raise InputError(f"{name}: {path} does not exist. Give the path of the database's file.")
    try:
        yield from _duckdb_rows(path, table) if scheme == "duckdb" else _ibis_rows(address, table)
    except ImportError as error:
        extra = "redrec[postgres]" if scheme.startswith("postgres") else f"ibis-framework[{scheme}]"
        install = f"pip install '{extra}'"
        raise InputError(f"{name}: {shown} needs packages that are not installed. Install them: {install}") from error
    except Exception as error:  # each database's driver has errors of its own
        first_line = str(error).partition("\n")[0].replace(address, shown)
        raise InputError(
            f"{name}: {shown}#{table} cannot be read: {first_line}. Allowed are files ({TYPES}), object stores "
            f"({', '.join(SCHEMES)}) and the databases of Ibis, such as postgres://host/database#table."
        ) from error


def _duckdb_rows(path: str, table: str) -> Iterator[pa.RecordBatch]:
    """Yield the rows without Ibis, which calls a method that DuckDB 2 has not."""
    yield from duckdb.connect(path, read_only=True).table(table).to_arrow_reader(ROWS_PER_BATCH)


def _ibis_rows(address: str, table: str) -> Iterator[pa.RecordBatch]:
    *schema, table = table.split(".")
    backend = ibis.connect(address)
    try:
        rows = backend.table(table, database=schema[0] if schema else None)
        yield from rows.to_pyarrow_batches(chunk_size=ROWS_PER_BATCH)
    finally:
        backend.disconnect()


def _frame(frame: Any, name: str) -> Iterator[pa.RecordBatch]:
    if not hasattr(frame, "__arrow_c_stream__"):
        raise InputError(
            f"{name}: a {type(frame).__name__} is no table. Give a path, a URL, or a data frame of pandas, Polars or "
            "PyArrow."
        )
    try:
        yield from pa.RecordBatchReader.from_stream(frame)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise InputError(
            f"{name}: {' '.join(error.args)}. Give each column one type, such as with astype(str)."
        ) from error


def _copied(rows: Iterator[pa.RecordBatch], path: Path, name: str) -> Path:
    first = next(rows, None)
    if first is None:
        raise InputError(f"{name}: the table has no rows. Give at least one row.")
    with pq.ParquetWriter(path, first.schema) as writer:
        writer.write_batch(first)
        for batch in rows:
            writer.write_batch(batch)
    return path
