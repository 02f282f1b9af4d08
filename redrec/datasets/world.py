"""A generated world with a known truth: each user shows the same interests in all scenarios.

Each user has a few interests, the same in every scenario; one of them is replaced at some time, so order matters. An
item belongs to one interest and to one facet, and its title has words of both. A scenario prefers its own facet: a user
who reads about baking in the feed looks for baking guides in search and sees baking offers in ads. So the histories of
other scenarios have information that the sparse one lacks, and a model must transfer it. Some actions are noise. Search
and ads are sparse.

The oracle knows each user's interests at the end and ranks by the true probability of the next action: the upper limit
for any model. With `linked=False` the users of every scenario but the first are permuted at random: the same tables,
but another scenario has no information about a user, so a model cannot gain from it.

Shapes: U users, N items, K interests, F facets (one per scenario), B rows of preferences, X actions, R ranks.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from redrec.config import Config
from redrec.data import columns as c
from redrec.folders import TablesFolder
from redrec.history import MS_PER_DAY

INTERESTS = (
    "baking sourdough crust oven dough flour",
    "trail running shoes summit mud pace",
    "watercolor paper brush wash palette sketch",
    "espresso grinder beans crema roast kettle",
    "cycling gravel saddle chain bidon climb",
    "houseplant fern pot soil leaves mist",
    "camping tent lantern stove forest sleeping",
    "skincare serum sunscreen cream toner glow",
    "chess opening endgame knight board tactics",
    "aquarium shrimp filter moss tank coral",
    "guitar chords strings amp riff pick",
    "knitting wool needles scarf stitch yarn",
    "photography lens tripod portrait shutter film",
    "sneakers lacing streetwear sole drop canvas",
    "toddler stroller blocks crib naptime puzzle",
    "swimming goggles lane freestyle pool laps",
    "vinyl turntable record stylus jazz sleeve",
    "bonsai pruning juniper wire moss tray",
    "sushi rice nori salmon ginger knife",
    "skiing slope goggles wax chalet powder",
)
FACETS = ("story moments diary", "guide compare howto", "offer sale bundle")
SCENARIOS = ("homefeed", "search", "ads")
ACTIONS = ("view", "click", "click")  # one per scenario
FILLERS = "my our simple daily new weekend favourite quick little best first honest".split()
START_MS = 1_700_000_000_000
USERS_PER_BLOCK = 20_000


class WorldConfig(Config):
    num_users: PositiveInt = 3000
    num_items: PositiveInt = 1800
    num_interests: int = Field(default=len(INTERESTS), ge=2, le=len(INTERESTS))
    interests_per_user: PositiveInt = 3
    events_per_user: tuple[float, float, float] = (24.0, 5.0, 3.0)  # means, by scenario
    days: PositiveInt = 60
    facet_share: float = Field(default=0.85, gt=0, le=1)  # of a scenario's actions, on its own facet
    noise_share: float = Field(default=0.1, ge=0, le=1)  # of all actions, on any item
    popularity_exponent: float = Field(default=0.8, ge=0)  # of the items of one interest and facet, by rank
    linked: bool = True
    seed: int = 0


class World:
    """The truth of one generated world; `write` draws the events."""

    def __init__(self, config: WorldConfig) -> None:
        self.config = config
        rng = np.random.default_rng(config.seed)
        num_users, num_items, num_interests = config.num_users, config.num_items, config.num_interests
        self.interest_N = np.arange(num_items) % num_interests
        self.facet_N = np.arange(num_items) // num_interests % len(FACETS)
        rank_N = np.arange(num_items) // (num_interests * len(FACETS))
        self.weight_N = (1.0 + rank_N) ** -config.popularity_exponent
        self.words_N = rng.integers(0, 2**31, size=num_items)
        self.before_UK = _preferences(num_users, config, rng)
        self.after_UK = _one_replaced(self.before_UK, rng)
        self.change_U = rng.uniform(0.2, 0.8, size=num_users) * config.days * MS_PER_DAY + START_MS
        identity = np.arange(num_users)
        others = [identity if config.linked else rng.permutation(num_users) for _ in SCENARIOS[1:]]
        self.identity_FU = np.stack([identity, *others])  # the user with the interests that user u shows in a scenario

    def item_ids(self) -> list[str]:
        return [f"i{n:07d}" for n in range(self.config.num_items)]

    def user_ids(self) -> list[str]:
        return [f"u{u:08d}" for u in range(self.config.num_users)]

    def titles(self) -> list[str]:
        """A filler, three words of the interest and one of the facet, fixed per item."""
        return [self._title(n) for n in range(self.config.num_items)]

    def _title(self, item: int) -> str:
        rng = np.random.default_rng(self.words_N[item])
        interest, facet = INTERESTS[self.interest_N[item]].split(), FACETS[self.facet_N[item]].split()
        return " ".join([rng.choice(FILLERS), *rng.choice(interest, 3, replace=False), rng.choice(facet)])

    def item_probabilities(self, preferences_BK: NDArray[np.floating], scenario: int) -> NDArray[np.floating]:
        """Return the true probability of each item in one action of a scenario, `probability_BN`."""
        config = self.config
        facet_F = np.full(len(FACETS), (1 - config.facet_share) / (len(FACETS) - 1))
        facet_F[scenario] = config.facet_share
        group_KF = np.zeros((config.num_interests, len(FACETS)))
        np.add.at(group_KF, (self.interest_N, self.facet_N), self.weight_N)
        within_N = self.weight_N / group_KF[self.interest_N, self.facet_N] * facet_F[self.facet_N]
        wanted_BN = preferences_BK[:, self.interest_N] * within_N
        return (1 - config.noise_share) * wanted_BN + config.noise_share / config.num_items

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write both tables, a block of users at a time, and return their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        events, items = TablesFolder(folder).events, TablesFolder(folder).items
        pq.write_table(pa.table({c.ITEM_ID: self.item_ids(), c.TITLE: self.titles()}), items)
        with pq.ParquetWriter(events, next(self._blocks()).schema) as writer:
            for block in self._blocks():
                writer.write_table(block)
        return events, items

    def _blocks(self) -> Iterator[pa.Table]:
        for start in range(0, self.config.num_users, USERS_PER_BLOCK):
            users = np.arange(start, min(start + USERS_PER_BLOCK, self.config.num_users))
            rng = np.random.default_rng([self.config.seed, start, 1])
            yield pa.concat_tables(self._events(users, scenario, rng) for scenario in range(len(SCENARIOS)))

    def _events(self, users: NDArray[np.int64], scenario: int, rng: np.random.Generator) -> pa.Table:
        config = self.config
        # A user's activity is gamma-distributed: a few heavy users, many light ones, some without any event here.
        activity = rng.gamma(2.0, config.events_per_user[scenario] / 2, size=len(users))
        user_X = np.repeat(users, rng.poisson(activity))
        time_X = START_MS + (rng.random(len(user_X)) * config.days * MS_PER_DAY).astype(np.int64)
        item_X = self._items(user_X, time_X, scenario, rng)
        return pa.table(
            {
                c.USER_ID: [f"u{u:08d}" for u in user_X],
                c.ITEM_ID: [f"i{n:07d}" for n in item_X],
                c.SCENARIO: pa.array([SCENARIOS[scenario]] * len(user_X), pa.string()),
                c.ACTION: pa.array([ACTIONS[scenario]] * len(user_X), pa.string()),
                c.TIMESTAMP: pa.array(time_X, pa.timestamp("ms", tz="UTC")),
            }
        )

    def _items(
        self, user_X: NDArray[np.int64], time_X: NDArray[np.int64], scenario: int, rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """Draw interest and facet, then an item of both; if the action is noise, any item."""
        config = self.config
        shown_X = self.identity_FU[scenario][user_X]
        is_before_X1 = (time_X < self.change_U[shown_X])[:, None]
        preferences_XK = np.where(is_before_X1, self.before_UK[shown_X], self.after_UK[shown_X])
        interest_X = (preferences_XK.cumsum(1) < rng.random((len(user_X), 1))).sum(1).clip(max=config.num_interests - 1)
        other_X = (scenario + rng.integers(1, len(FACETS), size=len(user_X))) % len(FACETS)
        facet_X = np.where(rng.random(len(user_X)) < config.facet_share, scenario, other_X)
        group_size = config.num_items // (config.num_interests * len(FACETS))
        weight_R = (1.0 + np.arange(group_size)) ** -config.popularity_exponent
        rank_X = rng.choice(group_size, p=weight_R / weight_R.sum(), size=len(user_X))
        wanted_X = (rank_X * len(FACETS) + facet_X) * config.num_interests + interest_X
        is_noise_X = rng.random(len(user_X)) < config.noise_share
        return np.where(is_noise_X, rng.integers(config.num_items, size=len(user_X)), wanted_X)


def _preferences(num_users: int, config: WorldConfig, rng: np.random.Generator) -> NDArray[np.floating]:
    """Return a few interests per user, with uneven weights that sum to one."""
    shuffled_UK = rng.random((num_users, config.num_interests)).argsort(1)[:, : config.interests_per_user]
    weights = rng.dirichlet([2.0] * config.interests_per_user, size=num_users)
    preferences_UK = np.zeros((num_users, config.num_interests))
    np.put_along_axis(preferences_UK, shuffled_UK, weights, axis=1)
    return preferences_UK


def _one_replaced(before_UK: NDArray[np.floating], rng: np.random.Generator) -> NDArray[np.floating]:
    """Return preferences in which the strongest interest is replaced by one that the user did not have."""
    after_UK = before_UK.copy()
    rows = np.arange(len(before_UK))
    strongest_U = before_UK.argmax(1)
    fresh_U = (rng.random(before_UK.shape) - (before_UK > 0)).argmax(1)
    after_UK[rows, fresh_U] = before_UK[rows, strongest_U]
    after_UK[rows, strongest_U] = 0.0
    return after_UK
