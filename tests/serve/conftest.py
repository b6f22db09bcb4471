"""The service around the tiny bundle, in this process."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import linnet
from linnet.config import ServeConfig, load_config
from linnet.serve import create_app

MAX_TEXTS = 8
MAX_BODY_BYTES = 20_000


@pytest.fixture(scope="session")
def settings() -> ServeConfig:
    """Small limits, so that tests reach them."""
    return load_config(overrides={"serve.max_texts": MAX_TEXTS, "serve.max_body_bytes": MAX_BODY_BYTES}).serve


@pytest.fixture
def classifier(bundle: Path) -> linnet.Classifier:
    """The tiny bundle, loaded; a test may break it."""
    return linnet.load(bundle, verify=False, num_threads=1)


@pytest.fixture
def client(classifier: linnet.Classifier, settings: ServeConfig) -> Iterator[TestClient]:
    """A client of a running service."""
    with TestClient(create_app(classifier, settings)) as client:
        yield client


@pytest.fixture(scope="module")
def shared_client(bundle: Path, settings: ServeConfig) -> Iterator[TestClient]:
    """A client for tests that ask many times and break nothing."""
    with TestClient(create_app(linnet.load(bundle), settings)) as client:
        yield client
