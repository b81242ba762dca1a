"""Which pixels a map points at, and images without them (Dravid et al., CVPR-W 2022, Table 2 and Figure 8). NumPy."""

from typing import Any, Literal

import numpy as np
from jaxtyping import Bool

from evidence.errors import BadInput
from evidence.shapes import Images, Maps

Where = Bool[Any, "batch 1 *space"]

LEVELS = (75, 160)  # of ``jet``: up to the one, and from the other


def chosen(
    maps: Maps, rule: Literal["strong", "share", "jet"], threshold: float, share: float, channels: int = 1
) -> Where:
    """The pixels that each map points at.

    Args:
        rule: ``strong``: those where |v|, over its greatest, is above the threshold (in the released code the greatest
            of Grad-CAM is that of its cells, before they are enlarged). ``share``: the strongest by |v|, of equal ones
            those that come first. ``jet``: those that the released code chooses in a difference of
            images. The metric ``confidence_drop`` says more of each.
        threshold: of ``strong``.
        share: of the pixels, for ``share``.
        channels: of the images, which a map of ``jet`` is a sum over.
    """
    if not 0 <= threshold < 1:
        raise BadInput(f"threshold: {threshold} is no share of the greatest value; take 0 or more, and less than 1")
    if not 0 < share <= 1:
        raise BadInput(f"share: {share} is no share of the pixels; take more than 0, and 1 at most")
    flat = np.asarray(maps, np.float64).reshape(len(maps), -1)
    if rule == "strong":
        found = np.abs(flat) > threshold * np.abs(flat).max(1, keepdims=True)
    else:
        found = _strongest(flat, share) if rule == "share" else _jet(flat / channels)
    return found.reshape(len(maps), 1, *maps.shape[2:])


def erased(images: Images, where: Where) -> Images:
    """The images with some pixels, in all channels, at the image's own mean over pixels and channels."""
    means = images.mean(axis=tuple(range(1, images.ndim)), keepdims=True, dtype=np.float64)
    return np.where(where, means, images).astype(np.float32)


def _strongest(flat: np.ndarray, share: float) -> np.ndarray:
    """So many pixels of each map, by |v|, of equal ones the first."""
    count = max(1, round(share * flat.shape[1]))
    found = np.zeros(flat.shape, bool)
    first = np.argsort(-np.abs(flat), axis=1, kind="stable")[:, :count]
    np.put_along_axis(found, first, True, axis=1)
    return found


def _jet(difference: np.ndarray) -> np.ndarray:
    """The pixels that JET paints in what the released code takes for a dark grey."""
    raised = np.maximum((difference + 1) / 2, 0)
    greatest = raised.max(1, keepdims=True)
    levels = np.rint(255 * raised / np.where(greatest > 0, greatest, np.nan))  # NaN is on no side, and not chosen
    return (levels <= LEVELS[0]) | (levels >= LEVELS[1])
