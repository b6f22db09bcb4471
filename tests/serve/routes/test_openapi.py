"""Schemathesis over the service's own description: what it says is what it answers, and nothing is a 500."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

from linnet.serve import Service, create_app, openapi

# One that is not chosen: a text of white space alone fits the schema, which can't say "visible", and is refused.
CHECKS = [
    schemathesis.checks.not_a_server_error,
    schemathesis.checks.status_code_conformance,
    schemathesis.checks.content_type_conformance,
    schemathesis.checks.response_schema_conformance,
]

RIGHT, WRONG = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE


@pytest.fixture(scope="module")
def address(bundle, config, listening, tmp_path_factory):
    """Where a service listens that records its answers, so that feedback can be stored."""
    log = config.prediction_log.model_copy(
        update={"url": str(tmp_path_factory.mktemp("log") / "log.db")}
    )
    with listening(
        create_app(Service(config.model_copy(update={"prediction_log": log}), str(bundle)))
    ) as address:
        yield address


@pytest.mark.parametrize(
    ("path", "method", "mode"),
    [
        ("/v1/predict", "post", RIGHT),
        ("/v1/predict", "post", WRONG),
        ("/healthz", "get", RIGHT),  # these take nothing, so they can't be asked wrongly
        ("/readyz", "get", RIGHT),
        ("/v1/models", "get", RIGHT),
        ("/v1/explain", "post", RIGHT),
        ("/v1/explain", "post", WRONG),
        ("/v1/feedback", "post", RIGHT),
        ("/v1/feedback", "post", WRONG),
        ("/metrics", "get", RIGHT),
        ("/admin/models", "post", RIGHT),
        ("/admin/models", "post", WRONG),
        ("/ping", "get", RIGHT),
        ("/execution-parameters", "get", RIGHT),
        ("/invocations", "post", RIGHT),
        ("/invocations", "post", WRONG),
        ("/v2", "get", RIGHT),
        ("/v2/health/live", "get", RIGHT),
        ("/v2/health/ready", "get", RIGHT),
        ("/v2/models/{name}", "get", RIGHT),
        ("/v2/models/{name}/versions/{version}/ready", "get", RIGHT),
        ("/v2/models/{name}/infer", "post", RIGHT),
        ("/v2/models/{name}/infer", "post", WRONG),
    ],
)
def test_the_service_is_as_it_is_described(address, path, method, mode):
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json")

    @settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=schema[path][method].as_strategy(generation_mode=mode))
    def ask(case):
        case.call_and_validate(checks=CHECKS)

    ask()


def test_the_description_is_valid_and_complete():
    assert openapi()["openapi"].startswith("3.1")
    assert all(entry.get("description") for entry in openapi()["components"]["schemas"].values())
