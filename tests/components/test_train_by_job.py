"""Step 2 by a TrainJob: it takes the pod's namespace and account, and logs the figures of the model."""

from pathlib import Path

import pytest
from kfp import dsl
from kubernetes import client, config

from components.train_by_job import train_by_job
from jobs import train_run
from pipelines.settings import ClusterSettings
from pipelines.training import step_job
from redrec.folders import ModelFolder
from tests.bundles import write_data
from tests.jobs.test_train_run import success
from tests.jobs.trainer_api import Namespace, trainer_api


def test_train_by_job_fetches_a_model_and_logs_its_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    data, model = dsl.Dataset(uri=str(write_data(tmp_path))), dsl.Model(uri=str(tmp_path / "out"))
    metrics, volume = dsl.Metrics(uri=str(tmp_path / "metrics")), tmp_path / "volume"
    volume.mkdir()
    settings = ClusterSettings.model_validate({"train_job": {"claim": "shared"}, "claims": {"shared": str(volume)}})
    job = step_job(settings, settings.train_job).model_dump_json()
    monkeypatch.setattr(train_run, "POLL_S", 0)
    monkeypatch.setattr(train_run, "own_namespace", lambda: "team-a")
    with trainer_api(Namespace(success(volume))) as api:
        monkeypatch.setattr(config, "load_config", lambda: None)
        monkeypatch.setattr(client, "ApiClient", lambda: api)
        train_by_job.python_func(data, model, metrics, job)
    assert ModelFolder(Path(model.path)).tower.is_file()
    assert metrics.metadata == {"loss": 1.9}
