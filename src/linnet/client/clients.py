"""The two clients:

one blocks, the other doesn't. They send and wait; what to send when, `flows` says.
"""

import asyncio
import string
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx2

from linnet.client import flows
from linnet.client.answers import Answer, Arm, ExplainedAnswer
from linnet.client.exchange import Flow, Reply, Send, Wait
from linnet.client.flows import Choice
from linnet.client.split import Item, encode, predict_body, split
from linnet.errors import LinnetError, ServiceError, UsageError

CONNECT_SECONDS = 5.0  # so that a try at a host that is gone leaves time for another
KEY_CHARACTERS = frozenset(string.ascii_letters + string.digits + string.punctuation)

T = TypeVar("T")


class _Settings:
    """What both clients are given, except the key:

    that is in the headers that httpx2 holds, and hides, alone.
    """

    def __init__(self, url: str, timeout: float, max_texts: int, max_bytes: int):
        if not timeout > 0 or max_texts < 1 or max_bytes < 1:
            raise UsageError(
                "Expected a timeout above 0 and room for a text at least in max_texts and "
                "max_bytes."
            )
        self.url = url if _socket_path(url) else _address(url)
        self.timeout = timeout
        self.max_texts = max_texts
        self.max_bytes = max_bytes

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    def _parts(self, texts: Iterable[str], choice: Choice) -> Iterator[list[Item]]:
        if isinstance(texts, str | bytes):
            raise UsageError("Expected several texts, got one string. Send it in a list: [text].")
        frame = len(predict_body([], choice.arm, choice.sticky_key))
        return split(encode(texts), self.max_texts, self.max_bytes - frame)

    def _pool(self, key: str | None, transport: Callable[..., Any]) -> dict[str, Any]:
        """How httpx2 is to connect; `transport` makes its way to a Unix domain socket."""
        options = {"base_url": self.url, "headers": _headers(key), "follow_redirects": False}
        if path := _socket_path(self.url):
            options |= {"base_url": "http://localhost", "transport": transport(uds=path)}
        return options


class Client(_Settings):
    """Asks a Linnet service, and waits for its answers. Several threads may use it at once.

    Args:
        url: The service's address, such as `http://127.0.0.1:8000`, or `unix:/run/linnet.sock` of
            `linnet serve --uds`.
        key: The service's key for this caller, where it asks for one. It is in no message and no
            `repr`.
        timeout: Seconds for one request, with all tries and waits.
        max_texts: Texts in one request; the service's `serve.max_texts` at most.
        max_bytes: Bytes of one request; the service's `serve.max_body_bytes` at most.

    Raises:
        UsageError: The address, the key or a number can't be used.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout: float = 60.0,
        max_texts: int = 256,
        max_bytes: int = 1_000_000,
    ):
        super().__init__(url, timeout, max_texts, max_bytes)
        self._http = httpx2.Client(**self._pool(key, httpx2.HTTPTransport))

    def predict(
        self, texts: Iterable[str], *, arm: str | None = None, sticky_key: str | None = None
    ) -> list[Answer]:
        """Classify any number of texts.

        Args:
            texts: Raw texts. They are sent in as many requests as their number and size ask for.
            arm: The model that is to answer; by default the service chooses.
            sticky_key: Such as a user's id: the same key gets the same arm.

        Returns:
            One answer a text, in order.

        Raises:
            ServiceError: A text at least has no answer. Nothing is lost: `results` has an answer or
                an error for each.
        """
        return flows.all_answered(list(self.predict_iter(texts, arm=arm, sticky_key=sticky_key)))

    def predict_iter(
        self, texts: Iterable[str], *, arm: str | None = None, sticky_key: str | None = None
    ) -> Iterator[Answer | LinnetError]:
        """Classify texts as they come: an answer or an error for each, in order; see `predict`.

        An error is in its text's place and is not raised. After a request that failed for a
        reason that others would meet too, such as a service that is gone, the texts left are not
        sent, and their errors say so.
        """
        choice = Choice(arm, sticky_key)
        outage = None
        for part in self._parts(texts, choice):
            if outage is None:
                answers = self._run(flows.predict(part, choice, self.timeout))
                outage = flows.outage(answers)
            else:
                answers = flows.not_sent(part, outage)
            yield from answers

    def explain(
        self, text: str, label: str | None = None, *, arm: str | None = None
    ) -> ExplainedAnswer:
        """Say which words moved the answer to a text.

        Args:
            text: A raw text.
            label: The label to explain; by default the most probable.
            arm: The model to ask; by default the service chooses.

        Raises:
            ServiceError: There is no answer.
        """
        return self._run(flows.explain(text, label, arm, self.timeout))

    def feedback(
        self,
        identity: str,
        label: str | Sequence[str],
        source: str = "user",
        annotator: str = "",
    ) -> None:
        """Send the right labels of an answer. Sending them twice changes nothing.

        Args:
            identity: The answer's `id`.
            label: What it should have been; of a multi-label model a list of all labels.
            source: Why somebody looked at the text: `user`, `audit`, `disagree` or `queue`. All but
                the first take a key of the scope admin too.
            annotator: Who says so. Empty: the name of the key.

        Raises:
            ServiceError: It was not stored.
        """
        self._run(flows.feedback(identity, label, source, annotator, self.timeout))

    def models(self) -> list[Arm]:
        """The models that the service answers with.

        Raises:
            ServiceError: There is no answer.
        """
        return self._run(flows.models(self.timeout))

    def ready(self) -> bool:
        """Whether the service can answer now; asked once. One that can't be reached is not ready.

        Raises:
            ServiceError: What answers is no Linnet service.
        """
        return self._run(flows.ready(self.timeout))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def _run(self, flow: Flow[T]) -> T:
        outcome: Reply | httpx2.RequestError | None = None
        while True:
            try:
                step = flow.send(outcome)
            except StopIteration as done:
                result: T = done.value
                return result
            if isinstance(step, Wait):
                time.sleep(step.seconds)
                outcome = None
            else:
                outcome = self._send(step)

    def _send(self, step: Send) -> Reply | httpx2.RequestError:
        body = bytearray()
        try:
            with self._http.stream(**_arguments(step)) as response:
                for (
                    part
                ) in response.iter_bytes():  # each part in time may still be too late together
                    body += part
                    if time.monotonic() > step.deadline:
                        return httpx2.ReadTimeout("", request=response.request)
                return Reply(
                    response.status_code, response.headers.get("Retry-After", ""), bytes(body)
                )
        except httpx2.RequestError as error:
            return error


class AsyncClient(_Settings):
    """Asks a Linnet service under asyncio; several requests at once, for a list that takes several.
    See `Client`.

    Args:
        url: The service's address, such as `http://127.0.0.1:8000`.
        key: The service's key for this caller, where it asks for one. It is in no message and no
            `repr`.
        timeout: Seconds for one request, with all tries and waits.
        max_texts: Texts in one request; the service's `serve.max_texts` at most.
        max_bytes: Bytes of one request; the service's `serve.max_body_bytes` at most.
        concurrency: Requests of one list that are under way at once.

    Raises:
        UsageError: The address, the key or a number can't be used.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout: float = 60.0,
        max_texts: int = 256,
        max_bytes: int = 1_000_000,
        concurrency: int = 4,
    ):
        super().__init__(url, timeout, max_texts, max_bytes)
        if concurrency < 1:
            raise UsageError(f"Expected a concurrency of at least 1, got {concurrency}.")
        self.concurrency = concurrency
        self._http = httpx2.AsyncClient(**self._pool(key, httpx2.AsyncHTTPTransport))

    async def predict(
        self, texts: Iterable[str], *, arm: str | None = None, sticky_key: str | None = None
    ) -> list[Answer]:
        """As `Client.predict`."""
        return flows.all_answered(
            [a async for a in self.predict_iter(texts, arm=arm, sticky_key=sticky_key)]
        )

    async def predict_iter(
        self, texts: Iterable[str], *, arm: str | None = None, sticky_key: str | None = None
    ) -> AsyncIterator[Answer | LinnetError]:
        """As `Client.predict_iter`, with `concurrency` requests at once, in order."""
        choice = Choice(arm, sticky_key)
        under_way = deque[asyncio.Task[list[Answer | LinnetError]]]()
        outages: list[ServiceError] = []

        async def answer(part: list[Item]) -> list[Answer | LinnetError]:
            if outages:
                return flows.not_sent(part, outages[0])
            answers = await self._run(flows.predict(part, choice, self.timeout))
            if found := flows.outage(answers):
                outages.append(found)
            return answers

        try:
            for part in self._parts(texts, choice):
                under_way.append(asyncio.create_task(answer(part)))
                if len(under_way) == self.concurrency:
                    for result in await under_way.popleft():
                        yield result
            while under_way:
                for result in await under_way.popleft():
                    yield result
        finally:  # whoever stops listening wants no more of it
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def explain(
        self, text: str, label: str | None = None, *, arm: str | None = None
    ) -> ExplainedAnswer:
        """As `Client.explain`."""
        return await self._run(flows.explain(text, label, arm, self.timeout))

    async def feedback(
        self,
        identity: str,
        label: str | Sequence[str],
        source: str = "user",
        annotator: str = "",
    ) -> None:
        """As `Client.feedback`."""
        await self._run(flows.feedback(identity, label, source, annotator, self.timeout))

    async def models(self) -> list[Arm]:
        """As `Client.models`."""
        return await self._run(flows.models(self.timeout))

    async def ready(self) -> bool:
        """As `Client.ready`."""
        return await self._run(flows.ready(self.timeout))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, *_: type[BaseException] | BaseException | TracebackType | None
    ) -> None:
        await self.close()

    async def _run(self, flow: Flow[T]) -> T:
        outcome: Reply | httpx2.RequestError | None = None
        while True:
            try:
                step = flow.send(outcome)
            except StopIteration as done:
                result: T = done.value
                return result
            if isinstance(step, Wait):
                await asyncio.sleep(step.seconds)
                outcome = None
            else:
                outcome = await self._send(step)

    async def _send(self, step: Send) -> Reply | httpx2.RequestError:
        try:
            async with asyncio.timeout(step.deadline - time.monotonic()):
                response = await self._http.request(**_arguments(step))
        except httpx2.RequestError as error:
            return error
        except TimeoutError:
            return httpx2.ReadTimeout("")
        return Reply(
            response.status_code, response.headers.get("Retry-After", ""), response.content
        )


def _socket_path(url: str) -> str:
    """The path of a Unix domain socket that an address names; "" if it names none."""
    return url.removeprefix("unix:") if isinstance(url, str) and url.startswith("unix:") else ""


def _address(url: str) -> str:
    try:
        parts = httpx2.URL(url)
    except (httpx2.InvalidURL, TypeError):
        parts = httpx2.URL("")
    # Nothing of it is quoted: it may hold a password or a key.
    if (
        parts.scheme not in ("http", "https")
        or not parts.host
        or parts.userinfo
        or parts.query
        or parts.fragment
    ):
        raise UsageError(
            "Expected the service's address alone, such as http://127.0.0.1:8000 or "
            "https://host/prefix, without a "
            "name, password, query or fragment. A key is its own argument: key=..."
        )
    return str(parts).rstrip("/")


def _headers(key: str | None) -> dict[str, str]:
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if key is None:
        return headers
    if not key or not KEY_CHARACTERS.issuperset(key):
        raise UsageError(
            "The key is not one of Linnet's: expected letters, digits and marks, without spaces."
        )
    return headers | {"Authorization": f"Bearer {key}"}


def _arguments(step: Send) -> dict[str, Any]:
    """A request as httpx2 takes it."""
    left = max(step.deadline - time.monotonic(), 0.001)
    request = step.request
    return {
        "method": request.method,
        "url": request.path,
        "headers": step.headers,
        "content": request.body,
        "timeout": httpx2.Timeout(left, connect=min(left, CONNECT_SECONDS)),
    }
