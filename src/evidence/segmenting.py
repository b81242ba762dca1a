"""Images cut into segments, what anchors are made of (David et al., 2019, sections 2.1 and 5.1, and released code)."""

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Integer
from skimage import segmentation

from evidence.errors import BadInput

Labels = Integer[np.ndarray, "height width"]
Picture = Float[np.ndarray, "channel height width"]
Kind = Literal["quickshift", "slic"]

KERNEL, RATIO = 2.0, 0.2  # of quickshift, as released
FIRST, STRIDE = 3.0, 0.1  # the greatest distance that the search starts from, and its first step


@dataclass(frozen=True)
class Segments:
    """The segment of each pixel, from 0 without gaps, and how they were found.

    Attributes:
        labels: int32 (height, width).
        count: how many segments there are.
        distance: quickshift's greatest distance that gave them; NaN for others.
        tries: segmentations that the search made.
    """

    labels: Labels
    count: int
    distance: float = float("nan")
    tries: int = 1

    @property
    def areas(self) -> Integer[np.ndarray, " segment"]:
        """Pixels of each."""
        return np.bincount(self.labels.ravel(), minlength=self.count)


def cut(
    picture: Picture, count: int, *, kind: Kind = "quickshift", compactness: float = 20.0, tries: int = 400
) -> Segments:
    """About ``count`` segments of a picture with intensities in [0, 1].

    Quickshift finds them by density, so how many there are is searched for; SLIC takes their number for a wish.
    """
    if picture.shape[0] not in (1, 3):
        raise BadInput(f"a picture to cut has 1 or 3 channels, not the shape {picture.shape}")
    if count < 1:
        raise BadInput(f"an image is cut into 1 segment or more, not {count}")
    if kind == "slic":
        return slic(picture, count, compactness)
    return quickshift(picture, count, tries=tries)


def quickshift(picture: Picture, count: int, *, tries: int = 400) -> Segments:
    """Quickshift in Lab colours, its greatest distance sought so that there are ``count`` segments.

    The distance grows while there are too many segments and shrinks, by a quarter of that step, while there are too
    few; where that passes the number by, all is done again with a quarter of the step. The released search never gives
    up; here it does after so many ``tries``, with what came nearest.
    """
    colours = np.ascontiguousarray(np.broadcast_to(picture, (3, *picture.shape[1:])).transpose(1, 2, 0), np.float64)
    distance, stride, made = FIRST, STRIDE, 0
    found: dict[float, Labels] = {}

    def number() -> int:
        nonlocal made
        made += 1
        if distance not in found:
            found[distance] = segmentation.quickshift(
                colours, ratio=RATIO, kernel_size=KERNEL, max_dist=distance, rng=42
            )
        return int(found[distance].max()) + 1

    now = number()
    while now != count and made < tries:
        while now > count and made < tries:
            distance += stride
            now = number()
        while now < count and made < tries and distance > stride / 4:
            distance -= stride / 4
            now = number()
        if now < count and distance <= stride / 4:  # every pixel is by itself already
            break
        stride /= 4
    if now != count:
        distance = min(found, key=lambda each: abs(int(found[each].max()) + 1 - count))
    labels = found[distance].astype(np.int32)
    return Segments(labels, int(labels.max()) + 1, distance, made)


def slic(picture: Picture, count: int, compactness: float) -> Segments:
    """SLIC, which cuts a picture into about ``count`` connected segments of like colour and size."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pictures of one colour, whose Lab conversion divides by nothing
        labels = segmentation.slic(
            np.broadcast_to(picture, (3, *picture.shape[1:])).transpose(1, 2, 0),
            n_segments=count,
            compactness=compactness,
            start_label=0,
        )
    labels = np.unique(labels, return_inverse=True)[1].reshape(labels.shape).astype(np.int32)
    return Segments(labels, int(labels.max()) + 1)


def bright(picture: Picture, segments: Segments, count: int) -> tuple[int, ...]:
    """The segments with the most light in them, the sum of their pixels."""
    light = np.bincount(segments.labels.ravel(), picture.mean(0).ravel(), segments.count)
    return _first(-light, count)


def middle(picture: Picture, segments: Segments, count: int) -> tuple[int, ...]:
    """The segments whose pixels are nearest to the middle of the picture, on average."""
    away = np.hypot(*np.meshgrid(*(np.linspace(-1, 1, side) for side in segments.labels.shape), indexing="ij"))
    return _first(np.bincount(segments.labels.ravel(), away.ravel(), segments.count) / segments.areas, count)


def _first(values: np.ndarray, count: int) -> tuple[int, ...]:
    return tuple(sorted(np.argsort(values, kind="stable")[:count].tolist()))


CHOICES = {"bright": bright, "middle": middle}
