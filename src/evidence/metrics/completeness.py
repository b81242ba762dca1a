"""How far medXGAN's maps are from summing to what the probability gains (Dravid et al., CVPR-W 2022, equation 6)."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from evidence.shapes import Values

BETTER = "lower"
RANGE = (0.0, np.inf)  # of the errors; a gain lies between -1 and 1
METHODS = ("latent",)
COLUMNS = ("completeness", "path_completeness", "negative", "positive", "valid")


def score(samples: pd.DataFrame) -> Mapping[str, Values]:
    """Of each image: ``lig`` and ``path``, by how much the sum of that map misses the gain, whichever way; and
    ``gain``, the probability of class 1 of the reconstruction less that of its negative. NaN where the image could not
    be inverted.

    Latent integrated gradients are the difference of two images times a mean gradient, which is complete on a straight
    way alone; ``path`` is complete but for the number of its steps.
    """
    known = samples.where(samples["valid"] != 0)
    return {
        "lig": known["completeness"].abs().to_numpy(np.float64),
        "path": known["path_completeness"].abs().to_numpy(np.float64),
        "gain": (known["positive"] - known["negative"]).to_numpy(np.float64),
    }
