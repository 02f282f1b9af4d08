"""KFP pipelines and their local run."""
