"""SQLite reads: users' rows of several views by Feast's own reader of its SQLite store, view after view.

Feast's whole response (`get_online_features`) takes three times the CPU of the rows that it is made of. On a network it
pays, since the Redis store then asks for all views at once; a file has no round trips to spare.
"""

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from feature_repo.feast_isolation import isolated
from feature_repo.store import online_store

if TYPE_CHECKING:
    from feast import FeatureStore

WAIT_MS = 5000  # for a writer who has locked the file; sqlite3's own default
Row = tuple[list[Any], ...]  # the values of the columns


class SqliteReads:
    """Of a store with SQLite as its online store; `columns` are fields of every view, with the type of their lists."""

    def __init__(self, store: "FeatureStore", views: Sequence[str], columns: Mapping[str, str]) -> None:
        with isolated():
            from feast.protos.feast.types.EntityKey_pb2 import EntityKey
            from feast.protos.feast.types.Value_pb2 import Value

            self.views = {name: store.get_feature_view(name) for name in views}
        self.config, self.online, self.columns = store.config, online_store(store), columns
        self.key_of = lambda user_id: EntityKey(join_keys=["user_id"], entity_values=[Value(string_val=user_id)])

    def rows(self, view: str, user_ids: Sequence[str]) -> list[Row | None]:
        """Return each user's row, None for a user whom the view does not know.

        Raises:
            sqlite3.Error: The file cannot be read.
        """
        keys = [self.key_of(user_id) for user_id in user_ids]
        return [self._row(values) for _, values in self.online.online_read(self.config, self.views[view], keys)]

    def _row(self, values: Mapping[str, Any] | None) -> Row | None:
        if values is None:
            return None
        return tuple(list(getattr(values[name], field).val) for name, field in self.columns.items())

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Return a context in which a locked file is an error at once."""
        connection: sqlite3.Connection = self.online._get_conn(self.config)
        connection.execute("PRAGMA busy_timeout = 0")
        try:
            yield
        finally:
            connection.execute(f"PRAGMA busy_timeout = {WAIT_MS}")
