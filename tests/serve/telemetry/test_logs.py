"""Lines of the log, for people and for programs: whole, on one line, without keys."""

import json
import logging
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.serve.telemetry.logs import JsonLines, Lines

KEY = "lk_0123abcd_" + "0123456789abcdef" * 4


def record(message: str, *arguments: object, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("linnet.serve", logging.WARNING, "", 0, message, arguments, None)
    vars(made).update(extra)
    return made


def test_an_object_a_line():
    line = JsonLines().format(
        record("%s is %d", "a\nb", 2, request_id="r", route="/v1/predict", status=200, ms=1.5)
    )
    assert "\n" not in line and line.isascii()
    found = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", found.pop("time"))
    assert found == {
        "level": "WARNING",
        "logger": "linnet.serve",
        "message": "a\nb is 2",
        "request_id": "r",
        "route": "/v1/predict",
        "status": 200,
        "ms": 1.5,
    }


@pytest.mark.parametrize("formatter", [JsonLines(), Lines()])
def test_a_traceback_is_kept_and_a_key_is_crossed_out(formatter):
    try:
        raise ValueError(f"Authorization: Bearer {KEY}")
    except ValueError as error:
        failed = record("a key %s", KEY)
        failed.exc_info = (ValueError, error, error.__traceback__)
    line = formatter.format(failed)
    assert "Traceback" in line and "ValueError" in line
    assert KEY[12:] not in line and line.count("lk_0123abcd_...") == 2
    if isinstance(formatter, JsonLines):
        assert "Traceback" in json.loads(line)["exception"]


@given(
    st.text(st.characters()),
    st.text(st.characters()) | st.integers() | st.floats() | st.none() | st.binary(),
)
def test_any_message_is_one_readable_line(message, argument):
    line = JsonLines().format(record("%s %s", message, argument, route=argument))
    assert len(line.splitlines()) == 1
    assert json.loads(line)["level"] == "WARNING"


FORGED = "2026-11-24 12:00:00,000 INFO linnet.serve Serving another"


@given(st.text(st.characters()))
def test_a_name_begins_no_other_line_of_the_text_log(name):
    line = Lines().format(record("Serving %s", f"{name}\n{FORGED}\r{name}\u2028{FORGED}"))
    assert len(line.splitlines()) == 1


def test_an_error_begins_no_other_line_of_the_text_log():
    try:
        raise ValueError(f"no file a\n{FORGED}\r{FORGED}\n\n{FORGED}")
    except ValueError:
        found = record("failed")
        found.exc_info = sys.exc_info()
    first, *others = Lines().format(found).splitlines()
    assert first.endswith(" failed")
    assert len(others) > 3
    assert all(line.startswith("  ") for line in others)


ASKED = """
import logging.config, sys
from fastapi import FastAPI
from starlette.testclient import TestClient
from linnet.serve.middleware.identity import RequestIdMiddleware
from linnet.serve.telemetry.logs import logging_config

logging.config.dictConfig(logging_config(sys.argv[1]))
app = FastAPI()
app.add_api_route("/models/{name}", lambda name: name)
app.add_middleware(RequestIdMiddleware)
TestClient(app).get("/models/private", headers={"X-Request-ID": "mine"})
"""


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_a_request_in_the_log(log_format):
    # In a process of its own: configuring a log takes away pytest's own handlers.
    done = subprocess.run(
        [sys.executable, "-c", ASKED, log_format], capture_output=True, text=True, check=True
    )
    assert "private" not in done.stderr and done.stdout == ""
    if log_format == "json":
        found = json.loads(done.stderr)
        assert (
            found["request_id"] == "mine"
            and found["route"] == "/models/{name}"
            and found["method"] == "GET"
        )
        assert found["status"] == 200 and found["ms"] > 0
    else:
        assert re.search(
            r" INFO linnet\.serve mine GET /models/\{name\} 200 in [0-9.]+ ms\n$", done.stderr
        )
