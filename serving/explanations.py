"""Explanations: where an item's score is from, and which of the user's own events are near it.

They are made only where a request asks for them. An item names the interest that found it anyway.

Shapes: K results, Q interests, L events, U distinct items of the events, D embedding.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from redrec.bundle.reader import Bundle
from redrec.history import History
from redrec.index.boosted import Boosted
from redrec.index.merge import Merged
from redrec.index.ranker import RankedQuery

NUM_EVENTS = 3  # per item


class NearEvent(NamedTuple):
    """An event of the user's history, the newest with its item."""

    item_id: str
    scenario: str
    timestamp_ms: int
    cosine: float


class Explanation(NamedTuple):
    """The search's score of an item is the sum of the first three; the ranker's has no summands."""

    cosine: float  # the greatest over the interests
    recent_popularity: float  # the boost
    own_items: float  # the boost, zero if the user never had the item
    moved_by_ranker: int  # positions up in the list; negative: down
    nearest_events: list[NearEvent]  # nearest first


def explanations(
    best: Merged, searched: Merged, query: RankedQuery, boosted: Boosted, bundle: Bundle
) -> list[Explanation]:
    """Return one per item of `best`, which the ranker ordered; `searched` is the search's own order."""
    embeddings_KD = bundle.embeddings_ND[best.items_K].astype(np.float32)
    cosines_K = (embeddings_KD @ query.interests_QD.T).max(axis=1)
    position = {item: number for number, item in enumerate(searched.items_K.tolist())}
    popular_K = boosted.popular_of(best.items_K)
    own = dict(zip(boosted.own.items_T.tolist(), boosted.own.boost_T.tolist(), strict=True))
    events = nearest_events(embeddings_KD, query.history, bundle)
    rows = zip(best.items_K.tolist(), cosines_K.tolist(), popular_K.tolist(), events, strict=True)
    return [
        Explanation(cosine, popular, own.get(item, 0.0), position[item] - number, near)
        for number, (item, cosine, popular, near) in enumerate(rows)
    ]


def nearest_events(embeddings_KD: NDArray[np.float32], history: History, bundle: Bundle) -> list[list[NearEvent]]:
    """Return the events nearest to each embedding, one per item that the user had."""
    items_U, from_newest_U = np.unique(history.item_L[::-1], return_index=True)
    newest_U = len(history.item_L) - 1 - from_newest_U
    cosine_KU = embeddings_KD @ bundle.embeddings_ND[items_U].astype(np.float32).T
    nearest_KU = np.argsort(-cosine_KU, axis=1, kind="stable")[:, :NUM_EVENTS]
    rows: list[list[NearEvent]] = []
    for k, nearest in enumerate(nearest_KU.tolist()):
        rows.append([_event(history, int(newest_U[u]), float(cosine_KU[k, u]), bundle) for u in nearest])
    return rows


def _event(history: History, event: int, cosine: float, bundle: Bundle) -> NearEvent:
    scenario = bundle.manifest.scenarios[int(history.scenario_L[event])]
    item_id = bundle.item_ids[int(history.item_L[event])]
    return NearEvent(item_id, scenario, int(history.timestamp_ms_L[event]), cosine)
