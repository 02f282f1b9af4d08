"""Session: the exported user tower opened for running, the same way in evaluation as in serving."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray


def tower_session(path: Path) -> onnxruntime.InferenceSession:
    """Open the tower with one thread per run that never spins.

    Pods share cores and replicas scale better; in evaluation a spinning thread doubled the CPU seconds of ranking.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def interests(session: onnxruntime.InferenceSession, inputs: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
    """Return `interests_BQD`; the tower is given what it takes, since one of an older bundle knows no `query_gap_B`."""
    taken = {given.name: inputs[given.name] for given in session.get_inputs()}
    found: NDArray[np.float32] = session.run(["interests_BQD"], taken)[0]
    return found
