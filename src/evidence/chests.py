"""Drawn chests, which the phantoms of X-rays share: from the front, bright where bone is, dark where air is."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from evidence.images import resize


@dataclass
class Chest:
    """A chest without opacities.

    Attributes:
        image: float (native, native), 0 to about 0.95, without noise.
        lungs: 1 in the lungs and 0 outside of them.
        x: the chest's own coordinate from the left of the picture to its right, about ±1 at the borders.
        y: the same from top to bottom.
    """

    image: np.ndarray
    lungs: np.ndarray
    x: np.ndarray
    y: np.ndarray


def draw(random: np.random.Generator, native: int) -> Chest:
    """One chest: soft tissue, lungs, ribs, heart and spine, slightly shifted and tilted."""
    axis = np.linspace(-1, 1, native, dtype=np.float32)
    tilt = random.normal(0, 0.03)
    y, x = axis[:, None] - random.normal(0, 0.03), axis[None] - random.normal(0, 0.03)
    x, y = x + tilt * y, y - tilt * x

    width, lung = random.uniform(0.8, 0.95), random.uniform(0.9, 1.1)
    image = 0.75 * inside(np.hypot(x / width, 0.6 * (y - 0.2)) - 1, 0.1) + 0.03 * cloud(random, 6, native)
    lungs = np.zeros_like(image)
    for side in (-1, 1):
        u, v = (side * x - 0.36) / (0.27 * lung), (y + 0.05) / (0.68 * lung)
        lungs = np.maximum(lungs, inside(np.hypot(u * (1 + 0.25 * v), v) - 1, 0.15))
    image = image * (1 - 0.62 * lungs)
    for rib in range(9):
        arc = y + 0.62 - 0.16 * rib - 0.22 * np.abs(x) ** 1.5
        image = image + 0.07 * inside(np.abs(arc) - 0.02, 0.03) * inside(np.abs(x) - 0.68, 0.1)
    heart = inside(np.hypot((x - 0.12) / 0.3, (y - 0.32) / 0.34) - 1, 0.1)
    image = np.maximum(image, 0.72 * heart) + 0.1 * inside(np.abs(x) - 0.06, 0.05)
    image = image + 0.035 * lungs * cloud(random, 48, native)
    return Chest(image, lungs, x, y)


def spot(
    random: np.random.Generator, chest: Chest, centre: tuple[float, float], radii: tuple[float, float]
) -> np.ndarray:
    """Where an opacity lies, 0 to 1: what the lungs have of an ellipse, (x, y), with an uneven border."""
    native = len(chest.image)
    away = np.hypot((chest.x - centre[0]) / radii[0], (chest.y - centre[1]) / radii[1])
    away = away + 0.15 * cloud(random, 12, native)
    return gaussian_filter(inside(away - 1, 0.5), native / 100) * chest.lungs


def clouded(random: np.random.Generator, image: np.ndarray, where: np.ndarray, strength: float) -> np.ndarray:
    """The image with an opacity in that place; a strength of 1 makes it 0.9, brighter than the heart."""
    return image + strength * where * (1 + 0.2 * cloud(random, 40, len(image))) * (0.9 - image)


def cloud(random: np.random.Generator, cells: int, native: int) -> np.ndarray:
    """Smooth noise of about unit variance, with as many cells along an axis."""
    return 1.3 * resize(random.standard_normal((1, cells, cells), np.float32), native)[0]


def inside(distance: np.ndarray, blur: float) -> np.ndarray:
    """1 where the distance from a border is negative and 0 where it is positive, over a blur."""
    return np.clip(0.5 - distance / blur, 0, 1)
