"""How SageMaker starts a container: `docker run IMAGE serve`, without any flag.

Amazon SageMaker AI Developer Guide, "Custom Inference Code with Hosting Services" and "... with
Batch Transform": "How SageMaker AI Runs Your Inference Image", "... Loads Your Model Artifacts" and
"How Containers Serve Requests".
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from linnet.config import ServeConfig
from linnet.errors import UsageError

PORT = 8080
MEBIBYTE = 2**20
MAX_PAYLOAD_MEBIBYTES = (
    6  # of InvokeEndpoint at first, and of a batch transform that asks for nothing else
)
# Set by SageMaker itself: for containers that share an endpoint, and for batch transforms. It
# promises neither on an endpoint of one container, so there the first is to be among the model's
# own variables.
SIGNS = ("SAGEMAKER_BIND_TO_PORT", "SAGEMAKER_BATCH")


def model_folder(environment: Mapping[str, str]) -> Path:
    """Where SageMaker has put the bundle.

    Args:
        environment: Variables of the process; `SAGEMAKER_BASE_DIR` moves the folder, as in
            SageMaker's own toolkit.

    Raises:
        UsageError: There is no such folder, so this is not SageMaker.
    """
    folder = Path(environment.get("SAGEMAKER_BASE_DIR", "/opt/ml")) / "model"
    if not folder.is_dir():
        raise UsageError(
            f"Expected a bundle, such as runs/tweets/bundle; got none, nor is there {folder}, "
            f"where SageMaker puts it."
        )
    return folder


def inside(environment: Mapping[str, str]) -> bool:
    """Whether SageMaker's IAM guards this process: one of `SIGNS` says so."""
    return any(environment.get(name) for name in SIGNS)


def sagemaker_defaults(environment: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The defaults of `[serve]` in SageMaker's container; settings files and flags win.

    Raises:
        UsageError: A variable holds no such number.
    """
    payload = _number(environment, "SAGEMAKER_MAX_PAYLOAD_IN_MB", MAX_PAYLOAD_MEBIBYTES)
    return {
        "serve": {
            "host": "0.0.0.0",  # noqa: S104  # the contract; without keys only where SageMaker guards it
            "port": _number(environment, "SAGEMAKER_BIND_TO_PORT", PORT),
            "no_auth": inside(environment),
            "hosts": ["*"] if inside(environment) else [],  # no browser gets there
            "max_body_bytes": (payload or MAX_PAYLOAD_MEBIBYTES)
            * MEBIBYTE,  # 0 asks for no bound at all
        }
    }


def explanation(folder: Path, environment: Mapping[str, str], settings: ServeConfig) -> str:
    """What is said before the service starts, as nobody asked for it in so many words."""
    if settings.no_auth:
        guard = "It asks for no keys."
    elif inside(environment):
        guard = "It asks for keys, as the settings have it."
    else:
        guard = (
            f"It asks for keys, as neither {' nor '.join(SIGNS)} says that SageMaker guards the "
            f"door: "
            f"on an endpoint of one container, set {SIGNS[0]}={PORT} in the model's environment."
        )
    return f"linnet: No bundle was named, so {folder} is served as SageMaker has it. {guard}"


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    sent = environment.get(name) or str(default)
    if not sent.isdecimal():
        raise UsageError(f"Expected a number in {name}; got {sent!r:.40}.")
    return int(sent)
