"""Training finds what was planted, finds nothing where the link is cut, resumes exactly and exports what it trained."""

import json
import logging
import re
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from redrec.config import InputError
from redrec.data.histories import TEST, Histories
from redrec.data.items import is_allowed
from redrec.data.prepare import DataConfig, prepare
from redrec.data.split import read_vocabulary
from redrec.datasets.world import World
from redrec.evaluation.cases import EvaluationConfig, cases_of
from redrec.evaluation.evaluate import evaluate
from redrec.evaluation.metrics import user_metrics
from redrec.evaluation.ranking import rank_cases
from redrec.evaluation.scorers import Scorer, exported_towers
from redrec.evaluation.validation import ValidationConfig
from redrec.folders import ModelFolder
from redrec.history import History
from redrec.index.ranker import RankerConfig
from redrec.model.boosts import BoostConfig, configured
from redrec.model.config import LossConfig, TransformerConfig, UserTowerConfig
from redrec.model.manifest import read_model
from redrec.training.__main__ import main
from redrec.training.batches import TARGET_WINDOW, BatchConfig, Shard
from redrec.training.config import MIN_STEPS, ComputeConfig, OptimizerConfig
from redrec.training.presets import hllm, sasrec, tiny
from redrec.training.recipe import Recipe
from redrec.training.trainer import TrainingRun, load_towers, train
from tests.data.logs import write_clicks
from tests.evaluation.planted import newcomers_log, repeating_log
from tests.worlds import SMALL_RECIPE, SMALL_WORLD, write_log, write_world

HALF = ComputeConfig(precision="bfloat16")
ROLES, NUM_GROUPS = ("later", "soon", "start"), 6  # in order of their item ids
MINUTE_MS, DAY_MS = 60_000, 86_400_000
SOON_MS, LATER_MS = 3 * MINUTE_MS, 40 * DAY_MS
NEGATIVES = {"num_uniform_negatives": 100, "num_popular_negatives": 100}


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


def test_items_without_text_are_learned_by_their_events(tmp_path):
    """Each user stays in one of 8 groups of 10 items. With equal items, the loss was zero and no group was learned."""
    rng, item_ids = np.random.default_rng(0), [f"i{n:02}" for n in range(80)]
    rows = []
    for user in range(200):
        for number, rank in enumerate(rng.integers(10, size=12)):
            rows.append((f"u{user}", item_ids[user % 8 * 10 + rank], number * DAY_MS + int(rng.integers(DAY_MS))))
    prepare(*write_log(tmp_path, rows, item_ids, title=""), tmp_path / "data", DataConfig(test_share=0.2))
    batch = tiny().batch.model_copy(update={"num_users": 32})
    quick = OptimizerConfig(num_steps=120, learning_rate=5e-3, table_learning_rate=5e-2)
    train(tmp_path / "data", tmp_path / "model", changed(batch=batch, optimizer=quick))

    shop = evaluate(tmp_path / "data", tmp_path / "model", tmp_path / "evaluation")["scenarios"]["shop"]
    assert shop["redrec"]["hit_rate@10"]["low"] > 0.9
    assert shop["popularity"]["hit_rate@10"]["high"] < 0.5
    embeddings_ND = np.load(ModelFolder(tmp_path / "model").item_embeddings)
    assert len(np.unique(embeddings_ND, axis=0)) == len(item_ids)


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
    vocabulary, histories = read_vocabulary(data), Histories(data)
    ads = vocabulary.scenarios.index("ads")
    cases = cases_of(histories, ads, TEST, SMALL_RECIPE.evaluation.num_targets, max_users=10_000, seed=0)
    is_candidate_N = is_allowed(data / "items.parquet", vocabulary.scenarios)[ads]
    towers = exported_towers(model, SMALL_RECIPE.history)
    hits_U = user_metrics(rank_cases(towers, histories, cases, ads, is_candidate_N).rank_UT, (10,))["hit_rate@10"]
    return {histories.user_ids[case.user]: hit for case, hit in zip(cases, hits_U.tolist(), strict=True)}


def standard_error(values: np.ndarray) -> float:
    return float(values.std() / np.sqrt(len(values)))


def changed(**changes: object) -> Recipe:
    """Return the tiny recipe, of eight steps and without a ranker, with other sections."""
    return tiny().model_copy(
        update={"optimizer": OptimizerConfig(num_steps=8), "ranker": RankerConfig(num_contenders=0), **changes}
    )


def weights(out: Path) -> bytes:
    return (out / "checkpoint" / "model.safetensors").read_bytes()


def test_a_resumed_run_ends_on_the_same_weights(data, tmp_path):
    train(data, tmp_path / "whole", changed(), stop_after=7)
    for step in (3, 7):  # neither is the last, so nothing is exported, which takes longer than the steps
        train(data, tmp_path / "stopped", changed(), stop_after=step)
    assert not (tmp_path / "stopped" / "export").exists()
    assert weights(tmp_path / "whole") == weights(tmp_path / "stopped")


def test_a_step_in_micro_batches_is_the_same_step(data, tmp_path):
    """Without dropout, whose noise is drawn anew for each micro-batch."""
    still = UserTowerConfig(hidden_dim=16, dropout=0, backbone=TransformerConfig(num_layers=1, num_heads=2, dropout=0))
    losses = [
        train(data, tmp_path / str(num), changed(user_tower=still, optimizer=config), stop_after=3)["loss"]
        for num in (1, 3)
        for config in [OptimizerConfig(num_steps=8, num_accumulated=num)]
    ]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


def test_what_a_recipe_leaves_to_the_log_is_saved_as_it_was_resolved(data, tmp_path):
    run = TrainingRun(data, tmp_path, changed(optimizer=OptimizerConfig(), batch=BatchConfig()), Shard())
    assert (run.recipe.optimizer.num_steps, run.recipe.batch.target_window) == (MIN_STEPS, TARGET_WINDOW)
    saved = json.loads((tmp_path / "recipe.json").read_text())
    assert (saved["optimizer"]["num_steps"], saved["batch"]["target_window"]) == (MIN_STEPS, TARGET_WINDOW)


def rates_after(data: Path, out: Path, num_steps: int) -> list[float]:
    """Return each group's share of its peak learning rate after some of 8 steps, of which the last 4 are annealed."""
    plateau = OptimizerConfig(num_steps=8, schedule="warmup_stable_anneal", warmup_share=0, anneal_share=0.5)
    run = TrainingRun(data, out, changed(optimizer=plateau), Shard())
    run.train(stop_after=num_steps)
    return [group["lr"] / group["peak"] for group in run.optimizer.param_groups]


def test_every_group_learns_at_the_rate_of_the_schedule(data, tmp_path):
    assert rates_after(data, tmp_path / "plateau", 4) == pytest.approx([1, 1, 1])
    assert rates_after(data, tmp_path / "annealed", 7) == pytest.approx([0.5] * 3)  # (8 - 6) / 4


@pytest.mark.parametrize("max_norm", [1e-3, 1e-2])
def test_a_gradient_is_cut_to_the_configured_norm(data, tmp_path, max_norm):
    """After one step the first moment is a tenth of the gradient (beta is 0.9)."""
    run = TrainingRun(data, tmp_path, changed(optimizer=OptimizerConfig(max_gradient_norm=max_norm)), Shard())
    run.train(stop_after=1)
    moments = [run.optimizer.state[parameter]["exp_avg"].flatten() for parameter in run.towers.parameters()]
    assert torch.cat(moments).norm().item() == pytest.approx(0.1 * max_norm, rel=1e-3)


def test_a_small_catalog_is_contrasted_whole_as_the_loss_says(data, tmp_path):
    for limit, is_full in ((0, False), (SMALL_WORLD.num_items, True)):
        run = TrainingRun(data, tmp_path / str(limit), changed(loss=LossConfig(max_full_catalog=limit)), Shard())
        assert [proposal.is_full for proposal in run.batches.proposals] == [is_full] * 3


def test_boosts_that_a_recipe_gives_are_in_the_manifest(data, tmp_path):
    """Where evaluation and bundling read them."""
    boosts = BoostConfig(is_fitted=False, popularity=0.7, own=2.0)
    train(data, tmp_path, changed(optimizer=OptimizerConfig(num_steps=1), boosts=boosts))
    assert read_model(tmp_path).boosts == (configured(boosts),) * 3


@pytest.mark.parametrize(("log", "is_left_out"), [(newcomers_log, True), (repeating_log, False)])
def test_what_nobody_comes_back_to_is_no_negative_and_in_no_list(tmp_path, log, is_left_out):
    recipe = changed(
        optimizer=OptimizerConfig(num_steps=1),
        boosts=BoostConfig(is_fitted=False),
        validation=ValidationConfig(steps_between=1),
    )
    run = TrainingRun(log(tmp_path, is_planted=True), tmp_path / "model", recipe, Shard())
    run.train(None)
    assert [negatives.excludes_seen for negatives in run.batches.draw(0, Shard()).negatives] == [is_left_out]
    assert [weights.excludes_seen for weights in run.validation.weights] == [is_left_out]
    assert [weights.excludes_seen for weights in read_model(tmp_path / "model").boosts] == [is_left_out]


def test_with_a_validation_split_boosts_are_fitted_before_a_refresh_which_resumes_too(data_with_validation, tmp_path):
    recipe = changed(
        optimizer=OptimizerConfig(num_steps=8, refresh_share=0.5), evaluation=EvaluationConfig(num_targets=3)
    )
    train(data_with_validation, tmp_path / "whole", recipe)
    train(data_with_validation, tmp_path / "stopped", recipe, stop_after=10)
    assert not (tmp_path / "stopped" / "export").exists()
    train(data_with_validation, tmp_path / "stopped", recipe)
    assert weights(tmp_path / "whole") == weights(tmp_path / "stopped")
    whole, stopped = read_model(tmp_path / "whole"), read_model(tmp_path / "stopped")
    assert whole.figures["steps"] == 12
    assert whole.boosts == stopped.boosts != (configured(recipe.boosts),) * 3


def test_a_loss_that_is_not_finite_stops_and_keeps_its_batch(data, tmp_path):
    """A learning rate at which the weights overflow."""
    recipe = changed(optimizer=OptimizerConfig(num_steps=8, learning_rate=1e38, warmup_share=0))
    with pytest.raises(ArithmeticError, match=r"Its batch is in .*failed_step_0.npz"):
        train(data, tmp_path, recipe)
    kept = np.load(tmp_path / "failed_step_0.npz")
    assert kept["0/items_M"].size
    assert kept["0/event_BL"].shape == kept["0/is_event_BL"].shape


def test_training_in_bfloat16_learns(data, tmp_path):
    """The weights stay in full precision, the loss falls like that of full precision."""
    recipe = changed(optimizer=OptimizerConfig(num_steps=40))
    full = train(data, tmp_path / "full", recipe, stop_after=39)["loss"]
    half = train(data, tmp_path / "half", recipe.model_copy(update={"compute": HALF}), stop_after=39)["loss"]
    assert half == pytest.approx(full, rel=0.05)
    stored = load_file(tmp_path / "half" / "checkpoint" / "model.safetensors")
    assert {value.dtype for value in stored.values()} == {torch.float32}


@pytest.fixture(scope="module")
def data_with_validation(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("validated")
    tables = World(SMALL_WORLD).write(folder / "tables")
    prepare(*tables, folder / "data", SMALL_RECIPE.data.model_copy(update={"has_validation": True}))
    return folder / "data"


def test_training_stops_where_validation_does_not_improve_and_exports_the_best(data_with_validation, tmp_path):
    """At a rate that ruins the weights the first validation is the best; two more without a better one end it."""
    recipe = changed(
        optimizer=OptimizerConfig(
            num_steps=100,
            learning_rate=5.0,
            table_learning_rate=5.0,
            table_weight_decay=0,
            warmup_share=0,
            refresh_share=0,
        ),
        validation=ValidationConfig(steps_between=2, patience=2, max_users=50),
    )
    train(data_with_validation, tmp_path, recipe)
    figures = json.loads((tmp_path / "model.json").read_text())["figures"]
    assert figures["steps"] == figures["best_step"] + 4 < 100
    checkpoint = tmp_path / "checkpoint"
    best, last = (load_file(checkpoint / f"{name}.safetensors") for name in ("best", "model"))
    assert not torch.equal(best["log_scale"], last["log_scale"])
    towers = load_towers(tmp_path, read_vocabulary(data_with_validation))
    torch.testing.assert_close(towers.log_scale.detach(), best["log_scale"])


def test_the_last_step_is_validated_too(data_with_validation, tmp_path, caplog):
    """The rate is lowest there, so the best weights may be the last, wherever validation would have been due."""
    validation = ValidationConfig(steps_between=2, max_users=50)
    with caplog.at_level(logging.INFO):
        train(data_with_validation, tmp_path, changed(optimizer=OptimizerConfig(num_steps=3), validation=validation))
    assert re.findall(r"step +(\d+) \| validation", caplog.text) == ["2", "3"]


def test_validation_needs_validation_events(data, tmp_path):
    with pytest.raises(InputError, match="Set data.has_validation"):
        train(data, tmp_path, changed(validation=ValidationConfig(steps_between=2)))


@pytest.mark.parametrize("preset", [hllm, sasrec], ids=["hllm", "sasrec"])
def test_next_item_presets_learn_and_are_served_like_any_other(data, tmp_path, preset):
    """Their export takes the same inputs, and beats popularity where the planted links reach."""
    batch = preset().batch.model_copy(update={"num_users": 32, **NEGATIVES})
    recipe = preset().model_copy(update={"batch": batch, "optimizer": OptimizerConfig(num_steps=160)})
    train(data, tmp_path / "model", recipe)
    homefeed = evaluate(data, tmp_path / "model", tmp_path / "evaluation")["scenarios"]["homefeed"]
    assert homefeed["redrec"]["hit_rate@10"]["low"] > homefeed["popularity"]["hit_rate@10"]["high"]


def test_a_checkpoint_of_another_recipe_is_refused(data, tmp_path):
    train(data, tmp_path, changed(), stop_after=1)
    with pytest.raises(InputError, match="made with another recipe"):
        train(data, tmp_path, changed(seed=1), stop_after=2)


def test_users_with_one_event_alone_cannot_be_trained_on(tmp_path):
    events = [(f"u{n}", f"i{n}", "ads", n) for n in range(10)]
    prepare(*write_clicks(tmp_path, events), tmp_path / "data")
    with pytest.raises(InputError, match="None of 10 users has two training events"):
        train(tmp_path / "data", tmp_path / "model", tiny())


def test_the_small_world_is_sparse_in_ads():
    assert SMALL_WORLD.events_per_user[2] < SMALL_WORLD.events_per_user[0] / 2


@pytest.mark.filterwarnings("ignore")  # the compiler's own
def test_a_compiled_user_tower_learns_the_same(data, tmp_path):
    """With the backend that captures graphs, forward and backward, and leaves out the minutes of generating code."""
    still = UserTowerConfig(hidden_dim=16, dropout=0, backbone=TransformerConfig(num_layers=1, num_heads=2, dropout=0))
    losses = [
        train(data, tmp_path / str(backend), changed(user_tower=still, compute=config), stop_after=3)["loss"]
        for backend in (None, "aot_eager")
        for config in [ComputeConfig(compile_backend=backend)]
    ]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


def test_the_command_names_a_folder_that_was_not_prepared(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["redrec.training", "--data", str(tmp_path), "--out", str(tmp_path / "model")])
    assert main() == 2
    assert capsys.readouterr().err.endswith("Give the folder that the prepare step wrote.\n")
    assert not (tmp_path / "model").exists()


@pytest.fixture(scope="module")
def data_of_two_gaps(tmp_path_factory) -> Path:
    """A group's first item is followed by its `soon` after minutes or by its `later` after weeks, evenly."""
    folder, rng = tmp_path_factory.mktemp("moment"), np.random.default_rng(0)
    items = [f"{role}{group}" for role in ROLES for group in range(NUM_GROUPS)]
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


def trained_with(data: Path, out: Path, query_features: tuple[str, ...]) -> Scorer:
    users = SMALL_RECIPE.user_tower.model_dump() | {"num_queries": 1, "query_features": query_features}
    batch = SMALL_RECIPE.batch.model_copy(update={"num_cuts": 8, "target_window": 1})
    changes = {"user_tower": UserTowerConfig(**users), "batch": batch, "optimizer": OptimizerConfig(num_steps=150)}
    recipe = SMALL_RECIPE.model_copy(update=changes)
    train(data, out, recipe)
    return exported_towers(out, recipe.history)


def interests(scorer: Scorer, elapsed_ms: int) -> np.ndarray:
    """Return `interests_GD` of one user per group, `elapsed_ms` after its first item."""
    group_G, zero_L, newest_ms = np.arange(NUM_GROUPS), np.zeros(1, dtype=np.int64), 10**12
    start_G = ROLES.index("start") * NUM_GROUPS + group_G
    histories = [History(np.array([start]), zero_L, zero_L, np.array([newest_ms])) for start in start_G]
    return scorer.interests_of(histories, 0, np.full(NUM_GROUPS, newest_ms + elapsed_ms))[:, 0]


def share_right(scorer: Scorer) -> float:
    """Return how often the item that follows at that moment scores above the other of its group."""
    embeddings_KGD = np.asarray(scorer.embeddings_ND, np.float32).reshape(len(ROLES), NUM_GROUPS, -1)
    is_soon_MG = [
        np.einsum("gd,kgd->kg", interests(scorer, elapsed_ms), embeddings_KGD[:2]).argmax(0) == ROLES.index("soon")
        for elapsed_ms in (SOON_MS, LATER_MS)
    ]
    return float(np.mean([is_soon_MG[0], ~is_soon_MG[1]]))


def test_what_is_wanted_depends_on_the_moment_of_the_query_as_planted(data_of_two_gaps, tmp_path):
    scorer = trained_with(data_of_two_gaps, tmp_path / "knows", ("gap",))
    assert share_right(scorer) == 1
    never_seen = interests(scorer, 4000 * DAY_MS)
    np.testing.assert_array_equal(never_seen, interests(scorer, LATER_MS))  # as the longest that was seen


def test_a_query_without_the_moment_does_not_know_it(data_of_two_gaps, tmp_path):
    assert share_right(trained_with(data_of_two_gaps, tmp_path / "does not", ())) == 0.5
