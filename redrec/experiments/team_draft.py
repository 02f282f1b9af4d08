"""Team draft: the best items of two rankers in one list, each item credited to the ranker that drafted it.

In each round a coin says which ranker drafts first; each drafts its best item that is not in the list yet (Radlinski,
Kurup and Joachims, CIKM 2008). So both have as many items and, on average, the same positions: clicks that do not
depend on the ranker credit both alike.

Items of no team: those that both rankings begin with, in the same order, since a click there prefers neither ranker and
credit by the coin would be noise; and what is left once a ranker has no further item, since its rival's would have no
counterpart.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from random import Random
from typing import Literal, NamedTuple

Team = Literal["control", "treatment"]
CONTROL: Team = "control"
TREATMENT: Team = "treatment"


class Drafted(NamedTuple):
    item_id: str
    team: Team | None


def team_draft(control_items: Sequence[str], treatment_items: Sequence[str], k: int, seed: str) -> list[Drafted]:
    """Return up to `k` items of both rankings, best first; one seed always gives the same list.

    >>> [one.item_id for one in team_draft(["a", "b", "c"], ["a", "d", "b"], 3, "towers-2:ads:u1:r1")]
    ['a', 'b', 'd']
    >>> [one.team for one in team_draft(["a", "b", "c"], ["a", "d", "b"], 3, "towers-2:ads:u1:r1")]
    [None, 'control', 'treatment']
    """
    common = list(_common_top(control_items, treatment_items))
    listed, coin = set(common), Random(seed)
    rests = {CONTROL: iter(control_items), TREATMENT: iter(treatment_items)}
    drafted = [Drafted(item, None) for item in common]
    is_complete = True
    while is_complete and len(drafted) < k:
        picked = _round(rests, listed, coin)
        is_complete = len(picked) == len(rests)
        drafted += picked if is_complete else [one._replace(team=None) for one in picked]
    left = dict.fromkeys(item for item in chain(control_items, treatment_items) if item not in listed)
    drafted += [Drafted(item, None) for item in left]
    return drafted[:k]


def _common_top(control_items: Sequence[str], treatment_items: Sequence[str]) -> Iterator[str]:
    for one, other in zip(control_items, treatment_items, strict=False):
        if one != other:
            return
        yield one


def _round(rests: dict[Team, Iterator[str]], listed: set[str], coin: Random) -> list[Drafted]:
    """Return one item of each team, and add it to `listed`; fewer if a team has none left."""
    teams = (CONTROL, TREATMENT) if coin.getrandbits(1) else (TREATMENT, CONTROL)
    picked = []
    for team in teams:
        item = next((item for item in rests[team] if item not in listed), None)
        if item is not None:
            listed.add(item)
            picked.append(Drafted(item, team))
    return picked
