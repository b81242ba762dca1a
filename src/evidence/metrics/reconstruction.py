"""How near an inverted image comes to the image itself (Dravid et al., CVPR-W 2022, Figure 11), and how near what needs
no generator comes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from evidence.shapes import Images, Values

BETTER = "lower"
RANGE = (0.0, 4.0)  # of the error; intensities lie in [-1, 1]
METHODS = ("inversion",)
SCORES = ("mse", "bce", "before", "after", "valid")
COLUMNS = SCORES
Known = Float[Any, "other channel *space"]


def score(samples: pd.DataFrame, images: Images, training: Known) -> Mapping[str, Values]:
    """Of each image: ``mse``, the mean squared error of its reconstruction, which is what lower is better for; ``bce``,
    the cross-entropy of the reconstruction's p1 with the image's; ``before`` and ``after``, p1 of the image and of the
    reconstruction; and ``valid``, 1 where the image counts as inverted.

    Beside it two floors, errors of what draws nothing: ``of_mean``, of the mean of all training images, and
    ``of_nearest``, of the training image that is nearest. ``nearer``: 1 where the reconstruction is nearer than the
    mean, for what is not shows the image no better than one picture does for all.

    Images that could not be inverted have an error like all others: a mean over those alone that could would flatter
    the method. ``valid`` says which they are.
    """
    found = {name: samples[name].to_numpy(np.float64) for name in SCORES}
    known = np.asarray(training, np.float32).reshape(len(training), -1)
    flat = np.asarray(images, np.float32).reshape(len(images), -1)
    found["of_mean"] = np.square(flat - known.mean(0)).mean(1, dtype=np.float64)
    parts = [known[start : start + 256] for start in range(0, len(known), 256)]  # differences take as much memory
    found["of_nearest"] = np.array([min(np.square(part - one).mean(1).min() for part in parts) for one in flat])
    found["nearer"] = (found["mse"] < found["of_mean"]).astype(np.float64)
    return found
