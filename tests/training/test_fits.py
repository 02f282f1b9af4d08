"""Fits: boosts and ranker of one validation split."""

import pytest

from redrec.data.histories import Histories
from redrec.index.ranker import RankerConfig
from redrec.model.boosts import BoostConfig, configured
from redrec.training.fits import fit_on_validation, has_validation
from redrec.training.recipe import Recipe
from tests.data.logs import histories_of
from tests.evaluation.planted import newcomers_log, random_scorer, repeating_log

RECIPE = Recipe(ranker=RankerConfig(num_contenders=40))


def test_both_are_fitted_where_there_is_a_validation_split(tmp_path):
    data = repeating_log(tmp_path, is_planted=True)
    assert has_validation(Histories(data))
    (weights,), ranker = fit_on_validation(random_scorer(), 10.0, data, RECIPE, [False])
    assert weights.has_own and not weights.excludes_seen
    assert (ranker.num_contenders, ranker.logit_scale) == (40, 10.0)


def test_without_one_the_boosts_are_the_recipes_and_nothing_is_ranked(tmp_path):
    histories = histories_of(tmp_path, [("a", f"i{n}", "ads", n) for n in range(9)], has_validation=False)
    assert not has_validation(histories)
    (weights,), ranker = fit_on_validation(random_scorer(), 10.0, tmp_path / "data", RECIPE, [True])
    assert weights == configured(BoostConfig(), excludes_seen=True) != configured(BoostConfig())
    assert ranker.num_contenders == 0


def test_boosts_that_a_recipe_gives_are_ranked_too(tmp_path):
    recipe = RECIPE.model_copy(update={"boosts": BoostConfig(is_fitted=False, own=1.0)})
    (weights,), ranker = fit_on_validation(random_scorer(), 10.0, repeating_log(tmp_path, True), recipe, [False])
    assert weights == configured(recipe.boosts)
    assert ranker.num_contenders == 40


@pytest.mark.parametrize("log", [repeating_log, newcomers_log])
def test_what_training_left_out_is_left_out_whatever_validation_says(tmp_path, log):
    (weights,), _ = fit_on_validation(random_scorer(), 10.0, log(tmp_path, True), RECIPE, [True])
    assert weights.excludes_seen and not weights.has_own


def test_what_training_did_not_leave_out_is_where_validation_says_so(tmp_path):
    (weights,), _ = fit_on_validation(random_scorer(), 10.0, newcomers_log(tmp_path, True), RECIPE, [False])
    assert weights.excludes_seen and not weights.has_own
