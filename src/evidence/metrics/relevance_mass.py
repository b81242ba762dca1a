"""Relevance mass accuracy (Arras, Osman, Samek, 2022: CLEVR-XAI): how much of a map lies on the effect."""

import numpy as np

from evidence.shapes import Maps, Truth, Values

BETTER = "higher"
RANGE = (0.0, 1.0)


def score(maps: Maps, truth: Truth) -> Values:
    """The share of the map's positive part that lies where the truth is positive. 1 is all of it; a map that is the
    same everywhere scores the share of the image that the truth covers. NaN where nothing of the map is positive.
    """
    positive = np.maximum(np.asarray(maps, np.float64).reshape(len(maps), -1), 0)
    inside = np.asarray(truth).reshape(len(truth), -1) > 0
    with np.errstate(invalid="ignore"):
        return (positive * inside).sum(1) / positive.sum(1)
