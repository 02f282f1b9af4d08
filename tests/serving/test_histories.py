"""Histories at request time: the feature store must be the bundle's own, and both sources give the same columns."""

from pathlib import Path

import pytest

from redrec.bundle.reader import Bundle
from redrec.config import InputError
from redrec.folders import RunFolder
from serving.histories import HistoryReader, encode_columns, event_columns
from serving.requests import Event
from tests.bundles import tiny_run


def test_features_with_other_definitions_are_refused(bundle: Bundle, tmp_path: Path):
    own = tiny_run(tmp_path)
    histories = HistoryReader(RunFolder(tmp_path).features)
    histories.check(own)
    with pytest.raises(InputError, match=f"definitions {bundle.manifest.feature_hash}, .*Give the feature folder"):
        histories.check(bundle)
    histories.close()


def test_inline_events_become_a_history_without_unknown_items(bundle: Bundle):
    event = Event(item_id=bundle.item_ids[3], action="click", scenario="ads", timestamp_ms=7)
    columns = event_columns([event, event.model_copy(update={"item_id": "not-in-this-catalog"})])
    assert columns["item_ids"] == [bundle.item_ids[3], "not-in-this-catalog"]
    assert encode_columns(columns, bundle).item_L.tolist() == [3]
