"""Make one table of one paper from scores, published numbers beside ours: CSV for machines, Markdown for people."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from evidence import cli, io, pages
from evidence.errors import BadInput, near

COLUMNS = "table row column published published_spread ours ours_spread n seeds scale source".split()


def main(argv: list[str] | None = None) -> None:
    args = cli.plain(
        argv,
        description=__doc__,
        flags={
            "paper": "the paper's file (yaml)",
            "table": "name of the table in it",
            "--results": "folder of the scale's results",
            "--seeds": {"type": int, "nargs": "+", "default": [0], "help": "the seeds to put together"},
            "--scale": "name of the scale",
            "--sources": {"nargs": "+", "default": [], "help": "DATASET=real|phantom|generated, one for each dataset"},
            "--csv": "where the tidy table goes",
            "--md": "where the readable table goes",
        },
    )
    tables = pages.load(args.paper)["tables"]
    if args.table not in tables:
        raise BadInput(f"{args.paper} has no table {args.table!r}; {near(args.table, tables)}")
    spec = tables[args.table]
    sources = cli.pairs(args.sources)
    rows = []
    for cell in pages.cells(spec):
        scores = {seed: io.load_table(cell.scores(args.results, seed)) for seed in args.seeds}
        rows.append(
            {
                "table": args.table,
                "row": cell.row,
                "column": cell.column,
                **published(spec, cell),
                **measured(scores, cell.at, spec.get("cell", {}).get("over", pages.CELL["over"])),
                "scale": args.scale,
                "source": sources.get(cell.dataset, ""),
            }
        )
    table = pd.DataFrame(rows)
    io.save_table(args.csv, table[COLUMNS])
    io.save_text(args.md, markdown(spec, table))


def published(spec: Mapping[str, Any], cell: pages.Cell) -> dict[str, float]:
    """The paper's number, ``0.94 ± 0.07`` or ``0.94``; NaN where it has none."""
    text = str(spec.get("published", {}).get(cell.row, {}).get(cell.column, ""))
    mean, _, spread = text.partition("±")
    return {
        "published": float(mean) if mean.strip() else np.nan,
        "published_spread": float(spread) if spread.strip() else np.nan,
    }


def measured(scores: Mapping[int, pd.DataFrame], at: str, over: str) -> dict[str, Any]:
    """Mean and spread of the scores that exist. ``over: sample``: the spread of images around the mean of their seed,
    ``over: seed``: that of the seeds' means. ``missing`` counts the scores that do not exist."""
    values = [table.loc[table["at"] == at, "value"] for table in scores.values()]
    means = [v.mean() for v in values if v.notna().any()]
    spreads = [v.std(ddof=0) for v in values if v.notna().sum() > 1]
    if over == "seed":
        spread = float(np.std(means, ddof=1)) if len(means) > 1 else np.nan
    else:
        spread = float(np.sqrt(np.mean(np.square(spreads)))) if spreads else np.nan
    return {
        "ours": float(np.mean(means)) if means else np.nan,
        "ours_spread": spread,
        "n": int(sum(v.notna().sum() for v in values) / max(len(values), 1)),
        "seeds": len(values),
        "missing": int(sum(v.isna().sum() for v in values)),
    }


def markdown(spec: Mapping[str, Any], table: pd.DataFrame) -> str:
    """The table that people read: a row for each of the paper's, and for each column published, ours and difference."""
    decimals = spec.get("cell", {}).get("decimals", pages.CELL["decimals"])
    known = table["published"].notna().any()
    columns = list(dict.fromkeys(table["column"]))
    several = len(columns) > 1
    head = [""]
    for column in columns:
        head += (
            [f"{column} published", f"{column} ours", "difference"] if known else [f"{column}" if several else "ours"]
        )
    lines = [[row] for row in dict.fromkeys(table["row"])]
    for line in lines:
        for column in columns:
            cell = table[(table["row"] == line[0]) & (table["column"] == column)].iloc[0]
            ours = number(cell["ours"], cell["ours_spread"], decimals)
            if known:
                difference = cell["ours"] - cell["published"]
                line += [number(cell["published"], cell["published_spread"], decimals), ours]
                line.append(f"{difference:+.{decimals}f}" if np.isfinite(difference) else "")
            else:
                line.append(ours)
    text = [spec.get("caption", ""), "", _row(head), _row(["---"] + ["---:"] * (len(head) - 1)), *map(_row, lines), ""]
    over = "images" if spec.get("cell", {}).get("over", "sample") == "sample" else "seeds"
    n = sorted(set(table["n"]))
    count = f"{n[0]}" if len(n) == 1 else f"{n[0]} to {n[-1]}"
    text.append(
        f"n = {count} scores a cell, {table['seeds'].max()} seed(s); ± is over {over}; "
        f"{', '.join(sorted(set(table['source'])))} images."
    )
    for cell in table[table["missing"] > 0].itertuples():
        text.append(
            f"{cell.row}, {cell.column}: {cell.missing} scores do not exist and are left out; their logs name them."
        )
    return "\n".join(text + floors(spec, table, decimals)) + "\n"


def floors(spec: Mapping[str, Any], table: pd.DataFrame, decimals: int) -> list[str]:
    """Says in words where a floor, which takes no method at all, beats a method, ours or as published."""
    said = []
    for column in dict.fromkeys(table["column"]):
        cells = table[table["column"] == column].set_index("row")
        others = cells.drop(index=list(spec.get("floors", ())))
        for floor in spec.get("floors", ()):
            level = cells.loc[floor, "ours"]
            for kind, what in (("ours", "as measured here"), ("published", "as published")):
                beaten = [f"{row} ({value:.{decimals}f})" for row, value in others[kind].items() if value < level]
                if beaten:
                    said.append(
                        f"**A floor beats a method**: {floor} ({level:.{decimals}f}) lies above "
                        f"{', '.join(beaten)}, {what}."
                    )
    return ["", *said] if said else []


def number(mean: float, spread: float, decimals: int) -> str:
    if not np.isfinite(mean):
        return ""
    return f"{mean:.{decimals}f}" + (f" ± {spread:.{decimals}f}" if np.isfinite(spread) else "")


def _row(words: list[str]) -> str:
    return "| " + " | ".join(words) + " |"


if __name__ == "__main__":
    cli.run(main)
