"""Step 5: the release folder."""

from pathlib import Path

from redrec.bundle.reader import Bundle
from redrec.folders import RunFolder
from tests.components.conftest import Steps


def test_a_release_has_the_bundle_and_its_features(steps: Steps):
    release = RunFolder(Path(steps.release.path))
    bundle = Bundle.load(release.bundle)
    assert bundle.manifest.id == steps.release.metadata["bundle_id"]
    assert bundle.manifest.feature_hash == steps.feature_hash
    assert (release.features / "online.db").is_file()
    assert min(steps.metrics["build"].metadata.values()) > 0.9
