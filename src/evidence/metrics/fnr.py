"""What Charachon et al. (2021, section 4.3) call the false negative rate: the strongest pixels that miss the truth.

It is one minus the precision (a false discovery rate), not the share of the truth that is missed: their numbers fall
as the percentile rises, and with their IoU they give the areas of the annotations. Tables print it as "FNR (paper)".
"""

from collections.abc import Mapping

import numpy as np

from evidence.shapes import Maps, Truth, Values
from evidence.statistics import strongest

BETTER = "lower"
RANGE = (0.0, 1.0)


def score(
    maps: Maps, truth: Truth, *, percentiles: tuple[float, ...] = (90.0, 95.0, 98.0, 99.0)
) -> Mapping[str, Values]:
    """#(P and not A) / #P at each percentile, P where the map reaches it and A where the truth is positive.

    NaN where there is no truth, and where a map that is the same everywhere has no strongest pixels.

    Args:
        percentiles: of a map's pixels. Paper: 90, 95 and 98 on X-rays, 98 and 99 on brains.
    """
    found = {}
    for at, chosen, inside in strongest(maps, truth, percentiles):
        with np.errstate(invalid="ignore"):
            outside = (chosen & ~inside).sum(1) / chosen.sum(1)
        found[at] = np.where(inside.any(1), outside, np.nan)
    return found
