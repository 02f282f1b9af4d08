"""Compare: drift is found where it is planted, and there alone; faults of a column or a scenario have their own verdicts."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from redrec.drift.config import DriftConfig
from redrec.drift.drift import opened
from redrec.drift.logs import Sources
from redrec.drift.verdicts import DRIFTED, Drift, ScenarioDrift
from tests.drift.tables import NUM_USERS, log, write
from tests.drift.worlds import Planted, weeks, write_world

NUM = 8 * NUM_USERS  # events of a week
FEW_DRAWS = DriftConfig(num_permutations=299)


def compared(folder: Path, reference: pa.Table, current: pa.Table, vectors=None) -> ScenarioDrift:
    with opened(write(folder, reference, current, vectors)) as windows:
        return windows.drift(FEW_DRAWS).scenarios["ads"]


def write_world_sources(folder: Path, seed: int = 1, num_users: int = 3600, **planted) -> Sources:
    write_world(folder, seed, num_users, {"ads": Planted(**planted)})
    return Sources(*(folder / f"{name}.parquet" for name in ("reference", "current", "items", "vectors")))


def world(folder: Path, seed: int = 1, num_users: int = 3600, **planted) -> Drift:
    from redrec.drift.logs import Sources

    write_world(folder, seed, num_users, {"ads": Planted(**planted)})
    with opened(
        Sources(*(folder / f"{name}.parquet" for name in ("reference", "current", "items", "vectors")))
    ) as both:
        return both.drift(FEW_DRAWS)


def drifted(scenario: ScenarioDrift) -> set[str]:
    columns = {**scenario.columns, **({"interests": scenario.interests} if scenario.interests else {})}
    return {name for name, column in columns.items() if column.verdict in DRIFTED}


@pytest.mark.parametrize(
    ("planted", "expected"),
    [
        ({"category": 0.15}, {"category", "interests"}),
        ({"action": -0.7}, {"action"}),
        ({"score": 0.7}, {"score"}),
        ({"taste": 0.8}, {"interests"}),
        ({"nulls": 0.2}, {"category"}),
        ({}, set()),
    ],
)
def test_what_is_planted_in_ads_is_found_there_and_nothing_else(tmp_path, planted, expected):
    drift = world(tmp_path, **planted)
    assert drifted(drift.scenarios["ads"]) == expected
    assert drift.verdicts == {"ads": "drift" if expected else "stable", "homefeed": "stable", "search": "stable"}


def test_a_change_that_is_not_linked_to_the_window_is_not_found(tmp_path):
    """The planted events are there, but each user's week is drawn anew."""
    reference, current = weeks(0, 3600, {"ads": Planted(category=0.15, score=0.7)})
    rng, column = np.random.default_rng(0), reference.schema.get_field_index("timestamp")
    users = pa.concat_tables([reference, current])["user_id"].unique().to_pylist()
    is_swapped = dict(zip(users, (rng.random(len(users)) < 0.5).tolist(), strict=True))
    week = pa.scalar(7 * 86_400_000, pa.duration("ms"))
    swap_R, swap_C = (
        pa.array([is_swapped[user] for user in table["user_id"].to_pylist()]) for table in (reference, current)
    )
    later = reference.set_column(column, "timestamp", pc.add(reference["timestamp"], week)).filter(swap_R)
    earlier = current.set_column(column, "timestamp", pc.subtract(current["timestamp"], week)).filter(swap_C)
    tables = [pa.concat_tables([reference.filter(pc.invert(swap_R)), earlier])]
    tables.append(pa.concat_tables([current.filter(pc.invert(swap_C)), later]))
    sources = write(tmp_path, *tables)
    with opened(Sources(*sources)) as windows:
        assert windows.drift(FEW_DRAWS).verdicts["ads"] == "stable"


def test_a_scenario_that_is_gone_is_missing_and_one_that_shrank_is_volume(tmp_path):
    assert world(tmp_path / "gone", users_kept=0.0).verdicts == {
        "ads": "missing",
        "homefeed": "stable",
        "search": "stable",
    }
    few = world(tmp_path / "few", users_kept=0.2)
    assert (few.verdicts["ads"], few.scenarios["ads"].action) == ("volume", "check_data")
    assert "users in the current window" in few.scenarios["ads"].reason


def values(kind: str) -> tuple[list, list]:
    """Return a column of the reference and of now."""
    plain = (np.arange(NUM) % 97 / 97).tolist()
    texts = [f"{number % 3}" for number in range(NUM)]
    return {
        "nulls": (plain, [None if number % 5 < 2 else value for number, value in enumerate(plain)]),
        "empty": (plain, [None] * NUM),
        "infinite": (plain, [float("inf"), *plain[1:]]),
        "new_category": (["a", "b"] * (NUM // 2), ["a", "b", "a", "new"] * (NUM // 4)),
        "range": (plain, [value * 100 if number % 20 == 0 else value for number, value in enumerate(plain)]),
        "mixed": (plain, [*texts[:-1], "none"]),
        "constant": ([1.0] * NUM, [1.0] * NUM),
    }[kind]


@pytest.mark.parametrize("kind", ["nulls", "empty", "infinite", "new_category", "range", "mixed", "constant"])
def test_each_fault_of_a_column_has_its_own_verdict(tmp_path, kind):
    before, now = values(kind)
    scenario = compared(tmp_path, log(0, {"x": before}), log(1, {"x": now}))
    assert scenario.columns["x"].verdict == kind
    assert scenario.verdict == ("stable" if kind == "constant" else "drift")
    assert {name: column.verdict for name, column in scenario.columns.items() if name != "x"} == {
        "num_events": "stable",
        "hour": "stable",
        "category": "stable",
    }


def test_too_few_users_and_windows_of_other_weekdays_are_insufficient(tmp_path):
    few = [log(week, {"x": [1.0] * NUM}, num_users=50) for week in range(2)]
    scenario = compared(tmp_path, *few)
    assert (scenario.verdict, scenario.reason) == ("insufficient", "50 users in a window, fewer than 100")
    week = log(0, {"x": np.arange(NUM)})
    weekend = week.filter(np.isin(np.arange(NUM) % 7, (5, 6)))
    scenario = compared(tmp_path, week.filter(np.arange(NUM) % 7 < 5), weekend)
    assert (scenario.verdict, scenario.action) == ("insufficient", "wait")
    assert "whole weeks from the current one: the reference has Mon 2026-01-05" in scenario.reason


def test_a_floor_above_the_change_leaves_the_verdict_stable(tmp_path):
    with opened(write_world_sources(tmp_path, taste=0.8)) as windows:
        assert windows.drift(FEW_DRAWS).verdicts["ads"] == "drift"
        assert windows.drift(DriftConfig(vector_floor=0.5, num_permutations=299)).verdicts["ads"] == "stable"


def test_what_is_a_normal_volume_is_a_choice(tmp_path):
    sources = write_world_sources(tmp_path, users_kept=0.4)
    with opened(sources) as windows:
        assert windows.drift(FEW_DRAWS).verdicts["ads"] == "volume"
        assert windows.drift(DriftConfig(volume_ratio=3.0, num_permutations=299)).verdicts["ads"] == "stable"


def test_an_empty_current_log_misses_every_scenario(tmp_path):
    scenario = compared(tmp_path, log(0, {"x": [1.0] * NUM}), log(1, {"x": [1.0] * NUM}).slice(0, 0))
    assert (scenario.verdict, scenario.action) == ("missing", "check_data")


def test_numbers_that_become_lists_are_mixed(tmp_path):
    scenario = compared(tmp_path, log(0, {"x": [1.0] * NUM}), log(1, {"x": [[1.0]] * NUM}))
    assert scenario.columns["x"].verdict == "mixed"


def test_vectors_of_another_length_are_left_out(tmp_path):
    lists = [[1.0, 2.0]] * 4 + [[1.0]]
    scenario = compared(tmp_path, log(0, {"x": [1.0] * NUM}), log(1, {"x": [1.0] * NUM}), lists)
    assert scenario.interests is not None and scenario.interests.verdict == "stable"


def test_columns_of_any_name_are_compared(tmp_path):
    """Also of names that the comparison itself uses, and lists that are called as the interests are."""
    names = ("user", "is_current", "hour", "num_events", "number", 'a "b"')
    columns = {name: (np.arange(NUM) % 7).astype(float) for name in names}
    columns |= {"vector": [[1.0, 2.0], [2.0, 1.0]] * (NUM // 2), "interests": [[1.0], [3.0]] * (NUM // 2)}
    scenario = compared(tmp_path, log(0, columns), log(1, columns), np.eye(5).tolist())
    assert scenario.verdict == "stable" and scenario.interests is not None
    assert scenario.columns.keys() == {*names, "vector", "interests", "category"}
