"""Interests: what the user tower, or medoids in its place, make of the queries of a batch, with their boosts.

All users of a batch are one run of the tower: of 64 users each costs half the CPU that it would alone.

Shapes: B users, Q interests, D embedding.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from redrec.bundle.reader import Bundle
from redrec.history import History, tower_inputs
from redrec.index.boosted import Boosted
from redrec.index.filters import Catalog, ItemFilter
from redrec.index.medoids import POPULARITY, medoids
from redrec.index.popularity_boost import PopularItems
from redrec.index.ranker import RankedQuery
from redrec.model.session import open_tower
from serving.popularity_boost import popular_items, read_lifts
from serving.requests import Query
from serving.workers import TOWER


class KnownUser(NamedTuple):
    """A query, the history of its user, and which items it may get."""

    query: Query
    history: History
    item_filter: ItemFilter


class QueriedUser(NamedTuple):
    known: KnownUser
    stage: str  # that made the interests
    query: RankedQuery
    boosted: Boosted

    @property
    def has_tower(self) -> bool:
        return self.stage == TOWER


class Interests:
    """Of one bundle; `features` is the folder whose recent events boost items, if there is one."""

    def __init__(self, bundle: Bundle, catalog: Catalog, features: Path | None) -> None:
        self.bundle, self.tower = bundle, open_tower(bundle.folder.tower)
        lifts = read_lifts(features, bundle, catalog)
        self.popular, self.popular_of_medoids = popular_items(lifts, bundle), popular_items(lifts, bundle, POPULARITY)

    def of(self, stage: str, known: Sequence[KnownUser], moment_ms: int) -> list[QueriedUser]:
        """Return each user with the interests that the stage finds.

        Raises:
            TowerError: The tower fails.
        """
        scenario_B = [self.bundle.manifest.scenarios.index(one.query.scenario) for one in known]
        histories, is_of_tower = [one.history for one in known], stage == TOWER
        interests = (self.of_tower if is_of_tower else self._of_medoids)(histories, scenario_B, moment_ms)
        popular, users = self.popular if is_of_tower else self.popular_of_medoids, []
        for one, scenario, interests_QD in zip(known, scenario_B, interests, strict=True):
            query = RankedQuery(interests_QD, one.history, scenario, moment_ms)
            users.append(QueriedUser(one, stage, query, self.boosts(query, popular)))
        return users

    def of_tower(self, histories: Sequence[History], scenario_B: Sequence[int], moment_ms: int) -> NDArray[np.float32]:
        """Return `interests_BQD`."""
        bundle, moment_ms_B = self.bundle, [moment_ms] * len(histories)
        return self.tower(tower_inputs(histories, scenario_B, moment_ms_B, bundle.vectors_NE, bundle.history_config))

    def _of_medoids(
        self, histories: Sequence[History], scenario_B: Sequence[int], moment_ms: int
    ) -> list[NDArray[np.float32]]:
        """Return the embeddings of the medoids of each history, in place of `interests_QD`."""
        embeddings_ND, interests = self.bundle.embeddings_ND, []
        for history, scenario in zip(histories, scenario_B, strict=True):
            items_Q = medoids(history, scenario, embeddings_ND, moment_ms)
            interests.append(embeddings_ND[items_Q].astype(np.float32))
        return interests

    def boosts(self, query: RankedQuery, popular: Mapping[str, PopularItems]) -> Boosted:
        manifest = self.bundle.manifest
        own = query.own_boosts(manifest.boosts[query.scenario], manifest.logit_scale)
        return Boosted(popular.get(manifest.scenarios[query.scenario]), own)
