"""Bundle manifest: the description of a release bundle, and the id that follows from its content.

The id is a hash of content: the files, the vocabulary, the history encoding, the boosts and how interests become one
list. Same content, same id. The embedded index is one of the files, the embeddings; rows of a server's index carry it.
"""

import hashlib
import json
from functools import cached_property
from pathlib import Path

from pydantic import JsonValue

from redrec.bundle.check import FORMAT
from redrec.config import Record, load_config
from redrec.folders import BundleFolder
from redrec.history import HistoryConfig, Vocabulary
from redrec.index.config import IndexConfig
from redrec.index.merge import Policy
from redrec.index.recall import FilterRecall
from redrec.model.boosts import BoostWeights

ID_DIGITS = 16  # 64 bits: the chance that two of a million bundles share an id is 3e-8


class IndexManifest(Record):
    """The index that was verified, with the figures of the verification."""

    collection: str | None  # of a Milvus server; None: the bundle's embeddings, searched in process
    dim: int
    count: int
    config: IndexConfig
    max_norm_error: float
    recall: tuple[FilterRecall, ...]  # against exact search


class BundleContent(Record):
    """What a bundle takes over from its model, beside files; it stays when the items change."""

    scenarios: tuple[str, ...]
    actions: tuple[str, ...]
    history: HistoryConfig
    boosts: tuple[BoostWeights, ...]  # per scenario
    logit_scale: float
    config: dict[str, JsonValue]  # the recipe of the training
    feature_hash: str
    metrics: dict[str, JsonValue] | None

    @cached_property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary(scenarios=self.scenarios, actions=self.actions)

    def id_with(self, files: dict[str, str], policy: Policy) -> str:
        """Return the id of a bundle with these files. The keys of `content` never change: every id would change."""
        content: dict[str, object] = {
            "files": files,
            "vocabulary": self.vocabulary.model_dump(),
            "history": self.history.model_dump(),
            "boosts": [weights.model_dump() for weights in self.boosts],
            "logit_scale": self.logit_scale,
        }
        if policy != "max":  # the only one that the first bundles had
            content["policy"] = policy
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:ID_DIGITS]


class BundleManifest(BundleContent):
    format: int = FORMAT
    id: str
    created_at: str
    git_commit: str | None
    index: IndexManifest
    files: dict[str, str]  # relative path -> SHA-256


def read_manifest(bundle: Path) -> BundleManifest:
    """Read the manifest of a bundle's folder, without a check of its files.

    Raises:
        InputError: There is none, or it is broken.
    """
    return load_config(BundleManifest, BundleFolder(bundle).manifest)
