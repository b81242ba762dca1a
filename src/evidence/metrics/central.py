"""How a map weighs several effects: 0.5 the central one like the others, 1 the central one alone.

Made for the claims of Baumgartner et al. (2018, section 4.2) that some methods prefer the effect that never moves, and
that others find both.
"""

from typing import Literal

import numpy as np
from scipy import ndimage

from evidence.shapes import Maps, Truth, Values

BETTER = "middle"
RANGE = (0.0, 1.0)


def score(maps: Maps, truth: Truth, *, share: Literal["central", "weaker"] = "central") -> Values:
    """c / (c + o): c is the mean of the map's positive part over the central effect, o that over all others together.

    The effects are the connected components, by faces, of the truth where it is positive; the central one is that whose
    centroid is nearest the middle of the image. NaN where there are fewer than two, or no positive mass on any.

    Args:
        share: that of the ``central`` effect, or the ``weaker`` of both shares of an image: 0.5 where it weighs them
            evenly, 0 where it has one alone. Means over images of the first are even too where some have one alone and
            some the other.
    """
    found = np.array([_share(a[0], b[0]) for a, b in zip(maps, truth, strict=True)], np.float64)
    return found if share == "central" else np.minimum(found, 1 - found)


def _share(attribution: np.ndarray, truth: np.ndarray) -> float:
    components, count = ndimage.label(truth > 0)
    if count < 2:
        return np.nan
    centroids = np.array(ndimage.center_of_mass(components > 0, components, range(1, count + 1)))
    middle = (np.array(truth.shape) - 1) / 2
    central = components == 1 + np.argmin(np.square(centroids - middle).sum(1))
    positive = np.maximum(np.asarray(attribution, np.float64), 0)
    c, o = positive[central].mean(), positive[(components > 0) & ~central].mean()
    return c / (c + o) if c + o > 0 else np.nan
