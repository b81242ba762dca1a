"""Whether inversions of one image end in one place, wherever they start (Dravid et al., CVPR-W 2022, Table 3)."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from evidence.shapes import Values

BETTER = "higher"
RANGE = (-1.0, 1.0)
METHODS = ("restarts",)
SCORES = ("cosine", "cosine_z1", "cosine_z2", "cosine_features", "ssim")
COLUMNS = (*SCORES, "valid")


def score(samples: pd.DataFrame) -> Mapping[str, Values]:
    """Of each image, means over all pairs of its restarts: the ``cosine`` of the whole latents, of ``cosine_z1`` and
    ``cosine_z2`` alone, of ``cosine_features``, what the generator's first layer makes of them, and the ``ssim`` of the
    grey reconstructions. 1 is the same place; NaN where one of them failed to invert the image.

    The paper does not say which latent its cosine is of. A first layer that is narrower than the latents leaves some of
    their directions without effect; these stay where they started, and only the cosine of the features is free of them.
    """
    found = samples["valid"] != 0
    return {name: samples[name].where(found).to_numpy(np.float64) for name in SCORES}
