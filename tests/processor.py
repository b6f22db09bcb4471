"""What this processor can do, for tests of what only some can."""

from linnet.predict.openvino_engine import PRECISIONS, _core


def computes_in_bfloat16() -> bool:
    """Whether OpenVINO does, here."""
    return PRECISIONS["bf16"] in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
