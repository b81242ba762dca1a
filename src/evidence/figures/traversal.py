"""Images on the way from a negative to its positive, and where they change (Dravid et al., CVPR-W 2022, Figure 5)."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.figure import Figure

from evidence import style
from evidence.errors import BadInput, near
from evidence.figures.gallery import colours, drawn, group_of, some

WIDTH = 7.2  # inches at most: two columns of print

NOTHING = "No image is shown: none has a probability for each frame."

Probabilities = Float[np.ndarray, "sample frame"]


def draw(
    images,
    index: pd.DataFrame,
    maps: Mapping[str, np.ndarray],
    scores: Mapping[str, Sequence[pd.DataFrame]],
    *,
    at: tuple[str, ...] = ("p00", "p01", "p02", "p03", "p04", "p05", "p06", "p07", "p08", "p09", "p10"),
    by: str = "subtype",
    groups: tuple[str, ...] = (),
    count: int = 3,
    observed: str = "Observed",
    change: str = "Change",
) -> Figure:
    """One row an explained image: the image, the frames in their order, and the sum over frames of what differs from
    the first, |frame - first|. Under each frame stands the classifier's probability of class 1 where scores are given;
    images that have none, as those that could not be inverted, are then not shown; the figure says so if no image is.

    Args:
        at: the setting of the scores that is the probability, for each frame in order.
        by: column of the index that tells groups apart.
        groups: a row each, an image of that group; empty for ``count`` images taken in turn from all groups.
        count: number of rows where no groups are asked for.
        observed: heading of the image; empty to leave it out, where frames are made without one.
        change: heading of the last column.
    """
    shown, rows, found = ways(index, maps, scores, at, by, groups, count)
    if not rows:
        return style.words(NOTHING)
    headings = [*([observed] if observed else []), *maps, change]
    cell = min(1.1, WIDTH / len(headings))
    figure, axes = style.grid(len(rows), len(headings), cell, beneath=0.0 if found is None else 0.12)
    for line, row in zip(axes, rows, strict=True):
        image = np.asarray(images[shown.index[row]])
        frames = np.array([each[row] for each in maps.values()])
        if observed:
            style.picture(line[0], image, **style.greys(image))
        for axis, frame in zip(line[-1 - len(frames) :], frames, strict=False):
            style.picture(axis, frame, **style.greys(image))
        if found is not None:
            for axis, value in zip(line[-1 - len(frames) :], found[row], strict=False):
                axis.set_xlabel(f"{value:.2f}", fontsize=6, labelpad=2)
        moved = np.abs(frames - frames[0]).sum(0)
        style.picture(line[-1], moved, **colours(moved, signed=False))
        line[0].set_ylabel(group_of(shown, row, by, groups), fontsize=6)
    for axis, heading in zip(axes[0], headings, strict=True):
        axis.set_title(heading, fontsize=8 if cell > 0.8 else 6)
    return figure


def ways(
    index: pd.DataFrame,
    maps: Mapping[str, np.ndarray],
    scores: Mapping[str, Sequence[pd.DataFrame]],
    at: tuple[str, ...],
    by: str,
    groups: tuple[str, ...],
    count: int,
) -> tuple[pd.DataFrame, list[int], Probabilities | None]:
    """The explained samples, labelled by their place among all; the rows of them that are shown; and of each sample and
    frame the probability, None without scores."""
    if len(maps) < 2:
        raise BadInput(f"a way has two frames or more, and there is: {', '.join(maps) or 'nothing'}")
    explained = np.flatnonzero(index["explain"])
    samples = index.iloc[explained].set_axis(explained)
    found = probabilities(scores, at, maps, samples["sample"]) if scores else None
    usable = drawn(maps, len(samples))
    if found is not None:
        usable = usable[np.isfinite(found[usable]).all(1)]
    return samples, usable[some(samples.iloc[usable], by, groups, count)].tolist(), found


def probabilities(
    scores: Mapping[str, Sequence[pd.DataFrame]],
    at: tuple[str, ...],
    maps: Mapping[str, np.ndarray],
    samples: pd.Series,
) -> Probabilities:
    """Of each sample and frame; NaN where there is none. Maps are of the first seed, and so are these."""
    if len(scores) > 1:
        raise BadInput(f"the frames' probabilities are one method's scores, and these are of {', '.join(scores)}")
    if len(at) != len(maps):
        raise BadInput(f"at: name one setting for each of the frames {', '.join(maps)}, not {', '.join(at)}")
    ((table, *_),) = scores.values()
    table = table[table["sample"].notna()].pivot(index="sample", columns="at", values="value")
    for setting in at:
        if setting not in table:
            raise BadInput(f"at: the scores have no setting {setting!r}; {near(setting, table.columns)}")
    return table.reindex(samples)[list(at)].to_numpy(np.float64)
