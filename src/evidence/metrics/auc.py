"""Area under the receiver operating characteristic of a classifier on the test images."""

from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.metrics import roc_auc_score

from evidence import machine
from evidence.shapes import Images, Labels

BETTER = "higher"
RANGE = (0.0, 1.0)


def score(classifier, images: Images, labels: Labels) -> Float[Any, "1"]:
    """The chance that an image of class 1 gets higher log-odds than one of class 0; NaN where a class is missing."""
    logits = machine.predict(classifier, images)
    if len(np.unique(labels)) < 2:
        return np.array([np.nan])
    return np.array([roc_auc_score(labels, logits[:, 1] - logits[:, 0])])
