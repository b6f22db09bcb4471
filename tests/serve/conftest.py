"""The service around the tiny bundle, in this process, its workers in their own."""

import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from starlette.testclient import TestClient

import linnet
from linnet.bundle import Bundle, write_manifest
from linnet.config import Config, load_config
from linnet.serve import Service, create_app

MAX_TEXTS = 8
MAX_BODY_BYTES = 20_000
LIMITS = {
    "serve.max_texts": MAX_TEXTS,
    "serve.max_body_bytes": MAX_BODY_BYTES,
    "predict.num_threads": 1,
    "prediction_log.url": "",
}


@pytest.fixture(scope="session")
def config() -> Config:
    """Small limits, so that tests reach them."""
    return load_config(overrides=LIMITS)


@pytest.fixture(scope="session")
def classifier(bundle: Path) -> linnet.Classifier:
    """The tiny bundle in this process, to compare with."""
    return linnet.load(bundle, verify=False, num_threads=1)


@pytest.fixture
def app(bundle: Path, config: Config) -> FastAPI:
    """A service that has not started."""
    return create_app(Service(config, str(bundle)))


@pytest.fixture(scope="module")
def client(bundle: Path, config: Config) -> Iterator[TestClient]:
    """A client of a running service, for tests that break nothing."""
    with TestClient(create_app(Service(config, str(bundle)))) as client:
        yield client


@pytest.fixture(scope="module")
def address(
    bundle: Path, config: Config, listening: Callable[[Any], AbstractContextManager[str]]
) -> Iterator[str]:
    """Where a real server in a thread listens."""
    with listening(create_app(Service(config, str(bundle)))) as address:
        yield address


@pytest.fixture(scope="session")
def reseal(bundle: Path) -> Callable[..., Path]:
    """Copies the tiny bundle to a folder, with a manifest that says something else and a digest that fits."""

    def copy(folder: Path, **changes: Any) -> Path:
        shutil.copytree(bundle, folder)
        fields = Bundle.read(bundle).manifest.model_dump(exclude={"format", "files", "digest"})
        write_manifest(folder, **fields | changes)
        return folder

    return copy


@pytest.fixture(scope="session")
def wired() -> Callable[[Any, Any], AbstractContextManager[int]]:
    """Serves an ASGI app in a thread over connections as `linnet serve` makes them; gives the port."""

    @contextmanager
    def wired(app: Any, connection: Any) -> Iterator[int]:
        settings = uvicorn.Config(
            app, http=connection, ws="none", lifespan="off", log_config=None, access_log=False
        )
        server = uvicorn.Server(settings)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=server.run, args=[[listener]])
            thread.start()
            try:
                while not server.started:
                    thread.join(0.01)
                yield listener.getsockname()[1]
            finally:
                server.should_exit = True
                thread.join()

    return wired
