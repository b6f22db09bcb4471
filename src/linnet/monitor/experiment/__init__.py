"""Champion against challengers, from the log: are they comparable, harmful, better?

`count` reads the log into `statistics`, and all figures follow from those. Decides nothing.
"""

from linnet.monitor.experiment.count import count
from linnet.monitor.experiment.report import FILE, experiment_json, judge
from linnet.monitor.experiment.statistics import Audited, Challenger, Pairs, Statistics

__all__ = [
    "FILE",
    "Audited",
    "Challenger",
    "Pairs",
    "Statistics",
    "count",
    "experiment_json",
    "judge",
]
