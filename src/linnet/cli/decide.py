"""Decide what to do about the models at work, from the figures of the monitor and the experiment.

Writes decision.json: keep, retrain, promote, roll back or invalid, with the reasons and all counts
that they rest on. Exits with 0 (keep), 20 (retrain), 21 (promote), 22 (roll back) or 23 (invalid).
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linnet.cli.options import add_config_options, config_from
from linnet.terminal import print_line

if TYPE_CHECKING:
    from collections.abc import Mapping

SUMMARY = "say what to do about the models at work"
CODES = {"keep": 0, "retrain": 20, "promote": 21, "roll_back": 22, "invalid": 23}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "folder",
        type=Path,
        nargs="?",
        metavar="MONITOR_FOLDER",
        help="folder of drift.json (default: monitor.directory)",
    )
    parser.add_argument(
        "experiment",
        type=Path,
        nargs="?",
        metavar="EXPERIMENT",
        help="experiment.json (default: that of the folder)",
    )
    parser.add_argument(
        "--proof",
        type=Path,
        nargs="+",
        action="extend",
        default=[],
        metavar="BUNDLE",
        help="bundles of the arms, whose proof is read",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="the record (default: decision.json in the folder)",
    )
    parser.add_argument(
        "--reason",
        default="",
        metavar="TEXT",
        help="why a challenger that is not shown to be better may replace the champion",
    )
    parser.add_argument(
        "--fresh-labels",
        type=int,
        default=500,
        metavar="N",
        help="labels since an alarm that are enough to retrain (default: 500)",
    )
    parser.add_argument(
        "--cost-of-error",
        type=float,
        metavar="X",
        help="cost of one wrong answer; shows what a promotion may cost a day",
    )
    parser.add_argument(
        "--check",
        type=Path,
        metavar="FILE",
        help="compute a decision again from its own statistics, and do nothing else",
    )
    add_config_options(parser)


def main(arguments: argparse.Namespace) -> int:
    """Run the command; give the exit code."""
    import math

    from linnet import __version__
    from linnet.errors import UsageError
    from linnet.monitor.decision import FILE, Settings, check, read_inputs, write_decision
    from linnet.monitor.publish import publish

    if arguments.check:
        for sentence in check(arguments.check):
            print_line(sentence)
        return 0
    if arguments.fresh_labels < 0:
        raise UsageError("Expected --fresh-labels of 0 or more.")
    cost = arguments.cost_of_error
    if cost is not None and not (math.isfinite(cost) and cost >= 0):
        raise UsageError(f"Expected a --cost-of-error of 0 or more; got {cost:g}.")
    config = config_from(arguments)
    folder = arguments.folder or Path(config.monitor.directory)
    inputs = read_inputs(folder, arguments.experiment, arguments.proof)
    settings = Settings(
        experiment=config.experiment,
        reason=arguments.reason,
        fresh_labels=arguments.fresh_labels,
        cost_of_error=cost,
    )
    out = arguments.out or folder / FILE
    content = write_decision(out, inputs, settings, {"linnet": __version__})
    _show(content)
    print_line(f"Written: {out}")
    for sentence in publish(config, folder) if arguments.out is None else []:
        print_line(sentence, error=True)
    return CODES[content["verdict"]]


def _show(content: "Mapping[str, Any]") -> None:
    verdict = content["verdict"].replace("_", " ")
    arm = f" {content['arm']}" if content["arm"] else ""
    share = content["next_share"]
    to = f" to the share {share:g}" if content["verdict"] == "promote" else ""
    print_line(f"Verdict: {verdict}{arm}{to}")
    for reason in content["reasons"]:
        print_line(f"  because {_reason(reason)}")
    for sentence in content["missing"]:
        print_line(f"  {sentence}")
    for name, one in ((content["cost"] or {}).get("arms") or {}).items():
        print_line(
            f"  {name} would save {one['gain_a_day_low']:,.2f} to {one['gain_a_day_high']:,.2f} a "
            f"day on {one['texts_a_day']:,.0f} texts; below 0 is a loss. This decides nothing."
        )


def _reason(reason: "Mapping[str, Any]") -> str:
    parts = [reason["rule"]]
    if reason["measured"] is not None:
        parts.append(f"measured {reason['measured']:g}")
    if reason["threshold"] is not None:
        parts.append(f"limit {reason['threshold']:g}")
    if reason["evidence_log10"] is not None:
        parts.append(f"evidence {reason['evidence_log10']:.2f} (log10)")
    return ", ".join(parts)
