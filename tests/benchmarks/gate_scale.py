"""Gate at scale: CPU seconds and memory of `redrec gate` on large logs, beside tea-tasting alone.

    python -m tests.benchmarks.gate_scale --exposures 10000000 --json

The log has a tenth as many users as exposures, three scenarios, fourteen days in time order, ids of 36 characters, and
outcomes for four metrics: an impression per exposure, clicks, hides and purchases. The rival joins each user's totals
in DuckDB and asks tea-tasting for the same four metrics, once, at the end: no look, no check of ids, arms or values.
Each command is a process of its own. `first_look` reads all days but the last, and keeps them (`--state`); `next_look`
reads the last.
"""

import argparse
import json
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from redrec.experiments.plan import Guardrail, Metric, Plan
from tests.benchmarks.measure import commit, say, used_by

START = datetime(2026, 3, 2, tzinfo=UTC)
PLAN = Plan(
    experiment="scale",
    scenarios=("homefeed", "search", "ads"),
    start=START,
    primary=Metric(event="click", per="impression"),
    guardrails=(
        Guardrail(event="hide", per="impression", direction="down", margin=0.1),
        Guardrail(event="purchase", margin=0.1),
    ),
)
EXPOSURES = """
COPY (
  WITH drawn AS (
    SELECT range AS n, floor({users} * pow(random(), 1.5))::BIGINT AS user_number,
      ['homefeed', 'homefeed', 'search', 'ads'][1 + (random() * 4)::INT % 4] AS scenario
    FROM range({exposures})
  )
  SELECT uuid()::VARCHAR AS exposure_id, 'scale' AS experiment, 'user-' || user_number AS user_id, scenario,
    CASE WHEN hash(user_number, scenario) % 2 = 0 THEN 'control' ELSE 'treatment' END AS arm,
    TIMESTAMPTZ '{start}' + n * INTERVAL '{step_us} microseconds' AS timestamp
  FROM drawn ORDER BY n
) TO '{path}'
"""
OUTCOMES = """
COPY (
  SELECT uuid()::VARCHAR AS event_id, user_id, scenario, event, 1.0::DOUBLE AS value,
    timestamp + INTERVAL '1 second' AS timestamp
  FROM '{path}', (VALUES ('impression', 1.0), ('click', 0.1), ('hide', 0.01), ('purchase', 0.01)) AS kinds(event, share)
  WHERE hash(exposure_id, event) % 1000 < 1000 * share
) TO '{out}'
"""
RIVAL = """
import sys, duckdb, ibis, tea_tasting as tt
exposures, outcomes = sys.argv[1:]
connection = ibis.duckdb.connect()
connection.con.execute(f'''
  CREATE TABLE users AS SELECT scenario, user_id, arm,
    coalesce(sum(value) FILTER (event = 'impression'), 0) AS impression,
    coalesce(sum(value) FILTER (event = 'click'), 0) AS click,
    coalesce(sum(value) FILTER (event = 'hide'), 0) AS hide,
    coalesce(sum(value) FILTER (event = 'purchase'), 0) AS purchase
  FROM (SELECT scenario, user_id, any_value(arm) AS arm, min(timestamp) AS first FROM '{exposures}' GROUP BY ALL)
  LEFT JOIN '{outcomes}' AS o USING (scenario, user_id) WHERE o.timestamp IS NULL OR o.timestamp >= first GROUP BY ALL
''')
users = connection.table('users')
experiment = tt.Experiment(
    {"rate": tt.RatioOfMeans("click", "impression"), "click": tt.Mean("click"),
     "hide": tt.RatioOfMeans("hide", "impression"), "purchase": tt.Mean("purchase")}, "arm")
for scenario in ("homefeed", "search", "ads"):
    print(experiment.analyze(users.filter(users.scenario == scenario)).to_string())
"""


def write_logs(folder: Path, num_exposures: int) -> tuple[Path, Path, Path]:
    exposures, outcomes, plan = folder / "exposures.parquet", folder / "outcomes.parquet", folder / "plan.json"
    connection = duckdb.connect()
    connection.execute("SELECT setseed(0.5)")
    step_us = int(timedelta(days=PLAN.days) / timedelta(microseconds=1)) // num_exposures
    connection.execute(
        EXPOSURES.format(
            users=num_exposures // 10, exposures=num_exposures, start=START, step_us=step_us, path=exposures
        )
    )
    connection.execute(OUTCOMES.format(path=exposures, out=outcomes))
    plan.write_text(PLAN.model_dump_json())
    return exposures, outcomes, plan


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.gate_scale")
    parser.add_argument("--exposures", type=int, default=1_000_000, help="number of exposures (default: 1000000)")
    parser.add_argument("--folder", type=Path, help="folder for the logs, which stay (default: a temporary one)")
    parser.add_argument("--json", action="store_true", help="end on one JSON line (default: an indented document)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        exposures, outcomes, plan = write_logs(folder, arguments.exposures)
        say(f"{arguments.exposures:,} exposures are in {folder}")
        files = {"--exposures": exposures, "--outcomes": outcomes, "--plan": plan}
        gate = [sys.executable, "-m", "cli.main", "gate", *(str(word) for pair in files.items() for word in pair)]
        state = ["--state", str(Path(scratch) / "state")]
        rows = {
            "gate": used_by(gate),
            "first_look": used_by([*gate, *state, "--through", str(START + timedelta(days=PLAN.days - 1))]),
            "next_look": used_by([*gate, *state]),
            "tea_tasting": used_by([sys.executable, "-c", RIVAL, str(exposures), str(outcomes)]),
        }
    result = {"benchmark": "gate_scale", "commit": commit(), "exposures": arguments.exposures, **rows}
    print(json.dumps(result, indent=None if arguments.json else 1))


if __name__ == "__main__":
    main()
