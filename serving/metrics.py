"""Metrics: of a bundle and of the stages of its answers; `serving.predictor` has those of whole answers.

Stages follow one another: `history` (read and encoded), `tower` (the interests), `medoids` (where the tower fails),
`search` (all that follows, in process or on a server), and as its last step `rank`. The time that a stage waits for a free thread is in it. A
retriever's warm-up counts, too.
"""

from typing import Any

from prometheus_client import Histogram, Info

from redrec.bundle.manifest import BundleManifest

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)  # the budgets of all stages sum to 3 s
STAGE_SECONDS = Histogram(
    "redrec_stage_seconds",
    "Seconds of a stage of an answer, by scenario and stage",
    ["scenario", "stage"],
    buckets=BUCKETS_S,
)
BUNDLE = Info("redrec_bundle", "A bundle that is served", ["bundle_id"])


def timed(scenario: str, stage: str) -> Any:
    """Return a context whose time counts for the stage, whether it succeeds or not."""
    return STAGE_SECONDS.labels(scenario, stage).time()


def serve_info(manifest: BundleManifest) -> None:
    made = {"created_at": manifest.created_at, "git_commit": manifest.git_commit or "unknown"}
    BUNDLE.labels(manifest.id).info(made)
