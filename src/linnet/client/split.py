"""Any number of texts into requests of bounded size.

What can't be sent keeps its place, as an error.
"""

import json
from collections.abc import Iterable, Iterator, Sequence

from linnet.errors import TextError

# A text as JSON in UTF-8, or why it can't be sent.
Item = bytes | TextError


def encode(texts: Iterable[object]) -> Iterator[Item]:
    """Each text as it is sent, or why it can't be."""
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            yield TextError("not_text", f"Expected a string, got {type(text).__name__}.", index)
            continue
        try:
            yield json.dumps(text, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            message = (
                "It holds half of a surrogate pair, which is no character. Send proper Unicode."
            )
            yield TextError("lone_surrogate", message, index)


def split(items: Iterable[Item], max_texts: int, max_bytes: int) -> Iterator[list[Item]]:
    """Items in lists of at most `max_texts`, whose texts take at most `max_bytes`.

    The order stays; commas between texts count.

    A text that is larger by itself is in a list of its own: whether that is too large is for the
        service to say.
    """
    part: list[Item] = []
    size = 0
    for item in items:
        more = len(item) + 1 if isinstance(item, bytes) else 0
        if part and (len(part) == max_texts or size + more > max_bytes):
            yield part
            part = []
            size = 0
        part.append(item)
        size += more
    if part:
        yield part


def predict_body(texts: Sequence[bytes], arm: str | None, sticky_key: str | None) -> bytes:
    """The body of a request for predictions, of encoded texts."""
    chosen = {"arm": arm, "key": sticky_key}
    options = "".join(
        f",{json.dumps(name)}:{json.dumps(value)}"
        for name, value in chosen.items()
        if value is not None
    )
    return b'{"texts":[' + b",".join(texts) + b"]" + options.encode() + b"}"
