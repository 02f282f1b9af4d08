"""Session: a tower gets the inputs that it knows."""

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from redrec.history import History, HistoryConfig, tower_inputs
from redrec.model.session import TowerError, open_tower
from tests.bundles import VECTOR_DIM, tiny_tower, tower_weights


class OlderTower(nn.Module):
    """A tower that reads no `query_gap_B`."""

    def forward(self, vectors_BLE, query_scenario_B):
        return vectors_BLE + query_scenario_B[:, None, None]


@pytest.mark.filterwarnings("ignore")  # the exporter's own deprecations
def test_a_tower_of_an_older_bundle_gets_only_the_inputs_that_it_knows(tmp_path):
    torch.onnx.export(
        OlderTower(), (torch.zeros(1, 1, 4), torch.zeros(1, dtype=torch.long)), tmp_path / "tower.onnx",
        input_names=["vectors_BLE", "query_scenario_B"], output_names=["interests_BQD"], verbose=False,
    )  # fmt: skip
    one = np.zeros(1, np.int64)
    inputs = tower_inputs([History(one, one, one, one)], [2], [5], np.ones((1, 4)), HistoryConfig())
    assert open_tower(tmp_path / "tower.onnx")(inputs).tolist() == [[[3.0] * 4]]


def test_a_tower_that_does_not_run_is_an_error_with_the_cause(tmp_path):
    """There is no query of scenario 1."""
    onnx.save(tiny_tower(*tower_weights(num_scenarios=1, seed=0)), tmp_path / "tower.onnx")
    one = np.zeros(1, np.int64)
    inputs = tower_inputs([History(one, one, one, one)], [1], [5], np.ones((1, VECTOR_DIM)), HistoryConfig())
    with pytest.raises(TowerError, match="out of"):
        open_tower(tmp_path / "tower.onnx")(inputs)
