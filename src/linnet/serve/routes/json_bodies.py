"""JSON in a body, read and validated at a bounded cost, however wrong it is.

The event loop runs all of it, so a body that costs much holds every other request up.
"""

import json
from itertools import islice
from typing import Any, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from linnet.serve.errors import APIError, BadJSON
from linnet.serve.middleware.failures import MAX_COMPLAINTS

SMALL = 65_536  # bytes of a body that is cheap whatever it holds
# A body may hold so many values, and so many more for each text of a request: JSON costs by the
# value, up to 40 times more than the text of the same size.
VALUES = 10_000
VALUES_PER_TEXT = 8
MAX_DIGITS = 100  # of a whole number; converting costs by the square of their number
MAX_ERRORS = 100  # that are described one by one: each costs as much as a text's validation

B = TypeVar("B", bound=BaseModel)


def read_json(body: bytes, schema: type[B], max_texts: int) -> B:
    """JSON held against a schema.

    Pydantic does not parse it, as half of a surrogate pair in one text would fail the whole.

    Args:
        body: The bytes.
        schema: What they should hold.
        max_texts: Texts that a request may have; it decides how many values a body may have.

    Raises:
        APIError: It is no JSON, or it has too many values.
        RequestValidationError: It is not as the schema has it.
    """
    value = parse_json(body, max_texts)
    if isinstance(value, dict) and schema.model_config.get("extra") == "forbid":
        known = schema.model_fields
        unknown = list(islice((key for key in value if key not in known), MAX_COMPLAINTS))
        if len(unknown) == MAX_COMPLAINTS:
            message = "Extra inputs are not permitted"
            raise RequestValidationError(
                [{"loc": ("body", key), "msg": message} for key in unknown]
            )
    try:
        return schema.model_validate(value)
    except ValidationError as error:
        raise RequestValidationError(_complaints(error)) from None


def parse_json(body: bytes, max_texts: int) -> Any:
    """The value that a body of JSON holds; see `read_json`.

    Raises:
        APIError: It is no JSON, or it has too many values.
    """
    try:
        encoding = json.detect_encoding(body)
        if not encoding.startswith("utf-8"):
            raise BadJSON()
        text = body.decode(encoding, "surrogatepass")
        if len(body) > SMALL:
            most = max_values(max_texts)
            if count_values(body, most) > most:
                raise too_many_values(max_texts)
        return DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise BadJSON(
            f"Expected a body of JSON; got: {error.msg} at position {error.pos}."
        ) from None
    except (ValueError, RecursionError):  # wrong bytes, endless numbers, lists in lists
        raise BadJSON() from None


def max_values(max_texts: int) -> int:
    """How many values a body may have if a request may have so many texts."""
    return VALUES + VALUES_PER_TEXT * max_texts


def count_values(body: bytes, most: int) -> int:
    """How many values and openings of lists and objects JSON holds up to its first mistake.

    Args:
        body: JSON in UTF-8, or what should be.
        most: Where it has more strings than twice as many, this number and one is given.

    Returns:
        The number, which is also given for what is no JSON.
    """
    # Without escapes each quotation mark begins or ends a string: a run of backslashes begins
    # within a string, so its pairs are those from the left.
    plain = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    pieces = plain.split(b'"', 4 * most + 1)
    if len(pieces) > 4 * most + 1:
        return most + 1
    structure = b"".join(pieces[::2])
    return structure.count(b",") + structure.count(b"[") + structure.count(b"{")


def too_many_values(max_texts: int) -> APIError:
    """The refusal of a body that has too many values."""
    return APIError(
        422,
        "too_many_values",
        f"Expected at most {max_values(max_texts):,} values in a body of JSON, as a request takes "
        f"at most {max_texts:,} texts; got more. Send them in several requests.",
    )


def _complaints(error: ValidationError) -> list[dict[str, Any]]:
    count = error.error_count()
    if count > MAX_ERRORS:
        return [{"loc": ("body",), "msg": f"{count:,} values are wrong or unknown"}]
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [{**item, "loc": ("body", *item["loc"])} for item in found]


def _whole_number(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError("a number of too many digits")
    return int(digits)


DECODER = json.JSONDecoder(parse_int=_whole_number)  # of a text, which has no byte order mark
