"""Models at work in processes of their own: a queue in front of them, and who keeps them alive."""

from linnet.serve.models.workers.pool import Pool
from linnet.serve.models.workers.queue import Answer, QueueFull

__all__ = ["Answer", "Pool", "QueueFull"]
