"""Training finds what was planted, finds nothing where the link is cut, resumes exactly and exports what it trained."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import torch

from redrec.config import InputError
from redrec.data.histories import Histories
from redrec.data.items import is_allowed
from redrec.data.prepare import prepare, read_vocabulary
from redrec.evaluation.baselines import TowerScorer
from redrec.evaluation.evaluate import evaluate
from redrec.evaluation.metrics import user_metrics
from redrec.evaluation.ranking import cases_of, rank_targets
from redrec.model.history import tower_inputs
from redrec.presets import tiny
from redrec.recipe import Recipe
from redrec.training.export import ServedUserTower
from redrec.training.optimizer import OptimizerConfig
from redrec.training.trainer import load_towers, train
from tests.data.test_histories import write_tables
from tests.worlds import SMALL_RECIPE, SMALL_WORLD, write_world


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_world(tmp_path_factory.mktemp("linked"))


@pytest.fixture(scope="module")
def model(data, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("model")
    train(data, out, SMALL_RECIPE)
    return out


def test_the_model_beats_both_baselines_in_every_scenario(data, model, tmp_path):
    scenarios = evaluate(data, model, tmp_path)["scenarios"]
    assert json.loads((tmp_path / "metrics.json").read_text())["scenarios"] == scenarios
    for models in scenarios.values():
        best_rival = max(models[name]["hit_rate@10"]["high"] for name in ("popularity", "mean_of_last_n"))
        assert models["redrec"]["hit_rate@10"]["low"] > best_rival


def test_another_scenarios_history_helps_only_where_it_tells_something(data, model, tmp_path):
    """The gain in ads over a model that sees ads alone, on the same users: there when linked, gone when shuffled."""
    shuffled = write_world(tmp_path / "shuffled", linked=False)
    shuffled_model = tmp_path / "shuffled-model"
    train(shuffled, shuffled_model, SMALL_RECIPE)
    gain_linked = ads_gain(data, model, tmp_path / "linked-ads")
    gain_shuffled = ads_gain(shuffled, shuffled_model, tmp_path / "shuffled-ads")
    assert gain_linked.mean() - 2 * standard_error(gain_linked) > 0.05
    assert gain_shuffled.mean() - 2 * standard_error(gain_shuffled) < 0.0


def ads_gain(data: Path, model: Path, folder: Path) -> np.ndarray:
    """Per user with ads in both: hit rate at 10 in ads of the whole model minus that of one trained on ads alone."""
    whole = ads_hits(data, model)
    events = pq.read_table(data / "events.parquet")
    events = events.filter(pc.equal(events["scenario"], "ads"))
    folder.mkdir()
    pq.write_table(events, folder / "events.parquet")
    test_start_ms = json.loads((data / "split.json").read_text())["test_start_ms"]
    timestamp_ms = pc.cast(events["timestamp"], pa.timestamp("ms", tz="UTC")).cast("int64").to_numpy()
    share = float(np.mean(timestamp_ms >= test_start_ms))  # of the ads events alone, for nearly the same cutoff
    config = SMALL_RECIPE.data.model_copy(update={"scenarios": ("ads",), "test_share": share})
    prepare(folder / "events.parquet", data / "items.parquet", folder / "data", config)
    train(folder / "data", folder / "model", SMALL_RECIPE)
    alone = ads_hits(folder / "data", folder / "model")
    users = sorted(whole.keys() & alone.keys())
    assert len(users) > 200
    return np.array([whole[user] - alone[user] for user in users])


def ads_hits(data: Path, model: Path) -> dict[str, float]:
    vocabulary, histories = read_vocabulary(data), Histories(data / "histories")
    ads = vocabulary.scenarios.index("ads")
    cases = cases_of(histories, ads, SMALL_RECIPE.batch.target_window, max_users=10_000, seed=0)
    is_candidate_N = is_allowed(data / "items.parquet", vocabulary.scenarios)[ads]
    ranks = rank_targets(TowerScorer(model / "export", histories, SMALL_RECIPE.history), cases, ads, is_candidate_N)
    return {
        histories.user_ids[case.user]: user_metrics(found.rank_T, (10,))["hit_rate@10"]
        for case, found in zip(cases, ranks, strict=True)
    }


def standard_error(values: np.ndarray) -> float:
    return float(values.std() / np.sqrt(len(values)))


def test_the_exported_tower_gives_what_the_trained_one_gives(data, model):
    """One encoding for training, evaluation and serving: same histories, same interests."""
    histories, towers = Histories(data / "histories"), load_towers(model, read_vocabulary(data))
    vectors_NE = np.load(model / "export" / "item_vectors.npy")
    users, query_scenario_B = range(20), [n % 3 for n in range(20)]
    inputs = tower_inputs([histories.train_of(u) for u in users], query_scenario_B, vectors_NE, SMALL_RECIPE.history)
    session = onnxruntime.InferenceSession(model / "export" / "user_tower.onnx")
    served_BQD = session.run(["interests_BQD"], inputs)[0]
    with torch.no_grad():
        trained_BQD = ServedUserTower(towers.users)(*map(torch.from_numpy, inputs.values()))
    np.testing.assert_allclose(served_BQD, trained_BQD, atol=2e-6)


def test_a_resumed_run_ends_on_the_same_weights(data, tmp_path):
    recipe = tiny().model_copy(update={"optimizer": OptimizerConfig(num_steps=8)})
    train(data, tmp_path / "whole", recipe)
    train(data, tmp_path / "stopped", recipe, stop_after=3)
    assert not (tmp_path / "stopped" / "export").exists()
    train(data, tmp_path / "stopped", recipe)
    whole, resumed = (tmp_path / name / "checkpoint" / "model.safetensors" for name in ("whole", "stopped"))
    assert whole.read_bytes() == resumed.read_bytes()


def test_a_checkpoint_of_another_recipe_is_refused(data, tmp_path):
    train(data, tmp_path, tiny(), stop_after=1)
    with pytest.raises(InputError, match="made with another recipe"):
        train(data, tmp_path, Recipe(seed=1, **tiny().model_dump(exclude={"seed"})), stop_after=2)


def test_users_with_one_event_alone_cannot_be_trained_on(tmp_path):
    events = [(f"u{n}", f"i{n}", "ads", n) for n in range(10)]
    prepare(*write_tables(tmp_path, events), tmp_path / "data")
    with pytest.raises(InputError, match="None of 10 users has two training events"):
        train(tmp_path / "data", tmp_path / "model", tiny())


def test_the_small_world_is_sparse_in_ads():
    assert SMALL_WORLD.events_per_user[2] < SMALL_WORLD.events_per_user[0] / 2
