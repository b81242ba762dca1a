"""Choose the samples of a packed dataset that are explained. Networks know nothing of it: to change it trains none."""

from evidence import cli, cohort, io
from evidence.errors import BadInput


def main(argv: list[str] | None = None) -> None:
    args = cli.plain(
        argv,
        description=__doc__,
        function=cohort.choice,
        flags={
            "--index": "index.parquet of the packed dataset",
            "--info": "info.json of the packed dataset",
            "--explained": "where the index goes with a column 'explain' and the range of intensities (parquet)",
            "--facts": "where the facts for people go, those of info.json and how many are explained (json)",
        },
    )
    index, info = io.load_table(args.index), io.load_json(args.info)
    if missing := {"classes", "split seed"} - set(info):
        raise BadInput(f"{args.info} lacks {' and '.join(sorted(missing))}: pack it again (snakemake --forcerun pack)")
    few = {"most": args.explain, "baseline": args.explain_baseline, "classes": info["classes"]}
    index["explain"] = cohort.explained(index, **few, seed=info["split seed"])
    asked = {"explain": args.explain, "explain_baseline": args.explain_baseline}
    settings = {**info["settings"], **{name: many for name, many in asked.items() if many}}
    count = int(index["explain"].sum())
    io.save_table(args.explained, index, range=io.load_range(args.info))
    io.save_json(args.facts, {**info, "settings": settings, "explained": count})
    print(f"{count} of {len(index)} samples are explained")


if __name__ == "__main__":
    cli.run(main)
