"""Scenarios: a person names them freely; where a library or a file system allows few characters, they have a slug."""

import hashlib
import re

MAX_SLUG = 40  # characters before the digest; a file name has room for 255 bytes
HASH_DIGITS = 8
ENDS_IN_DIGEST = re.compile(f"(^|_)[0-9a-f]{{{HASH_DIGITS}}}$")


def slug(scenario: str) -> str:
    """Return a name of a-z, 0-9 and `_` for file names, feature views and index fields; no two scenarios share one.

    Only a name that is one already stays as it is: others get a digest, since Feast ignores case, and others would end
    as the same text.

    >>> slug("ads"), slug("Ads"), slug("Home & Kitchen"), slug("首页")
    ('ads', 'ads_9210f3b6', 'home_kitchen_37af308f', '203c08e0')
    """
    plain = re.sub("[^a-z0-9]+", "_", scenario.lower()).strip("_")[:MAX_SLUG]
    if plain == scenario and not ENDS_IN_DIGEST.search(scenario):
        return scenario
    return f"{plain}_{hashlib.sha256(scenario.encode()).hexdigest()[:HASH_DIGITS]}".lstrip("_")
