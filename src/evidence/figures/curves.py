"""Training curves: one panel a measured quantity, one line a model, its seeds in the same colour."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from evidence import style
from evidence.errors import BadInput

SMOOTH = 200  # a longer curve is averaged to about so many points


def draw(histories: Mapping[str, Sequence[pd.DataFrame]], *, names: tuple[str, ...] = ()) -> Figure:
    """Quantities over steps.

    Args:
        names: which quantities, one a panel, those that no model has left out; empty for all.
    """
    there = {name for tables in histories.values() for table in tables for name in table["name"].unique()}
    names = [name for name in names if name in there] or sorted(there)
    if not names:
        raise BadInput("there is no curve to draw: no history was given, or nothing was measured")
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    figure, axes = style.plt.subplots(rows, columns, figsize=(2.4 * columns, 1.7 * rows), squeeze=False)
    for axis, name in zip(axes.flat, names, strict=False):
        for colour, (heading, tables) in zip(itertools.cycle(style.COLOURS), histories.items(), strict=False):
            for number, table in enumerate(tables):
                curve = table[table["name"] == name]
                if len(curve):
                    steps, values = thinned(curve["step"].to_numpy(), curve["value"].to_numpy())
                    axis.plot(steps, values, color=colour, lw=1, label=heading if number == 0 else None)
        axis.set_title(name.replace("_", " "))
        axis.set_xlabel("step")
        if axis.get_legend_handles_labels()[0]:
            axis.legend(frameon=False, fontsize=6)
    for axis in axes.flat[len(names) :]:
        axis.set_visible(False)
    return figure


def thinned(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means over neighbouring points of a long curve."""
    size = -(-len(steps) // SMOOTH)
    groups = [slice(i, i + size) for i in range(0, len(steps), size)]
    return np.array([steps[g].mean() for g in groups]), np.array([values[g].mean() for g in groups])
