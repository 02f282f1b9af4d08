"""Description of the HTTP interface: /openapi.json with typed bodies, and a page at /docs that loads no other file.

KServe declares no bodies for its V1 route, and its own page is off: it loads its scripts from another host.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import fastapi
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader
from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from redrec import __version__
from serving.bodies import Error, NewestDecision, NewEvents, PushAnswer, V1Answer, V1Request, V2Answer, V2Request

PREDICT, INFER, EVENTS = "/v1/models/{model_name}:predict", "/v2/models/{model_name}/infer", "/events"
DECISION = "/v1/experiments/{experiment}/scenarios/{scenario}/decision"
MODEL_NAME = "model_name"  # of the paths' parameter
TITLE = "redrec"
REFERENCE = "#/components/schemas/"
ERRORS = {
    "400": "bad request",
    "404": "no such model",
    "408": "the body came too slowly",
    "413": "the body is too long",
    "415": "another format",
    "429": "too many queries wait; `Retry-After` says how long to",
    "503": "too many or too large requests (`Retry-After` says how long to wait), not ready, or another bundle's index",
}
ERRORS_OF_OTHERS = {"400": "not offered", "404": "no such model", "503": "not ready"}  # of KServe's other routes
OURS = (PREDICT, INFER, EVENTS, DECISION)
BODIES = (V1Request, V1Answer, V2Request, V2Answer, PushAnswer, NewestDecision, Error)


def describe(app: fastapi.FastAPI, model_name: str, scenario: str) -> None:
    """Give the app its description; the examples query `model_name` in `scenario`."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = description(app, model_name, scenario)
        return app.openapi_schema

    def page() -> HTMLResponse:
        return HTMLResponse(docs_page(openapi(), model_name))

    app.openapi = openapi  # type: ignore[method-assign] # as FastAPI's documentation extends it
    app.add_api_route("/docs", page, include_in_schema=False)


def description(app: fastapi.FastAPI, model_name: str, scenario: str) -> dict[str, Any]:
    """Return the OpenAPI document of all routes, with the bodies of ours."""
    schema = get_openapi(title=TITLE, version=__version__, routes=app.routes)
    _, models = models_json_schema([(body, "validation") for body in BODIES], ref_template=REFERENCE + "{model}")
    schema.setdefault("components", {}).setdefault("schemas", {}).update(models["$defs"])
    for _, path, operation in _operations(schema):
        for parameter in operation.get("parameters", ()):
            if parameter["name"] == MODEL_NAME:
                parameter["schema"] |= {"enum": [model_name]}
        if path not in OURS:
            _describe_other(operation)
    _describe_predict(schema["paths"][PREDICT]["post"], scenario)
    _describe_infer(schema["paths"][INFER]["post"], scenario)
    if EVENTS in schema["paths"]:
        _describe_events(schema["paths"][EVENTS]["post"], scenario)
        schema["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    if DECISION in schema["paths"]:
        _describe_decision(schema["paths"][DECISION]["get"])
    return schema


def _describe_predict(operation: dict[str, Any], scenario: str) -> None:
    operation |= {"summary": "Get items for users", "description": "Queries in, the best items of each out."}
    instance = {"user_id": "u1", "scenario": scenario, "k": 3}
    operation["requestBody"] = _content(_reference(V1Request), {"instances": [instance]})
    operation["responses"] = _answers(V1Answer, ERRORS)


def _describe_infer(operation: dict[str, Any], scenario: str) -> None:
    text = "The same in tensors of the V2 protocol, in JSON or with binary data."
    operation |= {"summary": "Get items for users by tensors", "description": text}
    values = {"user_id": "u1", "scenario": scenario}
    inputs = [{"name": name, "shape": [1], "datatype": "BYTES", "data": [value]} for name, value in values.items()]
    operation["requestBody"] = _content(_reference(V2Request), {"inputs": inputs})
    operation["responses"] = _answers(V2Answer, ERRORS)


def _describe_other(operation: dict[str, Any]) -> None:
    """Replace the status by which FastAPI refuses a request, which this server does not use."""
    operation["responses"] = {"200": {"description": "answer"}} | _errors(ERRORS_OF_OTHERS)


def _describe_events(operation: dict[str, Any], scenario: str) -> None:
    operation |= {"summary": "Add new events", "description": "The next answer for their users has seen them."}
    events = TypeAdapter(NewEvents).json_schema(ref_template=REFERENCE + "{model}")
    del events["$defs"]  # they are among those of PushAnswer
    event = {"user_id": "u1", "item_id": "i1", "scenario": scenario, "action": "click"}
    operation["requestBody"] = _content(events, [event | {"timestamp_ms": 1_767_225_600_000}])
    errors = {"400": "bad request", "401": "no token, or another one", "503": "the store does not answer"}
    operation["responses"] = _answers(PushAnswer, errors)
    operation["security"] = [{"token": []}]


def _describe_decision(operation: dict[str, Any]) -> None:
    text = "Its verdict decides what all users of the scenario get."
    operation |= {"summary": "Get the newest decision of an experiment in a scenario", "description": text}
    operation["responses"] = _answers(NewestDecision, {"404": "no such experiment or scenario, or nothing is decided"})


def _reference(body: type) -> dict[str, Any]:
    return {"$ref": REFERENCE + body.__name__}


def _content(schema: Mapping[str, Any], example: object) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema, "example": example}}}


def _answers(body: type, errors: Mapping[str, str]) -> dict[str, Any]:
    return {"200": _answer("answer", body)} | _errors(errors)


def _errors(errors: Mapping[str, str]) -> dict[str, Any]:
    return {status: _answer(meaning, Error) for status, meaning in errors.items()}


def _answer(meaning: str, body: type) -> dict[str, Any]:
    return {"description": meaning, "content": {"application/json": {"schema": _reference(body)}}}


def docs_page(schema: Mapping[str, Any], model_name: str) -> str:
    """Return the operations and bodies of the document as one HTML page."""
    template = Environment(loader=PackageLoader("serving", "."), autoescape=True).get_template("docs.html")
    ours: list[dict[str, Any]] = []
    others: list[dict[str, Any]] = []
    for method, path, operation in _operations(schema):
        shown = {"method": method.upper(), "path": path.replace("{model_name}", model_name), "operation": operation}
        (ours if path in OURS else others).append(shown)
    bodies = {name: schema["components"]["schemas"][name] for name in _used(schema, ours)}
    return template.render(title=schema["info"]["title"], ours=ours, others=others, bodies=bodies, type_text=type_text)


def _operations(schema: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            yield method, path, operation


def _used(schema: Mapping[str, Any], ours: list[dict[str, Any]]) -> list[str]:
    """Return the names of all bodies that our operations use, each once, in the order of their use."""
    names: list[str] = []
    waiting: list[object] = [shown["operation"] for shown in ours]
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, list):
            waiting.extend(node)
        elif isinstance(node, Mapping):
            waiting.extend(node.values())
            name = str(node.get("$ref", "")).removeprefix(REFERENCE)
            if name and name not in names:
                names.append(name)
                waiting.append(schema["components"]["schemas"][name])
    return names


def type_text(schema: Mapping[str, Any]) -> str:
    """Return the type of a value in words.

    >>> type_text({"anyOf": [{"type": "array", "items": {"$ref": "#/components/schemas/Event"}}, {"type": "null"}]})
    'list of Event or null'
    >>> type_text({"type": "integer", "minimum": 1, "maximum": 1000})
    'integer, 1 to 1000'
    """
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix(REFERENCE)
    if "anyOf" in schema:
        return " or ".join(type_text(choice) for choice in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(f'"{value}"' for value in schema["enum"])
    if schema.get("type") == "array":
        limits = f", {schema['minItems']} to {schema['maxItems']} of them" if "minItems" in schema else ""
        return f"list of {type_text(schema['items'])}{limits}"
    if isinstance(schema.get("additionalProperties"), Mapping):
        return f"object of {type_text(schema['additionalProperties'])}"
    limits = f", {schema['minimum']} to {schema['maximum']}" if "maximum" in schema else ""
    return f"{schema.get('type', 'any')}{limits}"
