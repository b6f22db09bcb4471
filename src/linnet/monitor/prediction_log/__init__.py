"""The prediction log: what was answered, and what people later said is true.

Written by a service, read by everything that watches it. Knows nothing of models or of HTTP.
"""

from linnet.monitor.prediction_log.log import LogStatus, PredictionLog
from linnet.monitor.prediction_log.record import Entry, Record, new_id
from linnet.monitor.prediction_log.store import Store

__all__ = ["Entry", "LogStatus", "PredictionLog", "Record", "Store", "new_id"]
