"""What every step does first: set its log and its number of threads."""

import logging
import os

from redrec.cpus import limit_threads

ROOMS = ("redrec", "serving", "monitoring", "feature_repo")


def start_step() -> None:
    """Limit the threads, and keep our packages at INFO and all else at WARNING: KFP logs every library at INFO.

    Call it before a library that computes is imported.
    """
    limit_threads(os.environ)
    logging.getLogger().setLevel(logging.WARNING)
    for room in ROOMS:
        logging.getLogger(room).setLevel(logging.INFO)
    # Milvus Lite logs a traceback for each optional call of the client that it does not implement.
    logging.getLogger("grpc._server").setLevel(logging.CRITICAL)
