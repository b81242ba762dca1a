"""Images beside the maps of several methods (Figure 4 of Baumgartner et al., 2018; and any cohort)."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from evidence import style
from evidence.errors import BadInput, near
from evidence.images import to_channels
from evidence.shapes import Maps, Values


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
    pictures: tuple[str, ...] = (),
    worst: str = "",
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
        pictures: headings of maps that are images themselves, drawn in grey as the observed one is.
        worst: heading of a picture, to show the ``count`` images that it is farthest from, the mean square difference
            to the image's grey beside each, rather than some of all groups.
    """
    check(maps, groups, healed, pictures, worst)
    explained = np.flatnonzero(index["explain"])
    shown = index.iloc[explained]
    usable = drawn(maps, len(shown))
    if worst:
        errors = distances(images, explained, maps[worst])
        rows = usable[np.argsort(-errors[usable], kind="stable")[:count]].tolist()
    else:
        rows = usable[some(shown.iloc[usable], by, groups, count)].tolist()
    if not rows:
        return style.words("No image is shown: none has a map of every method.")
    healed = healed if images.shape[1] == 1 else ""
    headings = ["Observed", *maps, *(["Healed"] if healed else [])]
    figure, axes = style.grid(len(rows), len(headings))
    for line, row in zip(axes, rows, strict=True):
        image = np.asarray(images[explained[row]])
        greys = style.greys(image)
        style.picture(line[0], image, **greys)
        if outline and truth is not None and np.any(truth[explained[row]]):
            style.outline(line[0], truth[explained[row]])
        for axis, (heading, found) in zip(line[1:], maps.items(), strict=False):
            found = np.asarray(found[row])
            style.picture(axis, found, **(greys if heading in pictures else colours(found, signed=not groups)))
        if healed:
            style.picture(line[-1], image - np.asarray(maps[healed][row]), **greys)
        words = [group_of(shown, row, by, groups), f"MSE {errors[row]:.3f}" if worst else ""]
        line[0].set_ylabel("\n".join(filter(None, words)), fontsize=6)
    for axis, heading in zip(axes[0], headings, strict=True):
        axis.set_title(heading)
    return figure


def check(
    maps: Mapping[str, np.ndarray], groups: tuple[str, ...], healed: str, pictures: tuple[str, ...], worst: str
) -> None:
    """Refuse headings that are not there, and two choices of rows at once."""
    for setting, headings in (("healed", [healed]), ("pictures", pictures)):
        for heading in headings:
            if heading and heading not in maps:
                raise BadInput(f"{setting}: there is no map {heading!r}; {near(heading, maps)}")
    if worst and worst not in pictures:
        raise BadInput(f"worst: there is no picture {worst!r} to compare with the images; {near(worst, pictures)}")
    if worst and groups:
        raise BadInput(f"worst and groups both choose the rows: leave out worst, {worst!r}, or groups")


def drawn(maps: Mapping[str, Maps], count: int) -> np.ndarray:
    """Which of so many explained samples have all of these maps: a method may be asked for some of them only. What is
    not there is NaN throughout, so one pixel tells, and of files that are large the rest is left unread."""
    there = np.ones(count, bool)
    for found in maps.values():
        there &= np.isfinite(found[(slice(None), *[0] * (found.ndim - 1))])
    return np.flatnonzero(there)


def distances(images, explained: np.ndarray, pictures: Maps) -> Values:
    """The mean square difference of each picture to the grey of its image."""
    greys = (to_channels(np.asarray(images[place]), 1) for place in explained)
    return np.array(
        [np.square(grey - found, dtype=np.float64).mean() for grey, found in zip(greys, pictures, strict=True)]
    )


def some(shown: pd.DataFrame, by: str, groups: tuple[str, ...], count: int) -> list[int]:
    """Which of the samples that might be shown are: see ``chosen``."""
    if groups and by not in shown:
        raise BadInput(f"by: the samples have no column {by!r}; {near(by, shown.columns)}")
    members = shown[by].astype(str).to_numpy() if by in shown else None
    return chosen(members, shown["subject"].to_numpy(), tuple(groups), count)


def group_of(shown: pd.DataFrame, row: int, by: str, groups: tuple[str, ...]) -> str:
    """The group of a sample, to stand beside its row; nothing where groups were asked for, or none are known."""
    return str(shown[by].iloc[row]) if by in shown and not groups else ""


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
