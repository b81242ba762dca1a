"""How all figures look."""

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

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
    image = np.asarray(image)
    if image.ndim == 4:
        image = image[..., image.shape[-1] // 2]
    if image.ndim == 3:
        image = image[0] if image.shape[0] == 1 else np.clip((image.transpose(1, 2, 0) + 1) / 2, 0, 1)
    axes.imshow(image, **{"cmap": "gray", **how})
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)


def grid(rows: int, columns: int, cell: float = 1.1):
    """A figure with a grid of square cells, its axes always a two-dimensional array."""
    return plt.subplots(rows, columns, figsize=(cell * columns, cell * rows + 0.25), squeeze=False)
