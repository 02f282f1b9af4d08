"""Drift at scale: CPU seconds and memory of `redrec drift` on large logs, beside Evidently alone.

    python -m tests.benchmarks.drift_scale --rows 1000000 --json

Two weeks of so many events each, of a twentieth as many users in three scenarios, 14 numeric and 6 categorical columns;
and so many items with a vector of 64 numbers as a tenth of the events. Evidently's preset reads the columns of each
scenario, and its method for embeddings the vectors of 100,000 rows, with their defaults; it renders nothing here. Each
command is a process of its own.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.benchmarks.measure import commit, say, used_by

NUMERIC, CATEGORICAL, DIMENSIONS, CENTERS = 14, 6, 64, 50
EVENTS = """
COPY (
  WITH drawn AS (
    SELECT range AS n, floor({users} * pow(random(), 1.5))::BIGINT AS user_number, floor({items} * random())::BIGINT AS item
    FROM range({rows})
  )
  SELECT 'user-' || user_number AS user_id, 'item-' || item AS item_id,
    ['homefeed', 'homefeed', 'search', 'ads'][1 + (hash(user_number, n) % 4)::INT] AS scenario,
    TIMESTAMP '2026-01-05' + INTERVAL '{week} weeks' + n * INTERVAL '{step_us} microseconds' AS timestamp, {columns}
  FROM drawn ORDER BY n
) TO '{path}'
"""
PRESET = """
import os, sys, warnings
os.environ["DO_NOT_TRACK"] = "1"
warnings.simplefilter("ignore")
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset
logs = [pd.read_parquet(path) for path in sys.argv[1:]]
numeric = [name for name in logs[0] if name.startswith("x")]
categorical = [name for name in logs[0] if name.startswith("c")]
definition = DataDefinition(numerical_columns=numeric, categorical_columns=categorical)
for scenario in ("homefeed", "search", "ads"):
    own = [log[log.scenario == scenario][numeric + categorical] for log in logs]
    sets = [Dataset.from_pandas(frame, data_definition=definition) for frame in own]
    print(Report([DataDriftPreset()], include_tests=True).run(sets[1], sets[0]).dict())
"""
EMBEDDINGS = """
import os, sys, warnings
os.environ["DO_NOT_TRACK"] = "1"
warnings.simplefilter("ignore")
import numpy as np
import pandas as pd
from evidently.legacy.metrics.data_drift.embedding_drift_methods import model
vectors = np.stack(pd.read_parquet(sys.argv[1])["vector"].to_numpy())[:100_000]
frames = [pd.DataFrame(half) for half in (vectors, vectors[::-1].copy())]
print(model()(*frames))
"""


def write_logs(folder: Path, num_rows: int) -> dict[str, Path]:
    paths = {name: folder / f"{name}.parquet" for name in ("reference", "current", "items", "vectors")}
    connection, num_items = duckdb.connect(), num_rows // 10
    connection.execute("SELECT setseed(0.5)")
    columns = [f"random() + sin({number} + user_number) AS x{number}" for number in range(NUMERIC)]
    columns += [
        f"'level-' || floor({2 ** (number + 1)} * pow(random(), 2))::INT AS c{number}" for number in range(CATEGORICAL)
    ]
    values = {"rows": num_rows, "users": num_rows // 20, "items": num_items, "columns": ", ".join(columns)}
    for week, name in enumerate(("reference", "current")):
        step_us = 7 * 86_400_000_000 // num_rows
        connection.execute(EVENTS.format(**values, week=week, step_us=step_us, path=paths[name]))
    rng = np.random.default_rng(0)
    center_CD = rng.standard_normal((CENTERS, DIMENSIONS))
    vector_ND = center_CD[rng.integers(0, CENTERS, num_items)] + 0.7 * rng.standard_normal((num_items, DIMENSIONS))
    flat = pa.array((vector_ND / np.linalg.norm(vector_ND, axis=1, keepdims=True)).astype(np.float32).ravel())
    ids = [f"item-{number}" for number in range(num_items)]
    pq.write_table(pa.table({"item_id": ids, "title": ids}), paths["items"])
    lists = pa.FixedSizeListArray.from_arrays(flat, DIMENSIONS)
    pq.write_table(pa.table({"item_id": ids, "vector": lists.cast(pa.list_(pa.float32()))}), paths["vectors"])
    return paths


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.drift_scale")
    parser.add_argument("--rows", type=int, default=1_000_000, help="events of each log (default: 1000000)")
    parser.add_argument("--json", action="store_true", help="end on one JSON line (default: an indented document)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        paths = write_logs(Path(scratch), arguments.rows)
        say(f"{arguments.rows:,} events of each log are in {scratch}")
        drift = [sys.executable, "-m", "cli.main", "drift"]
        drift += [f"--{name}={paths[name]}" for name in ("reference", "current", "items")]
        logs = [str(paths[name]) for name in ("reference", "current")]
        rows = {
            "redrec drift, columns": used_by(drift),
            "redrec drift, columns and vectors": used_by([*drift, f"--vectors={paths['vectors']}"]),
            "Evidently, columns": used_by([sys.executable, "-c", PRESET, *logs]),
            "Evidently, vectors": used_by([sys.executable, "-c", EMBEDDINGS, str(paths["vectors"])]),
        }
    result = {"benchmark": "drift_scale", "commit": commit(), "rows": arguments.rows, **rows}
    print(json.dumps(result, indent=None if arguments.json else 1))


if __name__ == "__main__":
    main()
