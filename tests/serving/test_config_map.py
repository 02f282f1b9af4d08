"""A ConfigMap: its name, and what the API says of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from redrec.config import InputError
from redrec.experiments.allocation import Allocation
from serving.config_map import KEY, ConfigMap, MapName, MapState
from tests.experiments.logs import planned
from tests.serving.config_map_api import NAME, ConfigMapApi, config_map_api


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ConfigMapApi]:
    with config_map_api(Allocation(plan=planned()), tmp_path, monkeypatch) as api:
        yield api


@pytest.mark.parametrize("text", ["configmap:", "configmap:a/b/c", "configmap:a b", "configmap:/shop", "configmap:A"])
def test_a_wrong_name_is_refused(text: str):
    with pytest.raises(InputError, match="Give configmap:NAME or configmap:NAME/NAMESPACE"):
        MapName.read(text)


@pytest.mark.parametrize("text", ["configmap:arms", "configmap:arms/shop"])
def test_a_name_is_written_as_it_is_read(text: str):
    assert str(MapName.read(text)) == text


def test_of_two_writers_the_second_is_told_so_and_changes_nothing(api: ConfigMapApi):
    first, second = ConfigMap(NAME), ConfigMap(NAME)
    seen = second.read()
    assert seen == MapState(api.data[KEY].encode(), "1")
    assert first.replace(first.read().version, "{}")
    assert not second.replace(seen.version, "[]")
    assert api.data == {KEY: "{}", "other": "stays"}
    assert second.read() == MapState(b"{}", "2")


def test_a_map_without_an_allocation_is_refused_with_its_keys(api: ConfigMapApi):
    del api.data[KEY]
    with pytest.raises(InputError, match=rf"ConfigMap arms has no key {KEY}; it has other\."):
        ConfigMap(NAME).read()


@pytest.mark.parametrize(
    ("status", "advice"), [(403, "Role to get ConfigMap arms in namespace shop"), (404, "no such")]
)
def test_what_the_api_refuses_is_said(api: ConfigMapApi, status: int, advice: str):
    api.refusal = status
    with pytest.raises(InputError, match=f"refuses with {status}: .*{advice}"):
        ConfigMap(NAME).read()
    with pytest.raises(InputError, match=f"refuses with {status}"):
        ConfigMap(NAME).replace("1", "{}")


def test_an_api_that_does_not_answer_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with config_map_api(Allocation(plan=planned()), tmp_path, monkeypatch):
        config_map = ConfigMap(NAME)
    with pytest.raises(InputError, match="The Kubernetes API does not answer"):
        config_map.read()
