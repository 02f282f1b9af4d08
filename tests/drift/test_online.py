"""Online hit rate: planted shares come back, a user counts once, and only the intervals make a verdict."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from redrec.config import InputError
from redrec.drift.online import OnlineQuality, online_quality
from serving.exposures import Exposure, csv_text

START = datetime(2026, 1, 5, tzinfo=UTC)
Row = tuple[str, float]  # user, and minutes since the start


def figures(value: float, low: float | None, high: float | None, users: int = 500) -> dict[str, Any]:
    estimate = {"value": value, "low": low, "high": high, "users": users}
    return {"scenarios": {"ads": {"redrec": {"hit_rate@10": estimate}}}}


def write(folder: Path, exposed: list[Row], clicked: list[Row]) -> tuple[Path, Path]:
    """Write exposures as the server does, and outcomes as a table; each click is followed by an impression."""
    rows = [Exposure._fields]
    for number, (user, minutes) in enumerate(exposed):
        time = (START + timedelta(minutes=minutes)).isoformat()
        rows.append(Exposure(f"e{number}", "", user, "ads", "", time, "bundle", ""))
    (folder / "exposures").mkdir()
    (folder / "exposures" / "1.csv").write_text(csv_text(rows))
    events = [(user, minutes, event) for user, minutes in clicked for event in ("click", "impression")]
    columns = {
        "user_id": [user for user, _, _ in events],
        "scenario": ["ads"] * len(events),
        "event": [event for _, _, event in events],
        "timestamp": [START + timedelta(minutes=minutes) for _, minutes, _ in events],
    }
    schema = {
        "user_id": pa.string(),
        "scenario": pa.string(),
        "event": pa.string(),
        "timestamp": pa.timestamp("us", "UTC"),
    }
    pq.write_table(pa.table(columns, schema=pa.schema(list(schema.items()))), folder / "outcomes.parquet")
    return folder / "exposures", folder / "outcomes.parquet"


def quality(
    folder: Path, exposed: list[Row], clicked: list[Row], metrics: dict[str, Any], **settings: Any
) -> OnlineQuality:
    tables = write(folder, exposed, clicked)
    return online_quality(*tables, "click", metrics, **{"min_users": 20, **settings})["ads"]


def many(share: float, num_users: int = 400) -> tuple[list[Row], list[Row]]:
    """Return two exposures of each user, a day apart, of which this share is clicked."""
    rng = np.random.default_rng(0)
    exposed = [(f"u{user}", day * 1440.0) for user in range(num_users) for day in (0, 1)]
    return exposed, [(user, minutes + 5) for user, minutes in exposed if rng.random() < share]


def test_a_hit_is_an_outcome_within_an_hour_and_before_the_next_exposure(tmp_path: Path):
    """u1 acts after its second list alone: 1 of 2. u2 acts too late, u3 before, u4 at once: 1 of 1."""
    exposed = [("u1", 0), ("u1", 30), ("u2", 0), ("u3", 10), ("u4", 0)]
    clicked = [("u1", 35), ("u2", 61), ("u3", 9), ("u4", 0), ("u5", 0)]
    one = quality(tmp_path, exposed, clicked, figures(0.5, 0.4, 0.6))
    assert (one.online.value, one.online.users, one.exposures) == ((0.5 + 0 + 0 + 1) / 4, 4, 5)


def test_a_heavy_user_counts_once(tmp_path: Path):
    exposed = [("heavy", 100.0 * number) for number in range(98)] + [("light", 0)]
    one = quality(tmp_path, exposed, [("heavy", minutes) for _, minutes in exposed[:98]], figures(0.5, 0.4, 0.6))
    assert one.online.value == 0.5


@pytest.mark.parametrize(("share", "verdict"), [(0.3, "as_offline"), (0.42, "better"), (0.15, "worse")])
def test_only_intervals_that_do_not_overlap_make_a_verdict(share: float, verdict: str, tmp_path: Path):
    one = quality(tmp_path, *many(share), figures(0.28, 0.25, 0.31))
    assert one.verdict == verdict
    assert one.online.low < share < one.online.high
    assert f"{one.online.value:.3f} [" in one.reason and "0.280 [0.250, 0.310] offline" in one.reason


def test_few_users_are_insufficient(tmp_path: Path):
    one = quality(tmp_path, *many(0.0, num_users=30), figures(0.3, 0.2, 0.4), min_users=31)
    assert (one.verdict, one.reason) == ("insufficient", "30 exposed users, fewer than 31")


def test_an_offline_figure_without_an_interval_is_insufficient(tmp_path: Path):
    one = quality(tmp_path, *many(0.1), figures(0.3, None, None, users=9))
    assert (one.verdict, one.reason) == ("insufficient", "9 users are too few for an interval")


def test_a_scenario_that_was_not_shown_is_insufficient(tmp_path: Path):
    metrics = figures(0.3, 0.2, 0.4)
    metrics["scenarios"]["search"] = metrics["scenarios"]["ads"]
    tables = write(tmp_path, *many(0.3))
    both = online_quality(*tables, "click", metrics, 20)
    assert (both["search"].verdict, both["search"].online.value, both["search"].exposures) == ("insufficient", None, 0)


def test_a_repeated_row_counts_once(tmp_path: Path):
    exposures, outcomes = write(tmp_path, [("u1", 0), ("u2", 0)], [("u1", 1)])
    (exposures / "2.csv").write_text((exposures / "1.csv").read_text())
    one = online_quality(exposures, outcomes, "click", figures(0.5, 0.4, 0.6), 1)["ads"]
    assert (one.exposures, one.online.value) == (2, 0.5)


def test_unusable_tables_are_refused(tmp_path: Path):
    exposures, outcomes = write(tmp_path, *many(0.3))
    with pytest.raises(InputError, match="exposures has no column exposure_id"):
        online_quality(outcomes, outcomes, "click", figures(0.3, 0.2, 0.4), 20)
    with pytest.raises(InputError, match="name no scenarios"):
        online_quality(exposures, outcomes, "click", {}, 20)
