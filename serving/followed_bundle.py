"""Followed bundle: a bundle's folder, and whether it was replaced since it was loaded.

A folder is replaced as a whole (`redrec.bundle.activate`, or a new run in its place), so a look at the manifest tells.
One that is refused changes nothing: it is logged and counted, and looked at again once its manifest is another.
"""

from pathlib import Path

from prometheus_client import Counter

from redrec.atomic import identity
from redrec.bundle.reader import Bundle
from redrec.folders import BundleFolder

POLL_S = 1.0
REPLACED, REFUSED = "replaced", "refused"
CHANGES = Counter("redrec_bundle_changes", "Replacements of the served bundle by outcome", ["outcome"])


class FollowedBundle:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.seen = self._now()

    def load(self) -> Bundle:
        """Return the bundle that is in the folder now.

        Raises:
            InputError: There is none, or it is not whole.
        """
        self.seen = self._now()
        return Bundle.load(self.path)

    def is_new(self) -> bool:
        """Say whether the folder has another manifest than the last one that was loaded or refused."""
        now = self._now()
        return now is not None and now != self.seen

    def _now(self) -> tuple[int, int] | None:
        """Return what tells one manifest from another, None if there is none, or the file system does not answer."""
        try:
            return identity(BundleFolder(self.path).manifest)
        except OSError:
            return None
