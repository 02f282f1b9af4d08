import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from redrec.config import InputError
from tests.benchmarks.quality.rivals import BSAREC, CANDIDATES, CHOSEN, with_checkout
from tests.benchmarks.referees.contract import Epoch, RefereeConfig, Training, outputs, write_inputs
from tests.benchmarks.referees.throughput import _rates

CONFIG = RefereeConfig(num_items=5)


def events(items):
    return pa.table({"timestamp_ms": range(len(items)), "user": [7] * len(items), "item": items, "scenario": items})


def queries(histories, **columns):
    times = [list(range(len(history))) for history in histories]
    return pa.table({"history": histories, "timestamps_ms": times, "moment_ms": [9] * len(histories), **columns})


def test_a_referee_reads_the_events_without_scenarios_and_the_cases_without_targets(tmp_path):
    cases = queries([[0, 4], [2]], target=[1, 1])
    write_inputs(tmp_path / "in", CONFIG, events([0, 4]), queries([[3]], target=[2]), cases)

    names = sorted(path.name for path in (tmp_path / "in").iterdir())
    assert names == ["cases.parquet", "config.json", "train.parquet", "valid.parquet"]
    train = pq.read_table(tmp_path / "in" / "train.parquet").to_pydict()
    assert train == {"user": [7, 7], "item": [0, 4], "timestamp_ms": [0, 1]}
    valid = pq.read_table(tmp_path / "in" / "valid.parquet").to_pydict()
    assert valid == {"history": [[3]], "timestamps_ms": [[0]], "moment_ms": [9], "target": [2]}
    cases = pq.read_table(tmp_path / "in" / "cases.parquet").to_pydict()
    assert cases == {"history": [[0, 4], [2]], "timestamps_ms": [[0, 1], [0]], "moment_ms": [9, 9]}
    assert json.loads((tmp_path / "in" / "config.json").read_text())["num_items"] == 5


@pytest.mark.parametrize(("train", "history"), [([5], [0]), ([-1], [0]), ([0], [5])])
def test_an_item_outside_the_catalog_is_refused(tmp_path, train, history):
    with pytest.raises(InputError, match="the catalog's are 0 to 4"):
        write_inputs(tmp_path / "in", CONFIG, events(train), None, queries([history]))
    assert not (tmp_path / "in").exists()


def test_outputs_are_the_vectors_and_the_epochs(tmp_path):
    epoch = Epoch(wall_seconds=2, cpu_seconds=4, histories=10, targets=80)
    (tmp_path / "training.json").write_text(Training(epochs=(epoch,), best_epoch=0).model_dump_json())
    np.save(tmp_path / "users.npy", np.eye(2, dtype=np.float32))
    np.save(tmp_path / "items.npy", np.ones((5, 2), np.float32))

    made = outputs(tmp_path)

    assert (made.users_CD @ made.items_ND.T).shape == (2, 5)
    assert _rates(made.training.epochs[0]) == {
        "histories_per_second": 5,
        "targets_per_second": 40,
        "cpu_seconds_per_target": 0.05,
    }


def test_a_rival_that_is_no_package_needs_a_checkout(tmp_path):
    with pytest.raises(InputError, match="Clone https://github.com/yehjin-shin/BSARec"):
        with_checkout(BSAREC, None)
    with pytest.raises(InputError, match=f"{tmp_path} has no"):
        with_checkout(BSAREC, tmp_path)

    (tmp_path / "src" / "model").mkdir(parents=True)
    (tmp_path / "src" / "model" / "bsarec.py").touch()
    assert with_checkout(BSAREC, tmp_path).checkout == tmp_path


def test_every_chosen_rival_is_a_candidate():
    for chosen in CHOSEN.values():
        assert [name for preset, name in chosen.items() if name not in CANDIDATES[preset]] == []
