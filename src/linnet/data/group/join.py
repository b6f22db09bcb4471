"""Join groups that share a value, such as an author."""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def join(group: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Join all groups that are connected by rows with the same `other`.

    Args:
        group: uint64 (n,).
        other: uint64 (n,); 0 for a row without one.

    Returns:
        uint64 (n,): the lowest `group` of those joined, in any order of rows.
    """
    names, place = np.unique(group, return_inverse=True)
    known = other != 0
    _, bridge = np.unique(other[known], return_inverse=True)
    size = len(names) + int(bridge.max(initial=-1)) + 1
    edges = (np.ones(known.sum(), np.int8), (place[known], len(names) + bridge))
    _, component = connected_components(coo_array(edges, shape=(size, size)), directed=False)
    # np.unique has sorted the names, so the first member of a component is its lowest.
    lowest = np.full(size, len(names))
    np.minimum.at(lowest, component[: len(names)], np.arange(len(names)))
    return np.asarray(names[lowest[component[: len(names)]]][place])
