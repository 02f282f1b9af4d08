"""One tiny run of the real pipeline over a generated world, shared by the tests that read it."""

from pathlib import Path
from typing import NamedTuple

import pytest

from pipelines.local import run_training
from redrec.data.world import World, WorldConfig
from redrec.presets import tiny


class TinyRun(NamedTuple):
    events: Path
    items: Path
    folder: Path
    progress: list[str]


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    folder = tmp_path_factory.mktemp("local")
    events, items = World(WorldConfig(num_users=120, num_items=180, seed=1)).write(folder / "input")
    progress: list[str] = []
    run_training(events, items, folder / "run", tiny().model_dump_json(), progress.append)
    return TinyRun(events, items, folder / "run", progress)
