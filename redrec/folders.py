"""Folders: the names of all files in a data, model, bundle and run folder, written once.

A step gets the folder of another step as one path and reads it through these classes, so a file name changes only here.
A feature store folder belongs to `feature_repo`, the files of `histories` to `redrec.data.histories`, a checkpoint to
`redrec.training.checkpoint`, an encoder's content to its encoder.
"""

import json
from collections.abc import Set
from pathlib import Path
from typing import Any

from redrec.atomic import replaced_file
from redrec.config import InputError

ITEMS, QUARANTINE, QUALITY = "items.parquet", "quarantine.parquet", "data_quality.json"  # in more than one folder
DRIFT, LOG = "drift", "log.txt"
TOWER, VECTORS, EMBEDDINGS, RANKER = "user_tower.onnx", "item_vectors.npy", "item_embeddings.npy", "ranker.npz"


class TablesFolder:
    """The two tables, as a data set writes them for `redrec.data.prepare`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.events = path / "events.parquet"
        self.items = path / ITEMS


class DataFolder(TablesFolder):
    """Written by `redrec.data.prepare`: checked tables (row i of the items is item_index i), histories, their split."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.quarantine = path / QUARANTINE
        self.quality = path / QUALITY
        self.split = path / "split.json"
        self.histories = path / "histories"

    @property
    def names(self) -> set[str]:
        """The names of all its files and folders."""
        return names_in(self)


class ModelFolder:
    """Written by `redrec.training.trainer`; the manifest is last, so a folder without it is not finished."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.recipe = path / "recipe.json"
        self.content = path / "content"  # the item tower's input for each item
        self.item_ids = path / "item_ids.parquet"  # in the order of the vectors, with hashes of what they were made of
        self.checkpoint = path / "checkpoint"
        self.boosts = path / "boosts.json"  # their weights, per scenario
        self.ranker = path / RANKER
        self.export = path / "export"
        self.tower = self.export / TOWER
        self.item_vectors = self.export / VECTORS
        self.item_embeddings = self.export / EMBEDDINGS
        self.manifest = path / "model.json"

    def failed_batch(self, rank: int) -> Path:
        """The batch whose loss was not finite, of one process."""
        return self.path / f"failed_step_{rank}.npz"

    def validation(self, rank: int) -> Path:
        """Scratch of one process: the catalog as the towers encode it during training."""
        return self.path / f"validation-{rank}"


class ShardFolder:
    """A share of a catalog's new items, embedded (`redrec.training.shards`); a folder without a manifest is none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.item_ids = path / "item_ids.parquet"
        self.item_vectors = path / VECTORS
        self.item_embeddings = path / EMBEDDINGS
        self.manifest = path / "shard.json"


class BundleFolder:
    """Written by `redrec.bundle.builder`; the manifest is last, so a folder without it is no bundle."""

    HASHED = (EMBEDDINGS, "fallback.json", ITEMS, RANKER, TOWER, VECTORS)

    def __init__(self, path: Path) -> None:
        self.path = path
        self.items = path / ITEMS
        self.tower = path / TOWER
        self.item_vectors = path / VECTORS
        self.item_embeddings = path / EMBEDDINGS
        self.ranker = path / RANKER
        self.fallback = path / "fallback.json"  # scenario -> popular item ids, for users without a known history
        self.manifest = path / "bundle.json"


class EvaluationFolder:
    """Written by `redrec.evaluation.evaluate`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.metrics = path / "metrics.json"
        self.users = path / "users.parquet"  # the ranks of every user, scenario and model
        self.examples = path / "examples.json"
        self.recipe = path / "recipe.yaml"  # of the evaluated model


class DriftFolder:
    """The verdicts of `redrec drift`, and one page per scenario by `monitoring.reports`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.verdicts = path / "drift.json"
        self.alerts = path / "alerts.json"  # `redrec.drift.act` writes these
        self.metrics = path / "redrec_drift.prom"  # for the textfile collector of Prometheus' node exporter
        self.markdown = path / "drift.md"
        self.timeline = path / "timeline.html"

    def report(self, slug: str) -> Path:
        """The page of a scenario, by its `redrec.data.scenarios.slug`."""
        return self.path / f"{slug}.html"


class MonitorFolder:
    """Written by `redrec monitor`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.drift = path / DRIFT
        self.log = path / LOG

    @property
    def names(self) -> set[str]:
        return names_in(self)


class DecisionFolder:
    """What `redrec gate` writes about one experiment (`redrec.experiments.experiment`)."""

    def __init__(self, path: Path) -> None:
        self.decisions = path / "decisions.json"
        self.markdown = path / "decisions.md"
        self.page = path / "decisions.html"


class GateState:
    """What looks at an experiment have read (`redrec.experiments.state`)."""

    def __init__(self, path: Path) -> None:
        self.users = path / "exposed.parquet"
        self.days = path / "added.parquet"
        self.covariates = path / "before.parquet"
        self.exposure_ids = path / "exposure_ids.parquet"
        self.event_ids = path / "event_ids.parquet"
        self.counts = path / "state.json"


class RunFolder(EvaluationFolder):
    """Published by `redrec run` from its steps."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.bundle = path / "bundle"  # the one in service
        self.bundles = path / "bundles"  # those before it, by id
        self.broken = path / "bundle.broken"  # the last one that was broken when another replaced it
        self.model = path / "model"  # for new items; absent if the model was trained elsewhere
        self.features = path / "features"
        self.drift = path / DRIFT
        self.quality_gate = path / "quality_gate.json"  # whether the model may be deployed, and why
        self.quality = path / QUALITY
        self.quarantine = path / QUARANTINE
        self.log = path / LOG

    @property
    def names(self) -> set[str]:
        """The names of all files and folders that a run may write."""
        return names_in(self)


def names_in(folder: "DataFolder | RunFolder | MonitorFolder") -> set[str]:
    return {path.name for path in vars(folder).values() if path != folder.path}


def check_replaceable(out: Path, names: Set[str], writer: str) -> None:
    """Raise InputError if `out` is no folder, or has a file that is not one of `names`: `out` is replaced.

    `writer` says in the error what writes such a folder, as in "run".
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out} is a file. Give a folder, new or of an earlier {writer}.")
    foreign = sorted({path.name for path in out.iterdir()} - names) if out.exists() else []
    if foreign:
        raise InputError(
            f"--out {out} contains {', '.join(foreign[:3])}, which no {writer} wrote, and the folder is replaced. "
            f"Give a new folder, or one of an earlier {writer}."
        )


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(path: Path, content: object) -> None:
    """Write a JSON file; after an error or a kill the old file, if any, is unchanged."""
    with replaced_file(path) as new:
        new.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
