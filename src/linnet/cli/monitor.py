"""Watch the traffic of a service: has it changed, and how often is the model right?

Reads what is new in the prediction log and writes drift.json and a page. Run it from a timer, or
with --every.
"""

import argparse
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from linnet.cli.options import add_config_options, config_from
from linnet.errors import LinnetError, UsageError
from linnet.terminal import print_line

if TYPE_CHECKING:
    from linnet.config import Config

SUMMARY = "prediction log and bundle to what changed in the traffic"
NICE = 10  # so that a service on the same machine comes first


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("log", metavar="LOG", nargs="?", help="the prediction log: a file or a URL")
    parser.add_argument(
        "bundles",
        metavar="BUNDLE",
        type=Path,
        nargs="*",
        help="the bundle that answers, such as runs/NAME/bundle; also those of challengers",
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of the results (default: monitor.directory)"
    )
    parser.add_argument(
        "--adopt",
        metavar="SINCE..UNTIL",
        help="take this traffic as usual from now on; days or times in UTC, UNTIL not included",
    )
    parser.add_argument(
        "--acknowledge",
        metavar="ARM/STREAM",
        action="append",
        default=[],
        help="end an alarm, or all of an ARM; may be repeated",
    )
    parser.add_argument(
        "--every", type=float, metavar="SECONDS", help="run again each so many seconds, at nice 10"
    )
    parser.add_argument(
        "--test-alarm",
        action="store_true",
        help="only send an alarm that means nothing, the way that a real one takes",
    )
    add_config_options(parser)


def main(arguments: argparse.Namespace) -> None:
    """Run the command."""
    config = config_from(arguments)
    if arguments.test_alarm:
        from linnet.monitor.alarms import send_test_alarm

        print_line(f"{send_test_alarm(config.alarms)} took the test alarm.")
        return
    if not arguments.bundles:
        raise UsageError("Name the prediction log and the bundle: linnet monitor LOG BUNDLE.")
    window = None if arguments.adopt is None else _window(arguments.adopt)
    if arguments.every is None:
        _run(arguments, config, window, arguments.acknowledge, complete=True)
        return
    if not 0 < arguments.every <= 86_400:
        raise UsageError(f"Expected --every from 1 to 86400 seconds; got {arguments.every}.")
    os.nice(max(0, NICE - os.nice(0)))
    _run(arguments, config, window, arguments.acknowledge, complete=True)
    while True:
        time.sleep(arguments.every)
        try:
            _run(arguments, config, None, [], complete=False)
        except LinnetError as error:  # such as a database that is down: the next run may succeed
            print_line(f"linnet: {error} The next run tries again.", error=True)


def _run(
    arguments: argparse.Namespace,
    config: "Config",
    window: tuple[float, float] | None,
    acknowledged: list[str],
    complete: bool,
) -> None:
    from linnet.bundle import Bundle
    from linnet.monitor.drift import Plan, run, table, verdict
    from linnet.monitor.prediction_log import Store
    from linnet.monitor.publish import publish

    bundles = [Bundle.read(path) for path in arguments.bundles]
    folder = arguments.out or Path(config.monitor.directory)
    settings = config.monitor
    plan = Plan(
        settings.block_seconds,
        settings.horizon_days,
        settings.false_alarms,
        settings.tolerance_rank,
        settings.tolerance_share,
    )
    with Store(arguments.log, create=False) as store:
        rate = config.prediction_log.audit_rate
        outcome = run(store, bundles, folder, plan, window, acknowledged, audit_rate=rate)
    for note in outcome.notes:
        print_line(f"Note: {note}", error=True)
    if complete:
        for line in table(outcome.content):
            print_line(line)
        print_line(outcome.content["promise"]["sentence"])
    print_line(verdict(outcome.content))
    for sentence in publish(config, folder):
        print_line(sentence, error=True)


def _window(text: str) -> tuple[float, float]:
    since, separator, until = text.partition("..")
    try:
        if not separator:
            raise ValueError
        window = _seconds(since), _seconds(until)
    except ValueError:
        raise UsageError(
            f"Expected --adopt as two days or times such as 2026-11-01..2026-11-08; got {text!r}."
        ) from None
    if window[1] <= window[0]:
        raise UsageError(f"Expected --adopt with the earlier time first; got {text!r}.")
    return window


def _seconds(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
