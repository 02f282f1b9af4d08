"""Planted worlds: two weeks of heavy-tailed, returning users of three scenarios, and what changes in the second one.

Half of the users of a scenario come in a given week; ads have a tenth of all. Users differ in how active they are, what
they like, how often they act, and how their results are scored; days and weeks are alike, unless `noise` is planted.
"""

from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

SHARES = {"homefeed": 0.8, "search": 0.5, "ads": 0.1}  # of the users that are in the scenario
CATEGORIES = [f"c{number}" for number in range(10)]
ITEMS_PER_CATEGORY, DIMENSIONS = 40, 64
START = datetime(2026, 1, 5)
DAY_MS, WEEK_DAYS = 86_400_000, 7
WEEKDAYS = (1, 1, 1, 1, 1, 1.7, 1.5)  # how busy a growing log's days are
SCORE_DEVIATION = 1.25**0.5  # of all events: of a user's mean .5, of an event 1


class Planted(NamedTuple):
    """What the current week has, in one scenario."""

    category: float = 0.0  # points that c0 gains, of all others
    action: float = 0.0  # relative change of the share of likes
    events: float = 0.0  # relative change of the events per user
    score: float = 0.0  # shift, in standard deviations
    taste: float = 0.0  # share of the events that go to other items of the same category
    nulls: float = 0.0  # share of the events whose category is lost
    users_kept: float = 1.0


NOTHING = Planted()


class Noise(NamedTuple):
    """Ordinary differences between weeks: the relative spread of a day's events and of a week's categories."""

    days: float = 0.0
    categories: float = 0.0


CALM = Noise()


class Population(NamedTuple):
    """Users of a scenario: how many events a week they have, what they like, how often they act, how they are scored."""

    ids: NDArray[np.int64]
    rate_U: NDArray[np.float64]
    like_UC: NDArray[np.float64]
    action_U: NDArray[np.float64]
    score_U: NDArray[np.float64]


def population(rng: np.random.Generator, num_users: int, share: float) -> Population:
    ids = np.flatnonzero(rng.random(num_users) < share)
    num, liking = len(ids), np.linspace(1, 0, len(CATEGORIES))
    like_UC = np.exp(liking + rng.normal(0, 1, (num, len(CATEGORIES))))
    return Population(
        ids,
        np.exp(rng.normal(0.8, 1.2, num)),
        like_UC / like_UC.sum(axis=1, keepdims=True),
        rng.beta(2, 6, num),
        rng.normal(0, 0.5, num),
    )


def week(
    rng: np.random.Generator,
    scenario: str,
    users: Population,
    number: int,
    planted: Planted = NOTHING,
    noise: Noise = CALM,
) -> pa.Table:
    """Return the events of the week with that number after START."""
    day_D = np.exp(rng.normal(0, noise.days, WEEK_DAYS)) if noise.days else np.ones(WEEK_DAYS)
    rate_U = users.rate_U * (1 + planted.events) * day_D.mean()
    rate_U = rate_U * (rng.random(len(rate_U)) < planted.users_kept)
    like_UC = users.like_UC * np.exp(rng.normal(0, noise.categories, len(CATEGORIES)))
    share_D = np.concatenate([np.zeros(WEEK_DAYS * number), day_D / day_D.sum()])
    return _events(rng, scenario, users._replace(rate_U=rate_U, like_UC=like_UC), share_D, planted)


def _events(
    rng: np.random.Generator, scenario: str, users: Population, share_D: NDArray[Any], planted: Planted = NOTHING
) -> pa.Table:
    """Return the events of days after START, each with a share of them."""
    user_N = np.repeat(np.arange(len(users.ids)), rng.poisson(users.rate_U))
    num = len(user_N)
    category_N = choose(rng, users.like_UC[user_N])
    category_N = np.where((category_N > 0) & (rng.random(num) < planted.category / 0.8), 0, category_N)
    position_N = np.minimum(rng.zipf(1.6, num) - 1, ITEMS_PER_CATEGORY - 1)
    moved_N = (position_N + ITEMS_PER_CATEGORY // 2) % ITEMS_PER_CATEGORY
    position_N = np.where(rng.random(num) < planted.taste, moved_N, position_N)
    names = np.array([*CATEGORIES, None], dtype=object)
    is_lost_N = rng.random(num) < planted.nulls
    is_like_N = rng.random(num) < users.action_U[user_N] * (1 + planted.action)
    day_N = rng.choice(len(share_D), num, p=share_D)
    ms_N = (day_N + np.clip(rng.normal(0.7, 0.15, num), 0, 0.999)) * DAY_MS
    start_ms = (START - datetime(1970, 1, 1)).total_seconds() * 1000
    return pa.table(
        {
            "user_id": pa.array([f"u{user}" for user in users.ids[user_N]], pa.string()),
            "item_id": pa.array([f"i{item}" for item in category_N * ITEMS_PER_CATEGORY + position_N], pa.string()),
            "scenario": pa.repeat(scenario, num),
            "action": pa.array(np.where(is_like_N, "like", "click"), pa.string()),
            "timestamp": pa.array((start_ms + ms_N).astype(np.int64), pa.timestamp("ms", "UTC")),
            "category": pa.array(names[np.where(is_lost_N, len(CATEGORIES), category_N)], pa.string()),
            "score": users.score_U[user_N] + rng.normal(0, 1, num) + planted.score * SCORE_DEVIATION,
        }
    )


def choose(rng: np.random.Generator, weight_NC: NDArray[np.float64]) -> NDArray[np.int64]:
    total_NC = weight_NC.cumsum(axis=1)
    return (rng.random((len(weight_NC), 1)) * total_NC[:, -1:] > total_NC).sum(axis=1)


def catalog(rng: np.random.Generator) -> tuple[pa.Table, pa.Table]:
    """Return items, and vectors that are near each other inside a category."""
    num = len(CATEGORIES) * ITEMS_PER_CATEGORY
    center_CD = rng.standard_normal((len(CATEGORIES), DIMENSIONS))
    vector_ND = np.repeat(center_CD, ITEMS_PER_CATEGORY, axis=0) + 0.7 * rng.standard_normal((num, DIMENSIONS))
    vector_ND /= np.linalg.norm(vector_ND, axis=1, keepdims=True)
    ids = [f"i{item}" for item in range(num)]
    items = pa.table({"item_id": ids, "title": ids, "category": np.repeat(CATEGORIES, ITEMS_PER_CATEGORY)})
    return items, pa.table({"item_id": ids, "vector": list(vector_ND.astype(np.float32))})


def weeks(
    seed: int, num_users: int, planted: dict[str, Planted] | None = None, num_weeks: int = 2, noise: Noise = CALM
) -> list[pa.Table]:
    """Return the events of some weeks; `planted` changes the last one, by scenario."""
    rng = np.random.default_rng(seed)
    users = {name: population(rng, num_users, share) for name, share in SHARES.items()}
    tables = []
    for number in range(num_weeks):
        changed = planted if planted and number == num_weeks - 1 else {}
        events = [week(rng, name, users[name], number, changed.get(name, NOTHING), noise) for name in SHARES]
        tables.append(pa.concat_tables(events))
    return tables


def growing_log(seed: int, num_users: int, num_days: int) -> pa.Table:
    """Return days with weekends that are busier and of other categories, while the users double; else nothing changes."""
    rng = np.random.default_rng(seed)
    weekday_D = np.array(WEEKDAYS)[np.arange(num_days) % WEEK_DAYS]
    weekend_C = np.exp(rng.normal(0, 0.5, len(CATEGORIES)))
    tables = []
    for name, share in SHARES.items():
        users = population(rng, num_users, share)
        first_U = rng.uniform(-num_days, num_days, len(users.ids))
        for day, busy in enumerate(weekday_D.tolist()):
            rate_U = users.rate_U * (first_U <= day) * busy / WEEK_DAYS
            like_UC = users.like_UC * (weekend_C if busy > 1 else 1)
            tables.append(_events(rng, name, users._replace(rate_U=rate_U, like_UC=like_UC), np.eye(num_days)[day]))
    return pa.concat_tables(tables)


def write_world(folder: Path, seed: int, num_users: int, planted: dict[str, Planted] | None = None) -> Path:
    """Write reference, current, items and vectors as Parquet files."""
    folder.mkdir(parents=True, exist_ok=True)
    reference, current = weeks(seed, num_users, planted)
    items, vectors = catalog(np.random.default_rng(seed))
    for name, table in (("reference", reference), ("current", current), ("items", items), ("vectors", vectors)):
        pq.write_table(table, folder / f"{name}.parquet")
    return folder
