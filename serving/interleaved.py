"""Interleaved lists: the answers of both arms as one, each item with the team that a click on it is credited to.

Both arms are queried, so such an answer costs as much as two.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from redrec.experiments.allocation import Allocation
from redrec.experiments.team_draft import CONTROL, TREATMENT, Team, team_draft
from serving.exposures import InterleavedItem
from serving.lists import Answer, Item
from serving.requests import Query


class Interleaved(NamedTuple):
    answer: Answer
    teams: tuple[Team | None, ...]  # of the answer's items


def interleave(control: Answer, treatment: Answer, query: Query, experiment: str) -> Interleaved:
    """Return up to `query.k` items; a request id always has the same list, as long as both arms answer the same.

    Each item has the score and the interest of its team's arm, those of no team of the control's if it has them. Scores
    of two models do not compare.
    """
    seed = f"{experiment}:{query.scenario}:{query.user_id}:{query.request_id}"
    of_control, of_treatment = _by_id(control.items), _by_id(treatment.items)
    drafted = team_draft(list(of_control), list(of_treatment), query.k, seed)
    by_team: dict[Team | None, dict[str, Item]] = {
        CONTROL: of_control,
        TREATMENT: of_treatment,
        None: of_treatment | of_control,
    }
    items = [by_team[one.team][one.item_id] for one in drafted]
    worse = treatment if control.reason is None else control
    return Interleaved(Answer(items, worse.source, worse.reason), tuple(one.team for one in drafted))


def _by_id(items: Sequence[Item]) -> dict[str, Item]:
    return {item.item_id: item for item in items}


def rows_of(both: Interleaved, query: Query, allocation: Allocation, moment: datetime) -> list[InterleavedItem]:
    """Return a row per item, for the log; the position of the first is 1."""
    pairs = zip(both.answer.items, both.teams, strict=True)
    return [
        InterleavedItem(
            request_id=str(query.request_id),
            experiment=allocation.plan.experiment,
            user_id=query.user_id,
            scenario=query.scenario,
            item_id=item.item_id,
            team=team or "",
            position=str(position),
            timestamp=moment.isoformat(timespec="milliseconds"),
            plan_hash=allocation.plan_hash,
        )
        for position, (item, team) in enumerate(pairs, start=1)
    ]
