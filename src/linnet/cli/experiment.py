"""Compare the service's challengers and shadows with its champion, from the prediction log.

Writes experiment.json: whether the arms are comparable, whether a challenger harms, whether it is
right as often, and its next step. All figures hold however often you look. Nothing is changed in
the service; `linnet decide` says what to do.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linnet.cli.options import add_config_options, config_from
from linnet.cli.tables import add_row, new_table, print_table
from linnet.terminal import print_line

if TYPE_CHECKING:
    from collections.abc import Mapping

SUMMARY = "compare challengers with the champion"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "log",
        metavar="LOG",
        nargs="?",
        help="the prediction log: a file or postgresql://... (default: prediction_log.url)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="where the figures go (default: experiment.json in monitor.directory)",
    )
    add_config_options(parser)


def main(arguments: argparse.Namespace) -> None:
    """Run the command."""
    from linnet.errors import UsageError
    from linnet.files import canonical_json, write_text
    from linnet.monitor import Store
    from linnet.monitor.experiment import FILE, count, experiment_json
    from linnet.monitor.publish import publish

    config = config_from(arguments)
    url = arguments.log or config.prediction_log.url
    if not url:
        raise UsageError("Name the prediction log, or set prediction_log.url.")
    folder = Path(config.monitor.directory)
    out = arguments.out or folder / FILE
    with Store(url, create=False) as store:
        statistics = count(store, config.experiment)
    content = experiment_json(statistics, config.experiment)
    write_text(out, canonical_json(content))
    for name, challenger in content["challengers"].items():
        _show(name, challenger)
    for note in content["notes"]:
        print_line(note)
    print_line(f"Written: {out}")
    for sentence in publish(config, folder) if arguments.out is None else []:
        print_line(sentence, error=True)


def _show(name: str, found: "Mapping[str, Any]") -> None:
    title = f"{name} ({found['role']}, share {found['share']:g}, bundle {found['digest'][:12]})"
    table = new_table("question", "answer", "evidence (log10)", title=title, fold=True, light=True)
    ratio = found["ratio"]
    if ratio["units"]:
        seen = f"{ratio['seen']:.2%} of {ratio['units']:,} units, {ratio['asked']:.2%} asked"
        add_row(table, "units as asked", seen, _of(ratio["evidence_log10"], ratio["limit_log10"]))
        for kind, one in found["guardrails"].items():
            add_row(table, kind.replace("_", " "), _events(one), f"{one['evidence_log10']:.2f}")
        limit = _of(found["harm_evidence_log10"], found["harm_limit_log10"])
        add_row(table, "harm, all kinds", "", limit)
    if paired := found["paired"]:
        difference = (
            f"{_points(paired['difference'])} ({_points(paired['low'])} to "
            f"{_points(paired['high'])}) on {paired['texts']:,} texts, {paired['pending']:,} "
            "labels pending"
        )
        add_row(table, "accuracy, pairs", difference, f"{paired['non_inferiority_log10']:.2f}")
    if split := found["split_accuracy"]:
        low, high = split["difference"]
        add_row(table, "accuracy, audits", f"{_points(low)} to {_points(high)}", "")
    for condition in found["ramp"]["conditions"]:
        add_row(table, condition["name"], "yes" if condition["met"] else "no", "")
    print_table(table)
    if found["user_feedback_note"]:
        print_line(found["user_feedback_note"])


def _of(evidence: float, limit: float) -> str:
    return f"{evidence:.2f} of {limit:g}"


def _events(one: "Mapping[str, Any]") -> str:
    champion = one["champion"]
    challenger = one["challenger"]
    counts = (
        f"{challenger['events']:,} of {challenger['units']:,}, champion {champion['events']:,} of "
        f"{champion['units']:,}"
    )
    if one["ratio"] is None:
        return counts
    high = "any" if one["high"] is None else f"{one['high']:.2f}"
    doubt = ", doubtful" if one["doubtful"] else ""
    return f"{counts}: ratio {one['ratio']:.2f} ({one['low']:.2f} to {high}){doubt}"


def _points(share: float) -> str:
    return f"{100 * share:+.2f} points"
