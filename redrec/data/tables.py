"""Tables as Ibis expressions, on an embedded DuckDB or on Spark: read from files, written in blocks.

DuckDB runs out of core on one machine. Spark is for logs that one machine cannot sort; it reads its master and memory
from its own configuration (`SPARK_CONF_DIR`, or the arguments of `spark-submit`). Both give the same rows. Nothing here
holds a whole table in memory. A time without a zone is UTC.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import duckdb
import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq
from ibis.backends.sql import SQLBackend

from redrec.config import InputError
from redrec.cpus import usable_cpus
from redrec.data import columns as c
from redrec.data.files import JSON, PARQUET, TEXT, TYPES, read_json_texts, read_parquet, read_text, tables_in, type_of
from redrec.history import TIE_KEY_LENGTH
from redrec.prefetch import prefetch

Engine = Literal["duckdb", "spark"]
MAX_MEMORY = "2GB"  # of DuckDB; its default is 80 % of the machine; it sorts 10 million events as fast with 1 GB
READERS = {PARQUET: read_parquet, TEXT: read_text, JSON: read_json_texts}
ROWS_PER_BATCH = 200_000  # some 20 MB of events


def connect(engine: Engine = "duckdb", scratch: Path | None = None) -> SQLBackend:
    """Return a DuckDB session of its own, or the Spark session of this process, set to UTC.

    With `scratch`, DuckDB uses at most `MAX_MEMORY` and spills the rest there; without it, DuckDB's defaults apply.
    """
    if engine == "duckdb":
        bounds: dict[str, object] = {"threads": usable_cpus()}
        if scratch:
            bounds |= {"memory_limit": MAX_MEMORY, "temp_directory": str(scratch)}
        connection = ibis.duckdb.connect(**bounds)
        connection.con.execute("SET enable_progress_bar = false")
        return connection
    from pyspark.sql import SparkSession

    session = SparkSession.builder.appName("redrec").getOrCreate()
    session.conf.set("spark.sql.session.timeZone", "UTC")
    session.conf.set("spark.sql.legacy.parquet.nanosAsLong", "true")  # as numbers, which are read as such
    session.conf.set("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")  # the default, INT96, has no unit
    return ibis.pyspark.connect(session)


def write(table: ir.Table, path: Path) -> None:
    """Write one Parquet file, its rows in the table's order."""
    if table.get_backend().name == "duckdb":
        table.to_parquet(path)
        return
    with TemporaryDirectory(dir=path.parent) as scratch:
        _join(_spark_files(table, Path(scratch)), path)


def batches(table: ir.Table, scratch: Path) -> Iterator[pa.RecordBatch]:
    """Yield the rows in the table's order: directly from DuckDB, through files in `scratch` from Spark."""
    backend = table.get_backend()
    if backend.name == "duckdb":  # the method of Ibis 12 calls one that DuckDB 2 has not
        yield from prefetch(backend.con.sql(backend.compile(table)).to_arrow_reader(ROWS_PER_BATCH))
        return
    for file in _spark_files(table, scratch):
        yield from pq.ParquetFile(file).iter_batches(ROWS_PER_BATCH)


def _spark_files(table: ir.Table, scratch: Path) -> list[Path]:
    folder = scratch / "spark"
    table.to_parquet(folder)
    return sorted(folder.glob("*.parquet"))  # Spark numbers them in order


def _join(files: Sequence[Path], path: Path) -> None:
    with pq.ParquetWriter(path, pq.read_schema(files[0]).remove_metadata()) as writer:
        for file in files:
            for batch in pq.ParquetFile(file).iter_batches():
                writer.write_batch(batch)


def read(connection: SQLBackend, path: Path, name: str) -> ir.Table:
    """Return the table in a file, or in a folder of files of one type; `name` is its name in errors.

    The columns of text and JSON are text. A file of a type that is not known is read as Parquet.

    Raises:
        InputError: There is no such file, or it cannot be read.
    """
    if not path.exists():
        raise InputError(f"{name}: {path} does not exist. Give the file or folder that an earlier step wrote.")
    files = _files_in(path, name) if path.is_dir() else [path]
    try:
        return READERS[type_of(files[0]) or PARQUET](connection, files)
    except (OSError, UnicodeDecodeError, errors_of(connection)) as error:
        first_line = str(error).splitlines()[0]
        raise InputError(f"{name}: {path} cannot be read: {first_line}. Check that it is a whole file.") from error


def _files_in(folder: Path, name: str) -> list[Path]:
    """Return the files with rows in a folder, and in folders of it that are named as `partition=0`."""
    files = [file for file in tables_in(folder) if file.stat().st_size > 0 and _is_of_partitions(file, folder)]
    types = sorted({str(type_of(file)) for file in files})
    if not files:
        raise InputError(f"{name}: {folder} has no file with rows. Give a folder with files of one type: {TYPES}.")
    if len(types) > 1:
        raise InputError(f"{name}: {folder} has files of several types: {', '.join(types)}. Leave those of one in it.")
    return files


def _is_of_partitions(file: Path, folder: Path) -> bool:
    return all("=" in parent.name for parent in file.relative_to(folder).parents[:-1])


def errors_of(connection: SQLBackend) -> type[Exception]:
    """Return what an engine raises."""
    if connection.name == "duckdb":
        return duckdb.Error
    from pyspark.errors import PySparkException

    return PySparkException


def num_rows(table: ir.Table) -> int:
    counted: int = table.count().to_pyarrow().as_py()
    return counted


def epoch_ms(time: ir.TimestampValue) -> ir.IntegerValue:
    seconds = time.truncate("s").epoch_seconds().cast("int64")  # DuckDB would round it
    return seconds * 1000 + time.millisecond().cast("int64")


def event_order(events: ir.Table) -> list[ir.Value]:
    """Return what sorts the events of users by time; no two clean events are equal in all of it.

    Events of the same time are in the order of `redrec.history.tie_keys`, as in serving.
    """
    tie_key = (epoch_ms(events[c.TIMESTAMP]).cast("string") + " " + events[c.ITEM_ID]).hexdigest("md5")
    last = (events[name] for name in (c.ITEM_ID, c.SCENARIO, c.ACTION))
    return [events[c.USER_ID], events[c.TIMESTAMP], tie_key.left(TIE_KEY_LENGTH), *last]
