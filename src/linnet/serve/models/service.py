"""The models at work:

texts are read off the event loop, wait for their arm, and come back as answers.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from linnet.config import ArmConfig, Config
from linnet.errors import OutOfMemoryError, TextError
from linnet.monitor import new_id
from linnet.serve.errors import APIError, DeadlineExceeded, NotReady, TooManyTexts
from linnet.serve.models.answering import Answering
from linnet.serve.models.arms import CHAMPION, Arm, Arms, check_arms, open_arms
from linnet.serve.models.experiment import Experiment
from linnet.serve.models.fair import Client
from linnet.serve.models.follow import Follower
from linnet.serve.models.intake import Intake, in_use, with_room
from linnet.serve.models.items import Item, TextRequest
from linnet.serve.models.shadows import Shadows
from linnet.serve.models.swaps import Swaps
from linnet.serve.models.workers import Pool
from linnet.serve.models.workers.pool import Batch
from linnet.serve.models.workers.worker_main import MODEL_FAILED

DRAIN_SECONDS = 20.0  # that models which are no longer asked have for what they were asked
STOP_SECONDS = (
    3.0  # the same where the service stops: no client waits then, only what is asked for the log
)

logger = logging.getLogger("linnet.serve")


class Service:
    """What the routes ask. Of one event loop alone.

    Args:
        config: `[predict]` and `[serve]` are used.
        bundle: The champion's folder.

    Attributes:
        settings: The section `[serve]`.
        unready: Why the service can't answer anything; None when it can.
        on_batch: Called for every batch, with the arm's name.
        on_item: Called once for every text and arm that was asked about it, also where there is no
            answer.
        on_arms: Called with the arms when they change.
        experiment: Watches the challengers, and keeps which were rolled back.
    """

    def __init__(self, config: Config, bundle: str):
        self.config = config
        self.settings = config.serve
        self.unready: str | None = "The service has not started yet."
        self.on_batch: Callable[[str, Batch], None] = lambda arm, batch: None
        self.on_item: Callable[[Item], None] = lambda item: None
        self.on_arms: Callable[[Arms], None] = lambda arms: None
        self._asked: Mapping[str, ArmConfig] = {
            CHAMPION: ArmConfig(bundle=bundle),
            **config.serve.arms,
        }
        self.experiment = Experiment(config)
        self._arms: Arms | None = None
        self._swaps = Swaps(config.serve.swap_timeout_seconds)
        self._asked_for = 0  # swaps to other arms, and the latest of them that was made
        self._made = 0
        self._former_restarts = 0
        self._intake: Intake | None = None
        self._shadows: Shadows | None = None
        self._aside: set[asyncio.Task[None]] = set()
        self._following: asyncio.Task[None] | None = None

    @property
    def arms(self) -> Arms:
        """The models at work.

        Raises:
            APIError: There are none, as the service has not started, or stops.
        """
        self.check_started()
        assert self._arms is not None
        return self._arms

    @property
    def intake(self) -> Intake:
        """The way in for texts.

        Raises:
            APIError: As of `arms`.
        """
        self.check_started()
        assert self._intake is not None
        return self._intake

    @property
    def restarts(self) -> int:
        """How often workers were restarted, of the present models and of earlier ones."""
        return self._former_restarts + sum(pool.restarts for pool in self.pools)

    @property
    def pools(self) -> list[Pool]:
        """The workers of all models at work."""
        return [arm.pool for arm in self._arms or ()]

    @property
    def rolled_back(self) -> dict[str, bool]:
        """The challengers at work, and whether each was rolled back."""
        return {arm.name: arm.rolled_back for arm in self._arms.challengers} if self._arms else {}

    async def start(self) -> None:
        """Verify, load and warm all models.

        Raises:
            ConfigError: The arms can't be served together.
            BundleError: A bundle can't be used.
        """
        self._swaps = Swaps(self.config.serve.swap_timeout_seconds)
        await self.experiment.read()
        arms = await open_arms(self.config, self._asked, self._batch)
        self._intake = Intake(self.settings.max_wait_seconds)
        self._shadows = Shadows(self._intake, self._account)
        self._change(self.experiment.hold(arms))
        self.unready = None
        if self.settings.follow:
            ramp = self.config.experiment.ramp
            follower = Follower(Path(self.settings.follow), ramp, self)
            self._following = asyncio.create_task(follower.run())

    async def stop(self) -> None:
        """Take nothing more, answer what waits, and end the workers."""
        self.unready = "The service is shutting down."
        if self._following:
            self._following.cancel()
        await self._swaps.stop()
        arms = self._arms
        self._arms = None
        aside = list(self._aside)
        stops = [asyncio.create_task(arm.pool.stop(STOP_SECONDS)) for arm in arms or ()]
        if aside:
            await asyncio.wait(aside, timeout=STOP_SECONDS)
            for task in aside:
                task.cancel()
        await asyncio.gather(*aside, *stops, return_exceptions=True)
        if self._intake:
            self._intake.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Be at work while the block runs; see `start` and `stop`."""
        await self.start()
        try:
            yield
        finally:
            await self.stop()

    async def swap(self, settings: Mapping[str, ArmConfig] | None = None) -> Arms:
        """Replace the arms: by these, or by the present ones read again.

        The old ones go on until then.

        Of two swaps at once the arms of the later one stay, whichever is ready first.

        Returns:
            The arms now at work.

        Raises:
            ConfigError: They can't be served together; the old ones go on.
            BundleError: A bundle can't be used; the old ones go on.
            APIError: They were not ready in time, or the service stops.
        """
        self.check_started()
        self._asked_for += settings is not None
        return await self._swaps.run(partial(self._swap, settings, self._asked_for))

    async def _swap(self, settings: Mapping[str, ArmConfig] | None, number: int) -> Arms:
        opened: set[Pool] = set()  # and not at work yet
        known: list[Arm] = []
        try:
            while True:
                asked = self._asked if settings is None else settings
                check_arms(asked)
                old = self.arms
                new = await open_arms(self.config, asked, self._batch, [*old, *known])
                known = [arm for arm in new if arm.pool not in {arm.pool for arm in old}]
                opened |= {arm.pool for arm in known}
                if self._arms is old:
                    break  # else another swap came between, and may have ended what this one keeps
            if number < self._made:
                return old
            self._put_to_work(new, old)
            self._made = number
            opened -= {arm.pool for arm in new}
            return self.arms
        finally:
            await asyncio.gather(*(pool.stop() for pool in opened))

    def set_shares(self, shares: Mapping[str, float]) -> Arms:
        """Change the shares of arms, in memory and at once.

        Args:
            shares: New shares by arm; the others keep theirs.

        Returns:
            The arms now at work.

        Raises:
            ConfigError: As of `Arms.with_shares`.
            APIError: The service has not started, or stops.
        """
        self.experiment.check_shares(self.arms, shares)
        return self._change(self.arms.with_shares(shares))

    def roll_back(self, arm: str, reason: str) -> Arms:
        """Set a challenger's share to 0, in memory and at once, until `reset`.

        Args:
            arm: The challenger.
            reason: For the log and the file of roll-backs.

        Raises:
            ConfigError: There is no such challenger.
            APIError: The service has not started, or stops.
        """
        new = self._change(self.experiment.roll_back(self.arms, arm, reason))
        self._go_on(self.experiment.save(new, arm))
        return new

    def reset(self, arm: str) -> Arms:
        """Lift the roll-back of a challenger. Its share stays 0 until `set_shares`.

        Raises:
            ConfigError, APIError: As of `roll_back`.
        """
        new = self._change(self.experiment.reset(self.arms, arm))
        self._go_on(self.experiment.save(new, arm))
        return new

    def _change(self, new: Arms) -> Arms:
        self._arms = new
        self._asked = new.settings
        self.experiment.watch(new)
        self.on_arms(new)
        return new

    def _put_to_work(self, new: Arms, old: Arms) -> None:
        self._change(self.experiment.hold(new))
        kept = {arm.pool for arm in new}
        for arm in old:
            if arm.pool not in kept:
                self._former_restarts += arm.pool.restarts
                self._go_on(arm.pool.stop(DRAIN_SECONDS))

    def give_up_swaps(self) -> None:
        """Answer those who wait for a swap that the service stops, before their time is over."""
        self._swaps.give_up()

    async def predict(
        self,
        texts: Sequence[str],
        arm: str | None = None,
        key: str | None = None,
        timeout: float | None = None,
        client: Client | None = None,
    ) -> list[Item]:
        """Classify the texts of one request.

        Args:
            texts: Raw texts.
            arm: Who is asked; None: as the shares say.
            key: What decides the arm in place of the text, such as a user's id.
            timeout: Seconds to answer in.
            client: Who asks; the texts that are begun are counted in it, also where a refusal
                follows.

        Returns:
            What became of each text, in order; an error at most of those that can't be answered.

        Raises:
            APIError: The service is not ready, has no room, or these are too many texts; or the
                time is over.
        """
        self.check_count(len(texts))
        client = client or Client()
        arms = self.arms
        intake = self.intake
        chosen = [
            arms.named(arm) if arm is not None else arms.choose(key if key is not None else t)
            for t in texts
        ]
        request = TextRequest(new_id(), texts, arms, chosen, arm is not None, key)
        answering = Answering(request, intake, client, self._account)
        items = await answering.run(self._seconds(timeout))
        assert self._shadows is not None
        for work in self._shadows.ask(request, client.share):
            self._go_on(work)
        return items

    async def explain(
        self,
        text: str,
        label: str | None,
        arm: str | None,
        timeout: float | None = None,
        client: Client | None = None,
    ) -> tuple[Arm, dict[str, Any]]:
        """What moved the answer to a text, and whose it is.

        Raises:
            APIError: As of `predict`; or the label is unknown.
            TextError: The text can't be used.
        """
        client = client or Client()
        chosen = self.arms.named(arm) if arm is not None else self.arms.choose(text)
        intake = self.intake
        intake.check_room(chosen, client.share)
        end = self._seconds(timeout)
        future = None
        try:
            with in_use({chosen}):
                async with asyncio.timeout(end):
                    (encodings,) = await intake.read([text], [chosen], client.share)
                    if isinstance(encodings, TextError):
                        raise encodings
                    future = with_room(lambda: chosen.pool.explain(text, encodings, label, client))
                    reply = await future
        except TimeoutError:
            raise DeadlineExceeded(f"No answer within {end:g} s. Try again later.") from None
        finally:
            if future:
                future.cancel()
        if "error" in reply:
            code = reply["error"]["code"]
            failed = code in (MODEL_FAILED, OutOfMemoryError.code)
            raise APIError(503 if failed else 422, code, reply["error"]["message"])
        return chosen, reply["explanation"]

    def check_started(self) -> None:
        """Pass if the service has models at work.

        Raises:
            APIError: It hasn't; the message says why.
        """
        if self.unready is not None:
            raise NotReady(f"{self.unready} Try again later.")

    def check_ready(self, details: bool = False) -> None:
        """Pass if the service has started and all workers are up, except those of shadows.

        Args:
            details: Whether the message may say which model isn't, and why.

        Raises:
            APIError: It isn't.
        """
        self.check_started()
        for arm in self.arms:
            if arm.role != "shadow" and arm.pool.unready:
                reason = arm.pool.unready if details else "A model is not ready. Try again later."
                raise NotReady(reason)

    def check_room(self, share: str = "") -> None:
        """Pass if there is room for a text of some model whose answers are returned.

        Args:
            share: Whose text it is.

        Raises:
            APIError: The service has not started, or there is none.
        """
        refusals = []
        for arm in self.arms:
            if arm.role != "shadow":
                try:
                    return self.intake.check_room(arm, share)
                except APIError as refusal:
                    refusals.append(refusal)
        raise refusals[0]

    def check_count(self, texts: int) -> None:
        """Pass if a request has as many texts as one may have.

        Raises:
            APIError: It has more.
        """
        most = self.settings.max_texts
        if texts > most:
            message = (
                f"Expected at most {most} texts in a request; got {texts}. Send them in several "
                f"requests."
            )
            raise TooManyTexts(message, {"max_texts": most})

    def _seconds(self, asked: float | None) -> float:
        longest = self.settings.timeout_seconds
        return longest if asked is None else min(asked, longest)

    def _account(self, item: Item) -> None:
        harmful = self.experiment.see(item)
        if harmful and self.unready is None:
            self.roll_back(*harmful)
        self.on_item(item)

    def _batch(self, arm: str, batch: Batch) -> None:
        self.on_batch(arm, batch)

    def _go_on(self, work: Any) -> None:
        """Run something in the background; log its failure."""

        def end(task: asyncio.Task[None]) -> None:
            self._aside.discard(task)
            if not task.cancelled() and task.exception():
                logger.error("this is a defect of Linnet", exc_info=task.exception())

        task = asyncio.create_task(work)
        self._aside.add(task)
        task.add_done_callback(end)
