"""Metrics of the stages and of the bundle, as Prometheus reads them."""

import asyncio
from pathlib import Path
from typing import Any

from prometheus_client import REGISTRY

from redrec.bundle.reader import Bundle
from serving.retriever import Retriever
from tests.bundles import tiny_run
from tests.serving.retrieval import answers, query


def observed(scenario: str) -> dict[str, float]:
    """Return how many times each stage was timed in a scenario so far."""
    stages = ("history", "tower", "search", "rank")
    labels = [{"scenario": scenario, "stage": stage} for stage in stages]
    counts = [REGISTRY.get_sample_value("redrec_stage_seconds_count", label) or 0.0 for label in labels]
    return dict(zip(stages, counts, strict=True))


def added(bundle: Bundle, *scenarios: str, **options: Any) -> dict[str, float]:
    """Return how many times each stage was timed for queries in `scenarios`."""

    async def answered(retriever: Retriever) -> dict[str, float]:
        before = observed(scenarios[0])
        for scenario in scenarios:
            await retriever.answer(query(scenario, **options))
        return {stage: count - before[stage] for stage, count in observed(scenarios[0]).items()}

    return answers(bundle, answered)


def test_each_stage_of_an_answer_is_timed_by_scenario(tmp_path: Path):
    ranking = tiny_run(tmp_path, num_contenders=8)
    assert added(ranking, "ads", "ads", "search") == {"history": 2, "tower": 2, "search": 2, "rank": 2}


def test_a_stage_of_several_queries_is_timed_once_for_each_of_their_scenarios(bundle: Bundle):
    async def answered(retriever: Retriever) -> list[dict[str, float]]:
        before = [observed(scenario) for scenario in ("ads", "search")]
        await retriever.answers([query("ads"), query("search"), query("ads")])
        after = [observed(scenario) for scenario in ("ads", "search")]
        return [{stage: count - b[stage] for stage, count in a.items()} for a, b in zip(after, before, strict=True)]

    assert answers(bundle, answered) == [{"history": 1, "tower": 1, "search": 1, "rank": 0}] * 2


def test_a_stage_that_is_not_reached_is_not_timed(bundle: Bundle):
    assert added(bundle, "ads", items=["not-in-this-catalog"]) == {"history": 1, "tower": 0, "search": 0, "rank": 0}


def test_the_served_bundle_is_named_with_its_commit_until_it_is_closed(bundle: Bundle):
    manifest = bundle.manifest
    made = {"created_at": manifest.created_at, "git_commit": manifest.git_commit or "unknown"}

    async def served(_: Retriever | None = None) -> float | None:
        return REGISTRY.get_sample_value("redrec_bundle_info", {"bundle_id": manifest.id, **made})

    assert (answers(bundle, served), asyncio.run(served())) == (1.0, 0.0)
