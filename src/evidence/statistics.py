"""Small statistics that both training and metrics need. NumPy alone."""

from collections.abc import Iterable, Iterator

import numpy as np

from evidence.shapes import Maps, Truth, Values


def correlation(maps: Maps, truth: Truth) -> Values:
    """Normalised cross-correlation of each map with its truth: Pearson's r over all pixels, in [-1, 1].

    A map or a truth that is constant has no correlation and gives NaN. (Baumgartner et al., 2018, section 4.2.)
    """
    a = np.asarray(maps, np.float64).reshape(len(maps), -1)
    b = np.asarray(truth, np.float64).reshape(len(truth), -1)
    a = a - a.mean(1, keepdims=True)
    b = b - b.mean(1, keepdims=True)
    scale = np.sqrt((a * a).sum(1) * (b * b).sum(1))
    with np.errstate(invalid="ignore", divide="ignore"):
        r = (a * b).sum(1) / scale
    return np.where(np.ptp(a, 1) * np.ptp(b, 1) > 0, r, np.nan)


def strongest(maps: Maps, truth: Truth, percentiles: Iterable[float]) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """For each percentile its name, the pixels where each map reaches it, and those of the truth, (image, pixel)."""
    inside = np.asarray(truth).reshape(len(truth), -1) > 0
    for percentile in percentiles:
        yield f"{percentile:g}", top(maps, percentile).reshape(len(maps), -1), inside


def top(maps: Maps, percentile: float) -> np.ndarray:
    """Where each map reaches its percentile (interpolated linearly), as flags; NaN makes none.

    Where that is also its least value, as in a map that is mostly zero, reaching it says nothing: there only what lies
    above it counts, fewer pixels than asked for.
    """
    flat = np.asarray(maps).reshape(len(maps), -1)
    threshold = np.percentile(flat, percentile, axis=1, keepdims=True)
    chosen = np.where(threshold > flat.min(1, keepdims=True), flat >= threshold, flat > threshold)
    return chosen.reshape(np.shape(maps))
