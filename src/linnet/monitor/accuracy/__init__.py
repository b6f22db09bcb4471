"""How often a model is right in service, and how that is known: measured, estimated or unknown.

Knows nothing of the log's tables and of files. `assess` gives the `accuracy` of an arm in
drift.json.
"""

from linnet.monitor.accuracy.answers import Answers
from linnet.monitor.accuracy.audit import Audit, labels_needed, measure
from linnet.monitor.accuracy.calibration import CalibrationAlarm
from linnet.monitor.accuracy.estimate import AccuracyTable, Estimate
from linnet.monitor.accuracy.gates import unlike_streams
from linnet.monitor.accuracy.label_shift import estimate_under_label_shift
from linnet.monitor.accuracy.state import assess

__all__ = [
    "AccuracyTable",
    "Answers",
    "Audit",
    "CalibrationAlarm",
    "Estimate",
    "assess",
    "estimate_under_label_shift",
    "labels_needed",
    "measure",
    "unlike_streams",
]
