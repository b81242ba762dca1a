"""Make one table of one paper from scores, published numbers beside ours: CSV for machines, Markdown for people."""

import pandas as pd

from evidence import cli, io, pages, tables
from evidence.errors import BadInput, near
from evidence.scores import FLAGS, Files, of_seeds


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
    there = pages.load(args.paper)["tables"]
    if args.table not in there:
        raise BadInput(f"{args.paper} has no table {args.table!r}; {near(args.table, there)}")
    spec = there[args.table]
    sources, files = cli.pairs(args.sources), Files(args.scores, args.results)
    rows = []
    for cell in pages.cells(spec):
        scores = files.of(cell)
        rows.append(
            {
                **tables.entry(args.table, spec, cell, of_seeds(scores, cell.at)),
                "scale": args.scale,
                "source": sources.get(cell.dataset, ""),
                "better": next(iter(scores.values())).attrs.get("better", "higher"),
            }
        )
    table = pd.DataFrame(rows)
    io.save_table(args.csv, table[tables.COLUMNS])
    io.save_text(args.md, tables.text(spec, table))


if __name__ == "__main__":
    cli.run(main)
