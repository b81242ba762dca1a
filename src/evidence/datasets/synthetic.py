"""Noise with square effects: the synthetic dataset of VA-GAN (Baumgartner et al., 2018, section 4.2).

Class 0 is smoothed Gaussian noise. Class 1 has two constant squares added, of two standard deviations of the noise: one
in the middle and, with subtype A, one to the lower right or, with subtype B, one to the upper left, which jitters by
some pixels. The paper has 5,000 + 5,000 images of 112×112; other sizes scale the geometry with the image. The authors
drew theirs without a seed, so they cannot be had again; ours are a function of ``seed`` and the number of the image.

Source: made here. Reference: https://arxiv.org/abs/1711.08998. Licence: that of this project.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter

from evidence.datasets import Part
from evidence.errors import BadInput
from evidence.io import Units, load_array, load_table, save_array, save_table
from evidence.seeds import rng

NOISE = 50.0  # standard deviation of an image's noise, exactly
EFFECT = 100.0  # what a square adds
CHUNK = 500  # images in a raw file


@dataclass(frozen=True)
class Geometry:
    """Sizes in pixels, in the paper's proportions to an image of 112×112, rounded to whole pixels."""

    size: int

    @property
    def half(self) -> int:
        """Half the side of a square: 10."""
        return round(10 * self.size / 112)

    @property
    def centre(self) -> int:
        return self.size // 2

    @property
    def offset(self) -> int:
        """From the centre to the second square, along both axes: 32."""
        return int(self.size / 3.5 + 0.5)

    @property
    def jitter(self) -> int:
        """The second square moves by −jitter … jitter − 1 along each axis: 5."""
        return round(5 * self.size / 112)

    @property
    def blur(self) -> float:
        """Standard deviation of the smoothing: 2.5."""
        return 2.5 * self.size / 112


def fetch(raw: Path) -> Units:
    """There is nothing to fetch: the dataset is made."""
    raise BadInput("the synthetic dataset is made, not fetched; give it source: generated")


def simulate(folder: Path, *, count: int = 10_000, size: int = 112, seed: int = 42, jitter: bool = True) -> Units:
    """Draw the images in the order of the authors: a quarter subtype A, a quarter B, half class 0.

    Args:
        folder: where the raw chunks go: images and effects before scaling, and a table of labels.
        count: number of images, a multiple of four.
        size: side of an image in pixels, a multiple of 8.
        seed: of the images.
        jitter: whether the second square moves.
    """
    if count % 4 or size % 8:
        raise BadInput(f"count has to be a multiple of 4 and size one of 8, not {count} and {size}")
    subtypes = ["A"] * (count // 4) + ["B"] * (count // 4) + [""] * (count // 2)
    units = {}
    for start in range(0, count, CHUNK):
        numbers = range(start, min(start + CHUNK, count))
        drawn = [draw(n, subtypes[n], size, seed, jitter) for n in numbers]
        chunk = folder / f"chunk{start // CHUNK:03d}"
        save_array(chunk / "images.npy", np.stack([image for image, _ in drawn]).astype(np.float32))
        save_array(chunk / "effects.npy", np.stack([effect for _, effect in drawn]).astype(np.uint8))
        cases = pd.DataFrame({"number": numbers, "subtype": subtypes[start : start + CHUNK]})
        save_table(chunk / "cases.csv", cases)
        units[chunk.name] = [chunk / name for name in ("cases.csv", "effects.npy", "images.npy")]
    return units


def draw(number: int, subtype: str, size: int, seed: int, jitter: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """One image before scaling and its effect, both (size, size). The noise has exactly its standard deviation."""
    g, random = Geometry(size), rng(seed, "synthetic", number)
    noise = gaussian_filter(random.normal(0.0, NOISE, (size, size)), g.blur, mode="nearest", truncate=4.0)
    noise *= NOISE / noise.std()
    effect = np.zeros((size, size))
    if subtype:
        shift = random.integers(-g.jitter, g.jitter, 2) if jitter and g.jitter else np.zeros(2, int)
        side = {"A": 1, "B": -1}[subtype]  # A to the lower right, B to the upper left
        for row, column in ((g.centre, g.centre), tuple(g.centre + side * g.offset + shift)):
            effect[row - g.half : row + g.half, column - g.half : column + g.half] = EFFECT
    return noise + effect, effect


def prepare(files: list[Path]) -> Part:
    """One chunk: each image scaled to [−1, 1] by its darkest and brightest pixel; the truth is where the effect is."""
    cases, effects, images = sorted(files)
    table = load_table(cases, text=["subtype"])
    raw = np.asarray(load_array(images), np.float64)
    low, high = raw.min((1, 2), keepdims=True), raw.max((1, 2), keepdims=True)
    scaled = (raw - low) / (high - low) * 2 - 1
    subtype = table["subtype"].fillna("")
    index = pd.DataFrame(
        {
            "subject": [f"{n:05d}" for n in table["number"]],
            "label": (subtype != "").astype(int),
            "subtype": subtype,
        }
    )
    return Part(
        images=scaled[:, None].astype(np.float32),
        truth=(np.asarray(load_array(effects)) > 0)[:, None].astype(np.uint8),
        index=index,
    )
