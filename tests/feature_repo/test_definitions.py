"""Definitions: the services give what the tables hold, and the hash follows the scenarios."""

import pyarrow.parquet as pq

from feature_repo.materialize import materialize
from feature_repo.online import OnlineHistories


def test_a_ranker_reads_them_by_their_service(data, online_store, tmp_path):
    materialize(data, tmp_path / "features")
    store = OnlineHistories(tmp_path / "features").store
    rows = [row for row in pq.read_table(data / "events.parquet").to_pylist() if row["item_id"] == "i7"]
    service = store.get_feature_service("item_statistics")
    read = store.get_online_features(service, [{"item_id": "i7"}], full_feature_names=True).to_dict()
    for scenario in ("homefeed", "search"):
        users = [row["user_id"] for row in rows if row["scenario"] == scenario]
        assert read[f"items_{scenario}__events_28d"] == [len(users)]
        assert read[f"items_{scenario}__users_28d"] == [len(set(users))]
