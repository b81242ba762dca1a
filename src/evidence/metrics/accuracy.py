"""Share of test images that the classifier gets right."""

import numpy as np

from evidence import machine
from evidence.shapes import Images, Labels, Values

BETTER = "higher"
RANGE = (0.0, 1.0)


def score(classifier, images: Images, labels: Labels) -> Values:
    """1 where the most probable class is the label, else 0; their mean is the accuracy."""
    return (machine.predict(classifier, images).argmax(1) == labels).astype(np.float64)
