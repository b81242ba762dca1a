"""Intersection over union of the strongest pixels of a map with the truth (Charachon et al., 2021, section 4.3)."""

from collections.abc import Mapping

import numpy as np

from evidence.shapes import Maps, Truth, Values
from evidence.statistics import strongest

BETTER = "higher"
RANGE = (0.0, 1.0)


def score(
    maps: Maps, truth: Truth, *, percentiles: tuple[float, ...] = (90.0, 95.0, 98.0, 99.0)
) -> Mapping[str, Values]:
    """#(P and A) / #(P or A) at each percentile, P where the map reaches it and A where the truth is positive.

    NaN where there is no truth to find. A perfect map has less than 1 where the truth is not as large as P; one that is
    the same everywhere finds nothing, and has 0.

    Args:
        percentiles: of a map's pixels. Paper: 90, 95 and 98 on X-rays, 98 and 99 on brains.
    """
    found = {}
    for at, chosen, inside in strongest(maps, truth, percentiles):
        both, either = (chosen & inside).sum(1), (chosen | inside).sum(1)
        found[at] = np.where(inside.any(1), both / np.maximum(either, 1), np.nan)
    return found
