"""Pod: what the pods of all jobs share: their volume, the permissions they do without, the types of their options."""

import re
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

USER_ID = 10001  # as in the images
VOLUME = PurePosixPath("/mnt/volume")
TELEMETRY_OFF = {"DO_NOT_TRACK": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}  # Evidently and Hugging Face send by default
POD_SECURITY = {
    "runAsNonRoot": True,
    "runAsUser": USER_ID,
    "runAsGroup": USER_ID,
    "fsGroup": USER_ID,
    "fsGroupChangePolicy": "OnRootMismatch",  # otherwise every start visits all files of the volume
    "seccompProfile": {"type": "RuntimeDefault"},
}
CONTAINER_SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def _inside_the_volume(path: str) -> str:
    """Return `path` if it names a folder inside the volume.

    >>> _inside_the_volume("runs/first")
    'runs/first'
    """
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)*", path, re.ASCII) or {".", ".."} & set(path.split("/")):
        raise ValueError(f"{path!r} is no folder inside the volume; give a path relative to its root, as in runs/first")
    return path


Folder = Annotated[str, AfterValidator(_inside_the_volume)]
ClaimName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$", max_length=253)]
Memory = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]*(Mi|Gi|Ti)$")]
