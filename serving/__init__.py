"""Serving: a release bundle behind KServe's V1 and V2 protocols."""
