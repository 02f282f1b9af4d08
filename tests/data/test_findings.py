"""Findings: each planted problem is reported alone, and a good log has no finding."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from redrec.data.findings import Finding, LimitsConfig
from redrec.data.prepare import DataConfig, prepare
from tests.data.logs import ITEMS, event

START = datetime(2024, 1, 1, 7, 30, tzinfo=UTC)


def findings_with(folder: Path, limits: LimitsConfig | None = None, **planted: object) -> tuple[Finding, ...]:
    """Return the findings of 20 users with 4 events in each of two scenarios, with something planted."""
    start = planted.get("start", START)
    step = planted.get("step", timedelta(minutes=7))
    num_ads = planted.get("num_ads", 80)
    events = []
    for scenario, num_events in (("feed", 80), ("ads", num_ads)):
        suffix = "" if planted.get("is_one_person", True) else scenario
        events += [
            {
                "user_id": f"u{n // 4}{suffix}",
                "item_id": f"i{n % 10}",
                "scenario": scenario,
                "action": "view",
                "timestamp": start + n * step,
            }
            for n in range(num_events)
        ]
    if "direction" in planted:
        events = in_one_second_a_day(planted["direction"], planted.get("num_users", 20))
    events += [dict(events[0], user_id=f"once{n}") for n in range(planted.get("num_once", 0))]
    items = [
        {"item_id": f"i{n}", "title": planted.get("title", f"title {n}")}
        for n in range(10 + planted.get("num_idle", 0))
    ]
    for name, rows in (("events", events), ("items", items)):
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")
    config = DataConfig(limits=limits or LimitsConfig())
    return prepare(folder / "events.parquet", folder / "items.parquet", folder / "data", config).findings


def in_one_second_a_day(direction: int, num_users: int) -> list[dict[str, object]]:
    """Return five events a day of each user; the milliseconds are their order, which follows item_id in a direction."""
    rng = np.random.default_rng(0)
    events = []
    for user in range(num_users):
        for day in range(4):
            drawn = rng.permutation(10)[:5]
            items = np.sort(drawn)[::direction] if direction else drawn
            events += [
                {
                    "user_id": f"u{user}",
                    "item_id": f"i{item}",
                    "scenario": ("feed", "ads")[n % 2],
                    "action": "view",
                    "timestamp": START + timedelta(days=day, milliseconds=n),
                }
                for n, item in enumerate(items)
            ]
    return events


def test_a_good_log_has_none(tmp_path):
    assert findings_with(tmp_path) == ()


@pytest.mark.parametrize(
    ("planted", "what", "count", "of"),
    [
        (
            {"start": datetime(2023, 1, 1, tzinfo=UTC), "step": timedelta(days=1)},
            "events are at midnight UTC",
            160,
            160,
        ),
        ({"is_one_person": False}, "users act in one scenario", 40, 40),
        ({"num_once": 6}, "users have one event", 6, 26),
        ({"num_idle": 11}, "items have no event", 11, 21),
        ({"title": ""}, "items have no title", 10, 10),
        ({"start": datetime(1970, 1, 20, 7, 1, tzinfo=UTC)}, "events are before 1995", 160, 160),
        ({"start": datetime(1994, 12, 31, 23, 56, tzinfo=UTC)}, "events are before 1995", 2, 160),
        ({"direction": 1}, "neighbouring events inside one second ascend by item_id", 320, 320),
        ({"direction": -1}, "neighbouring events inside one second descend by item_id", 320, 320),
    ],
)
def test_only_the_planted_problem_is_reported(tmp_path, planted, what, count, of):
    assert [(f.what, f.count, f.of) for f in findings_with(tmp_path, **planted)] == [(what, count, of)]


def test_the_cost_of_ids_alone_is_said(tmp_path):
    (finding,) = findings_with(tmp_path, title=None)
    assert "by its id alone: it knows nothing of new items" in finding.advice


def test_a_sparse_scenario_is_reported_below_its_limit(tmp_path):
    limits = LimitsConfig(min_scenario_share=0.05, max_one_scenario_share=1)
    assert findings_with(tmp_path, limits, num_ads=5) == ()
    (finding,) = findings_with(tmp_path, limits, num_ads=4)
    assert (finding.what, finding.count, finding.of) == ("events are of scenario ads", 4, 84)


@pytest.mark.parametrize("planted", [{"direction": 0}, {"direction": 1, "num_users": 1}])
def test_a_random_order_or_few_ties_are_no_finding(tmp_path, planted):
    """One user has 16 ties: all ascend, which is 4 deviations of a fair coin, and not more."""
    assert findings_with(tmp_path, **planted) == ()


@pytest.mark.parametrize(
    ("planted", "field", "share"),
    [
        ({"direction": 1}, "max_tie_order_share", 1),
        ({"start": datetime(2023, 1, 1, tzinfo=UTC), "step": timedelta(days=1)}, "max_midnight_share", 1),
        ({"is_one_person": False}, "max_one_scenario_share", 1),
        ({"num_once": 6}, "max_one_event_share", 0.5),
        ({"num_idle": 11}, "max_orphan_share", 0.9),
        ({"title": None}, "max_untitled_share", 1),
    ],
)
def test_a_share_that_a_recipe_allows_is_no_finding(tmp_path, planted, field, share):
    limits = LimitsConfig().model_copy(update={field: share})
    wanted = findings_with(tmp_path, **planted)
    (tmp_path / "allowed").mkdir()
    allowed = findings_with(tmp_path / "allowed", limits, **planted)
    assert len(wanted) == 1 + len(allowed)


def test_the_shares_are_fields_of_a_recipe():
    given = {"max_midnight_share": 0.1, "max_one_event_share": 0.2, "max_orphan_share": 0.3, "max_untitled_share": 0.4}
    given |= {"max_tie_order_share": 0.7}
    limits = DataConfig.model_validate({"limits": given}).limits
    assert limits.model_dump() == LimitsConfig().model_dump() | given


def test_items_that_name_no_scenario_of_the_events_are_found_with_examples(tmp_path):
    rows = [event(user_id="u1"), event(user_id="e\u0301")]
    items = [ITEMS[0] | {"scenarios": ["Ads", "shop"]}, ITEMS[1] | {"scenarios": ["ads", "shop"]}, ITEMS[2]]
    quality = prepare(pa.Table.from_pylist(rows), pa.Table.from_pylist(items), tmp_path / "data")
    what = [(finding.count, finding.of, finding.what) for finding in quality.findings[:2]]
    assert what == [
        (1, 3, "items name no scenario of the events (Ads, shop; the events have ads)"),
        (1, 2, "values of user_id have letters of several signs"),
    ]
