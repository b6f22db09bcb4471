"""A served model is watched: the prediction log, and what follows from it.

Knows nothing of HTTP, and runs no model.
"""

from linnet.monitor.prediction_log import (
    SETTLE_SECONDS,
    SOURCES,
    ArmInEpoch,
    Entry,
    Epoch,
    Failure,
    LogStatus,
    PredictionLog,
    Record,
    Store,
    Truth,
    new_id,
)

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
