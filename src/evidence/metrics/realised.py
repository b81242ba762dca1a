"""What the classifier says of one z1's negative and of its positives (Dravid et al., CVPR-W 2022, Figure 3)."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from evidence.shapes import Values

BETTER = "higher"
RANGE = (0.0, 1.0)
METHODS = ("realisations",)
NAMES = ("negative", "first", "second", "third")
COLUMNS = tuple(f"p_{name}" for name in NAMES)


def score(samples: pd.DataFrame) -> Mapping[str, Values]:
    """Of each z1: ``right``, the share of its four images that are decided as was asked for, class 0 for the negative
    and class 1 for the others; and of each the probability of class 1: ``negative``, ``first``, ``second``, ``third``.
    """
    p = samples[list(COLUMNS)].to_numpy(np.float64)
    asked = np.array([name != "negative" for name in NAMES])
    return {"right": ((p >= 0.5) == asked).mean(1), **dict(zip(NAMES, p.T, strict=True))}
