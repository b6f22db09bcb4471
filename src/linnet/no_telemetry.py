"""The telemetry of the libraries that Linnet uses, off. Knows nothing of what they are used for.

`import linnet` calls `turn_off` before anything else of Linnet is imported, as some libraries send
or write on their bare import: ONNX Runtime from 1.32 on keeps a device id and a database below the
home folder, and OpenVINO asks Google Analytics if `openvino-telemetry` is installed.
"""

import os
import sys

VARIABLES = {
    "ORT_DISABLE_TELEMETRY": "1",  # ONNX Runtime, docs/Privacy.md
    "NNCF_CI": "1",  # NNCF has no other switch
    "HF_HUB_DISABLE_TELEMETRY": "1",  # huggingface_hub, and transformers through it
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
    "DO_NOT_TRACK": "1",  # consoledonottrack.com, for every other
}
SENDER = "openvino_telemetry"  # without it OpenVINO and NNCF use a stub that sends nothing


def turn_off() -> None:
    """Turn telemetry off, in this process and in those that it starts."""
    os.environ.update(VARIABLES)
    sys.modules.setdefault(SENDER, None)  # type: ignore[arg-type]  # importing it fails from now on
    if engine := sys.modules.get("onnxruntime"):  # imported before Linnet, by somebody else
        engine.disable_telemetry_events()
