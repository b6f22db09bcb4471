"""What is told of the service at work: each batch, answer and change of models, to the metrics."""

from linnet.serve.arms import Arm, Arms
from linnet.serve.failures import Refusal
from linnet.serve.keys import Keys
from linnet.serve.metrics import ArmFacts, Facts, Metrics
from linnet.serve.service import Item, Service
from linnet.serve.workers.pool import Batch


def watch(service: Service, keys: Keys | None) -> Metrics:
    """Have a service tell its metrics all that it does.

    Args:
        service: The service; nobody else is told by it.
        keys: Who may ask, for whether their file can be read.
    """
    metrics = Metrics(lambda: _facts(service, keys))

    def on_batch(arm: str, batch: Batch) -> None:
        metrics.observe_batch(arm, batch.texts, batch.tokens, batch.padded_tokens, batch.seconds)

    def on_item(item: Item, text: str, shadow: bool) -> None:
        if item.answer:
            metrics.observe_answer(item.arm.name, item.answer.prediction)
        elif item.error:
            metrics.observe_failed_text(item.arm.name, item.error.code)

    def on_arms(arms: Arms) -> None:
        metrics.set_arms([_arm_facts(arm) for arm in arms])

    service.on_batch, service.on_item, service.on_arms = on_batch, on_item, on_arms
    return metrics


def _facts(service: Service, keys: Keys | None) -> Facts:
    pools = service.pools
    try:
        service.check_ready()
        ready = True
    except Refusal:
        ready = False
    return Facts(
        ready=ready,
        queue_texts=sum(len(pool.queue) for pool in pools),
        queue_tokens=sum(pool.queue.tokens for pool in pools),
        queue_oldest_seconds=max((pool.queue.age for pool in pools), default=0.0),
        workers_expected=sum(pool.choice.plan.num_sessions for pool in pools),
        worker_pids=[pid for pool in pools for pid in pool.pids],
        worker_restarts=service.restarts,
        log_written=0,
        log_lost=0,
        log_pending=0,
        keys_stale=bool(keys and keys.stale),
    )


def _arm_facts(arm: Arm) -> ArmFacts:
    manifest, plan = arm.pool.bundle.manifest, arm.pool.choice.plan
    return ArmFacts(arm.name, arm.role, arm.share, manifest.name, manifest.digest, plan.engine, plan.variant)
