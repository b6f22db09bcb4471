"""A served model is watched: the prediction log, and what follows from it.

Knows nothing of HTTP, and runs no model.
"""

from linnet.monitor.prediction_log import Entry, LogStatus, PredictionLog, Record, Store, new_id

__all__ = ["Entry", "LogStatus", "PredictionLog", "Record", "Store", "new_id"]
