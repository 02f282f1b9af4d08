"""A small generated world and a recipe that learns it in seconds, for tests of what a model learned."""

from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from redrec.data.prepare import DataConfig, prepare
from redrec.data.split import SplitRule
from redrec.datasets.world import World, WorldConfig
from redrec.folders import RunFolder
from redrec.history import HistoryConfig
from redrec.model.config import ItemTowerConfig, TransformerConfig, UserTowerConfig
from redrec.model.encoders.config import HashedConfig
from redrec.training.batches import BatchConfig
from redrec.training.config import OptimizerConfig
from redrec.training.recipe import Recipe


class TinyRun(NamedTuple):
    """A run folder, what it was made of, and the lines that a person saw meanwhile."""

    events: Path
    items: Path
    folder: Path
    progress: list[str]


def names_of_new_run(folder: Path) -> set[str]:
    """Return the names in a run folder where no bundle was replaced."""
    run = RunFolder(folder)
    return run.names - {run.bundles.name, run.broken.name}


SMALL_WORLD = WorldConfig(
    num_users=1000,
    num_items=360,
    num_interests=12,
    interests_per_user=2,
    events_per_user=(16.0, 4.0, 6.0),
    noise_share=0.05,
    popularity_exponent=0.5,
)
SMALL_RECIPE = Recipe(
    data=DataConfig(scenarios=("homefeed", "search", "ads"), test_share=0.2, has_validation=False),
    history=HistoryConfig(max_events_per_scenario=12),
    item_tower=ItemTowerConfig(encoder=HashedConfig(num_buckets=4096), item_dim=48, embedding_dim=48),
    user_tower=UserTowerConfig(num_queries=2, dropout=0, backbone=TransformerConfig(dropout=0)),
    batch=BatchConfig(num_users=64, num_cuts=4, target_window=5, num_uniform_negatives=120, num_popular_negatives=120),
    optimizer=OptimizerConfig(num_steps=200),
)


def write_log(
    folder: Path, rows: list[tuple[str, str, int]], item_ids: list[str], title: str | None = None
) -> tuple[Path, Path]:
    """Write tables of events (user, item, epoch ms) of one scenario and one action, and of items; return both paths.

    All items have this `title`, or else each its id.
    """
    folder.mkdir(exist_ok=True)
    users, items, times_ms = zip(*rows, strict=True)
    constant = {"scenario": ["shop"] * len(rows), "action": ["buy"] * len(rows)}
    timestamps = pa.array(times_ms, pa.timestamp("ms", tz="UTC"))
    events = {"user_id": users, "item_id": items, "timestamp": timestamps, **constant}
    paths = folder / "events.parquet", folder / "items.parquet"
    titles = item_ids if title is None else [title] * len(item_ids)
    for path, columns in zip(paths, (events, {"item_id": item_ids, "title": titles}), strict=True):
        pq.write_table(pa.table(columns), path)
    return paths


def write_split(data: Path, scenarios: list[str], test_start_ms: int) -> None:
    """Write the split of a data folder whose tables a test makes itself."""
    SplitRule(
        scenarios=tuple(scenarios),
        actions=("click", "like"),
        policy="global_time",
        has_validation=False,
        validation_start_ms=test_start_ms,
        test_start_ms=test_start_ms,
    ).write(data)


def write_world(folder: Path, **changed: object) -> Path:
    """Write a small world's tables and its data folder, and return the latter."""
    world = World(SMALL_WORLD.model_copy(update=changed))
    prepare(*world.write(folder / "tables"), folder / "data", SMALL_RECIPE.data)
    return folder / "data"
