"""The network as it is trained: batches, layers, weights, optimizer and precision."""
