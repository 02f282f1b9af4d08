"""Features of another catalog are refused at start; those of a newer day of the own catalog are served."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feature_repo.definitions import item_source_path
from feature_repo.materialize import materialize
from redrec.bundle.reader import Bundle
from redrec.config import InputError
from redrec.folders import RunFolder
from serving.histories import HistoryReader
from serving.known_items import KNOWN, check_known_items, items_with_events
from serving.retriever import Retriever
from serving.shedding import Waiting
from tests.bundles import SCENARIOS, tiny_run, write_data
from tests.serving.retrieval import PATIENT


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, Path]:
    folder = tmp_path_factory.mktemp("run")
    return tiny_run(folder), RunFolder(folder).features


@pytest.fixture
def renamed(run: tuple[Bundle, Path], tmp_path: Path) -> Callable[[int], Path]:
    """Returns a copy of the features where each item, but every n-th, has another id; 0: each."""

    def features(n: int) -> Path:
        folder = Path(shutil.copytree(run[1], tmp_path / "features"))
        for path in (folder / item_source_path(scenario) for scenario in SCENARIOS):
            table = pq.read_table(path)
            ids = [i if n and int(i[-3:]) % n == 0 else f"film-{i[-3:]}" for i in table["item_id"].to_pylist()]
            pq.write_table(table.set_column(table.schema.get_field_index("item_id"), "item_id", pa.array(ids)), path)
        return folder

    return features


def known_share(bundle: Bundle) -> float:
    return KNOWN.labels(bundle.manifest.id)._value.get()


def test_features_of_another_catalog_are_refused_with_both_named(run: tuple[Bundle, Path], renamed: Callable):
    features = renamed(0)
    histories = HistoryReader(features)
    said = rf"Bundle {run[0].manifest.id} knows none of the \d+ items with events in {features}, such as 'film-.*'item-000'"
    with pytest.raises(InputError, match=said):
        Retriever(run[0], PATIENT, histories, Waiting())
    asyncio.run(histories.close())


def test_features_with_few_known_items_are_served_and_their_share_is_a_metric(
    run: tuple[Bundle, Path], renamed: Callable
):
    features = renamed(4)
    check_known_items(features, run[0])
    ids = items_with_events(features, SCENARIOS).to_pylist()
    assert known_share(run[0]) == sum(i.startswith("item-") for i in ids) / len(ids) < 0.5


def test_all_items_of_the_own_features_are_known(run: tuple[Bundle, Path]):
    check_known_items(run[1], run[0])
    assert known_share(run[0]) == 1.0


def test_features_that_were_refreshed_with_new_items_are_served(run: tuple[Bundle, Path], tmp_path: Path):
    """The bundle has 48 items, the log of the next day 60."""
    materialize(write_data(tmp_path, num_items=60, seed=3), tmp_path / "features")
    check_known_items(tmp_path / "features", run[0])
    assert 0.5 < known_share(run[0]) < 1.0


def test_features_without_statistics_have_no_share(run: tuple[Bundle, Path], tmp_path: Path):
    assert len(items_with_events(tmp_path, SCENARIOS)) == 0
    check_known_items(tmp_path, run[0])
