"""A small web site on this machine that can misbehave."""

import re
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

Answer = Callable[["Handler", bytes], None]


class Site:
    """Files by path, what to answer to the next requests instead, and what was asked and sent."""

    def __init__(self) -> None:
        self.make = Faults
        self.files: dict[str, bytes] = {}
        self.faults: deque[Answer] = deque()
        self.ranges: list[str | None] = []
        self.sent = 0
        self.knows_ranges = True
        self.closing = threading.Event()
        self.url = ""


class Handler(BaseHTTPRequestHandler):
    """Answers like a plain web server, but for the faults."""

    site: Site

    def do_GET(self) -> None:
        site = self.site
        site.ranges.append(self.headers.get("Range"))
        fault = site.faults.popleft() if site.faults else Handler.answer
        content = site.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        with suppress(BrokenPipeError, ConnectionResetError):
            fault(self, content)

    def answer(self, content: bytes, stop_after: int | None = None) -> None:
        start = 0
        asked = re.fullmatch(r"bytes=([0-9]+)-", self.headers.get("Range") or "")
        if asked and self.site.knows_ranges:
            start = int(asked[1])
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.send(content[start:][:stop_after])

    def send(self, content: bytes) -> None:
        self.site.sent += len(
            content
        )  # before, for the client may be done before this thread goes on
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        pass


class Faults:
    """Answers that are off, for `site.faults`: a site's `make`."""

    @staticmethod
    def cut(after: int) -> Answer:
        """Promise all of it and end the connection early."""
        return lambda handler, content: handler.answer(content, stop_after=after)

    @staticmethod
    def failing(code: int) -> Answer:
        return lambda handler, content: handler.send_error(code)

    @staticmethod
    def leading_to(url: str) -> Answer:
        def redirect(handler: Handler, content: bytes) -> None:
            handler.send_response(302)
            handler.send_header("Location", url)
            handler.end_headers()

        return redirect

    @staticmethod
    def unannounced(content: bytes) -> Answer:
        """Send something else, without its length."""

        def send(handler: Handler, _: bytes) -> None:
            handler.send_response(200)
            handler.end_headers()
            handler.send(content)

        return send

    @staticmethod
    def dripping(handler: Handler, content: bytes) -> None:
        """A byte now and then."""
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        for place in range(len(content)):
            handler.send(content[place : place + 1])
            if handler.site.closing.wait(0.02):
                return

    @staticmethod
    def silent(handler: Handler, content: bytes) -> None:
        """Nothing at all."""
        handler.site.closing.wait(10)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A web site; its `faults` answer the next requests, one each."""
    monkeypatch.setenv("no_proxy", "*")
    site = Site()
    handler = type("SiteHandler", (Handler,), {"site": site})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield site
    finally:
        site.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
