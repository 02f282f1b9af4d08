"""The users' table: the metrics follow from it."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from redrec.data.histories import TEST, Histories
from redrec.data.items import is_allowed
from redrec.datasets.world import SCENARIOS
from redrec.evaluation.cases import cases_of
from redrec.evaluation.evaluate import measure
from redrec.evaluation.metrics import user_metrics
from redrec.evaluation.ranking import rank_cases
from redrec.evaluation.users import users_of, users_table
from tests.evaluation.readers import ADS, homefeed_reader
from tests.worlds import SMALL_RECIPE


def test_the_metrics_follow_from_the_users_table(data, tmp_path):
    histories, allowed_SN = Histories(data), is_allowed(data / "items.parquet", SCENARIOS)
    cases = cases_of(histories, ADS, TEST, SMALL_RECIPE.evaluation.num_targets, max_users=300, seed=0)
    ranks = rank_cases(homefeed_reader(), histories, cases, ADS, allowed_SN[ADS])
    with users_table(tmp_path / "users.parquet") as write:
        write(users_of(histories, cases, ADS, "ads"), "reader", ranks)

    rows = pq.read_table(tmp_path / "users.parquet").to_pylist()
    measured = measure(ranks, seed=0)
    assert len(rows) == measured["hit_rate@10"]["users"] == 300
    for name, column in (("recall@10", "ranks"), ("recall@10_unseen", "ranks_unseen")):
        rank_UT = np.zeros((len(rows), SMALL_RECIPE.evaluation.num_targets), dtype=int)
        for rank_T, row in zip(rank_UT, rows, strict=True):
            rank_T[: len(row[column])] = [rank or 0 for rank in row[column]]
        assert np.nanmean(user_metrics(rank_UT, (10,))["recall@10"]) == pytest.approx(measured[name]["value"])
    num_known = [len(case.known(histories).item_L) for case in cases]
    assert [row["num_known"] for row in rows] == num_known
    assert all(row["num_known_of_scenario"] <= row["num_known"] for row in rows)
