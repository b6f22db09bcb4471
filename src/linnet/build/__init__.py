"""The stages from a file to a proven bundle, as functions for notebooks and scripts.

    from linnet import build

    run = build.run("reviews.csv", name="reviews", model="linnet-mini")
    print(run.report.score, run.report.beats_baseline)

Each function is a command of the same name: it reads the same settings and writes the same files.
It raises the errors of `linnet.errors` and prints nothing, unless `progress=True`. The functions
are not in `linnet` itself, where `train`, `export` and `evaluate` are packages. Importing this
imports torch, so it needs the extra `train`.
"""

from linnet.build.api import evaluate, export, prepare, run, train
from linnet.build.results import Bundle, Checkpoint, Estimate, Report, Run, Splits

__all__ = [
    "Bundle",
    "Checkpoint",
    "Estimate",
    "Report",
    "Run",
    "Splits",
    "evaluate",
    "export",
    "prepare",
    "run",
    "train",
]
