"""Column names of the tables, written once; the contract is in `redrec/data/prepare.py`."""

USER_ID = "user_id"
ITEM_ID = "item_id"
SCENARIO = "scenario"
ACTION = "action"
TIMESTAMP = "timestamp"
TITLE = "title"
BODY = "body"
TAGS = "tags"
CATEGORY = "category"
IMAGE = "image"
SCENARIOS = "scenarios"
AVAILABLE_FROM = "available_from"
AVAILABLE_UNTIL = "available_until"  # exclusive
ORDER = "order_ms"  # of a mapping: milliseconds that keep the order of events of one time

EVENT_COLUMNS = (USER_ID, ITEM_ID, SCENARIO, ACTION, TIMESTAMP)
WINDOW_COLUMNS = (AVAILABLE_FROM, AVAILABLE_UNTIL)  # of an item; each may be empty: always, for ever
ITEM_COLUMNS = (ITEM_ID, TITLE, BODY, TAGS, CATEGORY, IMAGE, SCENARIOS, *WINDOW_COLUMNS)

WINDOWS_DAYS = (1, 7, 28, 112)  # of items' statistics


def events_in(days: int) -> str:
    """Return the column that counts an item's events of the last `days` days.

    >>> events_in(7), users_in(7)
    ('events_7d', 'users_7d')
    """
    return f"events_{days}d"


def users_in(days: int) -> str:
    return f"users_{days}d"
