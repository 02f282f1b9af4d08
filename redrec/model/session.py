"""Session: the exported user tower opened for running, the same way in evaluation as in serving."""

from pathlib import Path

import onnxruntime


def tower_session(path: Path) -> onnxruntime.InferenceSession:
    """Open the tower with one thread per run that never spins.

    Pods share cores and replicas scale better; in evaluation a spinning thread doubled the CPU seconds of ranking.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
