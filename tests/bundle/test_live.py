"""The live model beside a new one: its own data gives its own ranks, and a grown catalog changes none of them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from redrec.bundle.builder import build_bundle
from redrec.bundle.live import live_scorers
from redrec.data.histories import TEST, Histories
from redrec.data.items import is_allowed
from redrec.data.prepare import DataConfig, prepare
from redrec.data.split import read_vocabulary
from redrec.evaluation.cases import cases_of
from redrec.evaluation.contenders import with_ranker
from redrec.evaluation.popularity import Popularity
from redrec.evaluation.ranking import rank_cases
from redrec.evaluation.scorers import Scorer, exported_towers, with_boosts
from redrec.folders import DataFolder, ModelFolder
from redrec.history import Ints
from redrec.index.ranker import Ranker
from redrec.model.boosts import OWN_COUNTS, BoostWeights
from redrec.model.manifest import read_model
from tests.bundles import SCENARIOS, write_data, write_tables, write_tiny_model


def ranks_of(scorer: Scorer, data: Path, scenario: str) -> dict[str, list[int]]:
    """Return the ranks of each test user's targets."""
    scenarios, histories = read_vocabulary(data).scenarios, Histories(data)
    s = scenarios.index(scenario)
    cases = cases_of(histories, s, TEST, 10, 5000, seed=0)
    ranks = rank_cases(scorer, histories, cases, s, is_allowed(DataFolder(data).items, scenarios)[s])
    return {histories.user_ids[case.user]: of_user.tolist() for case, of_user in zip(cases, ranks.rank_UT, strict=True)}


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, model and bundle, of a model with boosts and a ranker."""
    folder = tmp_path_factory.mktemp("live")
    boosts = BoostWeights(popularity=0.5, own=(0.3,) * len(OWN_COUNTS))
    data = write_data(folder, num_items=48)
    model = write_tiny_model(folder, len(SCENARIOS), boosts=boosts, num_contenders=6)
    build_bundle(data, model, folder / "bundle", metrics=None, feature_hash="0" * 16)
    return folder


def test_the_live_model_ranks_its_own_data_as_its_evaluation_did(release: Path):
    data, model = release / "data", release / "model"
    trained, allowed_SN = read_model(model), is_allowed(DataFolder(data).items, read_vocabulary(data).scenarios)
    popularity = Popularity(Histories(data), allowed_SN)
    own = with_boosts(exported_towers(model, trained.history), popularity, trained.boosts, trained.logit_scale)
    own = with_ranker(own, Ranker.load(ModelFolder(model).ranker, trained.logit_scale))

    live = live_scorers(release / "bundle", data)

    assert set(live) == set(SCENARIOS)
    for scenario in SCENARIOS:
        assert ranks_of(live[scenario], data, scenario) == ranks_of(own, data, scenario) != {}


def test_new_items_rank_below_all_that_the_live_model_knows(release: Path, tmp_path: Path):
    """The new items come first in the catalog, so every index moves; so does the order of scenarios and actions."""
    data = release / "data"
    events, items = write_tables(tmp_path / "grown", num_items=48)
    new = [{"item_id": f"a-{i}", "title": "new", "scenarios": list(SCENARIOS)} for i in range(9)]
    pq.write_table(pa.Table.from_pylist([*pq.read_table(items).to_pylist(), *new]), items)
    grown = prepare(events, items, tmp_path / "more", DataConfig(scenarios=("ads", "homefeed", "search")))
    assert grown.items.kept == 57

    before, after = live_scorers(release / "bundle", data), live_scorers(release / "bundle", tmp_path / "more")

    for scenario in SCENARIOS:
        assert ranks_of(after[scenario], tmp_path / "more", scenario) == ranks_of(before[scenario], data, scenario)


def test_events_and_scenarios_that_the_live_model_does_not_know_are_left_out(release: Path, tmp_path: Path):
    events, items = write_tables(tmp_path / "other", num_items=48)
    rows = pq.read_table(events).to_pylist()
    catalog = [{**row, "scenarios": [*row["scenarios"], "video"]} for row in pq.read_table(items).to_pylist()]
    unknown = [{**row, "scenario": "video", "timestamp": row["timestamp"]} for row in rows[::3]]
    pq.write_table(pa.Table.from_pylist([*rows, *unknown]), events)
    pq.write_table(pa.Table.from_pylist(catalog), items)
    prepare(events, items, tmp_path / "more")

    live = live_scorers(release / "bundle", tmp_path / "more")

    assert set(live) == set(SCENARIOS)
    histories = Histories(tmp_path / "more")
    video = read_vocabulary(tmp_path / "more").scenarios.index("video")
    known = [histories.known(user, histories.begin_U[user + 1], TEST) for user in range(3)]
    moment_B = np.full(3, known[0].timestamp_ms_L[-1])
    without = [history.at(history.scenario_L != video) for history in known]
    assert all(len(a.item_L) > len(b.item_L) for a, b in zip(known, without, strict=True))
    first: Ints = np.arange(3)
    with_video, expected = (live["ads"].interests_of(h, 1, moment_B)[first] for h in (known, without))
    assert np.array_equal(with_video, expected)
