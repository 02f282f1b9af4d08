"""The moment of asking: what follows at once is told from what follows after weeks, where the world has both."""

from pathlib import Path

import numpy as np
import pytest

from redrec.data.prepare import DataConfig, prepare
from redrec.evaluation.scorers import Scorer, exported_towers
from redrec.history import History
from redrec.model.user_tower import UserTowerConfig
from redrec.training.optimizer import OptimizerConfig
from redrec.training.trainer import train
from tests.worlds import SMALL_RECIPE, write_log

KINDS, NUM_GROUPS = ("later", "soon", "start"), 6  # in order of their item ids
MINUTE_MS, DAY_MS = 60_000, 86_400_000
SOON_MS, LATER_MS = 3 * MINUTE_MS, 40 * DAY_MS


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Users begin with some group's first item; its `soon` comes after minutes or its `later` after weeks, evenly."""
    folder, rng = tmp_path_factory.mktemp("moment"), np.random.default_rng(0)
    items = [f"{kind}{group}" for kind in KINDS for group in range(NUM_GROUPS)]
    rows = []
    for user in range(300):
        now_ms = 10**12 + int(rng.integers(100)) * DAY_MS
        for group in rng.integers(NUM_GROUPS, size=5):
            is_soon = rng.random() < 0.5
            rows.append((f"u{user}", f"start{group}", now_ms))
            now_ms += SOON_MS if is_soon else LATER_MS
            rows.append((f"u{user}", f"{'soon' if is_soon else 'later'}{group}", now_ms))
            now_ms += 5 * DAY_MS
    prepare(*write_log(folder, rows, items), folder / "data", DataConfig(test_share=0.1))
    return folder / "data"


def trained(data: Path, out: Path, query_features: tuple[str, ...]) -> Scorer:
    users = SMALL_RECIPE.user_tower.model_dump() | {"num_queries": 1, "query_features": query_features}
    batch = SMALL_RECIPE.batch.model_copy(update={"num_cuts": 8, "target_window": 1})
    changes = {"user_tower": UserTowerConfig(**users), "batch": batch, "optimizer": OptimizerConfig(num_steps=150)}
    recipe = SMALL_RECIPE.model_copy(update=changes)
    train(data, out, recipe)
    return exported_towers(out, recipe.history)


def interests(scorer: Scorer, elapsed_ms: int) -> np.ndarray:
    """Return `interests_GD` of a user of each group whose first item was so long ago."""
    group_G, zero_L, newest_ms = np.arange(NUM_GROUPS), np.zeros(1, dtype=np.int64), 10**12
    start_G = KINDS.index("start") * NUM_GROUPS + group_G
    histories = [History(np.array([start]), zero_L, zero_L, np.array([newest_ms])) for start in start_G]
    return scorer.interests_of(histories, 0, np.full(NUM_GROUPS, newest_ms + elapsed_ms))[:, 0]


def share_told(scorer: Scorer) -> float:
    """Return how often, of the group's `later` and `soon`, the one that follows at the moment has the greater score."""
    embeddings_KGD = np.asarray(scorer.embeddings_ND, np.float32).reshape(len(KINDS), NUM_GROUPS, -1)
    is_soon_MG = [
        np.einsum("gd,kgd->kg", interests(scorer, elapsed_ms), embeddings_KGD[:2]).argmax(0) == KINDS.index("soon")
        for elapsed_ms in (SOON_MS, LATER_MS)
    ]
    return float(np.mean([is_soon_MG[0], ~is_soon_MG[1]]))


def test_what_is_wanted_hangs_on_the_moment_where_it_was_planted(data, tmp_path):
    scorer = trained(data, tmp_path / "knows", ("gap",))
    assert share_told(scorer) == 1
    never_seen = interests(scorer, 4000 * DAY_MS)
    np.testing.assert_array_equal(never_seen, interests(scorer, LATER_MS))  # told as the longest that was seen


def test_a_query_that_is_not_told_the_moment_cannot_know(data, tmp_path):
    assert share_told(trained(data, tmp_path / "does not", ())) == 0.5
