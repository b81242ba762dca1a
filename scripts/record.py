"""Keep what a scale measured for a paper: page, tables, claims, curves and pictures out of results/, with their times.

Results are not in git; what is worth remembering is, under docs/measured/, written by this script and never by hand.
Pictures of real images stay where they are: whose they are, and under which licence, this script cannot know. Who does
know, and may, adds --pictures.
"""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from evidence import cli, io, pages, signatures
from evidence.errors import BadInput
from evidence.scores import Files, of_seeds

SEEDS = [*pages.AXES, *"seed mean spread n missing repeats several better source".split()]


def main(argv: list[str] | None = None) -> None:
    args = cli.plain(
        argv,
        description=__doc__,
        flags={
            "page": "folder of a paper's page, results/<scale>/papers/<paper>",
            "--out": {
                "default": "docs/measured",
                "help": "where <paper>-<scale>.md, .csv, -seeds.csv, -claims.csv, -curves.csv and pictures go; at the "
                "papers' own size, and where both are called alike, without -<scale>",
            },
            "--name": {"default": "", "help": "what they are called instead, for a run of some of a paper's items"},
            "--pictures": {"action": "store_true", "help": "keep pictures of real images too: their licence allows it"},
        },
    )
    folder = Path(args.page)
    page, scale = folder / "page.md", folder.parents[1]
    if not page.is_file():
        raise BadInput(f"{page} is missing; make the scale first: snakemake --configfile scales/<scale>.yaml")
    name = folder.name if scale.name in ("paper", folder.name) else f"{folder.name}-{scale.name}"
    name, out = args.name or name, Path(args.out)
    kept = out / f"{name}.md"
    if kept.is_file() and "\n- **Run** [" in kept.read_text(encoding="utf-8"):
        raise BadInput(f"{kept} is a page of several records, by pool.py; call this one something else: --name")
    text = page.read_text(encoding="utf-8")
    head, line, rest = text.partition("- **Training**")
    text = f"{head}- **Time of the whole scale**: {times(scale)}\n{line}{rest}"
    claims = folder / "claims.csv"  # not in the form of a table, so beside the tables
    tables = [pd.read_csv(path) for path in sorted(folder.glob("*.csv")) if path != claims]
    if any("real" in set(table["source"]) for table in tables) and not args.pictures:
        for figure, entry in pages.load(f"papers/{folder.name}.yaml")["figures"].items():
            if shows_images(entry):
                text = re.sub(rf"!\[[^]]*\]\({figure}\.png\)", "(A picture of real images, not kept here.)", text)
    for picture in re.findall(r"!\[[^]]*\]\(([^)]+)\)", text):
        copy = f"{name}-{Path(picture).name}"
        text = text.replace(f"({picture})", f"({copy})")
        with io.replacing(out / copy) as aside:
            shutil.copy(folder / picture, aside)
    io.save_text(kept, text)
    if tables:
        io.save_table(out / f"{name}.csv", pd.concat(tables, ignore_index=True))
        io.save_table(out / f"{name}-seeds.csv", seeds(folder, scale))
    if claims.is_file():
        with io.replacing(out / f"{name}-claims.csv") as aside:
            shutil.copy(claims, aside)
    measured = curves(folder, scale)
    if len(measured):
        io.save_table(out / f"{name}-curves.csv", measured)
    print(kept)


def seeds(folder: Path, scale: Path) -> pd.DataFrame:
    """What each seed contributes to the cells of the page's tables: what ``pool.py`` puts together with other runs."""
    specs, rows = pages.load(f"papers/{folder.name}.yaml")["tables"], {}
    for path in (path for path in sorted(folder.glob("*.csv")) if path.stem in specs):
        made = {(line.row, line.column): line.seeds for line in pd.read_csv(path, keep_default_na=False).itertuples()}
        for cell in pages.cells(specs[path.stem]):
            files = sorted(Path(cell.scores(str(scale), 0)).parent.glob("seed*.parquet"))
            if cell.key in rows or (cell.row, cell.column) not in made:
                continue
            if len(files) != (count := made[cell.row, cell.column]):
                where = files[0].parent if files else scale
                raise BadInput(
                    f"{path} has {count} seeds of {cell.row!r}, but there are scores of {len(files)} in {where}; make "
                    "the table again, or take the others away"
                )
            scores = Files(map(str, files), str(scale)).of(cell)
            rows[cell.key] = of_seeds(scores, cell.at).assign(
                **dict(zip(pages.AXES, cell.key, strict=True)),
                source=io.load_json(scale / cell.dataset / "data" / "info.json")["source"],
                better=next(iter(scores.values())).attrs.get("better", "higher"),
            )
    table = pd.concat(rows.values()) if rows else pd.DataFrame(columns=SEEDS)
    return table[SEEDS]


def curves(folder: Path, scale: Path) -> pd.DataFrame:
    """What was validated, step by step: the numbers behind the page's figures of curves."""
    figures = pages.load(f"papers/{folder.name}.yaml")["figures"]
    there = [entry for name, entry in figures.items() if (folder / f"{name}.png").is_file()]
    models = {(e["dataset"], model): None for e in there if e["kind"] == "curves" for model in e["models"].values()}
    tables = []
    for dataset, model in models:
        for path in sorted(scale.glob(f"{dataset}/models/{model}/seed*/history.parquet")):
            table = io.load_table(path)
            table = table[table["name"].str.startswith("validation_")].pivot(
                index="step", columns="name", values="value"
            )
            tables.append(
                table.rename(columns=lambda name: name.removeprefix("validation_"))
                .reset_index()
                .assign(dataset=dataset, model=model, seed=path.parent.name.removeprefix("seed"))
            )
    if not tables:
        return pd.DataFrame()
    whole = pd.concat(tables, ignore_index=True)
    head = ["dataset", "model", "seed", "step"]
    whole = whole[[*head, *sorted(set(whole) - set(head))]]
    return whole.apply(
        lambda column: column if column.name in head else column.map("{:.4g}".format, na_action="ignore")
    )


def shows_images(figure: Mapping[str, Any]) -> bool:
    """Whether a figure shows images of the dataset: its kind does, unless it is asked to leave them out."""
    asks = signatures.signature("figures", figure["kind"]).positional
    return "images" in asks and figure.get("options", {}).get("observed") != ""


def times(scale: Path) -> str:
    """Wall and CPU time of the trainings and maps of a scale, from Snakemake's benchmarks."""
    said = []
    for what in ("models", "maps"):
        files = sorted(scale.glob(f"*/benchmarks/{what}/*/*.tsv"))
        table = pd.concat([pd.read_csv(path, sep="\t", na_values="-") for path in files]) if files else None
        if table is not None:
            wall, cpu = table["s"].sum() / 60, table["cpu_time"].sum() / 60
            said.append(f"{what} {wall:.1f} minutes of wall clock and {cpu:.1f} of CPU in {len(files)} jobs")
    return "; ".join(said) or "not recorded"


if __name__ == "__main__":
    cli.run(main)
