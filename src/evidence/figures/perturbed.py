"""Images without the pixels that a method points at, and what the classifier then says (Dravid et al., CVPR-W 2022,
Figure 8)."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evidence import style
from evidence.erasing import chosen, erased
from evidence.errors import BadInput, near
from evidence.figures.gallery import drawn, group_of, some

SETTINGS = ("before", "drop", "area")  # of the scores


def draw(
    images,
    index: pd.DataFrame,
    maps: Mapping[str, np.ndarray],
    scores: Mapping[str, Sequence[pd.DataFrame]],
    *,
    rule: Literal["strong", "share", "jet"] = "strong",
    threshold: float = 0.75,
    share: float = 0.05,
    by: str = "subtype",
    groups: tuple[str, ...] = (),
    count: int = 2,
) -> Figure:
    """Left, one row an image: as it is, and for each method without the pixels that its map points at, which have the
    image's mean instead; beneath, the classifier's probability of class 1. Shown are images that all methods have a
    score of; where there are none, the figure says so. Right, the mean of that probability over all images that a
    method has a score of, and over seeds, before and after; bars are 95 % of its normal error over images.

    The scores are those of the metric ``confidence_drop``.

    Args:
        rule: which pixels are replaced, as the metric has it.
        threshold: of ``strong``, as the metric has it.
        share: of the pixels, for ``share``, as the metric has it.
        by: column of the index that tells groups apart.
        groups: a row each, an image of that group; empty for ``count`` images taken in turn from all groups.
        count: number of rows where no groups are asked for.
    """
    for heading in maps:
        if heading not in scores:
            raise BadInput(f"there are no scores of {heading!r}; {near(heading, scores)}")
    explained = np.flatnonzero(index["explain"])
    shown = index.iloc[explained]
    first = {heading: by_image(scores[heading][:1]).reindex(shown["sample"]) for heading in maps}  # maps are its too
    usable = drawn(maps, len(shown))
    usable = usable[np.all([table["drop"].notna().iloc[usable] for table in first.values()], axis=0)]
    rows = usable[some(shown.iloc[usable], by, groups, count)].tolist()
    if not rows:
        return style.words("No image is shown: none has a score of every method.")
    figure, axes, beside = laid_out(len(rows), len(maps))
    for line, row in zip(axes, rows, strict=True):
        image = np.asarray(images[explained[row]])
        style.picture(line[0], image, **style.greys(image))
        for axis, (heading, found) in zip(line[1:], maps.items(), strict=True):
            where = chosen(found[row][None], rule, threshold, share, len(image))
            values = first[heading].iloc[row]
            if not np.isclose(where.mean(), values["area"]):
                raise BadInput(
                    f"{heading}: {where.mean():.1%} of an image's pixels are chosen, and its score is of "
                    f"{values['area']:.1%}; give the figure the rule, threshold and share of its metric"
                )
            style.picture(axis, erased(image[None], where)[0], **style.greys(image))
            axis.set_xlabel(f"{values['before'] - values['drop']:.2f}", fontsize=6, labelpad=2)
        line[0].set_xlabel(f"{values['before']:.2f}", fontsize=6, labelpad=2)
        line[0].set_ylabel(group_of(shown, row, by, groups), fontsize=6)
    for axis, heading in zip(axes[0], ["Observed", *maps], strict=True):
        axis.set_title(heading)
    bars(beside, {heading: by_image(tables) for heading, tables in scores.items()})
    return figure


def by_image(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Scores by image (rows) and setting (columns), the mean over seeds; what has no score is left out."""
    table = pd.concat(list(tables))
    for setting in SETTINGS:
        if setting not in set(table["at"]):
            raise BadInput(f"the scores have no setting {setting!r}; give those of the metric confidence_drop")
    return table.pivot_table(index="sample", columns="at", values="value").reindex(columns=SETTINGS).dropna()


def laid_out(rows: int, methods: int) -> tuple[Figure, np.ndarray, Axes]:
    """A figure with a grid of square cells, and beside it one panel as high as all of them."""
    cell, panel = 1.1, 2.6
    height = max((cell + 0.12) * rows, 0.42 * methods + 0.7) + 0.25
    figure = style.plt.figure(figsize=(cell * (1 + methods) + panel, height))
    places = figure.add_gridspec(rows, methods + 2, width_ratios=[cell] * (methods + 1) + [panel])
    cells = [[figure.add_subplot(places[row, column]) for column in range(methods + 1)] for row in range(rows)]
    return figure, np.array(cells), figure.add_subplot(places[:, -1])


def bars(axis: Axes, tables: Mapping[str, pd.DataFrame]) -> None:
    """A pair of bars for each method: the mean before, and after."""
    pairs = {"before": lambda table: table["before"], "after": lambda table: table["before"] - table["drop"]}
    for place, (name, of) in enumerate(pairs.items()):
        values = [of(table) for table in tables.values()]
        means = [each.mean() for each in values]
        errors = [1.96 * each.std() / np.sqrt(len(each)) for each in values]
        colour = style.COLOURS[(5, 0)[place]]
        heights = np.arange(len(tables)) + 0.4 * (place - 0.5)
        axis.barh(
            heights, means, 0.38, color=colour, label=name, xerr=errors, error_kw={"lw": 0.7, "ecolor": style.INK}
        )
    axis.set_yticks(range(len(tables)), [f"{heading}\n{len(table)} images" for heading, table in tables.items()])
    axis.tick_params("y", length=0, labelsize=6)
    axis.invert_yaxis()
    axis.set(xlim=(0, 1), xlabel="mean probability of class 1")
    axis.legend(frameon=False, fontsize=6, ncol=2, loc="lower center", bbox_to_anchor=(0.5, 1.0))
