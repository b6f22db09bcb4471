"""A receiver of alarms: a real HTTP server in a thread, which answers as it is set to."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from linnet.config import AlarmsConfig, load_config


class Receiver(ThreadingHTTPServer):
    """Keeps what came.

    Attributes:
        answers: Statuses to answer with, one per request; then 200. A text is a redirect to it.
        taken: Headers and body of each request.
        hold: Set: requests are answered. Clear: they wait after they were kept.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[int | str] = []
        self.taken: list[tuple[dict[str, str], bytes]] = []
        self.hold = threading.Event()
        self.hold.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook/a-secret-path"

    def alarms(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.taken]


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((dict(self.headers), body))
        self.server.hold.wait(60)
        answer = self.server.answers.pop(0) if self.server.answers else 200
        if isinstance(answer, str):
            self.send_response(302)
            self.send_header("Location", answer)
        else:
            self.send_response(answer)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.hold.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def settings(receiver, monkeypatch):
    """Makes `[alarms]` for the receiver."""
    for name in ("LINNET_ALARM_WEBHOOK", "LINNET_ALARM_SECRET"):
        monkeypatch.delenv(name, raising=False)

    def settings(**changes: Any) -> AlarmsConfig:
        values = {"webhook": receiver.url, "max_attempts": 3, "timeout_seconds": 5.0} | changes
        return load_config(overrides={f"alarms.{k}": v for k, v in values.items()}).alarms

    return settings
