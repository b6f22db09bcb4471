"""Models at work: arms, the queue in front of them, their worker processes, and swaps."""
