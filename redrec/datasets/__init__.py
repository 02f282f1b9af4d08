"""Data sets that come with a package or are generated: logs for a demo, and a world with a known truth for tests."""
