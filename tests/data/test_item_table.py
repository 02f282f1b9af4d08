"""Item table: new items without events, read as a run reads its own."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from redrec.config import InputError
from redrec.data.item_table import write_item_table
from redrec.data.prepare import DataConfig
from redrec.data.quality import BadRowsError

SCENARIOS = ("feed", "ads")


def written(text: str, folder: Path, config: DataConfig | None = None) -> list[dict[str, object]]:
    source, path = folder / "new.csv", folder / "items.parquet"
    source.write_text(text)
    write_item_table(str(source), path, config or DataConfig(), SCENARIOS)
    return pq.read_table(path).to_pylist()


def test_rows_have_the_columns_of_a_run_and_all_scenarios_where_none_is_named(tmp_path: Path):
    first, second = written("item_id,title,scenarios\n007,Tea,\n1,Cake,ads\n", tmp_path)
    assert (first["item_id"], first["title"], first["scenarios"]) == ("007", "Tea", ["feed", "ads"])
    assert (second["scenarios"], second["body"]) == (["ads"], None)


def test_rows_have_their_availability_windows(tmp_path: Path):
    columns = DataConfig(columns={"ends": "available_until"})
    (row,) = written("item_id,title,ends\na,Tea,2024-01-02\n", tmp_path, columns)
    assert (row["available_from"], row["available_until"]) == (None, datetime(2024, 1, 2, tzinfo=UTC))


def test_columns_are_mapped_as_the_run_mapped_them(tmp_path: Path):
    (row,) = written("sku,name\na,Tea\n", tmp_path, DataConfig(columns={"sku": "item_id", "name": "title"}))
    assert (row["item_id"], row["title"]) == ("a", "Tea")


def test_an_item_that_is_there_twice_is_refused(tmp_path: Path):
    with pytest.raises(BadRowsError, match="item_id appears twice"):
        written("item_id,title\na,Tea\na,Cake\n", tmp_path)


def test_an_unknown_scenario_is_named_beside_the_known_ones(tmp_path: Path):
    with pytest.raises(InputError, match="scenario home is unknown to the model, which has feed, ads"):
        written("item_id,title,scenarios\na,Tea,home\n", tmp_path)
