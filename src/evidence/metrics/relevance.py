"""Feature relevance R (Lim, Lee, Kim, 2021), as Charachon et al. (2021, Table 2) measure it.

An image turns into its translation to the other class, once with the most relevant pixels first (degradation), once
with the least relevant first (preservation). A good map loses the class early in the one and late in the other.
"""

from collections.abc import Mapping

import numpy as np

from evidence.perturbing import Replacement, ranked, some
from evidence.shapes import Images, Labels, Maps

BETTER = "higher"
RANGE = (0.0, 1.0)


def score(
    maps: Maps,
    images: Images,
    labels: Labels,
    classifier,
    perturber,
    *,
    steps: int = 224,
    each: int = 0,
    seed: int = 0,
) -> Mapping[str, np.ndarray]:
    """R = 2ab / (a + b), a = 1 - mean area under degradation, b = mean area under preservation, over all images
    (``all``) and over those decided for class ``0`` or ``1``; each image's two areas (``degradation``,
    ``preservation``); and the share of translations that the classifier decides otherwise (``flipped``).

    Areas are those of the decided class's probability by the trapezoidal rule, over the share of pixels replaced. R is
    taken of the means: the published numbers fit no mean of each image's R. A group without an image has NaN.

    Args:
        steps: equal parts in which the pixels are replaced. Paper: 224, of 224 pixels.
        each: score so many images of each class, always the same ones; 0 for all. Paper: 500.
        seed: of the order of pixels that are equally relevant.
    """
    rows = some(labels, each)
    flat = np.asarray(maps[rows], np.float64).reshape(len(rows), -1)
    pixels = flat.shape[1]
    counts = np.round(np.linspace(0, pixels, min(steps, pixels) + 1)).astype(int)
    replacement, first = Replacement(images[rows], classifier, perturber), ranked(flat, seed)
    areas = {
        name: np.trapezoid(replacement.curves(ranks, counts.tolist()), counts / pixels, axis=1)
        for name, ranks in (("degradation", first), ("preservation", pixels - 1 - first))
    }
    groups = {"all": np.ones(len(rows), bool), **{str(c): replacement.decisions == c for c in (0, 1)}}
    found = {name: np.array([combined(*(areas[key][group] for key in areas))]) for name, group in groups.items()}
    found["flipped"] = np.array([replacement.flipped])
    for name, values in areas.items():
        found[name] = np.full(len(maps), np.nan)
        found[name][rows] = values
    return found


def combined(degradation: np.ndarray, preservation: np.ndarray) -> float:
    """The harmonic mean of what is lost early and what is kept late."""
    if not len(degradation):
        return np.nan
    a, b = 1 - degradation.mean(), preservation.mean()
    return float(2 * a * b / (a + b)) if a + b > 0 else 0.0
