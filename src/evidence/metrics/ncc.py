"""Normalised cross-correlation with the truth (Baumgartner et al., 2018, section 4.2)."""

from evidence.shapes import Maps, Truth, Values
from evidence.statistics import correlation

BETTER = "higher"
RANGE = (-1.0, 1.0)


def score(maps: Maps, truth: Truth) -> Values:
    """Pearson's r between map and truth over all pixels of an image: 1 is the truth itself, 0 noise. Constant: NaN."""
    return correlation(maps, truth)
