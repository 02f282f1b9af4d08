"""Users: first exposures, arms and days against a few rows by hand."""

import ibis

from redrec.experiments.users import daily_sums, first_exposures, new_users, user_counts, user_days, with_arms
from tests.experiments.logs import planned

HOUR = 3_600_000
BITS = (2, 2, 2)  # totals are in quarters
DAY = 24 * HOUR


def exposures(*rows: tuple[str, str, str, int]) -> ibis.Table:
    return ibis.memtable([dict(zip(("scenario", "user_id", "arm", "ms"), row, strict=True)) for row in rows])


def outcomes(*rows: tuple[str, str, str, float, int]) -> ibis.Table:
    names = ("scenario", "user_id", "event", "value", "ms")
    return ibis.memtable([dict(zip(names, row, strict=True)) for row in rows])


def rows_of(table: ibis.Table, *order: str) -> list[dict]:
    return table.order_by(order).to_pyarrow().to_pylist()


def test_a_users_arm_and_first_exposure_are_those_of_the_scenario():
    exposed = exposures(
        ("ads", "u", "treatment", 5),
        ("ads", "u", "treatment", 3),
        ("search", "u", "control", 9),
        ("ads", "v", "control", 1),
    )
    users = rows_of(with_arms(first_exposures(exposed, planned()), planned()), "scenario", "user_id")
    assert [(u["scenario"], u["user_id"], u["arm"], u["first"]) for u in users] == [
        ("ads", "u", 1, 3),
        ("ads", "v", 0, 1),
        ("search", "u", 0, 9),
    ]
    assert not any(user["is_in_both"] for user in users)
    assert len({user["user"] for user in users}) == len(users)


def test_a_shared_arm_that_differs_between_scenarios_is_in_both():
    exposed = exposures(("ads", "u", "treatment", 5), ("search", "u", "control", 9), ("ads", "v", "control", 1))
    plan = planned(applies="shared")
    users = rows_of(with_arms(first_exposures(exposed, plan), plan), "scenario", "user_id")
    assert {(u["scenario"], u["user_id"]) for u in users if u["is_in_both"]} == {
        ("", "u"),
        ("ads", "u"),
        ("search", "u"),
    }
    counts = {row["scenario"]: row["num_in_both"] for row in rows_of(user_counts(ibis.memtable(users)), "scenario")}
    assert counts == {"": 1, "ads": 1, "search": 1}


def test_outcomes_count_from_the_exposure_to_the_end_of_the_attribution():
    exposed = exposures(("ads", "u", "control", HOUR), ("ads", "v", "control", HOUR), ("ads", "v", "treatment", HOUR))
    happened = outcomes(
        ("ads", "u", "click", 1.0, HOUR - 1),
        ("ads", "u", "click", 1.0, HOUR),
        ("ads", "u", "hide", 1.0, DAY),
        ("ads", "u", "click", 1.0, 25 * HOUR),
        ("ads", "v", "click", 1.0, 2 * HOUR),  # of a user in both arms
        ("ads", "w", "click", 1.0, 2 * HOUR),  # never exposed
    )
    plan = planned(attribution_hours=24)
    click, hide = plan.events.index("click"), plan.events.index("hide")
    days = rows_of(user_days(happened, with_arms(first_exposures(exposed, plan), plan), plan, BITS), "day")
    assert [(row["day"], row[f"x_{click}"], row[f"rows_{hide}"]) for row in days] == [(0, 4, 0), (1, 0, 1)]


def test_the_days_of_products_add_up_to_the_products_of_the_totals():
    exposed = exposures(("ads", "u", "control", 0), ("ads", "v", "control", DAY))
    happened = outcomes(
        *[("ads", "u", "click", value, day * DAY + 1) for day, value in enumerate((2.0, 3.0))],
        *[("ads", user, "impression", 4.0, DAY + 1) for user in ("u", "v")],
    )
    plan = planned()
    users = with_arms(first_exposures(exposed, plan), plan)
    sums = rows_of(daily_sums(user_days(happened, users, plan, BITS), users, plan), "day")
    click, impression = plan.events.index("click"), plan.events.index("impression")
    low, high = sorted((click, impression))
    assert sum(row[f"xx_{click}_{click}"] for row in sums) == (2 + 3) ** 2 * 4 * 4
    assert sum(row[f"xx_{low}_{high}"] for row in sums) == (2 + 3) * 4 * 4 * 4
    assert [(row["day"], row["num_users"]) for row in rows_of(new_users(users), "day")] == [(0, 1), (1, 1)]
