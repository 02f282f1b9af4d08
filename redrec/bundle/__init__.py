"""The release bundle: its manifest, its reader (serving), and its builder (pipelines)."""
