"""A log of any size: events in time order, as logs are written, and their items, as Parquet.

50 events per user, an item per 100 events (at most 500,000), three scenarios of unequal size, popularity with a long
tail. One event in 1,000 is written twice, and one has an item that is not in the table.
"""

from pathlib import Path

import duckdb

EVENTS_PER_USER = 50
SPAN_US = 90 * 86_400 * 1_000_000


def write_log(folder: Path, num_events: int) -> None:
    folder.mkdir()
    num_items = min(max(num_events // 100, 1), 500_000)
    num_users = max(num_events // EVENTS_PER_USER, 1)
    connection = duckdb.connect(config={"memory_limit": "1GB", "temp_directory": str(folder)})
    connection.execute(f"""
        COPY (SELECT 'i' || n AS item_id, 'title of ' || n AS title FROM range({num_items}) t(n))
        TO '{folder}/items.parquet'""")
    connection.execute(f"""
        COPY (
            SELECT 'u' || hash(4 * n) % {num_users} AS user_id,
                CASE WHEN n % 1000 = 1 THEN 'gone'
                     ELSE 'i' || (({num_items} * pow(hash(4 * n + 1) / pow(2, 64), 3))::BIGINT % {num_items}) END AS item_id,
                ['homefeed', 'homefeed', 'homefeed', 'search', 'search', 'ads'][1 + (hash(4 * n + 2) % 6)::INT] AS scenario,
                ['view', 'view', 'click'][1 + (hash(4 * n + 3) % 3)::INT] AS action,
                make_timestamp(1704067200000000 + n * {SPAN_US // num_events}) AS timestamp
            FROM (SELECT CASE WHEN row % 1000 = 0 THEN greatest(row - 2, 0) ELSE row END AS n FROM range({num_events}) t(row))
        ) TO '{folder}/events.parquet'""")
