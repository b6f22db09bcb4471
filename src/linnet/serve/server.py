"""The process: bind, load, announce, run until a signal, drain, end."""

import asyncio
import gc
import logging
import logging.config
import resource
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from socket import socket
from typing import Any

import uvicorn
from fastapi import FastAPI

from linnet.config import Config, ServeConfig
from linnet.errors import LinnetError, UsageError
from linnet.serve.app import create_app
from linnet.serve.errors import APIError
from linnet.serve.listen import BACKLOG, Listeners, listening
from linnet.serve.middleware.access import keys_for
from linnet.serve.middleware.connection import Connection, check_hooks
from linnet.serve.middleware.connections import SPARE, Connections
from linnet.serve.middleware.identity import Observe
from linnet.serve.middleware.keys import Keys
from linnet.serve.middleware.no_keys import open_to
from linnet.serve.middleware.quota import Quotas
from linnet.serve.models.service import Service
from linnet.serve.telemetry.logs import logging_config
from linnet.serve.telemetry.tracing import start_tracing

# Orchestrators kill after 30 s. The workers and the prediction log get 8 of them.
GRACE_SECONDS = 20
KEEP_ALIVE_SECONDS = 75  # longer than the 60 of common load balancers, so that it is they who close
PROBE_CONNECTIONS = 32
PROBE_SECONDS = 5.0  # a probe has
# The process has other files open than connections: workers, the prediction log, libraries.
OTHER_FILES = 64 + SPARE + PROBE_CONNECTIONS
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
        self._name = name
        self._announce = announce
        self._stopping = stopping

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
        """Stop on a signal.

        Uvicorn's own would raise it again after the drain, and so end with an error.
        """
        former = {number: signal.signal(number, self.handle_exit) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)


class ProbeServer(uvicorn.Server):
    """Uvicorn's server for `serve.probe_port`, which another server's end ends.

    Args:
        config: Uvicorn's settings.
        listeners: What it listens on.
    """

    def __init__(self, config: uvicorn.Config, listeners: Listeners):
        super().__init__(config)
        self._listeners = listeners

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the other server."""
        yield

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Answer while the block runs."""
        for listener in self._listeners.sockets:
            listener.listen(BACKLOG)  # before the service is announced
        logger.info("answers probes on %s", self._listeners.url)
        task = asyncio.create_task(self.serve(sockets=self._listeners.sockets))
        try:
            yield
        finally:
            self.should_exit = True
            await task


@contextmanager
def _probing(
    settings: ServeConfig, main: uvicorn.Config, observe: Observe
) -> Iterator[ProbeServer | None]:
    """What answers on `serve.probe_port`; None: there is no such port.

    Raises:
        UsageError: It can't be listened on.
    """
    if not settings.probe_port:
        yield None
        return
    connection = partial(
        Connection,
        seconds=min(PROBE_SECONDS, settings.client_timeout_seconds),
        open_connections=Connections(PROBE_CONNECTIONS),
        observe=observe,
        probes_only=True,
    )
    config = _uvicorn_config(main.app, main.log_config, connection, grace_seconds=1)
    ports = settings.model_copy(update={"port": settings.probe_port, "uds": ""})
    with listening(ports) as listeners:
        yield ProbeServer(config, listeners)


def _uvicorn_config(
    app: Any, log_config: Any, connection: Callable[..., Connection], grace_seconds: int
) -> uvicorn.Config:
    """What both servers have in common."""
    return uvicorn.Config(
        app,
        log_config=log_config,
        access_log=False,  # it would log paths; `linnet.serve` logs routes
        server_header=False,
        proxy_headers=False,
        http=connection,  # type: ignore[arg-type]
        ws="none",
        # The service starts before the server, so that a bundle's mistake ends it in a sentence.
        lifespan="off",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=grace_seconds,
    )


def serve(config: Config, bundle: Path, announce: Callable[[str], None] = say) -> None:
    """Verify and load a bundle, then answer over HTTP until SIGTERM or SIGINT.

    Accepted requests are finished first.

    Args:
        config: All settings; `[serve]` and `[predict]` are used.
        bundle: A folder that `linnet export` wrote.
        announce: Called with the line that says where the service listens.

    Raises:
        BundleError: The bundle is broken, changed, or its proof failed.
        UsageError: The address can't be listened on; or other machines reach it, and there are no
            keys; or uvicorn is too old.
        ConfigError: The file of keys can't be read, or the arms can't be served together.
    """
    check_hooks()
    with listening(config.serve) as listeners:
        keys = keys_for(config.serve, listeners.address)
        quotas = Quotas(keys.path.with_suffix(".usage.json")) if keys else None
        log_config = logging_config(config.serve.log_format)
        logging.config.dictConfig(log_config)
        spans = start_tracing()
        service = Service(config, str(bundle))
        app = create_app(
            service, keys, quotas, spans, None if keys else open_to(config.serve, listeners.local)
        )
        observe = app.state.watch.metrics.observe_request
        most = _connections(config.serve.max_connections)
        connection = partial(
            Connection,
            seconds=config.serve.client_timeout_seconds,
            open_connections=Connections(most, config.serve.max_connections_per_address),
            observe=observe,
        )
        settings = _uvicorn_config(app, log_config, connection, GRACE_SECONDS)

        def say_all(line: str) -> None:
            _say_who_may_ask(config.serve, listeners, keys)
            announce(line)

        with (
            _probing(config.serve, settings, observe) as probes,
            asyncio.Runner(loop_factory=settings.get_loop_factory()) as runner,
        ):
            runner.run(_serve(app, service, settings, listeners, probes, say_all))
        if spans:
            spans.close()


async def _serve(
    app: FastAPI,
    service: Service,
    settings: uvicorn.Config,
    listeners: Listeners,
    probes: "ProbeServer | None",
    announce: Callable[[str], None],
) -> None:
    loop = asyncio.get_running_loop()
    starting = asyncio.current_task()
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
            # what is there now stays, and looking through it again would hold all requests up
            gc.freeze()
            bundle = service.arms.champion.pool.bundle
            line = f"Serving {bundle.manifest.name} ({bundle.digest[:12]}) on {listeners.url}"
            announced = partial(announce, line)
            server = Server(settings, listeners.name, announced, service.give_up_swaps)
            async with probes.running() if probes else nullcontext():
                await server.serve(sockets=listeners.sockets)
    except asyncio.CancelledError:
        logger.info("stopped by a signal while it started")
    finally:
        for reading in list(readings):
            reading.cancel()


async def _read_anew(service: Service) -> None:
    try:
        arms = await service.swap()
    except (LinnetError, APIError) as error:
        logger.error("SIGHUP: the models at work go on, as others can't be used: %s", error)
    else:
        logger.info(
            "SIGHUP: at work are %s",
            ", ".join(f"{arm.name} {arm.pool.bundle.digest[:12]}" for arm in arms),
        )


def _connections(asked: int) -> int:
    """The connections asked for, or as many as the limit of open files allows.

    The limit is raised as far as the system allows.

    Raises:
        UsageError: It leaves none.
    """
    needed = asked + OTHER_FILES
    (limit, highest) = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return asked
    wanted = needed + BACKLOG  # as many may come at once before the first is closed
    if limit < wanted:
        limit = wanted if highest == resource.RLIM_INFINITY else min(wanted, highest)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, highest))
    if limit <= OTHER_FILES:
        raise UsageError(
            f"The system lets a process open {limit} files; the service needs {OTHER_FILES} "
            "besides its connections: raise the limit (ulimit -n)."
        )
    if limit < needed:
        logger.warning(
            "at most %d connections are taken at once, as the system lets a process open %d files "
            "(ulimit -n); serve.max_connections asks for %d",
            limit - OTHER_FILES,
            limit,
            asked,
        )
    return min(asked, limit - OTHER_FILES)


def _say_who_may_ask(settings: ServeConfig, listeners: Listeners, keys: Keys | None) -> None:
    if keys:
        count = keys.in_force(datetime.now(UTC))
        logger.info("asks for the keys of %s (%d in force)", keys.path.absolute(), count)
        return
    admin = "open too" if settings.admin_without_keys else "closed (serve.admin_without_keys)"
    logger.info("asks for no key; the routes below /admin are %s", admin)
    if settings.no_auth and Path(settings.keys).is_file():
        logger.warning(
            "serve.no_auth lets everybody in, although there are keys in %s",
            Path(settings.keys).absolute(),
        )
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
