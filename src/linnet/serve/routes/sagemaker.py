"""Amazon SageMaker's contract: `/ping`, `/invocations`, `/execution-parameters`.

Amazon SageMaker AI Developer Guide, "Custom Inference Code with Hosting Services", sections "How
Your Container Should Respond to Inference Requests" and "... to Health Check (Ping) Requests";
"Custom Inference Code with Batch Transform", section "How Containers Serve Requests"; API
reference, InvokeEndpoint. `container` has how such a container is started.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field, model_validator

from linnet.serve.errors import APIError, InvalidRequest, UnsupportedMediaType, responses
from linnet.serve.middleware.fast_routes import Endpoint
from linnet.serve.models.items import Item
from linnet.serve.models.service import Service
from linnet.serve.request_id import request_id
from linnet.serve.routes.container import MEBIBYTE
from linnet.serve.routes.json_bodies import parse_json, read_json
from linnet.serve.routes.lines import (
    Line,
    read_csv,
    read_json_lines,
    text_of_value,
    texts_of,
    with_own_errors,
    write_csv,
    write_json_lines,
)
from linnet.serve.routes.request import (
    answer_texts,
    item_content,
    raise_refusal,
    service_of,
    timeout_of,
)
from linnet.serve.routes.schemas import ArmName, Health, PredictResponse

JSON = "application/json"
JSON_LINES = "application/jsonlines"
CSV = "text/csv"
FORMATS = {JSON: JSON, JSON_LINES: JSON_LINES, "application/x-jsonlines": JSON_LINES, CSV: CSV}
NAMES = ("texts", "text", "instances", "inputs")
CHARSETS = ("utf-8", "utf8", "us-ascii")
CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
SANE_ATTRIBUTES = re.compile(
    r"[\x21-\x7e]([\x20-\x7e]{0,1022}[\x21-\x7e])?"
)  # as InvokeEndpoint takes them
QUALITY = re.compile(r"[01](\.[0-9]{0,3})?")
MAX_TRANSFORMS = 16
MAX_TRANSFORM_MEBIBYTES = 100  # of all that a batch transform sends at once

Text = Annotated[
    str, BeforeValidator(text_of_value, json_schema_input_type=str | dict[str, Any] | list[str])
]
Texts = Annotated[list[Text], FailFast()]
OneOrMore = Annotated[
    Texts,
    BeforeValidator(
        lambda sent: [sent] if isinstance(sent, str | dict) else sent,
        json_schema_input_type=Text | list[Text],
    ),
]

router = APIRouter()


class InvocationRequest(BaseModel):
    """Texts to classify, under the name that the caller is used to.

    A text is a string, an object with `text` or `inputs`, or a list of one string. A list of texts
    or one text may also be the whole body. Other members, such as the `parameters` of Hugging
    Face's container, are ignored: the answer always has the probabilities of all labels.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [{"texts": ["what a lovely day"]}]})

    texts: Texts = Field(default=[], description="As of `/v1/predict`.")
    text: OneOrMore = Field(default=[], description="As in JSON Lines: one, or several.")
    instances: Texts = Field(default=[], description="As TensorFlow Serving's container has it.")
    inputs: OneOrMore = Field(
        default=[], description="As Hugging Face's container has it: one, or several."
    )
    arm: ArmName | None = Field(default=None, description="As of `/v1/predict`.")
    key: Annotated[str, Field(max_length=256)] | None = Field(
        default=None, description="As of `/v1/predict`."
    )

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, sent: Any) -> Any:
        return {"inputs": sent} if isinstance(sent, str | list) else sent

    def lines(self) -> list[str]:
        """The texts, whatever they are called.

        Raises:
            APIError: There are none, or they go by two names.
        """
        found = [getattr(self, name) for name in NAMES if name in self.model_fields_set]
        if len(found) != 1 or not found[0]:
            message = f"Expected one of {', '.join(NAMES)}, and at least one text in it."
            raise InvalidRequest(message)
        texts: list[str] = found[0]
        return texts


class ExecutionParameters(BaseModel):
    """How a batch transform asks by default; the names are SageMaker's."""

    MaxConcurrentTransforms: int = Field(description="Requests at once.")
    BatchStrategy: str = Field(
        description="How many records go into one request.", examples=["SINGLE_RECORD"]
    )
    MaxPayloadInMB: int = Field(description="Size of a request.")


@dataclass(frozen=True)
class Sent:
    """What a request holds.

    Attributes:
        media_type: Its format, of `FORMATS`.
        header: Whether the first record of CSV names its columns.
        lines: What to answer.
        arm: Who shall answer.
        key: What decides who does.
    """

    media_type: str
    header: bool
    lines: list[Line]
    arm: str | None = None
    key: str | None = None


@router.get("/ping", summary="SageMaker: can the service answer?", responses=responses(500, 503))
async def ping(service: Annotated[Service, Depends(service_of)]) -> Health:
    """200 if every model is loaded and every worker up, else 503, at once."""
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
    """One record per request and several at once, so that `serve.max_texts` is kept."""
    size = min(MAX_TRANSFORM_MEBIBYTES, max(1, service.settings.max_body_bytes // MEBIBYTE))
    return ExecutionParameters(
        MaxConcurrentTransforms=min(MAX_TRANSFORMS, MAX_TRANSFORM_MEBIBYTES // size),
        BatchStrategy="SINGLE_RECORD",
        MaxPayloadInMB=size,
    )


@router.post(
    "/invocations",
    summary="SageMaker: classify texts",
    response_description="What became of each text, in the format that `Accept` asks for, else in "
    "the request's own.",
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
    """JSON as of `/v1/predict`; JSON Lines, one text per line; CSV, one column without a header.

    A line or record in, one out, in order. A text that can't be used has its error in its place;
    the service's own failures fail the whole, so that it is sent again. `text/csv; header=present`
    (RFC 4180) has a header, as Content-Type in the body and as Accept in the answer. A body of
    another Content-Type is read if it is JSON or JSON Lines.
    """
    service = service_of(request)
    service.check_started()
    content_type = _content_type(request)
    accepted = _accepted(request)
    timeout = timeout_of(request)
    sent = await _read(request, *content_type)
    answer_type, header = _answer_type(accepted, sent)
    items = await answer_texts(request, texts_of(sent.lines), sent.arm, sent.key, timeout)
    raise_refusal(items)
    content = _write(request, answer_type, header, with_own_errors(sent.lines, items))
    # Set as a header, as Starlette adds a charset to a media type, which pandas' reader refuses.
    return Response(content, headers={**_echoed(request), "Content-Type": answer_type})


async def _read(request: Request, media_type: str | None, header: bool) -> Sent:
    body = await request.body()
    service = service_of(request)
    media_type = media_type or _guessed(request, body, service.settings.max_texts)
    max_texts = service.settings.max_texts
    if media_type == JSON:
        asked = read_json(body, InvocationRequest, max_texts)
        return Sent(JSON, False, [*asked.lines()], asked.arm, asked.key)
    most = max_texts + 1  # one too many is enough to refuse them all
    lines = read_csv(body, most, header) if media_type == CSV else read_json_lines(body, most)
    if not lines:
        raise InvalidRequest("Expected one text per line; got none.")
    return Sent(media_type, header, lines)


def _write(request: Request, answer_type: str, header: bool, items: Iterator[Item]) -> bytes:
    if FORMATS[answer_type] == JSON_LINES:
        return write_json_lines(items)
    if answer_type == CSV:
        return write_csv(items, service_of(request).config.score.label_separator, header)
    content = {
        "request_id": request_id(request.scope),
        "predictions": [item_content(item) for item in items],
    }
    return json.dumps(content).encode("ascii")


def _content_type(request: Request) -> tuple[str | None, bool]:
    """The format of the body, of `FORMATS`, and whether it has a header (RFC 4180, section 3).

    Returns:
        No format where the header says none of them, so that the body must.

    Raises:
        APIError: It is not in UTF-8.
    """
    parsed = Message()
    parsed["content-type"] = request.headers.get("content-type", "")
    media_type = FORMATS.get(parsed.get_content_type())
    try:
        charset = parsed.get_content_charset("utf-8")
        header = parsed.get_param("header")
    except (TypeError, ValueError):  # continued parameters (RFC 2231) that can't be put together
        charset = ""
        header = ""
    # JSON is UTF-8, whatever its header says (RFC 8259, section 8.1).
    if media_type in (JSON_LINES, CSV) and charset not in CHARSETS:
        raise _unsupported(request, "Send it in UTF-8.")
    return media_type, media_type == CSV and header == "present"


def _guessed(request: Request, body: bytes, max_texts: int) -> str:
    """The format of a body whose Content-Type says none that is known.

    Raises:
        APIError: It is neither JSON nor JSON Lines, or it has too many values.
    """
    for media_type, part in ((JSON, body), (JSON_LINES, body.partition(b"\n")[0])):
        try:
            found = parse_json(part, max_texts)
        except APIError as refusal:
            if refusal.status_code == 400:
                continue
            raise
        if isinstance(found, str | list | dict):
            return media_type
    raise _unsupported(request, "Send such a Content-Type.")


def _unsupported(request: Request, advice: str) -> APIError:
    sent = request.headers.get("content-type", "")[:100]
    message = f"Expected a body of {JSON}, {JSON_LINES} or {CSV} in UTF-8; got {sent!r}. {advice}"
    return UnsupportedMediaType(message)


def _accepted(request: Request) -> dict[str, tuple[float, str]]:
    """The media ranges of `Accept` (RFC 9110, section 12.5.1): how liked, and CSV's `header`.

    Raises:
        APIError: It takes none of `FORMATS`.
    """
    accept = ",".join(request.headers.getlist("accept")) or "*/*"
    ranges = dict(map(_media_range, accept.split(",")))
    if not any(_quality(offered, ranges) for offered in FORMATS):
        raise APIError(
            406,
            "not_acceptable",
            f"Expected {JSON}, {JSON_LINES} or {CSV} in Accept; got {accept[:100]!r}.",
        )
    return ranges


def _answer_type(accepted: dict[str, tuple[float, str]], sent: Sent) -> tuple[str, bool]:
    """The media type of the answer that is liked best, of equals the request's own.

    Returns:
        The media type; and whether CSV has a header: as `Accept` says, else as the request has.
    """
    best = max((sent.media_type, *FORMATS), key=lambda offered: _quality(offered, accepted))
    _, header = accepted.get(best, (0.0, ""))
    return best, header == "present" if header else sent.header


def _quality(offered: str, ranges: dict[str, tuple[float, str]]) -> float:
    names = (offered, f"{offered.partition('/')[0]}/*", "*/*")  # the most specific counts
    return next((ranges[name][0] for name in names if name in ranges), 0.0)


def _media_range(part: str) -> tuple[str, tuple[float, str]]:
    media_range, *found = (one.strip() for one in part.lower().split(";"))
    parameters = {
        name.strip(): value.strip(' "') for name, _, value in (p.partition("=") for p in found)
    }
    weight = parameters.get("q", "1")
    quality = float(weight) if QUALITY.fullmatch(weight) else 0.0
    return media_range, (quality, parameters.get("header", ""))


def _echoed(request: Request) -> dict[str, str]:
    """The caller's note on the request, which the container has to return."""
    note = request.headers.get(CUSTOM_ATTRIBUTES, "")
    return {CUSTOM_ATTRIBUTES: note} if SANE_ATTRIBUTES.fullmatch(note) else {}


DIRECT: dict[str, Endpoint] = {"/invocations": invocations}
