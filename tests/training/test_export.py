"""Export: the ONNX file and the arrays give what the trained towers give."""

from pathlib import Path

import numpy as np
import onnxruntime
import torch

from redrec.data.histories import Histories
from redrec.data.split import read_vocabulary
from redrec.evaluation.scorers import exported_towers
from redrec.folders import ModelFolder
from redrec.history import tower_inputs
from redrec.model.item_tower import ItemContent
from redrec.training.export import ServedUserTower, live_scorer
from redrec.training.trainer import load_towers
from tests.worlds import SMALL_RECIPE


def test_the_exported_tower_gives_what_the_trained_one_gives(data, model):
    """One encoding for training, evaluation and serving: same histories, same interests."""
    histories, towers = Histories(data), load_towers(model, read_vocabulary(data))
    vectors_NE = np.load(model / "export" / "item_vectors.npy")
    users, query_scenario_B = range(20), [n % 3 for n in range(20)]
    known = [histories.train_of(u) for u in users]
    moment_ms_B = [history.timestamp_ms_L[-1] + 60_000 * 2**u for u, history in zip(users, known, strict=True)]
    inputs = tower_inputs(known, query_scenario_B, moment_ms_B, vectors_NE, SMALL_RECIPE.history)
    session = onnxruntime.InferenceSession(model / "export" / "user_tower.onnx")
    served_BQD = session.run(["interests_BQD"], inputs._asdict())[0]
    with torch.no_grad():
        trained_BQD = ServedUserTower(towers.users)(*map(torch.from_numpy, inputs))
    np.testing.assert_allclose(served_BQD, trained_BQD, atol=2e-6)


def test_towers_in_training_are_scored_as_their_export_is(data, model, tmp_path):
    """Validation reads the towers as they are, evaluation reads the export."""
    histories, towers = Histories(data), load_towers(model, read_vocabulary(data))
    content = ItemContent(model / "content", SMALL_RECIPE.item_tower)
    live = live_scorer(towers, content, SMALL_RECIPE.history, tmp_path / "scratch")
    exported = exported_towers(model, SMALL_RECIPE.history)
    known = [histories.train_of(user) for user in range(20)]
    moment_ms_B = np.array([history.timestamp_ms_L[-1] + 60_000 for history in known])
    np.testing.assert_array_equal(live.embeddings_ND, exported.embeddings_ND)
    np.testing.assert_allclose(
        live.interests_of(known, 1, moment_ms_B), exported.interests_of(known, 1, moment_ms_B), atol=2e-6
    )


def test_an_exported_tower_says_nothing_of_the_machine_that_trained_it(model):
    """The exporter notes the stack trace of every node: with it, the same tower has another hash elsewhere."""
    content = ModelFolder(model).tower.read_bytes()
    assert b"user_tower.py" not in content and str(Path(__file__).parents[2]).encode() not in content
