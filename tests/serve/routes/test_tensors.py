"""Binary tensors below `/v2`, as Triton's "Binary Tensor Data Extension" describes them."""

import json
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linnet.errors import TextError
from linnet.serve.errors import APIError
from linnet.serve.routes.open_inference_schemas import InputTensor
from linnet.serve.routes.tensors import as_bytes, split_body, texts_of

TEXTS = ["I love this film", "naïve שלום 👩", "rain " * 100]
LENGTH = "Inference-Header-Content-Length"


def elements(*values: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(value)) + value for value in values)


def tensor(binary: bytes, count: int, **changes) -> dict:
    return {
        "name": "text",
        "shape": [count],
        "datatype": "BYTES",
        "parameters": {"binary_data_size": len(binary)},
    } | changes


def ask(client, content: object, binary: bytes = b"", **headers: str):
    encoded = content if isinstance(content, bytes) else json.dumps(content).encode()
    return client.post(
        "/v2/models/champion/infer",
        content=encoded + binary,
        headers={
            "Content-Type": "application/octet-stream",
            LENGTH: str(len(encoded)),
            **headers,
        },
    )


def outputs(answer) -> dict[str, list]:
    """The outputs by name, each read as its answer's header and sizes say."""
    assert answer.status_code == 200, answer.text
    size = int(answer.headers.get(LENGTH, len(answer.content)))
    rest = answer.content[size:]
    found = {}
    for output in json.loads(answer.content[:size])["outputs"]:
        if "data" in output:
            assert "parameters" not in output
            found[output["name"]] = output["data"]
            continue
        length = output["parameters"]["binary_data_size"]
        data, rest = rest[:length], rest[length:]
        found[output["name"]] = values(output["datatype"], data)
    assert not rest
    return found


def values(datatype: str, data: bytes) -> list:
    if datatype == "FP64":
        return [value for (value,) in struct.iter_unpack("<d", data)]
    if datatype == "BOOL":
        return [value for (value,) in struct.iter_unpack("<?", data)]
    found = []
    while data:
        (length,) = struct.unpack("<I", data[:4])
        found.append(data[4 : 4 + length].decode())
        data = data[4 + length :]
    return found


@pytest.fixture(scope="module")
def plain(client) -> dict[str, list]:
    content = {"inputs": [{"name": "text", "shape": [3], "datatype": "BYTES", "data": TEXTS}]}
    return outputs(client.post("/v2/models/champion/infer", json=content))


def same(found: dict[str, list], plain: dict[str, list]) -> None:
    assert list(found) == list(plain)
    for name, data in found.items():
        if name == "id":
            assert len(data) == len(plain[name])
        else:
            assert data == (pytest.approx(plain[name]) if "prob" in name else plain[name])


BINARY = elements(*(text.encode() for text in TEXTS))


@pytest.mark.parametrize("shape", [[3], [3, 1], [-1]])
def test_binary_in_and_out_is_as_json(client, plain, shape):
    """The request that Triton's client sends by default."""
    content = {
        "inputs": [tensor(BINARY, 3, shape=shape)],
        "parameters": {"binary_data_output": True},
    }
    answer = ask(client, content, BINARY)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert int(answer.headers["content-length"]) == len(answer.content)
    same(outputs(answer), plain)
    described = json.loads(answer.content[: int(answer.headers[LENGTH])])
    assert all("data" not in output for output in described["outputs"])


def test_json_in_and_binary_out_and_the_reverse(client, plain):
    content = {"inputs": [tensor(BINARY, 3)]}
    answer = ask(client, content, BINARY)
    assert LENGTH not in answer.headers
    assert answer.headers["content-type"] == "application/json"
    same(outputs(answer), plain)
    content = {
        "inputs": [{"name": "text", "shape": [3], "datatype": "BYTES", "data": TEXTS}],
        "parameters": {"binary_data_output": True},
    }
    same(outputs(ask(client, content)), plain)
    answer = client.post("/v2/models/champion/infer", json=content)  # without the header
    same(outputs(answer), plain)


def test_an_output_says_for_itself_whether_it_is_binary(client, plain):
    content = {
        "inputs": [tensor(BINARY, 3)],
        "parameters": {"binary_data_output": True},
        "outputs": [
            {"name": "truncated"},
            {"name": "label", "parameters": {"binary_data": False}},
            {"name": "probability", "parameters": {"binary_data": True}},
        ],
    }
    answer = ask(client, content, BINARY)
    described = json.loads(answer.content[: int(answer.headers[LENGTH])])["outputs"]
    assert ["data" in output for output in described] == [False, True, False]
    same(outputs(answer), {name: plain[name] for name in ("truncated", "label", "probability")})


def test_no_texts_are_no_bytes(client):
    content = {"inputs": [tensor(b"", 0)], "parameters": {"binary_data_output": True}}
    assert not any(outputs(ask(client, content)).values())


def test_a_header_of_nothing_makes_the_body_one_text(client, plain):
    """Triton's "raw binary request", for `curl --data-binary`."""
    answer = client.post(
        "/v2/models/champion/infer", content=TEXTS[0].encode(), headers={LENGTH: "0"}
    )
    assert outputs(answer)["label"] == plain["label"][:1]


ONE = elements(b"good")
JSON = json.dumps({"inputs": [tensor(ONE, 1)]}).encode()
BAD = {
    "a longer size": ({"inputs": [tensor(ONE + b"x", 1)]}, ONE),
    "a shorter size": ({"inputs": [tensor(ONE[1:], 1)]}, ONE),
    "a size without end": (
        {"inputs": [tensor(ONE, 1, parameters={"binary_data_size": 10**30})]},
        ONE,
    ),
    "a negative size": ({"inputs": [tensor(ONE, 1, parameters={"binary_data_size": -8})]}, ONE),
    "a size that is text": (
        {"inputs": [tensor(ONE, 1, parameters={"binary_data_size": "8"})]},
        ONE,
    ),
    "a size that is true": (
        {"inputs": [tensor(b"", 1, parameters={"binary_data_size": True})]},
        b"x",
    ),
    "no size": ({"inputs": [tensor(ONE, 1, parameters={})]}, ONE),
    "data and bytes": ({"inputs": [tensor(ONE, 1, data=["good"])]}, ONE),
    "bytes behind data": (
        {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["a"]}]},
        ONE,
    ),
    "a larger shape": ({"inputs": [tensor(ONE, 2)]}, ONE),
    "a smaller shape": ({"inputs": [tensor(ONE + ONE, 1)]}, ONE + ONE),
    "too many texts": ({"inputs": [tensor(ONE * 9, 9)]}, ONE * 9),
    "too many texts of an unknown number": ({"inputs": [tensor(ONE * 99, -1)]}, ONE * 99),
    "half a length": ({"inputs": [tensor(ONE[:3], 1)]}, ONE[:3]),
    "half an element": ({"inputs": [tensor(ONE[:-1], 1)]}, ONE[:-1]),
    "the largest length": (
        {"inputs": [tensor(b"\xff\xff\xff\xffgood", 1)]},
        b"\xff\xff\xff\xffgood",
    ),
    "an empty text": ({"inputs": [tensor(elements(b""), 1)]}, elements(b"")),
    "a NUL byte": ({"inputs": [tensor(elements(b"a\0"), 1)]}, elements(b"a\0")),
}


@pytest.mark.parametrize("name", BAD)
def test_binary_data_of_another_size_is_refused(client, name):
    answer = ask(client, *BAD[name])
    assert answer.status_code == 400
    assert list(answer.json()) == ["error"]
    assert answer.json()["error"].endswith(".")


@pytest.mark.parametrize("length", ["", "-1", "x", "1.0", "²", "9" * 5000, str(len(JSON) + 99)])
def test_a_header_that_is_no_length_of_the_json_is_refused(client, length):
    answer = ask(client, JSON, ONE, **{LENGTH: length.encode()})
    assert answer.status_code == 400
    assert LENGTH in answer.json()["error"]


@pytest.mark.parametrize("length", [1, len(JSON) - 1, len(JSON) + 1])
def test_a_header_of_another_length_is_refused(client, length):
    assert ask(client, JSON, ONE, **{LENGTH: str(length)}).status_code == 400


def test_a_text_that_is_not_utf_8_is_named(client):
    binary = elements(b"good", b"caf\xe9")
    answer = ask(client, {"inputs": [tensor(binary, 2)]}, binary)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("Text 1: Byte 3 of it is not UTF-8.")


def test_a_label_that_utf_8_can_not_hold_is_still_sent():
    assert as_bytes("BYTES", ["a\ud800"]) == elements(b"a?")


@given(st.lists(st.text(), max_size=6))
def test_what_is_written_is_read(texts):
    binary = as_bytes("BYTES", texts)
    assert texts_of(InputTensor(**tensor(binary, len(texts))), binary, 8) == texts


@given(binary=st.binary(max_size=60), count=st.integers(-1, 4), most=st.integers(1, 4))
def test_any_bytes_are_texts_or_refused(binary, count, most):
    try:
        texts = texts_of(InputTensor(**tensor(binary, count)), binary, most)
    except (APIError, TextError) as error:
        assert getattr(error, "status_code", 400) == 400
    else:
        assert len(texts) <= most + 1
        assert len(texts) > most or as_bytes("BYTES", texts) == binary


@given(body=st.binary(max_size=20), length=st.text(max_size=3) | st.integers(-2, 30).map(str))
def test_any_header_splits_the_body_or_is_refused(body, length):
    try:
        encoded, binary = split_body(body, length)
    except APIError as refusal:
        assert refusal.status_code == 400
    else:
        assert encoded + binary == body


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "shape", "data", "parameters", "binary_data_size"]), inner
        )
    ),
    max_leaves=8,
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None
)
@given(
    changes=st.dictionaries(
        st.sampled_from(["name", "shape", "datatype", "parameters", "data"]), anything
    ),
    extra=st.dictionaries(
        st.sampled_from(["id", "parameters", "outputs", "inputs", "x"]), anything
    ),
    binary=st.binary(max_size=12) | st.just(ONE),
    length=st.none() | st.integers(0, 200).map(str),
)
def test_no_request_is_a_defect(client, changes, extra, binary, length):
    content = {"inputs": [tensor(binary, 1, **changes)]} | extra
    answer = ask(client, content, binary, **({} if length is None else {LENGTH: length}))
    assert answer.status_code in {200, 400}
    if answer.status_code == 400:
        assert isinstance(answer.json()["error"], str)
