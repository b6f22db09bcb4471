"""The report in short: metrics.json for tools that compare runs, report.md for a pull request.

metrics.json holds numbers only, and none that was timed. Equal bundles and rows give equal bytes.
"""

from collections.abc import Mapping
from typing import Any

from linnet.markdown import render

METRICS = "metrics.json"
MARKDOWN = "report.md"
# Entries of report.json with an interval, and their titles. A report has those of its problem.
MEASURES = {
    "accuracy": "accuracy",
    "micro_f1": "micro-F1",
    "macro_f1": "macro-F1",
    "log_loss": "log loss",
}


def metrics(report: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of a report that `dvc metrics` and the like compare: value, low and high."""
    found: dict[str, Any] = {
        name: {end: report[name][end] for end in ("value", "low", "high")}
        for name in MEASURES
        if name in report
    }
    found["expected_calibration_error"] = report["calibration"]["expected_calibration_error"]
    found["rows"] = report["rows"]
    found["baselines"] = {
        item["name"]: item[_compared(report)]["value"] for item in report["baselines"]
    }
    found["f1"] = {item["label"]: item["f1"]["value"] for item in report["per_class"]}
    return found


def to_markdown(report: Mapping[str, Any]) -> str:
    """Tables of the figures, the baselines and the labels, for GitHub."""
    name = _compared(report)
    return render(
        "report.md",
        report=report,
        measures=[(key, title) for key, title in MEASURES.items() if key in report],
        compared=(name, MEASURES[name]),
    )


def _compared(report: Mapping[str, Any]) -> str:
    """The measure that is compared with the baselines."""
    return "micro_f1" if "micro_f1" in report else "accuracy"
