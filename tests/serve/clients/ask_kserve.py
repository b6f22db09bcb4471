"""Asks a service through KServe's Python client and prints what came: URL."""

import asyncio
import json
import sys

import httpx
import numpy
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

TEXTS = json.loads(sys.stdin.read())
URL = sys.argv[1]


def request(binary=None, **options):
    text = InferInput("text", [len(TEXTS)], "BYTES", data=TEXTS if binary is None else None)
    if binary is not None:
        text.set_data_from_numpy(numpy.array(TEXTS, dtype=object), binary_data=binary)
    return InferRequest("champion", [text], **options)


def rows(response):
    found = {output.name: output.as_numpy().tolist() for output in response.outputs}
    decoded = {
        name: [v.decode() if isinstance(v, bytes) else v for v in values]
        for name, values in found.items()
    }
    return decoded | {"response id": response.id}


async def ask():
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        binary_out = {"parameters": {"binary_data_output": True}}
        wanted = {"request_outputs": [RequestedOutput("label", {"binary_data": True})]}
        requests = {
            "default": request(request_id="42"),
            "numpy": request(False),
            "binary": request(True),
            "binary out": request(True, **binary_out),
            "outputs": request(True, **wanted),
        }
        found = {
            name: rows(await client.infer(URL, one, model_name="champion"))
            for name, one in requests.items()
        }
        try:
            await client.infer(URL, request(), model_name="other")
        except httpx.HTTPStatusError as error:
            found["unknown"] = str(error)
        live = await client.is_server_live(URL)
        ready = await client.is_server_ready(URL)
        return found | {
            "ready": live and ready and await client.is_model_ready(URL, "champion"),
            "other is ready": await client.is_model_ready(URL, "other"),
        }


print(json.dumps(asyncio.run(ask())))
