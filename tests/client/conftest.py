"""A real server in a thread whose app follows the service's contract, and misbehaves as told."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

MAX_TEXTS, MAX_BYTES = 8, 2_000
DIGEST = "9f" * 32


def answer_to(text: str) -> dict[str, Any]:
    """An answer that belongs to this text alone: its id holds the text."""
    share = 0.9 if "good" in text else 0.2
    label = "positive" if share > 0.5 else "negative"
    probabilities = {"negative": 1 - share, "positive": share}
    of_text = {
        "id": text,
        "label": label,
        "labels": [label],
        "probability": max(probabilities.values()),
    }
    of_model = {
        "arm": "main",
        "digest": DIGEST,
        "truncated": False,
        "abstained": False,
        "fast": False,
    }
    return of_text | of_model | {"probabilities": probabilities}


def failure(status: int, code: str, message: str = "No.", **headers: str) -> Response:
    error = {"code": code, "message": message, "request_id": "theirs", "details": {"of": code}}
    return JSONResponse(
        {"error": error}, status, {name.replace("_", "-"): value for name, value in headers.items()}
    )


class Service:
    """What was asked, and what is answered instead of the truth, once each, in turn.

    Attributes:
        asked: Requests: path, headers, JSON.
        told: What to do instead: an answer, or something that takes the request and gives one or None.
    """

    answer_to = staticmethod(answer_to)

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str], Any]] = []
        self.told: list[Response | Callable[[Request], Any]] = []
        self.at_once = self.most_at_once = 0
        self.url = ""

    async def handle(self, request: Request) -> Response:
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            return await self._handle(request)
        finally:
            self.at_once -= 1

    async def _handle(self, request: Request) -> Response:
        raw = await request.body()
        asked = json.loads(raw) if raw else None
        self.asked.append((request.url.path, dict(request.headers), asked))
        if self.told:
            told = self.told.pop(0)
            instead = told if isinstance(told, Response) else await told(request)
            if instead is not None:
                return instead
        if len(raw) > MAX_BYTES:
            return failure(413, "body_too_large")
        return self._truth(request.url.path, asked)

    def _truth(self, path: str, asked: Any) -> Response:
        if path == "/v1/predict":
            if len(asked["texts"]) > MAX_TEXTS:
                return failure(422, "too_many_texts")
            bad = {
                "error": {
                    "code": "bad_text",
                    "message": "The text is empty.",
                    "details": {"reason": "empty_text"},
                }
            }
            return JSONResponse(
                {
                    "request_id": "r",
                    "predictions": [answer_to(t) if t.strip() else bad for t in asked["texts"]],
                }
            )
        if path == "/v1/explain":
            words = [{"text": asked["text"], "start": 0, "end": len(asked["text"]), "weight": 1.5}]
            answer = {
                "arm": "main",
                "digest": DIGEST,
                "label": asked.get("label", "positive"),
                "probability": 0.75,
            }
            return JSONResponse(
                answer
                | {"request_id": "r", "text": asked["text"], "truncated": False, "words": words}
            )
        if path == "/v1/models":
            arm = {"arm": "main", "role": "champion", "share": 1, "name": "tiny", "digest": DIGEST}
            of_model = {
                "labels": ["negative", "positive"],
                "min_precision": None,
                "multi_label": False,
            }
            return JSONResponse({"arms": [arm | of_model]})
        return JSONResponse({"request_id": "r", "id": (asked or {}).get("id")})


@pytest.fixture
def service(listening) -> Iterator[Service]:
    service = Service()
    routes = [Route("/{path:path}", service.handle, methods=["GET", "POST"])]
    with listening(Starlette(routes=routes)) as service.url:
        yield service
