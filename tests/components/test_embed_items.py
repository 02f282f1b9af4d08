"""Before step 3, without a training: an item that was added yesterday is in the next release."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from kfp import dsl

from components.build_bundle import build_bundle
from components.embed_items import embed_items
from components.embed_shard import embed_shard
from components.evaluate_model import evaluate_model
from components.prepare_data import prepare_data
from redrec.bundle.reader import Bundle
from redrec.data.split import read_vocabulary
from redrec.folders import RunFolder, TablesFolder
from tests.components.conftest import Steps


def test_a_new_item_is_in_the_next_release_of_the_same_model(steps: Steps, tmp_path: Path):
    earlier = TablesFolder(Path(steps.data.path).parent / "input")
    items = pq.read_table(earlier.items)
    new = pa.Table.from_pylist([{**items.slice(0, 1).to_pylist()[0], "item_id": "new"}], items.schema)
    pq.write_table(pa.concat_tables([items, new]), tmp_path / "items.parquet")
    data, model = dsl.Dataset(uri=str(tmp_path / "data")), dsl.Model(uri=str(tmp_path / "model"))
    evaluation, release = dsl.Artifact(uri=str(tmp_path / "evaluation")), dsl.Model(uri=str(tmp_path / "release"))
    metrics = dsl.Metrics(uri=str(tmp_path / "metrics"))
    recipe = json.dumps({"data": {"scenarios": read_vocabulary(Path(steps.data.path)).scenarios}})

    prepare_data.python_func(str(earlier.events), str(tmp_path / "items.parquet"), data, metrics, recipe)
    shards = [dsl.Artifact(uri=str(tmp_path / f"shard-{index}")) for index in range(2)]
    for index, shard in enumerate(shards):
        embed_shard.python_func(data, steps.model, shard, index, len(shards))
    embed_items.python_func(data, steps.model, shards, model, metrics)
    evaluate_model.python_func(data, model, evaluation, metrics, steps.release.path)
    build_bundle.python_func(data, model, evaluation, steps.features, steps.feature_hash, release, metrics)

    counts = {name: metrics.metadata[f"{name}_items"] for name in ("embedded", "new", "changed", "withdrawn")}
    assert counts == {"embedded": 1, "new": 1, "changed": 0, "withdrawn": 0}
    before, after = (Bundle.load(RunFolder(Path(of.path)).bundle) for of in (steps.release, release))
    assert set(after.item_ids) - set(before.item_ids) == {"new"}
    assert after.manifest.id != before.manifest.id
    assert metrics.metadata["homefeed/live/hit_rate@10"] > 0
