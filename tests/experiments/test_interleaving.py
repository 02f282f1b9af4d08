"""Interleaving: a planted preference is seen, none where the teams are shuffled or the rankers alike, and faulty rows."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from redrec.config import InputError
from redrec.data.tables import connect
from redrec.experiments.interleaving import ALPHA, MIN_USERS, Credits, prefer, preference
from tests.experiments.rankers import LOOKED_AT_K, K, clicks_on_both, credits_of, drafts, requests, teams_of

BETTER = (1.0, 0.3)  # errors of the control and of the treatment
ALIKE = (0.6, 0.6)


def test_a_planted_preference_is_seen_on_either_side():
    rng = np.random.default_rng(0)
    for errors, verdict in ((BETTER, "treatment preferred"), (BETTER[::-1], "control preferred")):
        one = preference(clicks_on_both(rng, requests(rng, 3_000, *errors)))
        assert one.verdict == verdict
        assert one.pvalue < ALPHA and one.low * one.high > 0 and one.low < one.preference < one.high


def test_with_shuffled_teams_there_is_no_preference():
    rng = np.random.default_rng(0)
    shuffled = clicks_on_both(rng, requests(rng, 3_000, *BETTER), is_shuffled=True)
    assert preference(shuffled).verdict == "undecided"


def test_the_verdict_on_rankers_alike_is_wrong_as_rarely_as_its_level_says():
    """2,000 simulations; users differ, and look at first positions more often, which both teams have alike."""
    rng = np.random.default_rng(0)
    team_RK = teams_of(drafts(requests(rng, 6_000, *ALIKE), seed=0))
    user_R = np.repeat(np.arange(200), 3)
    alarms = 0
    for _ in range(2_000):
        appeal_R = rng.lognormal(-1.0, 1.0, 200)[user_R]
        is_clicked_RK = rng.random((len(user_R), K)) < appeal_R[:, None] * LOOKED_AT_K
        clicks = credits_of(user_R, team_RK[rng.integers(len(team_RK), size=len(user_R))], is_clicked_RK)
        alarms += preference(clicks).verdict != "undecided"
    assert abs(alarms / 2_000 - ALPHA) < 3 * np.sqrt(ALPHA * (1 - ALPHA) / 2_000)


def test_few_users_decide_nothing_and_users_who_all_agree_do():
    few = Credits(np.zeros(MIN_USERS - 1), np.ones(MIN_USERS - 1), 5_000)
    assert (preference(few).verdict, preference(few).preference) == ("undecided", None)
    assert preference(few).reason == "99 users with a credited click; it takes 100"
    all_agree = preference(Credits(np.ones(MIN_USERS), np.zeros(MIN_USERS), MIN_USERS))
    assert (all_agree.verdict, all_agree.preference, all_agree.pvalue) == ("control preferred", -1.0, 0.0)
    all_even = preference(Credits(np.ones(MIN_USERS), np.ones(MIN_USERS), MIN_USERS))
    assert (all_even.verdict, all_even.pvalue) == ("undecided", 1.0)


def test_the_mean_is_over_users_so_one_user_with_many_clicks_is_one():
    control_U, treatment_U = np.ones(200), np.zeros(200)
    control_U[:60], treatment_U[:60] = 0, 50
    one = preference(Credits(control_U, treatment_U, 200))
    assert (one.verdict, one.treatment_clicks) == ("control preferred", 3_000)
    assert one.preference == pytest.approx((60 - 140) / 200)


def row(request: str, user: str, item: str, team: str | None, **changes: str) -> dict[str, str | None]:
    fields = {"request_id": request, "experiment": "towers-2", "user_id": user, "scenario": "ads", "item_id": item}
    return {**fields, "team": team, **changes}


def lists(num_users: int, **changes: str) -> list[dict[str, str | None]]:
    """Return a list per user: an item of no team, one of the control, one of the treatment."""
    rows = []
    for number in range(num_users):
        own = f"r{number}-{changes.get('scenario', 'ads')}", f"u{number}"
        rows += [row(*own, "i0", None, **changes), row(*own, "i1", "control", **changes)]
        rows += [row(*own, "i2", "treatment", **changes)]
    return rows


def clicks_on(rows: list[dict[str, str | None]], *items: str) -> list[dict[str, str | None]]:
    return [{name: one[name] for name in ("request_id", "item_id")} for one in rows if one["item_id"] in items]


@pytest.fixture
def preferred(tmp_path: Path):
    def preferred(shown: list[dict], clicks: list[dict], experiment: str | None = None):
        paths = tmp_path / "shown.parquet", tmp_path / "clicks.parquet"
        for rows, path in zip((shown, clicks), paths, strict=True):
            pq.write_table(pa.Table.from_pylist(rows), path)
        return prefer(connect(), *paths, experiment)

    return preferred


def test_clicks_on_what_was_shown_are_credited_by_scenario(preferred):
    ads, search = lists(120), lists(130, scenario="search")
    result = preferred(ads + search, clicks_on(ads, "i0", "i2") + clicks_on(search, "i1"))
    numbers = {
        name: (one.verdict, one.users, one.users_with_credit, one.control_clicks, one.treatment_clicks)
        for name, one in result.scenarios.items()
    }
    assert numbers == {
        "ads": ("treatment preferred", 120, 120, 0, 120),
        "search": ("control preferred", 130, 130, 130, 0),
    }


def test_duplicates_and_clicks_on_what_was_not_shown_count_nothing(preferred):
    rows = lists(120)
    clicks = clicks_on(rows, "i2")
    stray = [{"request_id": "r1", "item_id": "i9"}, {"request_id": "elsewhere", "item_id": "i1"}]
    assert preferred(rows * 2, clicks * 3 + stray) == preferred(rows, clicks)


def test_a_request_id_of_two_users_or_two_lists_does_not_count(preferred):
    rows = lists(120)
    faulty = [row("r0-ads", "u1", "i7", "control"), row("r1-ads", "u1", "i1", "treatment")]
    faulty += [row("r2-ads", "u2", "i7", None, scenario="search")]
    one = preferred(rows + faulty, clicks_on(rows, "i1")).scenarios["ads"]
    assert (one.invalid_requests, one.users, one.control_clicks) == (3, 117, 117)


def test_each_scenario_has_its_share_of_the_level(preferred):
    """60 of 100 users prefer the treatment: p = .045, which is enough for one scenario and not for three."""
    ads = lists(100)
    others = lists(100, scenario="search") + lists(100, scenario="homefeed")
    clicks = clicks_on(ads[:180], "i2") + clicks_on(ads[180:], "i1")
    assert preferred(ads, clicks).scenarios["ads"].verdict == "treatment preferred"
    among_three = preferred(ads + others, clicks).scenarios
    assert (len(among_three), among_three["ads"].verdict) == (3, "undecided")


def test_of_several_experiments_one_is_named(preferred):
    rows = lists(120)
    both = rows + lists(5, experiment="towers-1", scenario="search")
    clicks = clicks_on(rows, "i2")
    assert preferred(both, clicks, "towers-2") == preferred(rows, clicks)
    with pytest.raises(
        InputError, match="are of towers-1, towers-2; none is named. Give one of them: --experiment NAME"
    ):
        preferred(both, clicks)
    with pytest.raises(InputError, match="towers-3 is named"):
        preferred(both, clicks, "towers-3")


def test_another_team_and_an_absent_column_are_refused(preferred):
    rows = lists(2)
    with pytest.raises(InputError, match="team 'blue'; allowed are control, treatment, and nothing"):
        preferred([*rows, row("r9", "u9", "i1", "blue")], clicks_on(rows, "i1"))
    with pytest.raises(InputError, match=r"The clicks have no column item_id; they have request_id\. Give"):
        preferred(rows, [{"request_id": "r1"}])
