"""Outline or filling: 0.5 is an effect evenly filled up to its border, 1 its outline alone, below 0.5 it fades there.

Made for the claim of Baumgartner et al. (2018, section 4.2) that some methods draw the edges of an effect.
"""

import numpy as np
from scipy import ndimage

from evidence.errors import BadInput
from evidence.shapes import Maps, Truth, Values

BETTER = "middle"
RANGE = (0.0, 1.0)


def score(maps: Maps, truth: Truth, *, width: int = 2) -> Values:
    """r / (r + i): i is the mean of the map's positive part over the interior, r that over the rim, on the side of the
    border where it is greater.

    The interior is the truth (where it is positive) eroded by ``width`` pixels, its rim what the erosion takes away, or
    what a dilation by ``width`` pixels adds; diagonal neighbours count, and the border of the image is none of the
    truth's. The sides are not averaged: outside, a filled effect has nothing, and an average would call blur an edge.

    The truth itself scores 0.5, and so does a map that is the same everywhere, which ``relevance_mass`` tells apart;
    noise a little more, 0.51 on boxes of 20×20 pixels, as the greater of both sides is taken, and the more the sparser
    it is; an outline of one pixel, on either side, 1. A box of 20×20 pixels blurred by a Gaussian scores 0.40, at
    σ = 2.5 as at σ = 6. NaN where there is no interior or no rim, or where the map has no positive mass on either.

    Args:
        width: of the rim on either side, in pixels.
    """
    if width < 1:
        raise BadInput(f"width: the rim has to be a pixel wide or more, not {width}")
    return np.array([_share(a[0], b[0] > 0, width) for a, b in zip(maps, truth, strict=True)], np.float64)


def _share(attribution: np.ndarray, inside: np.ndarray, width: int) -> float:
    square = np.ones((3,) * inside.ndim, bool)
    interior = ndimage.binary_erosion(inside, square, iterations=width, border_value=1)
    outside = ndimage.binary_dilation(inside, square, iterations=width) & ~inside
    sides = [side for side in (inside & ~interior, outside) if side.any()]
    if not sides or not interior.any():
        return np.nan
    positive = np.maximum(np.asarray(attribution, np.float64), 0)
    i, r = positive[interior].mean(), np.max([positive[side].mean() for side in sides])
    return r / (r + i) if r + i > 0 else np.nan
