"""Perturbation curves of several methods beside a random order (Figure 2 of Charachon et al., 2021)."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from evidence import style
from evidence.errors import BadInput, near


def draw(
    scores: Mapping[str, Sequence[pd.DataFrame]],
    *,
    reference: str = "Random",
    across: str = "regions replaced",
    up: str = "AOPC above random",
) -> Figure:
    """The mean score at each setting minus that of the reference, over images; bands are 95 % of their normal error.

    A heading ``Panel: line`` puts a line into a panel. Where there are several seeds, the mean is over them too.

    Args:
        reference: heading that is subtracted, image by image.
        across: what the settings are.
        up: what the difference is.
    """
    if reference not in scores:
        raise BadInput(f"reference: there are no scores of {reference!r}; {near(reference, scores)}")
    zero = by_image(scores[reference])
    panels: dict[str, dict[str, pd.DataFrame]] = {}
    for heading, tables in scores.items():
        if heading != reference:
            panel, _, line = heading.rpartition(": ")
            panels.setdefault(panel, {})[line] = by_image(tables) - zero
    if not panels:
        raise BadInput(f"there is no line to draw beside {reference!r}")
    figure, axes = style.plt.subplots(1, len(panels), figsize=(2.4 * len(panels), 2.8), squeeze=False, sharey=True)
    looks = list(itertools.product(("-", "--", ":"), style.COLOURS))
    for axis, (panel, lines) in zip(axes[0], panels.items(), strict=True):
        for (dashes, colour), (heading, difference) in zip(itertools.cycle(looks), lines.items(), strict=False):
            mean, count = difference.mean(), difference.notna().sum()
            error = 1.96 * difference.std() / np.sqrt(count)
            axis.plot(mean.index, mean, dashes, color=colour, lw=1, label=heading)
            axis.fill_between(mean.index, mean - error, mean + error, color=colour, alpha=0.15, lw=0)
        axis.axhline(0, color=style.INK, lw=0.5)
        axis.set(title=panel, xlabel=across)
        axis.legend(frameon=False, fontsize=6, ncol=2, loc="upper center", bbox_to_anchor=(0.5, -0.24))
    axes[0, 0].set_ylabel(up)
    return figure


def by_image(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Scores by image (rows) and setting (columns, numbers), the mean over seeds; what has no score is left out."""
    table = pd.concat(list(tables)).dropna(subset=["value"])
    table = table[table["sample"].notna()]
    found = table.pivot_table(index="sample", columns="at", values="value")
    found.columns = pd.to_numeric(found.columns)
    return found.sort_index(axis=1)
