"""Description of the HTTP interface: typed bodies, and a page that loads nothing from elsewhere."""

import re

import fastapi
import pytest

from serving.description import DECISION, EVENTS, INFER, PREDICT, describe, docs_page

READY = "/v2/models/{model_name}/ready"


@pytest.fixture
def app() -> fastapi.FastAPI:
    """The routes as KServe declares them: without bodies."""

    async def handle(request: fastapi.Request) -> None: ...

    def is_ready(model_name: str) -> None: ...

    app = fastapi.FastAPI(docs_url=None)
    app.add_api_route(PREDICT, handle, methods=["POST"], response_model=None)
    app.add_api_route(INFER, handle, methods=["POST"], response_model=None)
    app.add_api_route(READY, is_ready, methods=["GET"], response_model=None)
    app.add_api_route(EVENTS, handle, methods=["POST"], response_model=None)
    app.add_api_route(DECISION, lambda: None, methods=["GET"], response_model=None)
    describe(app, "redrec", "ads")
    return app


def test_every_route_says_which_statuses_it_may_have(app: fastapi.FastAPI):
    paths = app.openapi()["paths"]
    assert set(paths[INFER]["post"]["responses"]) == {"200", "400", "404", "408", "413", "415", "429", "503"}
    (name,) = paths[READY]["get"]["parameters"]
    assert name["schema"]["enum"] == ["redrec"]
    assert set(paths[READY]["get"]["responses"]) == {"200", "400", "404", "503"}


def references(node: object) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if "$ref" in node else set()
        return own.union(*map(references, node.values()))
    return set().union(*map(references, node)) if isinstance(node, list) else set()


def test_requests_and_answers_have_types(app: fastapi.FastAPI):
    schema = app.openapi()
    predict = schema["paths"][PREDICT]["post"]
    assert predict["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/V1Request"}
    assert set(schema["components"]["schemas"]["Query"]["properties"]) == {
        "user_id",
        "scenario",
        "k",
        "history",
        "exclude_seen",
        "category",
        "explain",
        "request_id",
    }
    infer = schema["paths"][INFER]["post"]["requestBody"]["content"]["application/json"]
    assert [tensor["name"] for tensor in infer["example"]["inputs"]] == ["user_id", "scenario"]
    assert schema["paths"][EVENTS]["post"]["security"] == [{"token": []}]


def test_every_reference_has_a_target(app: fastapi.FastAPI):
    schema = app.openapi()
    targets = {f"#/components/schemas/{name}" for name in schema["components"]["schemas"]}
    assert references(schema) and references(schema) <= targets


def test_without_a_token_there_is_no_route_for_events():
    app = fastapi.FastAPI()
    app.add_api_route(PREDICT, lambda: None, methods=["POST"])
    app.add_api_route(INFER, lambda: None, methods=["POST"])
    describe(app, "redrec", "ads")
    assert list(app.openapi()["paths"]) == [PREDICT, INFER]
    assert "securitySchemes" not in app.openapi()["components"]


def test_the_page_has_routes_fields_and_no_address_of_another_host(app: fastapi.FastAPI):
    page = docs_page(app.openapi(), "my-model")
    assert "/v1/models/my-model:predict" in page and "exclude_seen" in page and "Bearer TOKEN" in page
    assert f"GET {DECISION}" in page and "plan_hash" in page
    assert "list of Query, 1 to 64 of them" in page and "integer, 1 to 1000" in page
    assert re.findall(r'(?:src|href)="([^"]*)"|https?://', page) == ["openapi.json"]
