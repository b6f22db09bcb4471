"""Alarms that are due and were not sent yet, each sent once for as long as its cause lasts.

What was sent is kept in alarms.json in the monitor's folder. It is written after each alarm that
was taken. A process killed in between sends that one again, with the same id: at least once.
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from time import sleep

from linnet.config import AlarmsConfig
from linnet.errors import LinnetError, ServiceError, UsageError
from linnet.files import canonical_json, locked, write_text
from linnet.monitor.alarms.alarm import Alarm, due_alarms, example_alarm
from linnet.monitor.alarms.webhook import ADDRESS_VARIABLE, Webhook, address_of
from linnet.monitor.results import Results

STATE = "alarms.json"
LOCK = ".alarms.lock"
LARGEST = 1 << 20  # bytes of the state


def send_alarms(
    settings: AlarmsConfig,
    folder: Path,
    results: Results,
    pause: Callable[[float], None] = sleep,
) -> list[str]:
    """Send what is due. Nothing that goes wrong with it stops the caller.

    Args:
        settings: `[alarms]`.
        folder: The monitor's folder, which exists.
        results: What is in it.
        pause: Waits between two tries, in seconds.

    Returns:
        What was done or failed, a sentence each.
    """
    try:
        if not address_of(settings):
            return []
        webhook = Webhook(settings, pause)
        # Two runs at a time would both send.
        with locked(folder / LOCK):
            return _send(webhook, folder / STATE, due_alarms(results))
    except (LinnetError, OSError) as error:
        return [f"Alarms were not sent: {error}"]


def send_test_alarm(settings: AlarmsConfig, pause: Callable[[float], None] = sleep) -> str:
    """Send an alarm that means nothing, the way that a real one takes. Gives where it went.

    Raises:
        UsageError: There is no webhook, or its settings can't be used.
        ServiceError: It did not take the alarm.
    """
    if not address_of(settings):
        raise UsageError(f"There is no webhook. Set alarms.webhook, or {ADDRESS_VARIABLE}.")
    webhook = Webhook(settings, pause)
    webhook.send(example_alarm())
    return webhook.name


def _send(webhook: Webhook, state: Path, due: list[Alarm]) -> list[str]:
    sent = _read(state)
    # A cause that is over is forgotten, so that its next time is an alarm again.
    lasting = sent & {alarm.id for alarm in due}
    if lasting != sent:
        _write(state, lasting)
    count = 0
    for alarm in due:
        if alarm.id in lasting:
            continue
        try:
            webhook.send(alarm)
        except ServiceError as error:
            return [*_done(count, webhook), error.message]  # the others would fail too
        count += 1
        lasting.add(alarm.id)
        _write(state, lasting)
    return _done(count, webhook)


def _done(count: int, webhook: Webhook) -> list[str]:
    if not count:
        return []
    return [f"Sent {count} alarm{'' if count == 1 else 's'} to {webhook.name}."]


def _read(path: Path) -> set[str]:
    """The ids that were sent. A broken file counts as none: the receiver knows an id again."""
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(LARGEST))
        return {identity for identity in content["sent"] if isinstance(identity, str)}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return set()


def _write(path: Path, sent: Iterable[str]) -> None:
    write_text(path, canonical_json({"format": 1, "sent": sorted(sent)}))
