"""What a dataset looks like: the truth above an image, one column a category (Figure 3 of Baumgartner et al., 2018)."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from evidence import style
from evidence.errors import BadInput, near


def draw(
    images,
    truth,
    index: pd.DataFrame,
    *,
    by: str = "subtype",
    groups: tuple[str, ...] = (),
    headings: tuple[str, ...] = (),
) -> Figure:
    """The first sample of each group.

    Args:
        by: column of the index that tells the groups apart.
        groups: its values, one a column of the figure; empty for all.
        headings: what stands above the columns; empty for the values themselves.
    """
    if by not in index:
        raise BadInput(f"by: the samples have no column {by!r}; {near(by, index.columns)}")
    groups = groups or tuple(sorted(index[by].unique()))
    if headings and len(headings) != len(groups):
        raise BadInput(f"headings: {len(headings)} do not fit {len(groups)} groups, {', '.join(map(repr, groups))}")
    figure, axes = style.grid(2 if truth is not None else 1, len(groups), 1.6)
    for column, group in enumerate(groups):
        members = np.flatnonzero(index[by] == group)
        if len(members) == 0:
            raise BadInput(f"no sample has {by} = {group!r}; there is {sorted(index[by].unique())}")
        axes[0, column].set_title(headings[column] if headings else str(group))
        if truth is not None:
            high = max(float(np.max(truth[members[0]])), 1.0)
            style.picture(axes[0, column], truth[members[0]], vmin=0, vmax=high)
        style.picture(axes[-1, column], images[members[0]], vmin=-1, vmax=1)
    return figure
