"""The benchmark of the default recipe: of several runs, a user's figure is the mean over those that measured them."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from redrec.evaluation.users import USERS_SCHEMA
from redrec.folders import EvaluationFolder
from tests.benchmarks.defaults import together


def written(path: Path, hits: dict[str, tuple[bool, bool]]) -> EvaluationFolder:
    """Write the ranks of users whose target the model, and a rival, have among the first ten or not."""
    path.mkdir()
    files, rows = EvaluationFolder(path), []
    for user, of_models in hits.items():
        for model, is_hit in zip(("redrec", "own_counts"), of_models, strict=True):
            ranks = {"ranks": [1] if is_hit else [11, 12], "ranks_unseen": [None]}
            known = {"num_known": 1, "num_known_of_scenario": 1, "slice": "light"}
            rows.append({"user_id": user, "scenario": "ads", "model": model, **known, **ranks})
    pq.write_table(pa.Table.from_pylist(rows, USERS_SCHEMA), files.users)
    return files


def test_a_users_figure_is_the_mean_over_the_runs_that_measured_them(tmp_path):
    """One user has two runs, another one; a user is one unit, whatever the number of runs."""
    first = written(tmp_path / "0", {"u": (True, False)} | {f"v{n}": (True, True) for n in range(30)})
    second = written(tmp_path / "1", {"u": (False, False), "w": (False, True)})
    of_models = together([first, second])["ads"]
    assert of_models["redrec"]["hit_rate@10"] == pytest.approx((0.5 + 30 + 0) / 32)
    assert of_models["own_counts"]["hit_rate@10"] == pytest.approx((0 + 30 + 1) / 32)
    gain = of_models["own_counts"]["gain"]
    assert gain["value"] == pytest.approx((0.5 - 1) / 32)
    assert gain["users"] == 32
    assert gain["low"] < 0 < gain["high"]
