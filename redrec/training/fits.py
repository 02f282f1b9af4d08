"""Fits: what is chosen on the validation split once the towers are trained, before a refresh trains on it too."""

from collections.abc import Sequence
from pathlib import Path

from redrec.data.histories import VALIDATION, Histories
from redrec.data.items import is_allowed
from redrec.data.split import read_vocabulary
from redrec.evaluation.boost_fit import BoostFit
from redrec.evaluation.popularity import Popularity
from redrec.evaluation.scorers import Scorer, with_boosts
from redrec.evaluation.seen_items import exclusions
from redrec.folders import DataFolder
from redrec.index.ranker import Ranker
from redrec.model.boosts import BoostWeights, configured
from redrec.training.ranker_fit import fit_ranker
from redrec.training.recipe import Recipe


def has_validation(histories: Histories) -> bool:
    return bool(histories.num_events(VALIDATION).sum() > histories.num_train_U.sum())


def fit_on_validation(
    towers: Scorer, logit_scale: float, data: Path, recipe: Recipe, excludes_seen_S: Sequence[bool]
) -> tuple[tuple[BoostWeights, ...], Ranker]:
    """Return the weights of each scenario's boosts, and the ranker of what they find.

    A scenario leaves out what a user has had if it did so in training, or if validation says so.
    """
    histories, scenarios = Histories(data), read_vocabulary(data).scenarios
    popularity = Popularity(histories, is_allowed(DataFolder(data).items, scenarios))
    boosts = tuple(configured(recipe.boosts, excludes) for excludes in excludes_seen_S)
    if recipe.boosts.is_fitted and has_validation(histories):
        fit = BoostFit(towers, popularity, scenarios, recipe.evaluation, logit_scale)
        boosts = tuple(fit.weights(s, excludes) for s, excludes in enumerate(excludes_seen_S))
        boosted = with_boosts(towers, popularity, boosts, logit_scale)
        decided_S = exclusions(boosted, popularity, scenarios, recipe.evaluation, excludes_seen_S)
        pairs = zip(boosts, decided_S, strict=True)
        boosts = tuple(
            kept if kept.excludes_seen == is_out else fit.weights(s, is_out) for s, (kept, is_out) in enumerate(pairs)
        )
    boosted = with_boosts(towers, popularity, boosts, logit_scale)
    num_contenders = recipe.ranker.num_contenders
    return boosts, fit_ranker(boosted, data, recipe.evaluation, num_contenders, logit_scale, recipe.seed)
