"""Make one table of one paper from scores, published numbers beside ours: CSV for machines, Markdown for people."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from evidence import cli, io, pages
from evidence.errors import BadInput, near
from evidence.scores import FLAGS, Files, markdown, measured, number, span, spread_over

COLUMNS = "table row column published published_spread ours ours_spread n seeds seeds_spread scale source".split()
BETTER = {"higher": 1, "lower": -1, "middle": 0}


def main(argv: list[str] | None = None) -> None:
    args = cli.plain(
        argv,
        description=__doc__,
        flags={
            "paper": "the paper's file (yaml)",
            "table": "name of the table in it",
            **FLAGS,
        },
    )
    tables = pages.load(args.paper)["tables"]
    if args.table not in tables:
        raise BadInput(f"{args.paper} has no table {args.table!r}; {near(args.table, tables)}")
    spec = tables[args.table]
    sources, files = cli.pairs(args.sources), Files(args.scores, args.results)
    rows = []
    for cell in pages.cells(spec):
        scores = files.of(cell)
        rows.append(
            {
                "table": args.table,
                "row": cell.row,
                "column": cell.column,
                **published(spec, cell),
                **measured(scores, cell.at, spec.get("cell", {}).get("over", pages.CELL["over"])),
                "scale": args.scale,
                "source": sources.get(cell.dataset, ""),
                "better": next(iter(scores.values())).attrs.get("better", "higher"),
            }
        )
    table = pd.DataFrame(rows)
    io.save_table(args.csv, table[COLUMNS])
    io.save_text(args.md, text(spec, table))


def published(spec: Mapping[str, Any], cell: pages.Cell) -> dict[str, float]:
    """The paper's number, ``0.94 ± 0.07`` or ``0.94``; NaN where it has none."""
    text = str(spec.get("published", {}).get(cell.row, {}).get(cell.column, ""))
    mean, _, spread = text.partition("±")
    return {
        "published": float(mean) if mean.strip() else np.nan,
        "published_spread": float(spread) if spread.strip() else np.nan,
    }


def text(spec: Mapping[str, Any], table: pd.DataFrame) -> str:
    """The table that people read: a row for each of the paper's, and for each column ours; published and difference
    beside it in columns of which the paper has a number."""
    cell_spec = {**pages.CELL, **spec.get("cell", {})}
    decimals, over = cell_spec["decimals"], cell_spec["over"]
    known, differing = set(table.loc[table["published"].notna(), "column"]), table["seeds"].nunique() > 1
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
        lines.append(line + ([span(cells["seeds"])] if differing else []))
    spread = spread_over(table["repeats"]) if over == "sample" else "seeds"
    spread += ", in brackets over the means of seeds" if both else ""
    said = [
        f"n = {span(table['n'])} scores a cell, {span(table['seeds'], 'seed')}; ± is over {spread}; "
        f"{', '.join(sorted(set(table['source'])))} images."
    ]
    lacking = table[table["missing"] > 0]
    for (row, missing, of), cells in lacking.groupby(["row", "missing", "of"], sort=False):
        where = ", ".join(filter(None, (row, *cells["column"])))
        said.append(f"{where}: {missing} of {of} scores do not exist and are left out; their logs name them.")
    rows = markdown([*head, *(["seeds"] if differing else [])], lines)
    return "\n".join([spec.get("caption", ""), "", *rows, "", *said, *floors(spec, table, decimals)]) + "\n"


def floors(spec: Mapping[str, Any], table: pd.DataFrame, decimals: int) -> list[str]:
    """Says in words where a floor, which takes no method at all, beats a method, ours or as published."""
    said = []
    for column in dict.fromkeys(table["column"]):
        cells = table[table["column"] == column].set_index("row")
        others = cells.drop(index=list(spec.get("floors", ())))
        for floor in spec.get("floors", ()):
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


if __name__ == "__main__":
    cli.run(main)
