"""Data sets that come with a package or are generated: logs for a demo, and a world of known truth for tests."""
