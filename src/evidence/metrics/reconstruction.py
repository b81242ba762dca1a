"""How near an inverted image comes to the image itself (Dravid et al., CVPR-W 2022, Figure 11)."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from evidence.shapes import Values

BETTER = "lower"
RANGE = (0.0, 4.0)  # of the error; intensities lie in [-1, 1]
METHODS = ("inversion",)
SCORES = ("mse", "bce", "before", "after", "valid")
COLUMNS = SCORES


def score(samples: pd.DataFrame) -> Mapping[str, Values]:
    """Of each image: ``mse``, the mean squared error of its reconstruction, which is what lower is better for; ``bce``,
    the cross-entropy of the reconstruction's p1 with the image's; ``before`` and ``after``, p1 of the image and of the
    reconstruction; and ``valid``, 1 where the image counts as inverted.

    Images that could not be inverted have an error like all others: a mean over those alone that could would flatter
    the method. ``valid`` says which they are.
    """
    return {name: samples[name].to_numpy(np.float64) for name in SCORES}
