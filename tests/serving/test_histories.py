"""Histories at request time: the feature store must be the bundle's own, and both sources give the same columns."""

from pathlib import Path

import pytest

from feature_repo.forget import forget_features
from feature_repo.materialize import materialize
from redrec.bundle.reader import Bundle
from redrec.config import InputError
from redrec.data.person import Person
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


def test_a_user_who_was_forgotten_after_another_run_is_unknown_to_a_reader_of_before(tmp_path: Path):
    tiny_run(tmp_path)
    features = RunFolder(tmp_path).features
    histories = HistoryReader(features)
    users = ["user-7", "user-6"]
    assert None not in histories.thread.submit(histories.read_many, users).result()
    materialize(tmp_path / "data", features)
    forget_features(features, Person("user-7"))
    forgotten, other = histories.thread.submit(histories.read_many, users).result()
    assert forgotten is None and other is not None
    histories.close()


def test_inline_events_become_a_history_without_unknown_items(bundle: Bundle):
    event = Event(item_id=bundle.item_ids[3], action="click", scenario="ads", timestamp_ms=7)
    columns = event_columns([event, event.model_copy(update={"item_id": "not-in-this-catalog"})])
    assert columns["item_ids"] == [bundle.item_ids[3], "not-in-this-catalog"]
    assert encode_columns(columns, bundle).item_L.tolist() == [3]
