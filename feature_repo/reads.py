"""Reads: users' rows of several views, straight from Feast's online stores.

Feast's whole response (`get_online_features`) takes three to four times the CPU of the rows that it is made of. So
serving has the rows: of an SQLite file by Feast's own reader of one view, of Redis by one command, since all that Feast
keeps of a user there is in one hash. It is awaited on an event loop, which costs half a millisecond of CPU less than a
thread that waits.
"""

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from feature_repo.feast_isolation import isolated
from feature_repo.store import online_store

if TYPE_CHECKING:
    from feast import FeatureStore

WAIT_MS = 5000  # for a writer who has locked a file; sqlite3's own default
USERS_AT_ONCE = 8  # to unpack their rows takes the event loop a millisecond
Row = tuple[list[Any], ...]  # the values of the columns


class Reads:
    """Of a store; `columns` are fields of every view, each with the field of Feast's values that has its lists."""

    def __init__(self, store: "FeatureStore", views: Sequence[str], columns: Mapping[str, str]) -> None:
        with isolated():
            from feast.protos.feast.types.EntityKey_pb2 import EntityKey
            from feast.protos.feast.types.Value_pb2 import Value

            self.key_type, self.value_type = EntityKey, Value
            self.views = {name: store.get_feature_view(name) for name in views}
        self.config, self.online, self.columns = store.config, online_store(store), columns

    def _keys(self, user_ids: Sequence[str]) -> list[Any]:
        texts = [self.value_type(string_val=user_id) for user_id in user_ids]
        return [self.key_type(join_keys=["user_id"], entity_values=[text]) for text in texts]

    def _row(self, values: Iterable[Any]) -> Row:
        """Return the lists in one of Feast's values for each column."""
        fields = zip(values, self.columns.values(), strict=True)
        return tuple(list(getattr(value, field).val) for value, field in fields)


class FileReads(Reads):
    def rows(self, views: Sequence[str], user_ids: Sequence[str]) -> list[list[Row | None]]:
        """Return the rows of each view for all users, None for a user whom it does not know.

        Raises:
            sqlite3.Error: The file cannot be read.
        """
        keys = self._keys(user_ids)
        return [self._rows_of_view(view, keys) for view in views]

    def _rows_of_view(self, view: str, keys: list[Any]) -> list[Row | None]:
        rows = self.online.online_read(self.config, self.views[view], keys)
        return [None if values is None else self._row(map(values.get, self.columns)) for _, values in rows]

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Return a context in which a locked file is an error at once."""
        connection: sqlite3.Connection = self.online._get_conn(self.config)
        connection.execute("PRAGMA busy_timeout = 0")
        try:
            yield
        finally:
            connection.execute(f"PRAGMA busy_timeout = {WAIT_MS}")


class RedisReads(Reads):
    def __init__(self, store: "FeatureStore", views: Sequence[str], columns: Mapping[str, str]) -> None:
        super().__init__(store, views, columns)
        fields = [self.online._generate_hset_keys_for_features(view, [*columns])[1] for view in self.views.values()]
        self.fields = list(chain.from_iterable(of_view[: len(columns)] for of_view in fields))

    async def rows(self, user_ids: Sequence[str]) -> list[list[Row | None]]:
        """Return the rows of each user in all views, None where a view does not know the user.

        Raises:
            redis.RedisError: Redis does not answer.
        """
        client = await self.online._get_client_async(self.config.online_store)
        keys = self.online._generate_redis_keys_for_entities(self.config, self._keys(user_ids))
        rows: list[list[Row | None]] = []
        for start in range(0, len(keys), USERS_AT_ONCE):
            replies = await self._replies(client, keys[start : start + USERS_AT_ONCE])
            rows += map(self._rows_of_user, replies)
        return rows

    async def _replies(self, client: Any, keys: Sequence[bytes]) -> list[list[bytes | None]]:
        if len(keys) == 1:
            return [await client.hmget(keys[0], self.fields)]  # at half the CPU of a pipeline
        async with client.pipeline(transaction=False) as commands:
            for key in keys:
                commands.hmget(key, self.fields)
            replies: list[list[bytes | None]] = await commands.execute()
        return replies

    def _rows_of_user(self, reply: Sequence[bytes | None]) -> list[Row | None]:
        width = len(self.columns)
        of_views = [reply[start : start + width] for start in range(0, len(reply), width)]
        return [None if None in texts else self._row(map(self.value_type.FromString, texts)) for texts in of_views]

    async def close(self) -> None:
        if self.online._client_async is not None:
            await self.online._client_async.aclose()
