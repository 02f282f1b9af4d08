"""Jobs: objects for the cluster that are no step of a pipeline."""
