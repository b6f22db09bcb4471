"""What all routes read of a request, and how they lay out answers to texts."""

import asyncio
import math
import time
from collections.abc import Coroutine, Mapping
from email.message import Message
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel

from linnet.errors import TextError
from linnet.serve.errors import CLIENT_LEFT, APIError, NotReady, UnsupportedMediaType
from linnet.serve.middleware.access import give_back_texts, share_of, take_texts
from linnet.serve.models.arms import Arm, Arms
from linnet.serve.models.fair import Client
from linnet.serve.models.items import Item
from linnet.serve.models.service import Service
from linnet.serve.routes.json_bodies import read_json
from linnet.serve.routes.schemas import ArmInfo, EngineInfo
from linnet.serve.telemetry.tracing import trace_stage

TIMEOUT = "X-Request-Timeout"

B = TypeVar("B", bound=BaseModel)
T = TypeVar("T")


def service_of(request: Request) -> Service:
    """The service of the app that a request came to."""
    service: Service = request.app.state.service
    return service


def require_json(request: Request) -> None:
    """Refuse a body that doesn't say it is JSON."""
    sent = request.headers.get("content-type", "")
    if sent == "application/json":
        return
    header = Message()
    header["content-type"] = sent
    kind, subtype = header.get_content_type().split("/")
    if kind != "application" or not (subtype == "json" or subtype.endswith("+json")):
        raise UnsupportedMediaType(
            f"Expected a body of JSON; got {sent[:100]!r}. Send the header Content-Type: "
            f"application/json."
        )


async def body_of(request: Request, schema: type[B]) -> B:
    """The body of a request, without FastAPI's way, which costs as much as a small model's answer.

    Raises:
        APIError, RequestValidationError: As of `read_json`.
    """
    require_json(request)
    return read_json(await request.body(), schema, service_of(request).settings.max_texts)


def timeout_of(request: Request) -> float | None:
    """Seconds that the client waits for the answer, where it says so.

    Raises:
        APIError: It says something else.
    """
    sent = request.headers.get(TIMEOUT)
    if sent is None:
        return None
    try:
        seconds = float(sent)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise APIError(
            400, "bad_timeout", f"Expected seconds above 0 in {TIMEOUT}; got {sent[:40]!r}."
        )
    return seconds


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """What work comes to; it is given up when the client leaves.

    Raises:
        APIError: The client left, or the service stops.
    """
    task = asyncio.current_task()
    assert task is not None
    watcher = asyncio.ensure_future(_watch(request, task))
    try:
        return await work
    except asyncio.CancelledError:
        task.uncancel()
        if watcher.done():
            raise APIError(*CLIENT_LEFT) from None
        message = (
            "The service stops, and the answer would have taken longer than it has. Send the "
            "request again."
        )
        raise NotReady(message) from None
    finally:
        watcher.cancel()


async def answer_texts(
    request: Request,
    texts: list[str],
    arm: str | None = None,
    key: str | None = None,
    timeout: float | None = None,
) -> list[Item]:
    """Answer the texts of a request: counted to its key, traced, cancelled with its client.

    Raises:
        APIError: As of `Service.predict`, or the key has used up its texts.
    """
    service: Service = request.app.state.service
    client = Client(share_of(request.scope))
    take_texts(request.scope, len(texts))
    came = time.monotonic()
    try:
        items = await while_connected(request, service.predict(texts, arm, key, timeout, client))
    except APIError:
        give_back_texts(request.scope, len(texts) - client.begun)
        raise
    unusable = sum(isinstance(item.error, TextError) for item in items)
    give_back_texts(request.scope, len(texts) - unusable - client.begun)
    first = next((item.answer for item in items if item.answer), None)
    if first:
        taken = first.entered + first.waited
        trace_stage(request.scope, "tokenize", came, first.entered)
        trace_stage(request.scope, "queue", first.entered, taken)
        trace_stage(request.scope, "compute", taken, taken + first.computed)
    return items


async def _watch(request: Request, task: "asyncio.Task[Any]") -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    task.cancel(CLIENT_LEFT[1])


def arm_infos(arms: Arms) -> list[ArmInfo]:
    """Which models are at work, and how."""
    return [_arm_info(arm) for arm in arms]


def _arm_info(arm: Arm) -> ArmInfo:
    manifest = arm.pool.bundle.manifest
    choice = arm.pool.choice
    return ArmInfo(
        arm=arm.name,
        role=arm.role,
        share=arm.share,
        rolled_back=arm.rolled_back,
        name=manifest.name,
        digest=manifest.digest,
        labels=list(manifest.labels),
        multi_label=manifest.multi_label,
        min_precision=manifest.min_precision,
        engine=EngineInfo.model_validate(choice.plan),
        reason=choice.reason,
    )


def item_error(error: TextError | APIError) -> dict[str, Any]:
    """Why a text of several has no answer."""
    if isinstance(error, APIError):
        return {"code": error.code, "message": error.message}
    return {
        "code": error.code,
        "message": str(error),
        "details": {"reason": error.reason, "index": error.index},
    }


def item_content(item: Item) -> dict[str, Any]:
    """What became of one text, as `TextPrediction` or `TextFailure` has it."""
    if item.answer is None:
        assert item.error is not None
        return {"error": item_error(item.error)}
    prediction = item.answer.prediction
    return {
        "id": item.id,
        "arm": item.arm.name,
        "digest": item.arm.pool.bundle.digest,
        "label": prediction.label,
        "probability": prediction.probability,
        "probabilities": prediction.probabilities,
        "truncated": prediction.truncated,
        "labels": prediction.labels,
        "abstained": prediction.abstained,
        "fast": prediction.fast,
        "unknown_share": prediction.unknown_share,
    }


def raise_if_none(items: list[Item]) -> None:
    """Pass if there is an answer at all.

    Raises:
        TextError, APIError: There is none; the first text's reason.
    """
    if all(item.error is not None for item in items):
        # What is the service's own doing goes first: the client may send such a request again.
        errors = [item.error for item in items if item.error is not None]
        raise next((error for error in errors if isinstance(error, APIError)), errors[0])


def raise_refusal(items: list[Item]) -> None:
    """Pass if no text failed by the service's own doing.

    Raises:
        APIError: The first of such failures: the client may send the request again.
    """
    refusals = [item.error for item in items if isinstance(item.error, APIError)]
    if refusals:
        raise refusals[0]


def body_schema(schema: type[BaseModel], others: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What the OpenAPI says of a body that `read_json` reads, and of its other media types."""
    reference = {"$ref": f"#/components/schemas/{schema.__name__}"}
    content = {"application/json": {"schema": reference}, **(others or {})}
    return {"requestBody": {"required": True, "content": content}}
