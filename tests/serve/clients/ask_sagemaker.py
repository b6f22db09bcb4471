"""Asks a service with the serializers of SageMaker's SDK and prints what they read: URL."""

import io
import json
import sys
import urllib.request

import numpy
import pandas
from sagemaker import base_deserializers as readers
from sagemaker import base_serializers as writers

TEXTS = json.loads(sys.stdin.read())


def ask(writer, reader, data):
    """As `sagemaker.Predictor.predict` asks, but without AWS."""
    sent = writer.serialize(data)
    request = urllib.request.Request(
        f"{sys.argv[1]}/invocations",
        data=sent if isinstance(sent, bytes) else sent.encode(),
        headers={"Content-Type": writer.CONTENT_TYPE, "Accept": ", ".join(reader.ACCEPT)},
    )
    with urllib.request.urlopen(request) as answer:
        content_type = answer.headers["Content-Type"]
        return reader.deserialize(io.BytesIO(answer.read()), content_type)


def labels(predictions):
    return [one["label"] for one in predictions]


column = [[text] for text in TEXTS]
frame = pandas.DataFrame({"text": TEXTS})
json_writer, json_reader = writers.JSONSerializer(), readers.JSONDeserializer()
csv_writer, csv_reader = writers.CSVSerializer(), readers.CSVDeserializer()
lines_writer, lines_reader = writers.JSONLinesSerializer(), readers.JSONLinesDeserializer()
pandas_reader = readers.PandasDeserializer(accept="text/csv; header=present")
hugging_face = {"inputs": TEXTS, "parameters": {"top_k": None}}
found = {
    "json list": labels(ask(json_writer, json_reader, TEXTS)["predictions"]),
    "json numpy": labels(ask(json_writer, json_reader, numpy.array(column))["predictions"]),
    "json hugging face": labels(ask(json_writer, json_reader, hugging_face)["predictions"]),
    "json instances": labels(ask(json_writer, json_reader, {"instances": TEXTS})["predictions"]),
    "csv list": [row[0] for row in ask(csv_writer, csv_reader, column)],
    "csv numpy": [row[0] for row in ask(csv_writer, csv_reader, numpy.array(column))],
    "csv pandas": ask(csv_writer, pandas_reader, frame)["label"].tolist(),
    "lines list": labels(ask(lines_writer, lines_reader, TEXTS)),
    "lines objects": labels(ask(lines_writer, lines_reader, [{"text": t} for t in TEXTS])),
    "csv to lines": labels(ask(csv_writer, lines_reader, column)),
    "json to csv": [row[0] for row in ask(json_writer, csv_reader, TEXTS)],
    "octets": labels(
        ask(writers.IdentitySerializer(), json_reader, json.dumps(TEXTS).encode())["predictions"]
    ),
    "plain": labels(ask(writers.StringSerializer(), json_reader, json.dumps(TEXTS))["predictions"]),
    "string": labels(
        json.loads(ask(json_writer, readers.StringDeserializer(), TEXTS))["predictions"]
    ),
    "bytes": labels(
        json.loads(ask(json_writer, readers.BytesDeserializer(), TEXTS))["predictions"]
    ),
}
print(json.dumps(found))
