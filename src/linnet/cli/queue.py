"""Write the rows of a prediction log that are worth a label, for people to answer.

Half are a random sample, which measures the accuracy. Then come texts that two arms answer
differently, unsure answers, unusual texts, and answers that users called wrong. No row is asked
for twice. Give the answers back with `linnet labels`.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from linnet.cli.options import add_config_options, config_from
from linnet.terminal import print_line

if TYPE_CHECKING:
    from linnet.config import Config
    from linnet.monitor.labels.queue import Queued

SUMMARY = "write the texts of the log that are worth a label"
MOST = 100_000  # rows of a queue
FORMATS = ("csv", "label-studio", "argilla")
WHY = {
    "audit": "drawn at random, to measure",
    "disagree": "the arms answer differently",
    "margin": "the model is unsure",
    "surprise": "unlike the training texts",
    "user_doubt": "a user called a sure answer wrong",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("log", metavar="LOG", help="the prediction log: a file, or its URL")
    parser.add_argument(
        "-n", type=int, default=200, metavar="ROWS", help="rows to write (default: 200)"
    )
    parser.add_argument(
        "--format", choices=FORMATS, default="csv", help="for whom it is written (default: csv)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="the file (default: queue.csv or queue.json)",
    )
    parser.add_argument(
        "--arms",
        nargs=2,
        default=(),
        metavar=("A", "B"),
        help="count disagreements of these two arms only",
    )
    parser.add_argument(
        "--audit-width",
        type=float,
        default=3.0,
        metavar="POINTS",
        help="ask for audit rows until the accuracy is known to so many points (default: 3)",
    )
    add_config_options(parser)


def main(arguments: argparse.Namespace) -> None:
    """Run the command."""
    from linnet.errors import UsageError
    from linnet.monitor.labels.choose import Wish
    from linnet.monitor.labels.queue import write_queue
    from linnet.monitor.labels.task_files import ENDINGS
    from linnet.monitor.prediction_log import Store

    if not 0 < arguments.n <= MOST:
        raise UsageError(f"Expected 1 to {MOST:,} rows with -n, got {arguments.n:,}.")
    if not 0 < arguments.audit_width < 50:
        raise UsageError("Expected 0 to 50 points with --audit-width.")
    config = config_from(arguments)
    out = arguments.out or Path(f"queue{ENDINGS[arguments.format]}")
    wish = Wish(
        size=arguments.n,
        rate=config.prediction_log.audit_rate,
        width=arguments.audit_width / 100,
        arms=tuple(arguments.arms),
        since=_alarm_since(config),
    )
    with Store(arguments.log, create=False) as store:
        folder = Path(config.monitor.directory)
        queued = write_queue(store, folder, out, arguments.format, wish)
    _print(queued, out, arguments)


def _alarm_since(config: "Config") -> float:
    """Since when the traffic is unlike its reference: rows that teach are not older."""
    from linnet.monitor.results import read_results

    drift = read_results(Path(config.monitor.directory)).drift
    since = [alarm.since for alarm in drift.alarms if alarm.since] if drift else []
    return min(since, default=0.0)


def _print(queued: "Queued", out: Path, arguments: argparse.Namespace) -> None:
    total = sum(queued.rows.values())
    if queued.resumed:
        print_line("The last queue was not finished. These are its rows.")
    if queued.lost:
        print_line(f"{queued.lost:,} of them are missing, because the log has forgotten them.")
    if not total:
        print_line("No row is worth a label now: all that qualify were asked for. Nothing written.")
        return
    print_line(f"Written {total:,} rows to {out}:")
    for reason, why in WHY.items():
        if count := queued.rows.get(reason):
            print_line(f"  {reason:<10} {count:>7,}  {why}")
    if queued.audit_met:
        print_line("The audit needs no more rows: the accuracy is known well enough.")
    if arguments.format == "label-studio":
        from linnet.monitor.labels.task_files import label_studio_config

        print_line("Labeling interface for Label Studio:")
        print_line(label_studio_config(queued.labels, queued.several))
    print_line(f"Label them, then: linnet labels {out} {arguments.log}")
