"""The API: a pod knows its namespace, and a refusal is one sentence."""

from pathlib import Path

import pytest
from kubernetes.client import ApiException

from redrec.config import InputError
from serving.kubernetes_api import load_config, own_namespace, plain_refusals


def test_the_namespace_is_the_pods_own(tmp_path: Path):
    (tmp_path / "namespace").write_text("shop\n")
    assert own_namespace(tmp_path / "namespace") == "shop"
    with pytest.raises(InputError, match="Give a namespace"):
        own_namespace(tmp_path / "absent")


def test_without_a_pod_and_a_kubeconfig_there_is_no_api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "absent"))
    with pytest.raises(InputError, match="this is no pod, and the kubeconfig has none .* Set KUBECONFIG"):
        load_config()


@pytest.mark.parametrize(
    ("status", "advice"), [(403, "Ask the owner of shop"), (401, "Log in again"), (404, "not found")]
)
def test_a_refusal_of_the_api_is_one_sentence(status: int, advice: str):
    refused = ApiException(status=status, reason="no")
    refused.body = '{"message": "namespaces \\"shop\\" not found"}'
    with (
        pytest.raises(InputError, match=f"refuses with {status}: namespaces .* {advice}|{advice}"),
        plain_refusals("Ask the owner of shop."),
    ):
        raise refused
