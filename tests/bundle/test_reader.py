"""Bundle reader: a bundle that does not fit its manifest is refused; the import is light."""

import json
from pathlib import Path

import pytest

from redrec.bundle.reader import Bundle
from redrec.config import InputError


@pytest.mark.parametrize(
    "name",
    ["user_tower.onnx", "items.parquet", "item_vectors.npy", "item_embeddings.npy", "fallback.json", "ranker.npz"],
)
def test_a_file_with_a_changed_byte_is_named(run: Path, name: str):
    file = run / "bundle" / name
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(InputError, match=rf"{name}: the manifest says [0-9a-f]{{64}}, found [0-9a-f]{{64}}"):
        Bundle.load(run / "bundle")


def test_a_missing_file_is_named(run: Path):
    (run / "bundle/user_tower.onnx").unlink()
    with pytest.raises(InputError, match=r"user_tower\.onnx: .* found no file"):
        Bundle.load(run / "bundle")


@pytest.mark.parametrize("change", [{"id": "f" * 16}, {"actions": ["buy"]}, {"logit_scale": 0.1}])
def test_a_manifest_that_names_another_content_is_refused_with_both_ids(run: Path, built: Bundle, change: dict):
    manifest = run / "bundle/bundle.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | change))
    with pytest.raises(InputError, match=r"it calls itself [0-9a-f]{16}, its content is [0-9a-f]{16}"):
        Bundle.load(run / "bundle")


def test_a_file_that_the_manifest_leaves_out_is_not_trusted(run: Path):
    manifest = json.loads((run / "bundle/bundle.json").read_text())
    del manifest["files"]["user_tower.onnx"]
    (run / "bundle/bundle.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=r"lists .* allowed is .*user_tower\.onnx"):
        Bundle.load(run / "bundle")


def test_a_folder_without_manifest_is_no_bundle(tmp_path: Path):
    with pytest.raises(InputError, match=r"no bundle: it has no bundle\.json"):
        Bundle.load(tmp_path)


@pytest.mark.parametrize("number", [1, None])
def test_a_bundle_of_another_version_is_refused_with_both_formats(run: Path, number: int | None):
    path = run / "bundle/bundle.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": number}))
    with pytest.raises(InputError, match=rf"has the format {number}, and this version of redrec reads 6\. Build"):
        Bundle.load(run / "bundle")
