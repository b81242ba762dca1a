"""How all figures look."""

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

plt.rcParams.update(
    {
        "font.size": 8,
        "axes.titlesize": 8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "figure.constrained_layout.use": True,
        "image.interpolation": "nearest",
        "savefig.dpi": 200,
        "pdf.fonttype": 42,
    }
)

INK = "#222222"
COLOURS = ("#3b6ea8", "#d1772e", "#4a9a5c", "#a34a5f", "#7a68a6", "#7f7f7f")


def picture(axes: Axes, image: np.ndarray, **how) -> None:
    """An image without ticks: (channel, height, width) in [-1, 1] in grey or colour, or (height, width) as it is.

    Of a volume the middle slice along its last axis is shown.
    """
    image = middle(image)
    if image.ndim == 3:
        image = image[0] if image.shape[0] == 1 else np.clip((image.transpose(1, 2, 0) + 1) / 2, 0, 1)
    axes.imshow(image, **{"cmap": "gray", **how})
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)


def outline(axes: Axes, mask: np.ndarray) -> None:
    """The border of a mask, (1, *space), in red."""
    axes.contour(middle(mask)[0] > 0, [0.5], colors="#d62728", linewidths=0.7)


def middle(image: np.ndarray) -> np.ndarray:
    """Of a volume, (channel, *space), its middle slice along the last axis; a slice as it is."""
    image = np.asarray(image)
    return image[..., image.shape[-1] // 2] if image.ndim == 4 else image


def greys(image: np.ndarray) -> dict[str, float]:
    """The range in which an image is shown, and all that is made of it: [-1, 1], or [0, 1] where nothing is below 0."""
    return {"vmin": -1.0 if image.min() < 0 else 0.0, "vmax": 1.0}


def grid(rows: int, columns: int, cell: float = 1.1, beneath: float = 0.0):
    """A figure with a grid of square cells, its axes always a two-dimensional array; ``beneath`` is room for a line of
    words under each cell."""
    return plt.subplots(rows, columns, figsize=(cell * columns, (cell + beneath) * rows + 0.25), squeeze=False)


def strip(slides: int, rows: int, columns: int, cell: float = 1.1, beneath: float = 0.0):
    """A figure of slides beside each other, all of one size to the pixel, so that they can be leafed through; and each
    slide with its grid of square cells, as ``grid`` makes it."""
    size = (cell * columns * slides, (cell + beneath) * rows + 0.15)
    figure = plt.figure(figsize=size)
    parts = figure.subfigures(1, slides, squeeze=False, wspace=0)[0]
    return figure, [(part, part.subplots(rows, columns, squeeze=False)) for part in parts]


def words(sentence: str) -> Figure:
    """A figure of a sentence, where what was found has nothing to show; so its page is made all the same."""
    figure = plt.figure(figsize=(5.5, 0.5))
    figure.text(0.5, 0.5, sentence, ha="center", va="center", color=INK)
    return figure
