"""Clean-up of the real server: what is served stays, orphans of killed builds go, the rest is kept by age."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from redrec.config import InputError
from redrec.index.cleanup import bundle_ids, clean_up
from redrec.index.connection import connect
from redrec.index.filters import ItemFilter
from redrec.index.milvus import collection_name
from redrec.index.milvus_config import MilvusConfig
from redrec.index.search import ItemIndex
from redrec.index.server import MilvusServer
from tests.faults import killed_at
from tests.index.planted import ITEM_INDEX, QUERIES, build

NOW = timedelta(0)


@pytest.mark.milvus
@pytest.mark.slow
def test_the_served_stays_the_newest_is_released_and_the_orphan_of_a_killed_build_goes(
    secure: MilvusServer, new_id: Callable[[], str]
):
    served, old, kept, orphan = (new_id() for _ in range(4))
    for bundle_id in (served, old, kept):
        build(secure, bundle_id, MilvusConfig())
    assert killed_at("pymilvus.MilvusClient.flush", build, secure, orphan, MilvusConfig())
    client = connect(secure)
    client.create_collection("items_of_others", dimension=4)
    uri = f"s3://bucket/releases/{served}-1b2c"

    assert clean_up(secure, 1, [uri], timedelta(hours=1)).removed == []  # all are young
    cleaned = clean_up(secure, 1, [uri], NOW)
    assert (cleaned.kept, cleaned.released, set(cleaned.removed)) == ([kept, served], [kept], {old, orphan})
    assert set(client.list_collections()) == {"items_of_others", *map(collection_name, (served, kept))}
    client.drop_collection("items_of_others")
    for bundle_id in (served, kept):  # a rollback loads what was released
        index = ItemIndex(secure, bundle_id, ITEM_INDEX, MilvusConfig())
        assert index.search(QUERIES, 1, ItemFilter())[0].min() > 0
        index.close()
    client.close()


def test_what_is_served_must_name_its_bundle():
    with pytest.raises(InputError, match="'pvc://runs/demo' is served, and names no bundle"):
        bundle_ids(["none", "pvc://runs/demo"])


def test_milvus_lite_cannot_tell_what_is_old(lite: MilvusServer, built: str):
    with pytest.raises(InputError, match="Milvus Lite, which does not say how old"):
        clean_up(lite, 0, ["none"], NOW)
