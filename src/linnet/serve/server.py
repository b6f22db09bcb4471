"""The process: bind, load, announce, run until told to stop, drain, end well."""

import asyncio
import gc
import logging
import logging.config
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from socket import socket

import uvicorn
from fastapi import FastAPI

from linnet.config import Config, ServeConfig
from linnet.errors import LinnetError, UsageError
from linnet.serve.access import keys_for
from linnet.serve.app import create_app
from linnet.serve.connection import SPARE, Connection, check_hooks
from linnet.serve.failures import Refusal
from linnet.serve.listen import Listeners, listening
from linnet.serve.logs import logging_config
from linnet.serve.quota import Quotas
from linnet.serve.service import Service
from linnet.serve.tracing import start_tracing

# Orchestrators kill after 30, of which the workers and the prediction log get 8.
GRACE_SECONDS = 20
KEEP_ALIVE_SECONDS = 75  # longer than the 60 of common load balancers, so that it is they who close
OTHER_FILES = (
    64 + SPARE
)  # than connections, that the process has open: workers, the prediction log, libraries
SIGNALS = (signal.SIGINT, signal.SIGTERM)
logger = logging.getLogger("linnet.serve")
say = partial(print, flush=True)  # a script that reads the line through a pipe waits for it


class Server(uvicorn.Server):
    """Uvicorn's server, which says when it listens and for which a stop by signal is a good end.

    Args:
        config: Uvicorn's settings.
        name: Of what is listened on, for the message where that fails.
        announce: Called once the service listens.
        stopping: Called once a stop was asked for, before what was accepted is waited for.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        name: str,
        announce: Callable[[], None],
        stopping: Callable[[], None] = lambda: None,
    ):
        super().__init__(config)
        self._name, self._announce, self._stopping = name, announce, stopping

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Start the app, then listen, then say so."""
        try:
            await super().startup(sockets)
        except OSError as error:
            raise UsageError(f"Can't listen on {self._name}: {error.strerror or error}.") from error
        self._announce()

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Say so, then end."""
        self._stopping()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on a signal. Uvicorn's own would raise it again after the drain, and so end with an error."""
        former = {number: signal.signal(number, self.handle_exit) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)


def serve(config: Config, bundle: Path, announce: Callable[[str], None] = say) -> None:
    """Verify and load a bundle, then answer over HTTP until SIGTERM or SIGINT; what was accepted is finished first.

    Args:
        config: All settings; `[serve]` and `[predict]` are used.
        bundle: A folder that `linnet export` wrote.
        announce: Is told where the service listens, in one line, once it does.

    Raises:
        BundleError: The bundle is broken, changed, or its proof failed.
        UsageError: The address can't be listened on; or other machines reach it, and there are no keys; or uvicorn is
            too old.
        ConfigError: The file of keys can't be read, or the arms can't be served together.
    """
    check_hooks()
    with listening(config.serve) as listeners:
        keys = keys_for(config.serve, listeners.address)
        quotas = Quotas(keys.path.with_suffix(".usage.json")) if keys else None
        log_config = logging_config(config.serve.log_format)
        logging.config.dictConfig(log_config)
        spans, service = start_tracing(), Service(config, str(bundle))
        app = create_app(service, keys, quotas, spans)
        connection = partial(
            Connection,
            seconds=config.serve.client_timeout_seconds,
            most=_connections(config.serve.max_connections),
            observe=app.state.watch.metrics.observe_request,
        )
        settings = uvicorn.Config(
            app,
            log_config=log_config,
            access_log=False,  # it would log paths; `linnet.serve` logs routes
            server_header=False,
            proxy_headers=False,
            http=connection,  # type: ignore[arg-type]
            ws="none",
            lifespan="off",  # it is begun before the server, so that what can't be served ends it in a sentence
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        if not keys:
            _warn_of_no_keys(config.serve, listeners)
        with asyncio.Runner(loop_factory=settings.get_loop_factory()) as runner:
            runner.run(_serve(app, service, settings, listeners, announce))
        if spans:
            spans.close()


async def _serve(
    app: FastAPI,
    service: Service,
    settings: uvicorn.Config,
    listeners: Listeners,
    announce: Callable[[str], None],
) -> None:
    loop, starting = asyncio.get_running_loop(), asyncio.current_task()
    assert starting is not None
    readings: set[asyncio.Task[None]] = set()  # the loop itself keeps no task from being forgotten

    def read_anew() -> None:
        reading = loop.create_task(_read_anew(service))
        readings.add(reading)
        reading.add_done_callback(readings.discard)

    loop.add_signal_handler(signal.SIGHUP, read_anew)
    for number in SIGNALS:
        loop.add_signal_handler(number, starting.cancel)
    try:
        async with app.router.lifespan_context(app):
            for number in SIGNALS:
                loop.remove_signal_handler(number)
            gc.collect()
            gc.freeze()  # what is there now stays, and looking through it again would hold all requests up
            bundle = service.arms.champion.pool.bundle
            line = f"Serving {bundle.manifest.name} ({bundle.digest[:12]}) on {listeners.url}"
            announced = partial(announce, line)
            server = Server(settings, listeners.name, announced, service.give_up_swaps)
            await server.serve(sockets=listeners.sockets)
    except asyncio.CancelledError:
        logger.info("stopped by a signal while it started")
    finally:
        for reading in list(readings):
            reading.cancel()


async def _read_anew(service: Service) -> None:
    try:
        arms = await service.swap()
    except (LinnetError, Refusal) as error:
        logger.error("SIGHUP: the models at work go on, as others can't be used: %s", error)
    else:
        logger.info(
            "SIGHUP: at work are %s",
            ", ".join(f"{arm.name} {arm.pool.bundle.digest[:12]}" for arm in arms),
        )


def _connections(asked: int) -> int:
    """So many connections as are asked for, or as the limit of open files leaves, which is raised as far as may be.

    Raises:
        UsageError: It leaves none.
    """
    needed, (limit, highest) = asked + OTHER_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return asked
    if limit < needed:
        limit = needed if highest == resource.RLIM_INFINITY else min(needed, highest)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, highest))
    if limit <= OTHER_FILES:
        raise UsageError(
            f"The system lets a process open {limit} files; the service needs {OTHER_FILES} beside its connections: "
            "raise the limit (ulimit -n)."
        )
    if limit < needed:
        logger.warning(
            "at most %d connections are taken at once, as the system lets a process open %d files (ulimit -n); "
            "serve.max_connections asks for %d",
            limit - OTHER_FILES,
            limit,
            asked,
        )
    return min(asked, limit - OTHER_FILES)


def _warn_of_no_keys(settings: ServeConfig, listeners: Listeners) -> None:
    if not listeners.local:
        logger.warning(
            "%s is open to other machines and asks for no key: whoever reaches it may use it",
            listeners.name,
        )
    if "*" in settings.cors_origins:
        logger.warning(
            'serve.cors_origins is "*" and no key is asked for: '
            "any web page in a browser that reaches the service may use it"
        )
