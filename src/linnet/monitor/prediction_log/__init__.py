"""The prediction log: what was answered, and what people later said is true.

Written by a service, read by everything that watches it. Knows nothing of models or of HTTP.
"""

from linnet.monitor.prediction_log.epoch import ArmInEpoch, Epoch
from linnet.monitor.prediction_log.failure import Failure
from linnet.monitor.prediction_log.log import LogStatus, PredictionLog
from linnet.monitor.prediction_log.record import Entry, Record, new_id
from linnet.monitor.prediction_log.store import SETTLE_SECONDS, Store
from linnet.monitor.prediction_log.truth import SOURCES, Truth

__all__ = [
    "SETTLE_SECONDS",
    "SOURCES",
    "ArmInEpoch",
    "Entry",
    "Epoch",
    "Failure",
    "LogStatus",
    "PredictionLog",
    "Record",
    "Store",
    "Truth",
    "new_id",
]
