"""Compiled pipelines with steps that compute nothing: the real graph, conditions and parameters, in a second."""

import ast
import tempfile
import warnings
from pathlib import Path
from typing import Any

import yaml
from kfp import components, local

from pipelines.compile import compile_pipeline
from pipelines.settings import WITHOUT_RETRIES, ClusterSettings


def run_stubbed(
    pipeline: str,
    folder: Path,
    arguments: dict[str, Any],
    returns: dict[str, Any],
    settings: ClusterSettings | None = None,
) -> set[str]:
    """Run a pipeline by KFP's local runner with empty artifacts and the given results; return the steps that ran.

    `returns` is by the function of the step. A step whose result an earlier run in `folder` has left does not run.
    """
    compiled = compile_pipeline(pipeline, folder / "pipeline.yaml", settings or WITHOUT_RETRIES)
    documents = read_documents(compiled)
    for executor in documents[0]["deploymentSpec"]["executors"].values():
        if "container" in executor:  # an importer has none
            command = executor["container"]["command"]
            command[-1] = stubbed(command[-1], returns)
    compiled.write_text(yaml.dump_all(documents, Dumper=yaml.CSafeDumper))
    steps = tempfile.mkdtemp(dir=folder)
    runner, cache = local.SubprocessRunner(use_venv=False), str(folder / "cache")
    local.init(runner, pipeline_root=steps, raise_on_error=True, enable_caching=True, cache_root=cache)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*have no effect in the current local runner")
        components.load_component_from_file(str(compiled))(**arguments)
    return {path.parent.name for path in Path(steps).rglob("executor_output.json")}


def read_documents(compiled: Path) -> list[dict[str, Any]]:
    return list(yaml.load_all(compiled.read_text(), yaml.CSafeLoader))  # ten times as fast as the default


def stubbed(source: str, returns: dict[str, Any]) -> str:
    r"""Return the step's source with a body that writes its output artifacts and returns a value.

    >>> print(stubbed("def gate(log: str, out: dsl.Output[dsl.HTML]) -> str:\n    return 'x'", {"gate": "hold"}))
    def gate(log: str, out: dsl.Output[dsl.HTML]) -> str:
        open(out.path, 'w').close()
        return 'hold'
    """
    module = ast.parse(source)
    for node in module.body:
        if isinstance(node, ast.FunctionDef):
            lines = [
                f"open({a.arg}.path, 'w').close()" for a in node.args.args if "Output" in ast.unparse(a.annotation)
            ]
            node.body = ast.parse("\n".join([*lines, f"return {returns.get(node.name)!r}"])).body
    return ast.unparse(module)
