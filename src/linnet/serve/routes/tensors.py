"""Tensors of the Open Inference Protocol: texts from an input, and outputs, as JSON or as bytes.

Bytes are as in Triton's extension for binary tensor data: little-endian and row by row. An element
of BYTES is its length in 4 bytes and the bytes themselves.
https://github.com/triton-inference-server/server, docs/protocol/extension_binary_data.md
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from linnet.errors import TextError
from linnet.serve.errors import APIError
from linnet.serve.models.items import Item
from linnet.serve.models.workers import Answer
from linnet.serve.routes.open_inference_schemas import InputTensor

HEADER_LENGTH = "Inference-Header-Content-Length"
LENGTH = struct.Struct("<I")
BASE64 = "base64"  # MLServer's way to send bytes, which would be read as a text
MAX_DIGITS = 18  # of a number of bytes; Python refuses to read thousands of them


@dataclass(frozen=True)
class Output:
    """What a model gives of each text.

    Attributes:
        datatype: Of the protocol's.
        wide: Whether it has one column per label.
        values: Of one text: one value, or one per label.
    """

    datatype: str
    wide: bool
    values: Callable[[Item, Answer, Sequence[str]], Sequence[Any]]


OUTPUTS = {
    # A tensor has no null: "" where the model gives no label.
    "label": Output("BYTES", False, lambda _, answer, __: [answer.prediction.label or ""]),
    "probability": Output("FP64", False, lambda _, answer, __: [answer.prediction.probability]),
    "probabilities": Output(
        "FP64",
        True,
        lambda _, answer, labels: [answer.prediction.probabilities[label] for label in labels],
    ),
    "applies": Output(
        "BOOL",
        True,
        lambda _, answer, labels: [label in answer.prediction.labels for label in labels],
    ),
    "truncated": Output("BOOL", False, lambda _, answer, __: [answer.prediction.truncated]),
    "abstained": Output("BOOL", False, lambda _, answer, __: [answer.prediction.abstained]),
    "id": Output("BYTES", False, lambda item, _, __: [item.id]),
}


def split_body(body: bytes, header_length: str) -> tuple[bytes, bytes]:
    """The JSON of a request, and the binary data behind it.

    Args:
        body: The whole.
        header_length: The header `HEADER_LENGTH`: the bytes of the JSON.

    Raises:
        APIError: The header is no number of bytes, or the body is shorter.
    """
    digits = header_length.isascii() and header_length.isdecimal()
    if not digits or len(header_length) > MAX_DIGITS or int(header_length) > len(body):
        raise APIError(
            400,
            "bad_binary_data",
            f"Expected the number of bytes of the JSON in {HEADER_LENGTH}, at most {len(body)}; "
            f"got {header_length!r:.40}.",
        )
    return body[: int(header_length)], body[int(header_length) :]


def texts_of(tensor: InputTensor, binary: bytes, most: int) -> list[str]:
    """The texts of an input.

    Args:
        tensor: The input.
        binary: What follows the JSON of the request.
        most: Texts to read of binary data, and one more, which is enough to refuse them all.

    Raises:
        APIError: Shape, sizes and data don't fit, or texts are encoded.
        TextError: A text in binary data is not UTF-8.
    """
    parameters = tensor.parameters or {}
    size = parameters.get("binary_data_size")
    if parameters.get("content_type") == BASE64:
        raise APIError(
            400,
            "bad_encoding",
            f"Expected texts as they are; got the content type {BASE64!r}. Send strings (`str`).",
        )
    if (size is None) == (tensor.data is None):
        raise APIError(
            400,
            "bad_binary_data",
            "Expected either `data` or the parameter `binary_data_size` in an input; "
            f"got {'neither' if size is None else 'both'}.",
        )
    if (0 if size is None else size) != len(binary) or isinstance(size, bool | float):
        raise APIError(
            400,
            "bad_binary_data",
            f"Expected as many bytes behind the JSON as `binary_data_size` says; got "
            f"{len(binary)} for {size!r:.40}. {HEADER_LENGTH} is the number of bytes of the JSON.",
        )
    rows = tensor.data if tensor.data is not None else _read_elements(binary, most)
    texts = [row if isinstance(row, str) else row[0] for row in rows]
    nested = sum(isinstance(row, list) for row in rows)
    first, *rest = tensor.shape
    shape = [len(texts) if first == -1 else first, *rest]
    flat_fits = not nested and shape in ([len(texts)], [len(texts), 1])
    nested_fits = nested == len(texts) and shape == [len(texts), 1]
    if not flat_fits and not nested_fits and len(texts) <= most:
        raise APIError(
            400,
            "bad_shape",
            f"Expected the shape [n] or [n, 1] and data of such a shape; got {tensor.shape!s:.80} "
            f"and {len(texts)} texts, {nested} of them in lists of their own.",
        )
    return texts


def whole_text(body: bytes) -> str:
    """The text of a body that is nothing else.

    Raises:
        TextError: It is not UTF-8.
    """
    return _decoded(body, 0)


def _read_elements(binary: bytes, most: int) -> list[str]:
    texts: list[str] = []
    at = 0
    while at < len(binary) and len(texts) <= most:
        start = at + LENGTH.size
        end = start + (LENGTH.unpack_from(binary, at)[0] if start <= len(binary) else 0)
        if max(start, end) > len(binary):
            raise APIError(
                400,
                "bad_binary_data",
                f"Expected each element as its length in 4 bytes, little-endian, and as many "
                f"bytes; element {len(texts)} ends behind the {len(binary)} bytes of the tensor.",
            )
        texts.append(_decoded(binary[start:end], len(texts)))
        at = end
    return texts


def _decoded(element: bytes, index: int) -> str:
    try:
        return element.decode("utf-8")
    except UnicodeDecodeError as error:
        raise TextError(
            "wrong_encoding",
            f"Byte {error.start} of it is not UTF-8. Send texts in UTF-8.",
            index,
        ) from None


def output_tensor(
    name: str, answers: Sequence[tuple[Item, Answer]], labels: Sequence[str]
) -> dict[str, Any]:
    """An output of all texts, its data as JSON has it."""
    output = OUTPUTS[name]
    data = [value for item, answer in answers for value in output.values(item, answer, labels)]
    shape = [len(answers), len(labels)] if output.wide else [len(answers)]
    return {"name": name, "datatype": output.datatype, "shape": shape, "data": data}


def as_bytes(datatype: str, data: Sequence[Any]) -> bytes:
    """The data of an output as binary data."""
    if datatype == "BYTES":
        # A label may hold half of a surrogate pair, which UTF-8 can't.
        elements = [value.encode("utf-8", "replace") for value in data]
        return b"".join(LENGTH.pack(len(element)) + element for element in elements)
    return struct.pack(f"<{len(data)}{'d' if datatype == 'FP64' else '?'}", *data)
