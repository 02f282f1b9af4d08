"""The first call of every step: set its log levels and its number of threads."""

import logging
import os

from redrec.cpus import limit_threads

PACKAGES = ("redrec", "serving", "monitoring", "feature_repo")


def start_step() -> None:
    """Limit the threads; log our packages at INFO and all others at WARNING: KFP's executor logs all at INFO.

    Call it before a library that computes is imported.
    """
    limit_threads(os.environ)
    logging.getLogger().setLevel(logging.WARNING)
    for package in PACKAGES:
        logging.getLogger(package).setLevel(logging.INFO)
    # Milvus Lite logs a traceback for each optional client call that it does not implement.
    logging.getLogger("grpc._server").setLevel(logging.CRITICAL)
