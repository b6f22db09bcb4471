"""Amazon SageMaker's contract for a container that answers: `/ping`, `/invocations`, `/execution-parameters`.

Amazon SageMaker AI Developer Guide, "Custom Inference Code with Hosting Services", sections "How Your Container Should
Respond to Inference Requests" and "... to Health Check (Ping) Requests"; "Custom Inference Code with Batch Transform",
section "How Containers Serve Requests"; API reference, InvokeEndpoint. `container` has how such a container is started.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field

from linnet.serve.container import MEBIBYTE
from linnet.serve.direct import Endpoint
from linnet.serve.failures import Refusal, responses
from linnet.serve.identity import request_id
from linnet.serve.lines import (
    Line,
    read_csv,
    read_json_lines,
    texts_of,
    with_own_errors,
    write_csv,
    write_json_lines,
)
from linnet.serve.routes import (
    answer_texts,
    item_content,
    raise_refusal,
    read_json,
    service_of,
    timeout_of,
)
from linnet.serve.schemas import ArmName, Health, PredictResponse
from linnet.serve.service import Item, Service

JSON, JSON_LINES, CSV = "application/json", "application/jsonlines", "text/csv"
FORMATS = {JSON: JSON, JSON_LINES: JSON_LINES, "application/x-jsonlines": JSON_LINES, CSV: CSV}
CHARSETS = ("utf-8", "utf8", "us-ascii")
CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
SANE_ATTRIBUTES = re.compile(
    r"[\x21-\x7e]([\x20-\x7e]{0,1022}[\x21-\x7e])?"
)  # as InvokeEndpoint takes them
QUALITY = re.compile(r"[01](\.[0-9]{0,3})?")
MAX_TRANSFORMS = 16
MAX_TRANSFORM_MEBIBYTES = 100  # of all that a batch transform sends at once

Texts = Annotated[list[str], FailFast()]
OneOrMore = Annotated[
    Texts,
    BeforeValidator(
        lambda sent: [sent] if isinstance(sent, str) else sent,
        json_schema_input_type=str | list[str],
    ),
]

router = APIRouter()


class InvocationRequest(BaseModel):
    """Texts to classify, under the name that the caller is used to: one of the three."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"texts": ["what a lovely day"]}]}
    )

    texts: Texts = Field(default=[], description="As of `/v1/predict`.")
    instances: Texts = Field(default=[], description="As TensorFlow Serving's container has it.")
    inputs: OneOrMore = Field(
        default=[], description="As Hugging Face's container has it: one, or several."
    )
    arm: ArmName | None = Field(default=None, description="As of `/v1/predict`.")
    key: Annotated[str, Field(max_length=256)] | None = Field(
        default=None, description="As of `/v1/predict`."
    )

    def lines(self) -> list[str]:
        """The texts, whatever they are called.

        Raises:
            Refusal: There are none, or they go by two names.
        """
        found = self.texts or self.instances or self.inputs
        if not found or len(self.model_fields_set & {"texts", "instances", "inputs"}) > 1:
            message = "Expected one of texts, instances and inputs, and a text at least in it."
            raise Refusal(422, "invalid_request", message)
        return found


class ExecutionParameters(BaseModel):
    """How a batch transform that was not told otherwise is to ask; the names are SageMaker's."""

    MaxConcurrentTransforms: int = Field(description="Requests at once.")
    BatchStrategy: str = Field(
        description="How many records go into one request.", examples=["SINGLE_RECORD"]
    )
    MaxPayloadInMB: int = Field(description="Size of a request.")


@dataclass(frozen=True)
class Sent:
    """What a request holds.

    Attributes:
        header: Whether the first record of CSV names its column.
        lines: What to answer.
        arm: Who shall answer.
        key: What decides who does.
    """

    header: bool
    lines: list[Line]
    arm: str | None = None
    key: str | None = None


@router.get("/ping", summary="SageMaker: can the service answer?", responses=responses(500, 503))
async def ping(service: Annotated[Service, Depends(service_of)]) -> Health:
    """200 when every model is loaded and every worker up, else 503; at once, where SageMaker waits for 2 seconds."""
    service.check_ready()
    return Health(status="ok")


@router.get(
    "/execution-parameters",
    summary="SageMaker: how is a batch transform to ask?",
    responses=responses(500),
)
async def execution_parameters(
    service: Annotated[Service, Depends(service_of)],
) -> ExecutionParameters:
    """A record a request, so that no request has more than `serve.max_texts`, and enough of them at once."""
    size = min(MAX_TRANSFORM_MEBIBYTES, max(1, service.settings.max_body_bytes // MEBIBYTE))
    return ExecutionParameters(
        MaxConcurrentTransforms=min(MAX_TRANSFORMS, MAX_TRANSFORM_MEBIBYTES // size),
        BatchStrategy="SINGLE_RECORD",
        MaxPayloadInMB=size,
    )


@router.post(
    "/invocations",
    summary="SageMaker: classify texts",
    response_description="What became of each text, in the format that `Accept` asks for, else in the request's own.",
    response_model=PredictResponse,
    responses={
        200: {
            "content": {
                JSON_LINES: {"schema": {"type": "string"}},
                CSV: {"schema": {"type": "string"}},
            }
        },
        **responses(400, 406, 413, 415, 422, 429, 500, 503, 504),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                JSON: {"schema": {"$ref": "#/components/schemas/InvocationRequest"}},
                JSON_LINES: {
                    "schema": {"type": "string"},
                    "example": '{"text": "what a lovely day"}\n"so bad"\n',
                },
                CSV: {"schema": {"type": "string"}, "example": 'what a lovely day\n"rain, rain"\n'},
            },
        }
    },
)
async def invocations(request: Request) -> Response:
    """JSON as of `/v1/predict`; JSON Lines, a string or an object with `text` each; CSV, a column without a header.

    A line or record in, one out, in order. A text that can't be used has its error in its place; the service's own
    failures fail the whole, so that it is sent again. `text/csv; header=present` (RFC 4180) has a header, in and out.
    """
    service = service_of(request)
    service.check_started()
    media_type, header = _content_type(request)
    answer_type = _answer_type(request.headers.get("accept") or "*/*", media_type)
    timeout, sent = timeout_of(request), await _read(request, media_type, header)
    items = await answer_texts(request, texts_of(sent.lines), sent.arm, sent.key, timeout)
    raise_refusal(request, items)
    content = _write(request, sent, answer_type, with_own_errors(sent.lines, items))
    return Response(content, headers=_echoed(request), media_type=answer_type)


async def _read(request: Request, media_type: str, header: bool) -> Sent:
    body, service = await request.body(), service_of(request)
    if media_type == JSON:
        asked = read_json(body, InvocationRequest)
        return Sent(False, [*asked.lines()], asked.arm, asked.key)
    most = service.settings.max_texts + 1  # one too many is enough to refuse them all
    lines = read_csv(body, most, header) if media_type == CSV else read_json_lines(body, most)
    if not lines:
        raise Refusal(422, "invalid_request", "Expected a text a line; got none.")
    return Sent(header, lines)


def _write(request: Request, sent: Sent, answer_type: str, items: Iterator[Item]) -> bytes:
    if FORMATS[answer_type] == JSON_LINES:
        return write_json_lines(items)
    if answer_type == CSV:
        return write_csv(items, service_of(request).config.score.label_separator, sent.header)
    content = {
        "request_id": request_id(request.scope),
        "predictions": [item_content(item) for item in items],
    }
    return json.dumps(content).encode("ascii")


def _content_type(request: Request) -> tuple[str, bool]:
    """The format of the body, of `FORMATS`, and whether it has a header (RFC 4180, section 3).

    Raises:
        Refusal: It is another format, or not in UTF-8.
    """
    sent = request.headers.get("content-type", "")
    parsed = Message()
    parsed["content-type"] = sent
    media_type = FORMATS.get(parsed.get_content_type())
    try:
        charset, header = parsed.get_content_charset("utf-8"), parsed.get_param("header")
    except (TypeError, ValueError):  # continued parameters (RFC 2231) that can't be put together
        charset, header = "", ""
    if media_type is None or charset not in CHARSETS:
        raise Refusal(
            415,
            "unsupported_media_type",
            f"Expected a body of {JSON}, {JSON_LINES} or {CSV} in UTF-8; got {sent[:100]!r}. Send such a Content-Type.",
        )
    return media_type, media_type == CSV and header == "present"


def _answer_type(accept: str, own: str) -> str:
    """The media type of the answer: what `Accept` (RFC 9110, section 12.5.1) likes best, of equals the request's own.

    Raises:
        Refusal: It takes none of `FORMATS`.
    """
    ranges = dict(map(_media_range, accept.split(",")))

    def quality(offered: str) -> float:
        names = (offered, f"{offered.partition('/')[0]}/*", "*/*")  # the most specific counts
        return next((ranges[name] for name in names if name in ranges), 0.0)

    best = max((own, *FORMATS), key=quality)
    if not quality(best):
        raise Refusal(
            406,
            "not_acceptable",
            f"Expected {JSON}, {JSON_LINES} or {CSV} in Accept; got {accept[:100]!r}.",
        )
    return best


def _media_range(part: str) -> tuple[str, float]:
    media_range, *parameters = (one.strip() for one in part.lower().split(";"))
    weight = next((one.removeprefix("q=") for one in parameters if one.startswith("q=")), "1")
    return media_range, float(weight) if QUALITY.fullmatch(weight) else 0.0


def _echoed(request: Request) -> dict[str, str]:
    """The caller's own note on the request, given back, as InvokeEndpoint hands it on only if the container does."""
    note = request.headers.get(CUSTOM_ATTRIBUTES, "")
    return {CUSTOM_ATTRIBUTES: note} if SANE_ATTRIBUTES.fullmatch(note) else {}


DIRECT: dict[str, Endpoint] = {"/invocations": invocations}
