"""Why an estimate is not shown: signs that the traffic is unlike the validation rows."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from linnet.monitor.accuracy.estimate import Estimate
from linnet.monitor.reference import Reference

WATCHED = ("surprise", "pieces", "tokens", "confidence")
TOLERANCE = 0.02  # of the mean rank, as of drift alarms; 0.5 is the validation rows' own
WIDTHS = 3.3  # standard errors


def unlike_streams(reference: Reference, streams: Mapping[str, NDArray[np.float64]]) -> list[str]:
    """The streams whose mean rank among the validation rows is too far from theirs.

    Args:
        reference: Of the bundle.
        streams: Raw values of distinct texts by name, float (n,); NaN is not known.
    """
    found = []
    for name in WATCHED:
        values = streams.get(name)
        usual = reference.streams.get(name)
        if values is None or usual is None:
            continue
        known = values[~np.isnan(values)]
        if not len(known):
            continue
        ranks = usual.ranks(known)
        error = (usual.sd**2 / usual.n + float(ranks.var()) / len(known)) ** 0.5
        if abs(float(ranks.mean()) - usual.mean) > TOLERANCE + WIDTHS * error:
            found.append(name)
    return found


def apart(table: Estimate, label_shift: Estimate) -> bool:
    """Whether the two estimates differ by more than both half-widths."""
    return abs(table.value - label_shift.value) > max(table.half_width, label_shift.half_width)
