"""Is the traffic still what it was? Streams of the log, their zones, and alarms with a bound.

Reads the log, writes drift.json and state.json. Runs no model.
"""

from linnet.monitor.drift.monitor import Plan
from linnet.monitor.drift.report import table, verdict
from linnet.monitor.drift.run import Outcome, run

__all__ = ["Outcome", "Plan", "run", "table", "verdict"]
