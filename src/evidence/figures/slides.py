"""A way from a negative to its positive, to be leafed through: slides of one size beside each other, one for each place
on the way (Dravid et al., CVPR-W 2022, Figure 5). The report shows one at a time, with a slider."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from evidence import style
from evidence.figures.gallery import group_of
from evidence.figures.traversal import NOTHING, ways


def draw(
    images,
    index: pd.DataFrame,
    maps: Mapping[str, np.ndarray],
    scores: Mapping[str, Sequence[pd.DataFrame]],
    *,
    at: tuple[str, ...] = ("p00", "p01", "p02", "p03", "p04", "p05", "p06", "p07", "p08", "p09", "p10"),
    by: str = "subtype",
    groups: tuple[str, ...] = (),
    count: int = 4,
) -> Figure:
    """A slide for each frame, with a column an explained image: the image above, the frame below, and beneath it the
    classifier's probability of class 1 where scores are given. Images without one are not shown.

    Args:
        at: the setting of the scores that is the probability, for each frame in order.
        by: column of the index that tells groups apart.
        groups: a column each, an image of that group; empty for ``count`` images taken in turn from all groups.
        count: number of columns where no groups are asked for.
    """
    shown, rows, found = ways(index, maps, scores, at, by, groups, count)
    if not rows:
        return style.words(NOTHING)
    figure, slides = style.strip(len(maps), 2, len(rows), beneath=0.0 if found is None else 0.12)
    for number, ((place, frames), (slide, axes)) in enumerate(zip(maps.items(), slides, strict=True)):
        slide.suptitle(place, fontsize=8)
        for row, above, below in zip(rows, *axes, strict=True):
            image = np.asarray(images[shown.index[row]])
            style.picture(above, image, **style.greys(image))
            style.picture(below, frames[row], **style.greys(image))
            above.set_title(group_of(shown, row, by, groups), fontsize=6)
            if found is not None:
                below.set_xlabel(f"{found[row, number]:.2f}", fontsize=6, labelpad=2)
    return figure
