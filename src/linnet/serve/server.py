"""The process around the app: it binds, says where it listens, and stops without dropping what it accepted."""

import ipaddress
import os
import signal
import socket
import sys
from pathlib import Path
from types import FrameType

import uvicorn

from linnet.config import Config
from linnet.errors import UsageError
from linnet.predict import Classifier, load
from linnet.serve.app import create_app

GRACE_SECONDS = 30
BACKLOG = 2048


def serve(config: Config, bundle: Path) -> None:
    """Verify and load a bundle, then answer until SIGTERM or Ctrl-C.

    Args:
        config: Its `serve` and `predict` sections are used.
        bundle: A folder that `linnet export` wrote.

    Raises:
        BundleError: The bundle is broken; nothing listens then.
        UsageError: The address can't be listened on.
    """
    signal.signal(signal.SIGTERM, _exit)
    classifier = load(bundle, num_threads=config.predict.num_threads, max_batch_tokens=config.predict.max_batch_tokens)
    app = create_app(classifier, config.serve)
    listening = _bind(config.serve.host, config.serve.port)
    if not _is_loopback(config.serve.host):
        print(
            f"linnet: warning: {config.serve.host} can be reached from other machines, and there are no keys yet: "
            "whoever reaches the port is answered.",
            file=sys.stderr,
        )
    settings = uvicorn.Config(
        app,
        access_log=False,  # one line a request slows a busy service down and says nothing that metrics don't
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        lifespan="on",
    )
    _Server(settings, classifier).run(sockets=[listening])


class _Server(uvicorn.Server):
    """Says where it listens, once it does."""

    def __init__(self, config: uvicorn.Config, classifier: Classifier):
        super().__init__(config)
        self._classifier = classifier

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if sockets and self.started:
            host, port = sockets[0].getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            model = f"{self._classifier.name} ({self._classifier.digest[:12]})"
            print(f"linnet serves {model} on http://{shown}:{port} (docs at /docs, stop with Ctrl-C)", flush=True)


def _exit(signum: int, frame: FrameType | None) -> None:
    # uvicorn raises the signal again after it has drained: that is a clean end, too.
    sys.exit(0)


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        # create_server and getaddrinfo word their errors their own way; the plain meaning is the system's.
        number = getattr(error, "errno", None) or 0
        reason = os.strerror(number) if number > 0 else str(error)
        raise UsageError(f"Can't listen on {host}:{port}: {reason}. Choose another --host or --port.") from None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
