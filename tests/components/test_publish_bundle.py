"""Step 7: the release in the store of all releases, where one is given."""

import pytest
from kfp import dsl

from components.publish_bundle import publish_bundle
from redrec.store.bucket import Bucket
from tests import object_store
from tests.bundles import tiny_bundle

URL = "s3://redrec/releases"


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> dsl.Model:
    folder = tmp_path_factory.mktemp("release")
    return dsl.Model(uri=str(folder), metadata={"bundle_id": tiny_bundle(folder).manifest.id})


def test_a_release_stays_in_the_store_of_its_run(release: dsl.Model):
    assert publish_bundle.python_func(release) == release.uri


def test_the_address_of_the_published_release_is_returned(release: dsl.Model):
    with object_store.in_environment():
        url = publish_bundle.python_func(release, URL)
        assert url.startswith(f"{URL}/{release.metadata['bundle_id']}-")
        assert {"bundle/bundle.json", "files.json"} <= set(Bucket(url).objects())
