"""Tables: event log and item table in, clean tables, histories and the global time split out."""
