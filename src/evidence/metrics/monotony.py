"""Whether p1 rises on the way from the negative image to the positive one (Dravid et al., CVPR-W 2022, Figure 5)."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from evidence.errors import BadInput
from evidence.shapes import Values

BETTER = "higher"
RANGE = (-1.0, 1.0)
METHODS = ("traversal",)
FRAMES = ("p00", "p01", "p02", "p03", "p04", "p05", "p06", "p07", "p08", "p09", "p10")
COLUMNS = (*FRAMES, "valid")


def score(samples: pd.DataFrame, *, tolerance: float = 1e-6, slack: float = 0.01) -> Mapping[str, Values]:
    """Of each image: ``monotone``, 1 where p1 falls from no frame to the next, else 0; ``nearly``, 1 where it never is
    further than ``slack`` below what it was before; ``spearman``, the rank correlation of p1 with the frame's number,
    NaN where p1 is the same in all; ``rise``, p1 of the last frame less that of the first; ``crosses``, 1 where
    the negative is decided for class 0 and the last frame for class 1, for a way from a negative that is none cannot
    fall far; and p1 of each frame, ``p00`` to ``p10``. NaN where the image could not be inverted.

    The paper shows one such way, and gives no number. Where the classifier is certain, p1 goes up and down in its
    fourth digit: that is not monotone, and ``nearly`` is.

    Args:
        tolerance: by how much p1 may fall and still count as the same: what float32 arithmetic is off.
        slack: by how much it may fall altogether and still be ``nearly`` monotone.
    """
    if not 0 <= tolerance < 1:
        raise BadInput(f"tolerance: {tolerance} has to be 0 or a little more: p1 lies between 0 and 1")
    if not tolerance <= slack < 1:
        raise BadInput(f"slack: {slack} has to be the tolerance or more: p1 lies between 0 and 1")
    p = samples[list(FRAMES)].where(samples["valid"] != 0).to_numpy(np.float64)
    falls = (np.diff(p, axis=1) < -tolerance).any(1)
    return {
        "monotone": np.where(np.isnan(p).any(1), np.nan, ~falls),
        "nearly": np.where(np.isnan(p).any(1), np.nan, (np.maximum.accumulate(p, axis=1) - p).max(1) <= slack),
        "spearman": np.array([_ranked(row) for row in p]),
        "rise": p[:, -1] - p[:, 0],
        "crosses": np.where(np.isnan(p).any(1), np.nan, (p[:, 0] < 0.5) & (p[:, -1] >= 0.5)),
        **dict(zip(FRAMES, p.T, strict=True)),
    }


def _ranked(row: np.ndarray) -> float:
    return float(spearmanr(np.arange(len(row)), row).statistic) if np.ptp(row) > 0 else np.nan
