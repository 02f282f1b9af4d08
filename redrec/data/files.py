"""Files: which files hold a table, of which type, and how an engine reads files of one type as one table.

| type    | names                                                                   |
|---------|-------------------------------------------------------------------------|
| parquet | `.parquet`                                                              |
| text    | `.csv`, `.tsv`, also as `.gz` or `.zst`; with a header                  |
| json    | `.jsonl`, `.ndjson`, `.json`, also as `.gz` or `.zst`; an object a line |

The columns of text are text, since an id may look like a number, such as 007.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pyarrow as pa
from ibis.backends.sql import SQLBackend

PARQUET, TEXT, JSON = "parquet", "text", "json"
TYPE = re.compile(r"\.(?:(?P<parquet>parquet)|(?:(?P<text>csv|tsv)|(?P<json>jsonl|ndjson|json))(?:\.gz|\.zst)?)$")
TYPES = ".parquet, .csv, .tsv, .jsonl; text also as .gz or .zst"
SEPARATORS = (",", ";", "\t", "|")
HEADER_BYTES = 65_536
HIDDEN = ("_", ".")  # files of Spark and of editors begin so


def tables_in(folder: Path) -> list[Path]:
    """Return the files with a table in a folder and its folders."""
    return [file for file in sorted(folder.rglob("*")) if file.is_file() and is_table(file.relative_to(folder))]


def is_table(path: Path) -> bool:
    return type_of(path) is not None and not any(name.startswith(HIDDEN) for name in path.parts)


def type_of(file: Path) -> str | None:
    """Return the type that the name says, if any.

    >>> type_of(Path("events.csv.gz")), type_of(Path("events.xlsx"))
    ('text', None)
    """
    match = TYPE.search(file.name)
    return None if match is None else match.lastgroup


def read_parquet(connection: SQLBackend, files: Sequence[Path]) -> ir.Table:
    """Return the table in Parquet files; a column that some lack is null in them."""
    if connection.name == "duckdb":
        return connection.read_parquet([str(file) for file in files], union_by_name=len(files) > 1)
    frame = connection._session.read.option("mergeSchema", len(files) > 1).parquet(*map(str, files))
    view = ibis.util.gen_name("read_parquet")
    frame.createOrReplaceTempView(view)
    return connection.table(view)


def read_text(connection: SQLBackend, files: Sequence[Path]) -> ir.Table:
    """Return the table in text files; the first one's separator is that of all."""
    separator = _separator(files[0])
    paths, quotes = [str(file) for file in files], {"quote": '"', "escape": '"'}
    if connection.name == "duckdb":
        return connection.read_csv(paths, all_varchar=True, header=True, delim=separator, **quotes)
    return connection.read_csv(paths, sep=separator, header=True, inferSchema=False, multiLine=True, **quotes)


def _separator(file: Path) -> str:
    """Return the separator that is most frequent in the header, outside quotes."""
    if ".tsv" in file.suffixes:
        return "\t"
    with pa.input_stream(str(file), compression="detect") as stream:
        header = stream.read(HEADER_BYTES).decode(errors="replace").lstrip("\r\n").partition("\n")[0]
    unquoted = re.sub('"[^"]*"', "", header)
    return max(SEPARATORS, key=unquoted.count)


def read_json(connection: SQLBackend, files: Sequence[Path]) -> ir.Table:
    """Return the table in files of JSON objects."""
    paths = [str(file) for file in files]
    table = connection.read_json(paths)
    uuids = [column for column, dtype in table.schema().items() if dtype.is_uuid()]
    if not uuids:
        return table
    described = connection.con.execute("SELECT name, type FROM pragma_table_info(?)", [table.get_name()]).fetchall()
    columns = dict(described) | dict.fromkeys(uuids, "VARCHAR")  # as UUID, an id would lose its capitals
    return connection.read_json(paths, columns=columns)


def read_json_texts(connection: SQLBackend, files: Sequence[Path]) -> ir.Table:
    """Return what `read_json` returns with text in all columns, as in CSV files."""
    paths = [str(file) for file in files]
    if connection.name != "duckdb":
        return connection.read_json(paths, primitivesAsString=True)
    names = connection.read_json(paths, hive_partitioning=False).columns
    return connection.read_json(paths, columns=dict.fromkeys(names, "VARCHAR"), hive_partitioning=False)
