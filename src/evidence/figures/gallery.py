"""Images beside the maps of several methods (Figure 4 of Baumgartner et al., 2018; and any cohort)."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from evidence import style
from evidence.errors import BadInput, near


def draw(
    images,
    index: pd.DataFrame,
    maps: Mapping[str, np.ndarray],
    truth=None,
    *,
    by: str = "subtype",
    groups: tuple[str, ...] = (),
    count: int = 3,
    healed: str = "",
    outline: bool = False,
) -> Figure:
    """One row an explained image, one column a method. A map that is never negative runs from its least to its greatest
    value in viridis; a signed one is symmetric around grey where it is a cohort's, and in viridis where groups are
    asked for, as the paper draws it.

    Args:
        by: column of the index that tells the groups apart.
        groups: a row each, an image of that group, of another subject while there is one; empty for ``count`` images
            taken in turn from all groups.
        count: number of rows where no groups are asked for.
        healed: heading of a map that is taken from the image, to show in a last column what is left. Grey images only:
            a map has one channel, so of a colour image it does not say what is left.
        outline: draw the border of the truth on the image, in red.
    """
    explained = np.flatnonzero(index["explain"])
    if groups and by not in index:
        raise BadInput(f"by: the samples have no column {by!r}; {near(by, index.columns)}")
    members = index[by].iloc[explained].astype(str).to_numpy() if by in index else None
    subjects = index["subject"].iloc[explained].to_numpy()
    rows = chosen(members, subjects, tuple(groups), count)
    if healed and healed not in maps:
        raise BadInput(f"healed: there is no map {healed!r}; {near(healed, maps)}")
    healed = healed if images.shape[1] == 1 else ""
    headings = ["Observed", *maps, *(["Healed"] if healed else [])]
    figure, axes = style.grid(len(rows), len(headings))
    for line, row in zip(axes, rows, strict=True):
        image = np.asarray(images[explained[row]])
        darkest = -1 if image.min() < 0 else 0
        style.picture(line[0], image, vmin=darkest, vmax=1)
        if outline and truth is not None and np.any(truth[explained[row]]):
            style.outline(line[0], truth[explained[row]])
        for axis, found in zip(line[1:], maps.values(), strict=False):
            style.picture(axis, found[row], **colours(np.asarray(found[row]), signed=not groups))
        if healed:
            style.picture(line[-1], image - np.asarray(maps[healed][row]), vmin=darkest, vmax=1)
        if by in index and not groups:
            line[0].set_ylabel(str(index[by].iloc[explained[row]]), fontsize=6)
    for axis, heading in zip(axes[0], headings, strict=True):
        axis.set_title(heading)
    return figure


def chosen(groups: np.ndarray | None, subjects: np.ndarray, wanted: tuple[str, ...], count: int) -> list[int]:
    """Which of the explained images are shown: the next of each wanted group, or some of all groups in turn."""
    if groups is None:
        return in_turn(np.arange(len(subjects)), subjects)[:count]
    waiting = {group: in_turn(np.flatnonzero(groups == group), subjects) for group in sorted(set(groups))}
    there = ", ".join(f"{len(members)} of {str(group)!r}" for group, members in waiting.items())
    rows = []
    for group in wanted or sorted(waiting) * count:
        if wanted and not waiting.get(group):
            asked = f"groups: {wanted.count(group)} explained images of {group!r} are asked for"
            raise BadInput(f"{asked}; there is: {there or 'nothing'}")
        if waiting[group] and (wanted or len(rows) < count):
            rows.append(waiting[group].pop(0))
    return rows


def in_turn(rows: np.ndarray, subjects: np.ndarray) -> list[int]:
    """These rows, one of each subject and then the next of each: of a stack of slices the middle ones first."""
    table = pd.DataFrame({"row": rows, "subject": subjects[rows]})
    stacks = table.groupby("subject")["row"]
    table["aside"] = (2 * stacks.cumcount() - stacks.transform("size") + 1).abs()
    table["turn"] = table.groupby("subject")["aside"].rank("first")
    return table.sort_values("turn", kind="stable")["row"].tolist()


def colours(found: np.ndarray, *, signed: bool) -> dict:
    """Viridis over the map's own range; or red and blue around zero for maps with both signs."""
    if signed and found.min() < 0:
        far = float(np.quantile(np.abs(found), 0.999)) or 1.0
        return {"cmap": "RdBu_r", "vmin": -far, "vmax": far}
    return {"cmap": "viridis"}
