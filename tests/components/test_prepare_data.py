"""Step 1: counts of kept and quarantined rows, and bad input."""

from pathlib import Path

import pytest
from kfp import dsl

from components.prepare_data import prepare_data
from redrec.config import InputError
from tests.components.conftest import Steps


def test_prepare_data_logs_what_it_kept(steps: Steps):
    logged = steps.metrics["prepare"].metadata
    assert logged["items_kept"] == 180
    assert logged["events_kept"] > 1000
    assert logged["events_quarantined"] == 0


def test_a_step_passes_the_input_error_on(tmp_path: Path):
    with pytest.raises(InputError, match=r"does not exist\. Give the path"):
        prepare_data.python_func(
            str(tmp_path / "events.csv"),
            str(tmp_path / "items.csv"),
            dsl.Dataset(uri=str(tmp_path / "data")),
            dsl.Metrics(uri=str(tmp_path / "metrics")),
        )
