"""Clean-up of a Milvus server: collections of bundles that are neither kept, served nor new are dropped.

The newest collections are kept for a rollback, and released from the server's memory where nobody serves them: serving
loads them again. A collection without an index is what a stopped build left; it is never kept. But young collections
stay as they are: a build may be under way, and the bundle of a whole one on its way to a service.
"""

import re
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from pymilvus import MilvusClient
from pymilvus.exceptions import MilvusException

from redrec.config import InputError
from redrec.index.connection import connect, reason
from redrec.index.milvus import collection_name
from redrec.index.server import MilvusServer

BUNDLE_ID = re.compile("(?<![0-9a-f])[0-9a-f]{16}(?![0-9a-f])")
LOGICAL_BITS = 18  # of a Milvus timestamp; the bits above are milliseconds since 1970
NOBODY = "none"


class StoredCollection(NamedTuple):
    bundle_id: str
    created_at: datetime
    is_whole: bool


class CleanedUp(NamedTuple):
    kept: list[str]  # bundle ids, newest first
    released: list[str]  # of them, those that are out of the server's memory now
    removed: list[str]


def clean_up(server: MilvusServer, keep: int, served: Collection[str], min_age: timedelta) -> CleanedUp:
    """Drop the collections of bundles that are not needed.

    Args:
        server: Milvus.
        keep: How many of the newest whole collections stay, served or not.
        served: Bundle ids, or URIs with one in them, that services read; or the word none.
        min_age: Younger collections stay as they are.

    Raises:
        InputError: A word of `served` names no bundle, or Milvus refuses.
    """
    served_ids = bundle_ids(served)
    client = connect(server)
    try:
        return _clean_up(client, keep, served_ids, datetime.now(UTC) - min_age, server.timeout_s)
    except MilvusException as error:
        raise InputError(f"Milvus at {server.uri} stopped the clean-up: {reason(error, server)}") from error
    finally:
        client.close()


def bundle_ids(served: Collection[str]) -> set[str]:
    """Return the ids in words that name what is served.

    >>> sorted(bundle_ids(["s3://bucket/releases/00000000000000aa-1b2c", "00000000000000bb"]))
    ['00000000000000aa', '00000000000000bb']
    >>> bundle_ids(["none"])
    set()
    """
    ids: set[str] = set()
    for word in served:
        matches = BUNDLE_ID.findall(word)
        if not matches and word != NOBODY:
            raise InputError(
                f"{word!r} is served, and names no bundle: its collection could be dropped. Give the id in its "
                "bundle.json (16 digits of 0-9, a-f) instead."
            )
        ids.update(matches)
    return ids


def _clean_up(client: MilvusClient, keep: int, served: set[str], newest_old: datetime, timeout_s: float) -> CleanedUp:
    stored = _collections(client, timeout_s)
    rollbacks = [one.bundle_id for one in stored if one.is_whole][:keep]
    cleaned = CleanedUp([], [], [])
    for one in stored:
        name, is_young = collection_name(one.bundle_id), one.created_at > newest_old
        if one.bundle_id in served or is_young:
            cleaned.kept.append(one.bundle_id)
        elif one.bundle_id in rollbacks:
            client.release_collection(name, timeout=timeout_s)
            cleaned.kept.append(one.bundle_id)
            cleaned.released.append(one.bundle_id)
        else:
            client.drop_collection(name, timeout=timeout_s)
            cleaned.removed.append(one.bundle_id)
    return cleaned


def _collections(client: MilvusClient, timeout_s: float) -> Sequence[StoredCollection]:
    """Return the collections of bundles, newest first; others are not ours."""
    prefix, stored = collection_name(""), []
    for name in client.list_collections(timeout=timeout_s):
        bundle_id = name.removeprefix(prefix)
        if not name.startswith(prefix) or not BUNDLE_ID.fullmatch(bundle_id):
            continue
        description = client.describe_collection(name, timeout=timeout_s)
        if "created_timestamp" not in description:
            raise InputError("This is Milvus Lite, which does not say how old a collection is. Drop it by its name.")
        created_at = datetime.fromtimestamp((description["created_timestamp"] >> LOGICAL_BITS) / 1000, UTC)
        index = client.describe_index(name, "embedding", timeout=timeout_s)
        is_whole = index is not None and index["state"] == "Finished"
        stored.append(StoredCollection(bundle_id, created_at, is_whole))
    return sorted(stored, key=lambda one: one.created_at, reverse=True)
