"""A generated run: a bundle of N items with the default recipe's sizes and an untrained user tower, and its features.

Embeddings are around centers, since a catalog in clusters is checked for its recall. What the towers have learned does not change what a request costs. Every user has 60 events, more than the tower reads.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import nn

from feature_repo.materialize import materialize
from redrec.bundle.builder import build_bundle
from redrec.bundle.reader import Bundle
from redrec.data.prepare import prepare
from redrec.folders import ModelFolder, RunFolder, read_json, write_json
from redrec.index.server import MilvusServer
from redrec.model.boosts import OWN_COUNTS, BoostWeights
from redrec.model.manifest import ModelManifest
from redrec.model.user_tower import Sizes, UserTower
from redrec.training.export import export_user_tower
from redrec.training.presets import redrec
from tests import bundles
from tests.benchmarks.index_embedded import write_vectors

NUM_USERS, TIMES_TEN_EVENTS = 200, 6
SCENARIO = "ads"
BOOSTS = BoostWeights(popularity=1.0, own=(1.0,) * len(OWN_COUNTS))


def user_ids() -> list[str]:
    return [f"user-{number}" for number in range(NUM_USERS)]


def generated_run(folder: Path, num_items: int, server: MilvusServer | None = None) -> Bundle:
    run = RunFolder(folder)
    prepare(*write_log(folder / "tables", num_items), folder / "data")
    features = materialize(folder / "data", run.features)
    model = write_model(folder)
    feature_hash = features["feature_hash"]
    return build_bundle(folder / "data", model, run.bundle, metrics=None, feature_hash=feature_hash, server=server)


def write_log(folder: Path, num_items: int) -> tuple[Path, Path]:
    """Write the tables of many users with ten events each, and give the users of a number to one."""
    events_path, items_path = bundles.write_tables(folder, num_items, NUM_USERS * TIMES_TEN_EVENTS)
    events = pq.read_table(events_path)
    users = [f"user-{int(user.removeprefix('user-')) % NUM_USERS}" for user in events["user_id"].to_pylist()]
    pq.write_table(events.set_column(events.column_names.index("user_id"), "user_id", pa.array(users)), events_path)
    return events_path, items_path


def write_model(folder: Path) -> Path:
    """Write `folder/model` as training would, with random weights."""
    recipe, num_scenarios = redrec(), len(bundles.SCENARIOS)
    dim = recipe.item_tower.item_dim
    bundles.VECTOR_DIM, bundles.EMBEDDING_DIM = dim, recipe.item_tower.embedding_dim
    num_contenders = recipe.ranker.num_contenders
    model = ModelFolder(bundles.write_tiny_model(folder, num_scenarios, boosts=BOOSTS, num_contenders=num_contenders))
    write_vectors(model.item_embeddings, pq.read_metadata(folder / "data" / "items.parquet").num_rows)
    torch.manual_seed(0)
    head = nn.Linear(dim, recipe.item_tower.embedding_dim, bias=False)
    sizes = Sizes(action=len(bundles.ACTIONS), scenario=num_scenarios)
    tower = UserTower(recipe.user_tower, head, sizes, recipe.history)
    export_user_tower(tower, num_scenarios, model.tower)
    manifest = ModelManifest.model_validate(read_json(model.manifest))
    changed = manifest.model_copy(update={"history": recipe.history, "num_interests": tower.num_interests})
    write_json(model.manifest, changed.model_dump(mode="json"))
    return model.path
