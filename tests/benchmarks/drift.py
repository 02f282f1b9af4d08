"""Drift: how often it alarms where nothing was planted, and how often it finds what was, and that alone.

    python -m tests.benchmarks.drift --measure null --users 1000 --runs 200 --json

Each run is a pair of weeks of a generated world (`tests.drift.worlds`): heavy-tailed returning users of three scenarios,
ads with a tenth of them.

- `null`: nothing is planted.
- `planted`: one change in ads alone; also with the scenarios pooled to one.
- `evidently`: the same worlds, a report with Evidently's defaults for the events of each scenario.
- `activity`: users do 30 % less, or more; whose interests stay.
- `noise`: ordinary weeks differ (a day's events by 10 %, a week's categories by 15 %); floors come from ten pairs of past
  weeks, and twenty later weeks are compared, each with the one before it.
- `season`: on each of 60 days, the last week with the one before, while weekends are busier and of other categories, and
  the users double.
- `volume`: ads is gone, or has lost 80 % of its users.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from monitoring.snapshots import evidently as silent
from redrec.drift.calibration import NOT_CALIBRATED, Calibration
from redrec.drift.config import DriftConfig
from redrec.drift.drift import calibrate, opened
from redrec.drift.logs import Sources
from redrec.drift.verdicts import DRIFTED, Drift
from tests.benchmarks.measure import commit, say
from tests.drift.worlds import SHARES, START, Noise, Planted, catalog, growing_log, weeks

SAY_EVERY = 20
PLANTED = {  # by the number of users of all scenarios; 3,600 are 290 users in ads in a week, 18,000 are 1,450
    3_600: {
        "category": Planted(category=0.1),
        "action": Planted(action=-0.5),
        "score": Planted(score=0.5),
        "interests": Planted(taste=0.8),
    },
    18_000: {"category": Planted(category=0.05), "score": Planted(score=0.2), "interests": Planted(taste=0.3)},
}
FOLLOWS = {"category": {"category", "interests"}}  # items of another category have other vectors
NOISE = Noise(days=0.1, categories=0.15)
PAST_WEEKS, LATER_WEEKS = 11, 20
SEASON_DAYS = 60


def compared(folder: Path, reference: pa.Table, current: pa.Table, floors: Calibration = NOT_CALIBRATED) -> Drift:
    """Return the verdicts on two logs; `folder` has the catalog."""
    for name, table in (("reference", reference), ("current", current)):
        pq.write_table(table, folder / f"{name}.parquet")
    with opened(_sources(folder)) as windows:
        return windows.drift(DriftConfig(), floors)


def _sources(folder: Path) -> Sources:
    return Sources(*(folder / f"{name}.parquet" for name in ("reference", "current", "items", "vectors")))


def folders(num_runs: int) -> Iterator[tuple[int, Path]]:
    """Yield each seed with a folder that has its catalog."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        for seed in range(num_runs):
            if seed % SAY_EVERY == 0:
                say(f"{seed} of {num_runs} | {time.process_time():.0f} CPU s")
            for stem, table in zip(("items", "vectors"), catalog(np.random.default_rng(seed)), strict=True):
                pq.write_table(table, folder / f"{stem}.parquet")
            yield seed, folder


def drifted_columns(drift: Drift) -> dict[str, set[str]]:
    """Return the columns that drifted, by scenario, interests among them."""
    columns = {}
    for name, scenario in drift.scenarios.items():
        columns[name] = {column for column, one in scenario.all_columns.items() if one.verdict in DRIFTED}
    return columns


def null(num_runs: int, num_users: int) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    for seed, folder in folders(num_runs):
        drift = compared(folder, *weeks(seed, num_users))
        alarms = drifted_columns(drift)
        counts["any alarm"] += any(alarms.values())
        counts["any volume"] += "volume" in drift.verdicts.values()
        for name, columns in alarms.items():
            counts[f"alarm in {name}"] += bool(columns)
            counts[f"compared in {name}"] += drift.verdicts[name] != "insufficient"
    return dict(counts)


def planted(num_runs: int, num_users: int) -> dict[str, Any]:
    """Return, by what is planted in ads, how often it is found there, and it alone; and in the scenarios pooled."""
    shares = {}
    for column, change in PLANTED[num_users].items():
        counts: Counter[str] = Counter()
        for seed, folder in folders(num_runs):
            logs = weeks(seed, num_users, {"ads": change})
            columns = drifted_columns(compared(folder, *logs))
            counts["found"] += column in columns["ads"]
            is_alone = column in columns["ads"] and columns["ads"] <= FOLLOWS.get(column, {column})
            counts["found alone"] += is_alone and not columns["homefeed"] | columns["search"]
            (pooled,) = drifted_columns(compared(folder, *map(_pooled, logs))).values()
            counts["found in the scenarios pooled"] += column in pooled
        shares[column] = {name: count / num_runs for name, count in counts.items()}
    return shares


def evidently(num_runs: int, num_users: int) -> dict[str, Any]:
    """Count runs in which Evidently's preset with its defaults flags a column: of any scenario, or the planted one."""
    counts: Counter[str] = Counter()
    for seed, _ in folders(num_runs):
        flagged = {name: _flagged(*logs) for name, logs in _by_scenario(*weeks(seed, num_users)).items()}
        counts["nothing planted: any"] += any(flagged.values())
        for column, change in PLANTED.get(num_users, {}).items():
            ads = _flagged(*_by_scenario(*weeks(seed, num_users, {"ads": change}))["ads"])
            counts[f"{column} planted: {column}"] += column in ads
            counts[f"{column} planted: another"] += bool(ads - {column})
    return dict(counts)


def _by_scenario(*logs: pa.Table) -> dict[str, list[pa.Table]]:
    return {name: [log.filter(pc.equal(log["scenario"], name)) for log in logs] for name in SHARES}


def _flagged(reference: pa.Table, current: pa.Table) -> set[str]:
    with silent():
        from evidently import DataDefinition, Dataset, Report
        from evidently.presets import DataDriftPreset

        definition = DataDefinition(numerical_columns=["score"], categorical_columns=["action", "category"])
        frames = [log.select(["action", "category", "score"]).to_pandas() for log in (current, reference)]
        sets = [Dataset.from_pandas(frame, data_definition=definition) for frame in frames]
        tests = Report([DataDriftPreset()], include_tests=True).run(*sets).dict()["tests"]
    names = [test["name"].rsplit(" ", 1)[-1] for test in tests if test["status"].value == "FAIL"]
    return {name for name in names if name in definition.numerical_columns + definition.categorical_columns}


def _pooled(events: pa.Table) -> pa.Table:
    return events.set_column(events.schema.get_field_index("scenario"), "scenario", pa.repeat("all", len(events)))


def activity(num_runs: int, num_users: int) -> dict[str, Any]:
    alarms = {}
    for change in (-0.3, 0.3):
        counts: Counter[str] = Counter()
        for seed, folder in folders(num_runs):
            columns = drifted_columns(compared(folder, *weeks(seed, num_users, {"ads": Planted(events=change)})))
            counts["interests"] += "interests" in columns["ads"]
            counts["num_events"] += "num_events" in columns["ads"]
        alarms[f"{change:+.0%} events"] = {name: count / num_runs for name, count in counts.items()}
    return alarms


def noise(num_runs: int, num_users: int) -> dict[str, Any]:
    """Count alarms in later weeks, with the default floors and with those of past weeks; a run is one world."""
    counts: Counter[str] = Counter()
    for seed, folder in folders(num_runs):
        tables = weeks(seed, num_users, num_weeks=PAST_WEEKS + LATER_WEEKS, noise=NOISE)
        pq.write_table(pa.concat_tables(tables[:PAST_WEEKS]), folder / "reference.parquet")
        floors = calibrate(_sources(folder)._replace(current=None), 7, DriftConfig())
        for number in range(PAST_WEEKS, PAST_WEEKS + LATER_WEEKS):
            for name, which in (("default floors", NOT_CALIBRATED), ("floors of past weeks", floors)):
                columns = drifted_columns(compared(folder, tables[number - 1], tables[number], which))
                counts[name] += any(columns.values())
    return {**counts, "weeks": num_runs * LATER_WEEKS}


def volume(num_runs: int, num_users: int) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    for seed, folder in folders(num_runs):
        few = compared(folder, *weeks(seed, num_users, {"ads": Planted(users_kept=0.2)}))
        gone = compared(folder, *weeks(seed, num_users, {"ads": Planted(users_kept=0.0)}))
        counts["80 % of users gone: volume"] += few.verdicts["ads"] == "volume"
        counts["scenario gone: missing"] += gone.verdicts["ads"] == "missing"
        others = {drift.verdicts[name] for drift in (few, gone) for name in ("homefeed", "search")}
        counts["others stable"] += others == {"stable"}
    return dict(counts)


def season(num_runs: int, num_users: int) -> dict[str, Any]:
    """Count alarms, and days with one, over the days of some logs."""
    counts: Counter[str] = Counter()
    for seed, folder in folders(num_runs):
        log = growing_log(seed, num_users, SEASON_DAYS)
        for day in range(14, SEASON_DAYS + 1):
            before, now = (_days(log, day - ago, day - ago + 7) for ago in (14, 7))
            drift = compared(folder, before, now)
            counts["days"] += 1
            counts["days with drift"] += any(drifted_columns(drift).values())
            counts["days with a volume verdict"] += bool({"volume", "missing"} & set(drift.verdicts.values()))
    return dict(counts)


def _days(log: pa.Table, first: int, end: int) -> pa.Table:
    start, stop = (pa.scalar(START + timedelta(days=day), log.schema.field("timestamp").type) for day in (first, end))
    time = log["timestamp"]
    return log.filter(pc.and_(pc.greater_equal(time, start), pc.less(time, stop)))


MEASURES = {
    "season": season,
    "null": null,
    "planted": planted,
    "activity": activity,
    "noise": noise,
    "volume": volume,
    "evidently": evidently,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", choices=MEASURES, required=True)
    parser.add_argument("--users", type=int, required=True, help="of all scenarios")
    parser.add_argument("--runs", type=int, required=True)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    arguments = parser.parse_args()
    result = MEASURES[arguments.measure](arguments.runs, arguments.users)
    row = {"measure": arguments.measure, "users": arguments.users, "runs": arguments.runs, **result}
    row |= {"cpu_s": round(time.process_time()), "commit": commit()}
    print(json.dumps(row, indent=None if arguments.json else 1))


if __name__ == "__main__":
    main()
