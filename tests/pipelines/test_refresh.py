"""The refresh pipeline: what an earlier model does not know is embedded in shards, and released with the rest."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.compile import compile_pipeline
from pipelines.local import run_child
from pipelines.settings import WITHOUT_RETRIES
from redrec.bundle.reader import Bundle
from redrec.data.prepare import prepare
from redrec.data.split import read_vocabulary
from redrec.datasets.world import World, WorldConfig
from redrec.folders import RunFolder
from redrec.training.config import OptimizerConfig
from redrec.training.presets import tiny
from redrec.training.trainer import train
from tests.pipelines.stubs import read_documents, run_stubbed
from tests.pipelines.test_compile import RESULTS, TABLES

SHARDED = WITHOUT_RETRIES.model_copy(update={"num_embedding_shards": 3})


def test_each_shard_is_a_task_and_their_merge_waits_for_all(tmp_path: Path):
    refresh, _ = read_documents(compile_pipeline("refresh", tmp_path / "refresh.yaml", SHARDED))
    (tasks,) = (
        component["dag"]["tasks"]
        for component in refresh["components"].values()
        if "embed-items" in component.get("dag", {}).get("tasks", {})
    )
    (shards,) = tasks["embed-items"]["dependentTasks"][:1]
    assert tasks[shards]["parameterIterator"]["items"]["raw"] == "[0, 1, 2]"
    (inner,) = (
        component["dag"]["tasks"]["embed-shard"]["inputs"]["parameters"]
        for component in refresh["components"].values()
        if "embed-shard" in component.get("dag", {}).get("tasks", {})
    )
    assert inner["count"]["runtimeValue"]["constant"] == 3
    assert "loop-item" in inner["index"]["componentInputParameter"]


def test_all_shards_run_before_the_release(tmp_path: Path):
    (tmp_path / "model").mkdir()
    arguments = TABLES | {"model": str(tmp_path / "model")}
    ran = run_stubbed("refresh", tmp_path, arguments, RESULTS, SHARDED)
    assert {"embed-shard", "embed-items", "build-bundle"} <= ran


@pytest.mark.slow
def test_a_refresh_embeds_the_new_item_alone_and_releases_it(tmp_path: Path):
    recipe = tiny().model_copy(update={"optimizer": OptimizerConfig(num_steps=2)})
    events, items = World(WorldConfig(num_users=120, num_items=180, seed=1)).write(tmp_path / "input")
    prepare(events, items, tmp_path / "data", recipe.data)
    train(tmp_path / "data", tmp_path / "model", recipe)
    table = pq.read_table(items)
    new = pa.Table.from_pylist([{**table.slice(0, 1).to_pylist()[0], "item_id": "new"}], table.schema)
    pq.write_table(pa.concat_tables([table, new]), tmp_path / "items.parquet")
    scenarios = read_vocabulary(tmp_path / "data").scenarios
    settled = recipe.model_copy(update={"data": recipe.data.model_copy(update={"scenarios": scenarios})})
    arguments = {"events": events, "items": tmp_path / "items.parquet", "model": tmp_path / "model"}
    given = {name: str(path) for name, path in arguments.items()} | {"recipe": settled.model_dump_json()}
    progress: list[str] = []

    run_child("refresh", given, tmp_path / "steps", tmp_path / "log.txt", progress.append)

    assert any("1 embedded items, 1 new items, 0 changed items, 0 withdrawn items" in line for line in progress)
    (outputs,) = (tmp_path / "steps").iterdir()
    assert "new" in Bundle.load(RunFolder(outputs / "build-bundle" / "release").bundle).item_ids
