"""The log of the service: one line per record, as text or JSON, never a text or a key.

What is logged holds neither by itself. As a last line of defence what has the shape of a key is
crossed out.
"""

import json
import logging
import re
from datetime import UTC, datetime
from textwrap import indent
from typing import Any, Literal

from linnet.printable import printable, printable_cell

FIELDS = ("request_id", "method", "route", "status", "ms", "code", "key_id", "trace_id")
KEY = re.compile(r"lk_([0-9a-f]{8})_[0-9A-Za-z_-]*")


class Lines(logging.Formatter):
    """A record as a line of text: time, level, logger, message."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line without a traceback: a line end in a label or a path begins no other line."""
        record.message = printable_cell(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:
        """The traceback, indented:

        a line of an error's message can't be taken for a line of the log.
        """
        return indent(printable(super().formatException(ei)), "  ", lambda line: True)

    def format(self, record: logging.LogRecord) -> str:
        """The line; a traceback follows in lines of its own."""
        return _without_keys(super().format(record))


class JsonLines(logging.Formatter):
    """A record as an object on one line.

    It holds `time` (UTC, ISO 8601), `level`, `logger` and `message`; those of `FIELDS` that the
    record has, such as `request_id`, `route`, `status` and `ms` where a request was answered; and
    `exception` with the traceback, if any.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line, in ASCII: no character of a message can break it, or a terminal."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _without_keys(json.dumps(line, default=str))


def logging_config(log_format: Literal["text", "json"]) -> dict[str, Any]:
    """What `logging.config.dictConfig` takes: all that the service logs, to standard error.

    Args:
        log_format: As the setting `serve.log_format`.
    """
    line: dict[str, Any] = {"()": JsonLines if log_format == "json" else Lines}
    warnings = {"handlers": ["stderr"], "level": "WARNING", "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": line},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "loggers": {
            "linnet": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
            "uvicorn": warnings,
            "opentelemetry": warnings,
        },
    }


def _without_keys(line: str) -> str:
    return KEY.sub(r"lk_\1_...", line) if "lk_" in line else line
