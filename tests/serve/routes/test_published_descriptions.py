"""Schemathesis over the OpenAPI descriptions that are published of the protocol's version 2.

They are open_inference_rest.yaml (kserve/open-inference-protocol, specification/protocol) and
rest_predict_v2.yaml (kserve/kserve, docs/predict-api/v2), written down here by paths and schemas.
They differ in how a path names its variables, and in one optional member of a model's metadata.
Other descriptions, or the published files themselves, can be named in LINNET_V2_DESCRIPTIONS.
"""

import os
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linnet.serve import Service, create_app

CHECKS = [
    schemathesis.checks.not_a_server_error,
    schemathesis.checks.status_code_conformance,
    schemathesis.checks.content_type_conformance,
    schemathesis.checks.response_schema_conformance,
]
MAX_BODY_BYTES = 2**24  # no description has the answer to a larger one, and some cases are large
STRING, OBJECT = {"type": "string"}, {"type": "object"}
GOOD = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["good"]}


@pytest.fixture(scope="module")
def address(bundle, config, listening):
    """Where a service listens that takes large bodies."""
    serve = config.serve.model_copy(update={"max_body_bytes": MAX_BODY_BYTES})
    service = Service(config.model_copy(update={"serve": serve}), str(bundle))
    with listening(create_app(service)) as address:
        yield address


def listed(items: dict) -> dict:
    return {"type": "array", "items": items}


def reference(name: str) -> dict:
    return {"$ref": f"#/components/schemas/{name}"}


def members(required: str, **properties: dict) -> dict:
    return {"type": "object", "properties": properties, "required": required.split()}


TENSOR = {"name": STRING, "shape": listed({"type": "integer"}), "datatype": STRING}
DATA = {"parameters": reference("parameters"), "data": reference("tensor_data")}
ERROR = members("error", error=STRING)
SCHEMAS = {
    "metadata_server_response": members(
        "name version extensions", name=STRING, version=STRING, extensions=listed(STRING)
    ),
    "metadata_server_error_response": ERROR,
    "metadata_model_response": members(
        "name platform",
        name=STRING,
        versions=listed(STRING),
        platform=STRING,
        inputs=listed(reference("metadata_tensor")),
        outputs=listed(reference("metadata_tensor")),
    ),
    "metadata_tensor": members("name datatype shape", **TENSOR),
    "inference_request": members(
        "inputs",
        id=STRING,
        parameters=reference("parameters"),
        inputs=listed(reference("request_input")),
        outputs=listed(reference("request_output")),
    ),
    "parameters": OBJECT,
    "request_input": members("name shape datatype data", **TENSOR, **DATA),
    "tensor_data": listed(
        {
            "anyOf": [
                reference("tensor_data"),
                *({"type": kind} for kind in ("number", "string", "boolean")),
            ]
        }
    ),
    "request_output": members("name", name=STRING, parameters=reference("parameters")),
    "response_output": members("name shape datatype data", **TENSOR, **DATA),
    "inference_response": members(
        "model_name outputs",
        model_name=STRING,
        model_version=STRING,
        id=STRING,
        parameters=reference("parameters"),
        outputs=listed(reference("response_output")),
    ),
    "inference_error_response": {"type": "object", "properties": {"error": STRING}},
}


def content(name: str) -> dict:
    return {"content": {"application/json": {"schema": reference(name)}}}


def operation(answer: str = "", error: str = "", **more: dict) -> dict:
    found = {"200": {"description": "OK"} | (content(answer) if answer else {})}
    if error:
        found["400"] = {"description": "Bad Request"} | content(error)
    return {"responses": found} | more


def description(name: str = "{MODEL_NAME}", version: str = "{MODEL_VERSION}") -> dict:
    of_model = {
        "parameters": [
            {"name": variable, "in": "path", "required": True, "schema": STRING}
            for variable in ("MODEL_NAME", "MODEL_VERSION")
        ]
    }
    infer = operation(
        "inference_response",
        "inference_error_response",
        requestBody=content("inference_request"),
    )
    model = f"/v2/models/{name}/versions/{version}"
    return {
        "openapi": "3.0.0",
        "info": {"title": "Data Plane", "version": "2.0"},
        "paths": {
            "/v2/health/live": {"get": operation()},
            "/v2/health/ready": {"get": operation()},
            f"{model}/ready": of_model | {"get": operation()},
            "/v2/": {
                "get": operation("metadata_server_response", "metadata_server_error_response")
            },
            model: of_model | {"get": operation("metadata_model_response")},
            f"{model}/infer": of_model | {"post": infer},
        },
        "components": {"schemas": SCHEMAS},
    }


def descriptions() -> list:
    open_inference = description()
    schemas = dict(SCHEMAS)
    schemas["metadata_model_response"] = {
        **SCHEMAS["metadata_model_response"],
        "properties": {
            **SCHEMAS["metadata_model_response"]["properties"],
            "properties": OBJECT | {"additionalProperties": STRING},
        },
    }
    open_inference["components"] = {"schemas": schemas}
    named = filter(None, os.environ.get("LINNET_V2_DESCRIPTIONS", "").split(os.pathsep))
    return [
        pytest.param(open_inference, id="open_inference_rest"),
        pytest.param(description("${MODEL_NAME}", "${MODEL_VERSION}"), id="rest_predict_v2"),
        *(pytest.param(Path(path), id=Path(path).name) for path in named),
    ]


@pytest.mark.parametrize("published", descriptions())
def test_the_service_answers_as_the_protocol_is_described(address, classifier, published):
    if isinstance(published, Path):
        schema = schemathesis.openapi.from_file(published.read_text("utf-8").replace("${", "{"))
    else:
        published["paths"] = {  # `${NAME}` is a shell's way to write `{NAME}`
            path.replace("${", "{"): found for path, found in published["paths"].items()
        }
        schema = schemathesis.openapi.from_dict(published)
    schema.config.update(base_url=address)
    statuses = set()

    def ask(operation):
        infers = operation.method == "post"

        @settings(
            max_examples=60 if infers else 2, deadline=None, suppress_health_check=list(HealthCheck)
        )
        @given(case=operation.as_strategy(), good=st.booleans())
        def once(case, good):
            for name in case.path_parameters or {}:
                version = "version" in name.lower()
                case.path_parameters[name] = classifier.digest if version else "champion"
            if good and infers and isinstance(case.body, dict):
                case.body["inputs"] = [GOOD]
                case.body.pop("outputs", None)
            statuses.add((operation.method, case.call_and_validate(checks=CHECKS).status_code))

        once()

    for result in schema.get_all_operations():
        ask(result.ok())
    assert statuses == {("get", 200), ("post", 200), ("post", 400)}
