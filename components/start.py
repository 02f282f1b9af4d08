"""The first call of every step: set its log levels."""

import logging

PACKAGES = ("redrec", "serving", "monitoring", "feature_repo")


def start_step() -> None:
    """Log our packages at INFO and all others at WARNING: KFP's executor logs every library at INFO."""
    logging.getLogger().setLevel(logging.WARNING)
    for package in PACKAGES:
        logging.getLogger(package).setLevel(logging.INFO)
    # Milvus Lite logs a traceback for each optional client call that it does not implement.
    logging.getLogger("grpc._server").setLevel(logging.CRITICAL)
