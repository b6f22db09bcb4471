"""The prediction log:

what was answered, and what people later said is true. Knows nothing of models or of HTTP.
"""

from linnet.monitor.log import LogStatus, PredictionLog
from linnet.monitor.record import Entry, Record, new_id
from linnet.monitor.store import Store

__all__ = ["Entry", "LogStatus", "PredictionLog", "Record", "Store", "new_id"]
