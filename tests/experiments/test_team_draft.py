"""Team draft: rounds, items that both rankings have, and lists that end before the others."""

from collections import Counter

from redrec.experiments.team_draft import CONTROL, TREATMENT, Drafted, team_draft

SEEDS = [f"towers-2:ads:u1:{number}" for number in range(2_000)]


def test_each_ranker_drafts_its_best_item_that_is_not_listed_yet():
    """The coin has four outcomes in two rounds; the second drafter of the first round passes over a listed item."""
    lists = {tuple(team_draft(["a", "b", "c", "d"], ["b", "a", "e", "f"], 4, seed)) for seed in SEEDS}
    first = {(("a", CONTROL), ("b", TREATMENT)), (("b", TREATMENT), ("a", CONTROL))}
    second = {(("c", CONTROL), ("e", TREATMENT)), (("e", TREATMENT), ("c", CONTROL))}
    assert {(one[:2], one[2:]) for one in lists} == {(one, other) for one in first for other in second}


def test_the_coin_is_fair_in_every_round():
    rounds = [f"{team}{rank}" for rank in range(5) for team in (CONTROL, TREATMENT)]
    lists = [team_draft(rounds[::2], rounds[1::2], 10, seed) for seed in SEEDS]
    for position in range(0, 10, 2):
        counts = Counter(drafted[position].team for drafted in lists)
        assert abs(counts[CONTROL] / len(SEEDS) - 0.5) < 0.04  # 3.6 standard errors
        assert all({drafted[position].team, drafted[position + 1].team} == {CONTROL, TREATMENT} for drafted in lists)


def test_one_seed_gives_one_list_and_another_seed_another():
    rankings = [str(number) for number in range(20)], [str(number) for number in range(10, 30)]
    assert team_draft(*rankings, 10, "r1") == team_draft(*rankings, 10, "r1")
    assert len({tuple(team_draft(*rankings, 10, seed)) for seed in SEEDS[:50]}) > 25


def test_what_both_rankings_begin_with_is_of_no_team():
    drafted = team_draft(["a", "b", "c"], ["a", "b", "d"], 4, "r1")
    assert drafted[:2] == [Drafted("a", None), Drafted("b", None)]
    assert set(drafted[2:]) == {Drafted("c", CONTROL), Drafted("d", TREATMENT)}
    assert team_draft(["a", "b"], ["a", "b"], 2, "r1") == drafted[:2]


def test_what_has_no_counterpart_is_listed_and_of_no_team():
    """The control has one item, so there is one round; where its item is drafted by the treatment there is none."""
    drafted = team_draft(["a"], ["b", "c", "d"], 4, "r1")
    assert set(drafted[:2]) == {Drafted("a", CONTROL), Drafted("b", TREATMENT)}
    assert drafted[2:] == [Drafted("c", None), Drafted("d", None)]
    lists = {tuple(team_draft(["a", "b"], ["b", "a", "c"], 3, seed)) for seed in SEEDS[:50]}
    assert {drafted[2] for drafted in lists} == {Drafted("c", None)}
    assert team_draft([], ["b", "c"], 5, "r1") == [Drafted("b", None), Drafted("c", None)]


def test_no_item_is_listed_twice_and_the_list_has_at_most_k_items():
    for seed in SEEDS[:100]:
        drafted = team_draft(list("abcdefg"), list("gfahijk"), 5, seed)
        assert len({one.item_id for one in drafted}) == len(drafted) == 5
        whole = team_draft(list("abcdefg"), list("gfahijk"), 50, seed)
        assert sorted(one.item_id for one in whole) == sorted("abcdefghijk")
