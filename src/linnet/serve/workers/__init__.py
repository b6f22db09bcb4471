"""Models at work in processes of their own: a queue in front of them, and who keeps them alive."""

from linnet.serve.workers.pool import Pool
from linnet.serve.workers.queue import Answer, Full

__all__ = ["Answer", "Full", "Pool"]
