"""What to do about the models at work: one verdict with its reasons, as a record to be replayed."""

from linnet.monitor.decision.inputs import Inputs, Settings, read_inputs
from linnet.monitor.decision.record import FILE, check, decision_json, write_decision
from linnet.monitor.decision.rules import decide

__all__ = [
    "FILE",
    "Inputs",
    "Settings",
    "check",
    "decide",
    "decision_json",
    "read_inputs",
    "write_decision",
]
