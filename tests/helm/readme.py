"""`python -m tests.helm.readme`: write the chart's README from the comments of its values, as helm-docs would."""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from tests.cluster.tools import ROOT

CHART = ROOT / "helm" / "redrec"
COMMENT, KEY = re.compile(r"( *)# -- (.+)"), re.compile(r"( *)(\w+):")
INDENT = 2
HEAD = """# The chart redrec

Cross-scenario item retrieval, served by KServe: an InferenceService with its ServingRuntime, ServiceAccount, claim and
PodDisruptionBudget, the Role by which a pipeline's run deploys, and, if enabled, a Job that registers the pipelines, an
experiment of two bundles, a CronJob that looks for drift, and Evidently's service. [docs/install.md](../../docs/install.md) installs it, step by step, and
[docs/experiments.md](../../docs/experiments.md) an experiment. `make format` writes this file from the comments in `values.yaml`.

| value | default | meaning |
|---|---|---|
"""


def comments(text: str) -> dict[str, str]:
    r"""Return the comment of each value, by its path.

    >>> comments("serving:\n  # -- Serve it\n  enabled: true\n")
    {'serving.enabled': 'Serve it'}
    """
    result, path, comment = {}, [], None
    for line in text.splitlines():
        if match := COMMENT.match(line):
            comment = match[2]
        elif match := KEY.match(line):
            path[len(match[1]) // INDENT :] = [match[2]]
            if comment is not None:
                result[".".join(path)] = comment
            comment = None
    return result


def rows(values: dict[str, Any], meanings: dict[str, str], parent: str = "") -> Iterator[str]:
    """Yield a row for each value; one that is no section and has no comment is an error."""
    for name, value in values.items():
        path = f"{parent}{name}"
        if path in meanings:
            default = json.dumps(value).replace("|", "\\|")
            yield f"| `{path}` | `{default}` | {meanings[path]} |\n"
        else:
            yield from rows(value, meanings, f"{path}.")


def readme() -> str:
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    return HEAD + "".join(rows(yaml.safe_load(text), comments(text)))


if __name__ == "__main__":
    (CHART / "README.md").write_text(readme(), encoding="utf-8")
