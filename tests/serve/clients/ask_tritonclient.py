"""Asks a service through tritonclient[http], sync and asyncio, and prints what came: URL [gzip]."""

import asyncio
import json
import sys

import numpy
import tritonclient.http
import tritonclient.http.aio

TEXTS = json.loads(sys.stdin.read())
URL = sys.argv[1].removeprefix("http://")
PACKED = {"request_compression_algorithm": "gzip"} if "gzip" in sys.argv else {}


def text_input(http, texts=TEXTS, **options):
    found = http.InferInput("text", [len(texts)], "BYTES")
    found.set_data_from_numpy(numpy.array(texts, dtype=object), **options)
    return found


def rows(result):
    found = {}
    for output in result.get_response()["outputs"]:
        values = result.as_numpy(output["name"]).tolist()
        found[output["name"]] = json.loads(json.dumps(values, default=bytes.decode))
    return found


def error_of(call):
    try:
        call()
    except tritonclient.http.InferenceServerException as error:
        return str(error)
    return None


def ask():
    http = tritonclient.http
    with http.InferenceServerClient(URL) as client:
        wanted = [http.InferRequestedOutput("label"), http.InferRequestedOutput("truncated")]
        classes = [http.InferRequestedOutput("probabilities", class_count=2)]
        plain = [http.InferRequestedOutput("label", binary_data=False)]
        options = {"priority": 1, "timeout": 5_000_000, "sequence_id": 7, "sequence_start": True}
        full = client.infer("champion", [text_input(http)], request_id="42", **options, **PACKED)
        return {
            "live": client.is_server_live(),
            "ready": client.is_server_ready() and client.is_model_ready("champion"),
            "other is ready": client.is_model_ready("other"),
            "extensions": client.get_server_metadata()["extensions"],
            "inputs": client.get_model_metadata("champion")["inputs"],
            "id": full.get_response()["id"],
            "default": rows(full),
            "async": rows(client.async_infer("champion", [text_input(http)]).get_result()),
            "json": rows(client.infer("champion", [text_input(http, binary_data=False)])),
            "plain": rows(client.infer("champion", [text_input(http)], outputs=plain)),
            "outputs": rows(client.infer("champion", [text_input(http)], outputs=wanted)),
            "classes": error_of(
                lambda: client.infer("champion", [text_input(http)], outputs=classes)
            ),
            "unknown": error_of(lambda: client.infer("other", [text_input(http)])),
            "empty": error_of(lambda: client.infer("champion", [text_input(http, ["a", ""])])),
        }


async def ask_async():
    http = tritonclient.http.aio
    async with http.InferenceServerClient(URL) as client:
        found = await client.infer("champion", [text_input(http)], **PACKED)
        return {"ready": await client.is_server_ready(), "default": rows(found)}


print(json.dumps({"sync": ask(), "asyncio": asyncio.run(ask_async())}))
