"""KFP pipelines, their local run, and the command line."""
