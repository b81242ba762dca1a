"""How much of p1 is lost with the pixels that a map points at (Dravid et al., CVPR-W 2022, Table 2)."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
from scipy.special import softmax

from evidence import machine
from evidence.erasing import Where, chosen, erased
from evidence.seeds import rng
from evidence.shapes import Images, Labels, Maps, Values

BETTER = "higher"
RANGE = (-1.0, 1.0)


def score(
    maps: Maps,
    images: Images,
    labels: Labels,
    classifier,
    *,
    rule: Literal["strong", "share", "jet"] = "strong",
    threshold: float = 0.75,
    share: float = 0.05,
    seed: int = 0,
) -> Mapping[str, Values]:
    """Of each image of class 1 that the classifier gets right: ``drop``, its p1 less that with the chosen pixels
    replaced, in all channels, by the mean of the whole image; ``before``, its p1 where there is a drop; ``area``, the
    share of pixels chosen; and two floors: ``random``, the drop with as many pixels chosen at random, and
    ``everything``, with all of them.

    All other images are NaN, and so is what rests on a map that chooses nothing, as one that is the same everywhere
    does. The paper averages over positive validation images without saying how many. Its released code replaces pixel
    after pixel by the mean of what is then there; here it is the mean of the original, as the paper has it. No mean is
    neutral: a classifier may well find class 1 in a uniform image, which ``everything`` shows.

    Args:
        rule: which pixels are chosen. ``strong``: those where |v|, over its greatest, is above the threshold, as the
            released code chooses for Grad-CAM. ``share``: the strongest by |v|, as many for every method, so that none
            wins by area alone; of equal ones those that come first. ``jet``: as the released code chooses for its own
            difference of images in [-1, 1], which no other map is. With d the map over the number of channels, which
            it is a sum of, (d + 1)/2 is cut at 0, divided by its greatest value, and painted in the 256 colours of
            JET; these become grey with the weights of red and blue exchanged, and what is below 0.7 is chosen. That
            is levels 0 to 75 and 160 to 255: strong losses as well as gains and, where the greatest d is below 0.6,
            every pixel that does not differ at all.
        threshold: of ``strong``.
        share: of the pixels, for ``share``.
        seed: of the pixels chosen at random.
    """
    where = chosen(maps, rule, threshold, share, images.shape[1])
    flat, pointed = (np.asarray(each).reshape(len(maps), -1) for each in (maps, where))
    logits = machine.predict(classifier, images)
    before = softmax(logits, axis=1)[:, 1]
    right = np.flatnonzero((np.asarray(labels) == 1) & (logits.argmax(1) == 1))
    telling = right[(np.ptp(flat[right], axis=1) > 0) & pointed[right].any(1)]
    found = {name: np.full(len(maps), np.nan) for name in ("drop", "before", "area", "random", "everything")}

    def lost(rows: np.ndarray, pixels: Where) -> np.ndarray:
        after = machine.predict(classifier, erased(images[rows], pixels)) if len(rows) else logits[:0]
        return before[rows] - softmax(after, axis=1)[:, 1]

    found["drop"][telling] = lost(telling, where[telling])
    found["before"][telling] = before[telling]
    found["area"][telling] = pointed[telling].mean(1)
    shuffled = [_shuffled(pointed[row], seed, row) for row in telling.tolist()]
    found["random"][telling] = lost(telling, np.array(shuffled, bool).reshape(where[telling].shape))
    found["everything"][right] = lost(right, np.ones_like(where[right]))
    return found


def _shuffled(chosen: np.ndarray, seed: int, row: int) -> np.ndarray:
    """As many other pixels, drawn for the row."""
    return rng(seed, "random pixels", row).permutation(chosen)
