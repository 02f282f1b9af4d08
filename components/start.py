"""What every step does first: set its log and its number of threads."""

import logging

ROOMS = ("redrec", "serving", "monitoring", "feature_repo")


def start_step() -> None:
    """Keep our packages at INFO and everything else at WARNING: KFP's executor logs every library at INFO."""
    logging.getLogger().setLevel(logging.WARNING)
    for room in ROOMS:
        logging.getLogger(room).setLevel(logging.INFO)
    # Milvus Lite logs a traceback for each optional call of the client that it does not implement.
    logging.getLogger("grpc._server").setLevel(logging.CRITICAL)
