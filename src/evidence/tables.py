"""Tables of a paper: tidy for machines, Markdown for people, published numbers beside ours. No torch."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from evidence import pages
from evidence.scores import markdown, number, pooled, span, spread_over

COLUMNS = "table row column published published_spread ours ours_spread n seeds seeds_spread scale source".split()
BETTER = {"higher": 1, "lower": -1, "middle": 0}


def entry(name: str, spec: Mapping[str, Any], cell: pages.Cell, seeds: pd.DataFrame) -> dict[str, Any]:
    """A cell of the tidy table: ``COLUMNS`` without the last two, and what ``text`` asks for besides.

    Args:
        name: of the table.
        spec: what the paper's file says of it.
        cell: one of its cells.
        seeds: what is known of each seed's scores, as ``scores.of_seeds`` makes it.
    """
    over = spec.get("cell", {}).get("over", pages.CELL["over"])
    theirs, spread = pages.reported(spec.get("published", {}).get(cell.row, {}).get(cell.column, ""))
    return {
        "table": name,
        "row": cell.row,
        "column": cell.column,
        "published": theirs,
        "published_spread": spread,
        **pooled(seeds, over),
    }


def text(spec: Mapping[str, Any], table: pd.DataFrame) -> str:
    """The table that people read: a row for each of the paper's, and for each column ours; published and difference
    beside it in columns of which the paper has a number. Cells without a seed are empty. Where rows are of different
    seeds, a last column names them.

    Args:
        spec: what the paper's file says of the table.
        table: an ``entry`` a cell, row by row, with its ``source`` and which end of its score is ``better``.
    """
    cell_spec = {**pages.CELL, **spec.get("cell", {})}
    decimals, over = cell_spec["decimals"], cell_spec["over"]
    there = table[table["seeds"] > 0]
    known, differing = set(table.loc[table["published"].notna(), "column"]), there["which"].nunique() > 1
    both = over == "sample" and table["seeds"].max() > 1  # spreads, over images and over seeds
    columns = list(dict.fromkeys(table["column"]))
    head = [""]
    for column in columns:
        ours = column if len(columns) > 1 else "ours"
        head += [f"{column} published", f"{column} ours", "difference"] if column in known else [ours]
    lines = []
    for row, cells in table.groupby("row", sort=False):
        line = [row]
        for cell in cells.set_index("column").loc[columns].itertuples():
            ours = number(cell.ours, cell.ours_spread, decimals, cell.seeds_spread if both else np.nan)
            difference = cell.ours - cell.published
            said = f"{difference:+.{decimals}f}" if np.isfinite(difference) else ""
            beside = [number(cell.published, cell.published_spread, decimals), ours, said]
            line += beside if cell.Index in known else [ours]
        lines.append(line + ["; ".join(dict.fromkeys(cells.loc[cells["seeds"] > 0, "which"]))] * differing)
    spread = spread_over(there) if over == "sample" else "seeds"
    spread += ", in brackets over the means of seeds" if both else ""
    said = [
        f"n = {span(there['n'])} scores a cell, {span(there['seeds'], 'seed')}; ± is over {spread}; "
        f"{', '.join(sorted(set(there['source'])))} images."
    ]
    lacking = table[table["missing"] > 0]
    for (row, missing, of), cells in lacking.groupby(["row", "missing", "of"], sort=False):
        where = ", ".join(filter(None, (row, *cells["column"])))
        said.append(f"{where}: {missing} of {of} scores do not exist and are left out; their logs name them.")
    rows = markdown([*head, *(["which seeds"] if differing else [])], lines)
    return "\n".join([spec.get("caption", ""), "", *rows, "", *said, *floors(spec, table, decimals)]) + "\n"


def floors(spec: Mapping[str, Any], table: pd.DataFrame, decimals: int) -> list[str]:
    """Says in words where a floor, which takes no method at all, beats a method, ours or as published."""
    said = []
    for column in dict.fromkeys(table["column"]):
        cells = table[table["column"] == column].set_index("row")
        there = [floor for floor in spec.get("floors", ()) if floor in cells.index]
        others = cells.drop(index=there)
        for floor in there:
            level, sign = cells.loc[floor, "ours"], BETTER[cells.loc[floor, "better"]]
            for kind, what in (("ours", "as measured here"), ("published", "as published")):
                worse = others[kind][sign * (level - others[kind]) > 0]
                if len(worse):
                    beaten = ", ".join(f"{row} ({value:.{decimals}f})" for row, value in worse.items())
                    side = "above" if sign > 0 else "below"
                    said.append(
                        f"**A floor beats a method**: {floor} ({level:.{decimals}f}) lies {side} {beaten}, {what}."
                    )
    return ["", *said] if said else []
