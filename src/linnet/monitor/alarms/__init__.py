"""Who is alarmed, and how: metrics for Prometheus, and a webhook.

Reads the results in the monitor's folder. Knows nothing of the log, and nothing of HTTP servers.
"""

from linnet.monitor.alarms.alarm import Alarm, due_alarms, example_alarm
from linnet.monitor.alarms.gauges import Gauge, gauges, textfile
from linnet.monitor.alarms.sending import send_alarms, send_test_alarm

__all__ = [
    "Alarm",
    "Gauge",
    "due_alarms",
    "example_alarm",
    "gauges",
    "send_alarms",
    "send_test_alarm",
    "textfile",
]
