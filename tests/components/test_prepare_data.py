"""Step 1: counts of kept and quarantined rows, and bad input."""

import json
from pathlib import Path

import pytest
from kfp import dsl

from components.prepare_data import prepare_data
from redrec.config import InputError
from redrec.data.split import read_vocabulary
from tests.components.conftest import Steps


def test_prepare_data_logs_what_it_kept(steps: Steps):
    logged = steps.metrics["prepare"].metadata
    assert logged["items_kept"] == 180
    assert logged["events_kept"] > 1000
    assert logged["events_quarantined"] == 0


def test_a_step_passes_the_input_error_on(tmp_path: Path):
    with pytest.raises(InputError, match=r"does not exist\. Give a file"):
        prepare_data.python_func(
            str(tmp_path / "events.csv"),
            str(tmp_path / "items.csv"),
            dsl.Dataset(uri=str(tmp_path / "data")),
            dsl.Metrics(uri=str(tmp_path / "metrics")),
        )


def test_names_of_columns_and_constants_of_the_recipe_reach_the_step(tmp_path: Path):
    (tmp_path / "events.csv").write_text("user;item_id;ts\nu1;i1;1700000000\n")
    (tmp_path / "items.csv").write_text("item_id,title\ni1,Tea\n")
    columns, constants = {"user": "user_id", "ts": "timestamp"}, {"scenario": "web", "action": "view"}
    prepare_data.python_func(
        str(tmp_path / "events.csv"),
        str(tmp_path / "items.csv"),
        dsl.Dataset(uri=str(tmp_path / "data")),
        dsl.Metrics(uri=str(tmp_path / "metrics")),
        json.dumps({"data": {"columns": columns, "constants": constants}}),
    )
    assert read_vocabulary(tmp_path / "data").scenarios == ("web",)
