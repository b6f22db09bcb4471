"""One alarm to one address over HTTP: JSON, signed, tried again, never redirected.

The signature is that of Stripe's webhooks, which many receivers know: `t=TIME,v1=DIGEST`, where the
digest is the HMAC-SHA256 of TIME, a point and the body. The receiver refuses a time that is old, so
that nobody can replay an alarm. Neither the secret nor the path of the address is ever logged,
because chat services put a secret into the path.
"""

import hashlib
import hmac
import http.client
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from linnet.config import AlarmsConfig, is_loopback, webhook_url
from linnet.errors import ServiceError, UsageError
from linnet.monitor.alarms.alarm import Alarm

ADDRESS_VARIABLE = "LINNET_ALARM_WEBHOOK"
SECRET_VARIABLE = "LINNET_ALARM_SECRET"  # noqa: S105, the name of a variable
SIGNATURE = "Linnet-Signature"
FIRST_PAUSE = 1.0  # seconds before the second try; twice as long before each further one
LONGEST_PAUSE = 30.0
MAY_PASS = {408, 425, 429}  # statuses below 500 that a later try may not meet
MOST_READ = 1 << 16  # bytes of an answer
USER_AGENT = "linnet-text"


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A signed alarm goes to the address that the operator named, and to no other."""

    def redirect_request(self, *_: Any) -> None:
        """Follow none: urllib then raises the answer's status."""


class Webhook:
    """Where alarms go.

    Args:
        settings: `[alarms]`.
        pause: Waits between two tries, in seconds.

    Raises:
        UsageError: The address or the secret can't be used.
    """

    def __init__(self, settings: AlarmsConfig, pause: Callable[[float], None] = time.sleep):
        self._settings = settings
        self._address = address_of(settings)
        self._secret = _secret_of(settings)
        self._pause = pause
        parts = urlsplit(self._address)
        self.name = f"{parts.scheme}://{parts.netloc}"
        # A proxy reaches no loopback address of this machine.
        proxies: dict[str, str] | None = {} if is_loopback(parts.hostname or "") else None
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler(proxies), _NoRedirects()
        )

    def send(self, alarm: Alarm) -> None:
        """Send an alarm, and try again while that may help.

        Raises:
            ServiceError: It was not taken.
        """
        body = json.dumps(self._content(alarm), sort_keys=True, allow_nan=False).encode()
        reason = ""
        for number in range(self._settings.max_attempts):
            if number:
                self._pause(min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (number - 1)))
            reason, again = self._post(alarm, body)
            if not reason:
                return
            if not again:
                break
        raise ServiceError(
            "alarm_not_sent",
            f"The webhook at {self.name} did not take an alarm: {reason}. "
            "It is sent again with the next run.",
        )

    def _content(self, alarm: Alarm) -> dict[str, Any]:
        return {
            "id": alarm.id,
            "kind": alarm.kind,
            "severity": alarm.severity,
            "text": alarm.text,
            "runbook": f"{self._settings.runbook}#{alarm.anchor}",
            **alarm.facts,
        }

    def _post(self, alarm: Alarm, body: bytes) -> tuple[str, bool]:
        """Why it was not taken, empty if it was, and whether another try may help."""
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": alarm.id,
            "User-Agent": USER_AGENT,
        }
        if self._secret:
            headers[SIGNATURE] = signature(self._secret, int(time.time()), body)
        request = urllib.request.Request(self._address, body, headers, method="POST")  # noqa: S310, checked
        try:
            with self._opener.open(request, timeout=self._settings.timeout_seconds) as answer:
                answer.read(MOST_READ)
        except urllib.error.HTTPError as error:
            error.close()
            return f"it answered {error.code}", error.code >= 500 or error.code in MAY_PASS
        except (OSError, http.client.HTTPException) as error:
            return _reason(error), True
        return "", False


def signature(secret: bytes, seconds: int, body: bytes) -> str:
    """The value of the header by which a receiver knows the sender.

    Args:
        secret: What both know.
        seconds: The time, since 1970.
        body: What is sent.
    """
    digest = hmac.new(secret, b"%d." % seconds + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"


def address_of(settings: AlarmsConfig) -> str:
    """Where alarms go: the setting, or the variable; empty: nowhere.

    Raises:
        UsageError: The variable holds no such address.
    """
    if settings.webhook:
        return settings.webhook
    try:
        return webhook_url(os.environ.get(ADDRESS_VARIABLE, "").strip())
    except ValueError as error:
        raise UsageError(f"{ADDRESS_VARIABLE} can't be used: {error}.") from None


def _secret_of(settings: AlarmsConfig) -> bytes:
    if not settings.secret_file:
        return os.environ.get(SECRET_VARIABLE, "").strip().encode()
    try:
        secret = Path(settings.secret_file).read_bytes().strip()
    except OSError as error:
        raise UsageError(
            f"The secret of alarms can't be read from {settings.secret_file}: {error.strerror}."
        ) from None
    if not secret:
        raise UsageError(f"{settings.secret_file} is empty, and is to hold the secret of alarms.")
    return secret


def _reason(error: Exception) -> str:
    cause = getattr(error, "reason", error)
    if isinstance(cause, TimeoutError) or isinstance(error, TimeoutError):
        return "it did not answer in time"
    return getattr(cause, "strerror", None) or type(cause).__name__
