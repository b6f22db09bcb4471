"""Records what a service does:

each batch, answer and change of models, to metrics and prediction log.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from linnet.errors import StorageError
from linnet.labels import find_label
from linnet.monitor import PredictionLog
from linnet.serve.errors import APIError, LogUnavailable
from linnet.serve.middleware.keys import Keys
from linnet.serve.models.arms import Arm, Arms
from linnet.serve.models.items import Item
from linnet.serve.models.service import Service
from linnet.serve.models.workers.pool import Batch
from linnet.serve.telemetry.log_rows import LogRows
from linnet.serve.telemetry.metrics import ArmStatus, Metrics
from linnet.serve.telemetry.monitor_status import MonitorStatus
from linnet.serve.telemetry.service_status import ServiceStatus

FEEDBACK_SECONDS = 5.0  # that storing what is true may take


class Recorder:
    """Counts and records what a service does.

    Args:
        service: The service.
        keys: Who may ask, for whether their file can be read.

    Attributes:
        metrics: What is counted.
        monitor: What monitoring found.
    """

    def __init__(self, service: Service, keys: Keys | None):
        self._service = service
        self._keys = keys
        self._log: PredictionLog | None = None
        self._rows: LogRows | None = None
        self._arms: Arms | None = None
        self.monitor = MonitorStatus(Path(service.config.monitor.directory))
        self.metrics = Metrics(self._facts, self.monitor.gauges)
        service.on_batch = self._on_batch
        service.on_item = self._on_item
        service.on_arms = self._on_arms

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Have the prediction log open while the block runs, if there is to be one.

        Raises:
            ConfigError, MissingExtraError: There can't be such a log.
        """
        settings = self._service.config.prediction_log
        if settings.url:
            self._log = await asyncio.to_thread(PredictionLog, settings)
            self._rows = LogRows(self._log)
            if self._arms is not None:
                self._rows.begin_epoch(self._arms)
        try:
            yield
        finally:
            if self._log:
                await asyncio.to_thread(self._log.close)

    async def feedback(
        self, identity: str, labels: Sequence[str], source: str, annotator: str
    ) -> None:
        """Record what is true of an answer.

        Args:
            identity: The answer's id.
            labels: All labels that truly apply.
            source: Why somebody looked; see `Truth`.
            annotator: Who says so.

        Raises:
            APIError: No such answer was recorded, no model at work has a label, these are several
                labels of a single-label model, or the log can't be reached.
        """
        found_labels = self._known_labels(labels)
        down = (
            "The prediction log can't be reached, so that nothing was stored. Send the feedback "
            "again later."
        )
        if self._log is None:
            raise LogUnavailable(
                "This service keeps no prediction log (prediction_log.url is empty)."
            )
        try:
            stored = asyncio.wrap_future(
                self._log.feedback(identity, found_labels, source, annotator)
            )
            found = await asyncio.wait_for(stored, FEEDBACK_SECONDS)
        except (StorageError, TimeoutError):
            raise LogUnavailable(down, 5) from None
        if not found:
            message = (
                "No answer of this id was recorded. "
                "Send the id of an answer as it came, within the log's keeping."
            )
            raise APIError(404, "unknown_prediction", message)

    def _known_labels(self, labels: Sequence[str]) -> list[str]:
        """The models' own names of labels, each once.

        Raises:
            APIError: No model at work has a label, or none answers with so many.
        """
        manifests = [arm.pool.bundle.manifest for arm in self._service.arms]
        found: dict[str, None] = {}
        for label in labels:
            name = next(filter(None, (find_label(label, one.labels) for one in manifests)), None)
            if name is None:
                known = ", ".join(sorted({name for one in manifests for name in one.labels}))
                raise APIError(
                    422, "bad_label", f"Expected a label of a model at work: {known:.300}."
                )
            found[name] = None
        if len(found) != 1 and not any(one.multi_label for one in manifests):
            message = f"Expected one label, as this model gives one per text; got {len(found)}."
            raise APIError(422, "bad_label", message)
        return list(found)

    def _on_batch(self, arm: str, batch: Batch) -> None:
        self.metrics.observe_batch(
            arm, batch.texts, batch.tokens, batch.padded_tokens, batch.seconds
        )

    def _on_item(self, item: Item) -> None:
        if item.answer is None:
            self.metrics.observe_failed_text(item.arm.name, item.code)
        else:
            self.metrics.observe_answer(item.arm.name, item.answer.prediction)
        if self._rows:
            self._rows.add(item)

    def _on_arms(self, arms: Arms) -> None:
        self._arms = arms
        if self._rows:
            self._rows.begin_epoch(arms)
        self.metrics.set_arms([_arm_facts(arm) for arm in arms])

    def _facts(self) -> ServiceStatus:
        service = self._service
        pools = self._service.pools
        try:
            service.check_ready()
            ready = True
        except APIError:
            ready = False
        log = self._log.status() if self._log else None
        return ServiceStatus(
            ready=ready,
            queue_texts=sum(len(pool.queue) for pool in pools),
            queue_tokens=sum(pool.queue.tokens for pool in pools),
            queue_oldest_seconds=max((pool.queue.age for pool in pools), default=0.0),
            workers_expected=sum(pool.choice.plan.num_sessions for pool in pools),
            worker_pids=[pid for pool in pools for pid in pool.pids],
            worker_restarts=service.restarts,
            log_written=log.written if log else 0,
            log_lost=sum(log.lost.values()) if log else 0,
            log_pending=log.pending if log else 0,
            log_works=log.healthy if log else True,
            keys_stale=bool(self._keys and self._keys.stale),
            harm=service.experiment.guardrails.evidence(),
            rolled_back=service.rolled_back,
        )


def _arm_facts(arm: Arm) -> ArmStatus:
    manifest = arm.pool.bundle.manifest
    plan = arm.pool.choice.plan
    return ArmStatus(
        arm.name, arm.role, arm.share, manifest.name, manifest.digest, plan.engine, plan.variant
    )
