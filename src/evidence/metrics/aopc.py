"""Area over the perturbation curve (Samek et al., 2017), most relevant first, as Charachon et al. (2021) measure it.

Regions are not replaced by noise but by those of the image's translation to the other class.
"""

from collections.abc import Mapping

import numpy as np

from evidence.errors import BadInput
from evidence.perturbing import Replacement, ranked, some
from evidence.shapes import Images, Labels, Maps, Values

BETTER = "higher"
RANGE = (-1.0, 1.0)


def score(
    maps: Maps,
    images: Images,
    labels: Labels,
    classifier,
    perturber,
    *,
    region: int = 8,
    regions: int = 0,
    every: int = 4,
    each: int = 0,
    seed: int = 0,
) -> Mapping[str, Values]:
    """AOPC(L) = 1/(L + 1) · Σ_{k = 0…L} p_c(x) - p_c(x with its k most relevant regions replaced), at each L evaluated.

    c is the class that the classifier decides for on the whole image. Where not every k is evaluated, the mean is over
    those that are. Images that are not scored are NaN.

    Args:
        region: side of a region in pixels; its relevance is the mean of the map. Samek et al.: 9, which is no divisor
            of 224.
        regions: how many are replaced; 0 for all.
        every: evaluate every so many regions.
        each: score so many images of each class, always the same ones; 0 for all. Paper: 500.
        seed: of the order of regions that are equally relevant.
    """
    rows = some(labels, each)
    relevance, members = by_region(np.asarray(maps[rows], np.float64)[:, 0], region)
    ranks = ranked(relevance, seed)[:, members]
    most = min(regions or relevance.shape[1], relevance.shape[1])
    counts = list(range(0, most + 1, every))
    probability = Replacement(images[rows], classifier, perturber).curves(ranks, counts)
    areas = np.cumsum(probability[:, :1] - probability, axis=1) / np.arange(1, len(counts) + 1)
    found = np.full((len(maps), len(counts)), np.nan)
    found[rows] = areas
    return {str(count): found[:, place] for place, count in enumerate(counts) if count}


def by_region(maps: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """The mean of each map over each region, (image, region), and the region of each pixel, flattened."""
    space = maps.shape[1:]
    if side < 1 or any(size % side for size in space):
        size = "×".join(map(str, space))
        raise BadInput(f"region: squares of side {side} do not tile images of {size}; take a divisor of all sides")
    blocks = maps.reshape(len(maps), *(part for size in space for part in (size // side, side)))
    means = blocks.mean(axis=tuple(range(2, blocks.ndim, 2)))
    numbers = np.arange(means[0].size).reshape(means.shape[1:])
    for axis in range(numbers.ndim):
        numbers = numbers.repeat(side, axis)
    return means.reshape(len(maps), -1), numbers.reshape(-1)
