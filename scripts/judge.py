"""Check the claims of a paper, one by one, on scores: CSV for machines, Markdown for people."""

from typing import Any

import pandas as pd

from evidence import claims, cli, io, pages
from evidence.errors import BadInput, near
from evidence.scores import FLAGS, Files, measured, of_images


def main(argv: list[str] | None = None) -> None:
    args = cli.plain(
        argv,
        description=__doc__,
        flags={
            "paper": "the paper's file (yaml)",
            "claims": {"nargs": "+", "help": "names of the claims in it"},
            **FLAGS,
        },
    )
    there = pages.load(args.paper)["claims"]
    for name in args.claims:
        if name not in there:
            raise BadInput(f"{args.paper} has no claim {name!r}; {near(name, there)}")
    sources, files = cli.pairs(args.sources), Files(args.scores, args.results)
    rows = []
    for name in args.claims:
        for comparison in pages.comparisons(there[name]):
            source = sources.get(comparison.cell.dataset, "")
            rows.append({"claim": name, **judged(comparison, files), "scale": args.scale, "source": source})
    table = pd.DataFrame(rows)
    io.save_table(args.csv, table[claims.COLUMNS])
    io.save_text(args.md, claims.text(there, table))


def judged(comparison: pages.Comparison, files: Files) -> dict[str, Any]:
    """One comparison, on the scores of both sides."""
    cell, other = comparison.cell, comparison.reference
    ours, each = side(cell, files)
    if not isinstance(other, pages.Cell):
        return claims.compared(comparison, ours, claims.of_number(other), (each - other).dropna())
    theirs, other_each = side(other, files)
    same = other.dataset == cell.dataset
    return claims.compared(comparison, ours, theirs, (each - other_each).dropna() if same else claims.NOTHING)


def side(cell: pages.Cell, files: Files) -> tuple[dict[str, Any], pd.Series]:
    """What was measured of one side, and its scores image by image."""
    scores = files.of(cell)
    return measured(scores, cell.at), of_images(scores, cell.at)


if __name__ == "__main__":
    cli.run(main)
