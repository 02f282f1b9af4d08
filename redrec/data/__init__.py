"""Tables: clean tables, histories and the split, from an event log and an item table."""
