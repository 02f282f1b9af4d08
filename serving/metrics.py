"""Metrics: of a bundle and of the stages of its answers; `serving.predictor` has those of whole answers.

Stages follow one another: `history` (read and encoded), `tower` (the interests), `medoids` (where the tower fails),
`search` (all that follows, in process or on a server), and as its last step `rank`. Where Milvus searches, the time
that a stage waits for a free thread, or its turn, is in it; in process tower and search wait once, before both, and
that is in neither. Queries that are answered together (`serving.batching`) go through a stage together: it counts once
for each of their scenarios, and `rank` for each query. A retriever's warm-up counts, too.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from typing import TypeVar

from prometheus_client import Counter, Gauge, Histogram

from redrec.bundle.manifest import BundleManifest
from serving.tracing import IS_ON, span

MetricT = TypeVar("MetricT", Counter, Histogram)

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)  # the budgets of all stages sum to 3 s
STAGE_SECONDS = Histogram(
    "redrec_stage_seconds",
    "Seconds of a stage of an answer, by scenario and stage",
    ["scenario", "stage"],
    buckets=BUCKETS_S,
)
BUNDLE = Gauge(
    "redrec_bundle_info",
    "1: the bundle is served; 0: it was, until another took its place",
    ["bundle_id", "created_at", "git_commit"],
)


def timed(scenario: str, stage: str) -> AbstractContextManager[object]:
    """Return a context whose time counts for the stage, whether it succeeds or not; it is a span, too."""
    seconds = labelled(STAGE_SECONDS, scenario, stage).time()
    return _traced(seconds, scenario, stage) if IS_ON else seconds


@contextmanager
def _traced(seconds: AbstractContextManager[object], scenario: str, stage: str) -> Iterator[None]:
    with seconds, span(stage, scenario=scenario):
        yield


def timed_each(scenarios: Sequence[str], stage: str) -> AbstractContextManager[object]:
    """As `timed`, of several queries at once: the time counts once for each of their scenarios."""
    first, *others = dict.fromkeys(scenarios)
    return _timed_all([first, *others], stage) if others else timed(first, stage)


@contextmanager
def _timed_all(scenarios: Sequence[str], stage: str) -> Iterator[None]:
    with ExitStack() as contexts:
        for scenario in scenarios:
            contexts.enter_context(timed(scenario, stage))
        yield


@cache  # Prometheus looks for labels under a lock
def labelled(metric: MetricT, *labels: str) -> MetricT:
    """Return the metric's child with these labels."""
    return metric.labels(*labels)


def bundle_gauge(manifest: BundleManifest) -> Gauge:
    return BUNDLE.labels(manifest.id, manifest.created_at, manifest.git_commit or "unknown")
