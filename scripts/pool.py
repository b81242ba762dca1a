"""Put records of one paper together, of runs with other seeds, variants or machines: one page with tables of them all.

Each seed of a cell counts once, by the first record that has it. Figures and claims are those of the first record that
has them, for they are of the images of one run; but claims that no record could check, because they compare what was
measured on two datasets, are checked here.
"""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from evidence import claims, cli, io, pages, tables
from evidence.errors import BadInput
from evidence.scores import pooled, span

SAME = 0.01  # means of a seed in two records that differ by less of themselves, or of their spread, are the same again
FACTS = ("Commit", "Machine", "Time of the whole scale", "Training")


def main(argv: list[str] | None = None) -> None:
    args = cli.plain(
        argv,
        description=__doc__,
        flags={
            "paper": "the paper's file (yaml)",
            "records": {"nargs": "+", "help": "pages that record.py wrote, <name>.md, with <name>-seeds.csv beside"},
            "--page": "where the page of all goes, <name>.md in the records' folder; its tables go to <name>.csv",
        },
    )
    paper, page = pages.load(args.paper), Path(args.page)
    records = [Path(path) for path in args.records]
    for path in (*records, page):
        if path.parent.resolve() != page.parent.resolve() or path.suffix != ".md":
            raise BadInput(f"{path} has to be a .md in {page.parent}, where pictures of all records lie")
    if page.resolve() in {path.resolve() for path in records}:
        raise BadInput(f"{page} is one of the records; give the page of all another name")
    texts = {path: read(path) for path in records}
    facts = {path: facts_of(text) for path, text in texts.items()}
    scales = {said["Scale"][0]: path for path, said in facts.items()}
    if len(scales) > 1:
        (one, path), (other, another) = list(scales.items())[:2]
        raise BadInput(f"{path} is of scale {one} and {another} of {other}: put records of one scale together")
    seeds, twice = known(records)
    by_key = dict(list(seeds.groupby(list(pages.AXES))))
    every = {name: table_of(name, spec, by_key) for name, spec in paper["tables"].items()}
    made = {name: table for name, table in every.items() if table is not None}
    if not made:
        raise BadInput(f"the records have scores of none of the methods in the tables of {args.paper}")
    lines = [f"# {paper['title']}", "", paper["reference"], "", *runs(facts, seeds), *twice]
    for name, table in made.items():
        lines += [f"## {name}", "", tables.text(paper["tables"][name], table).strip(), ""]
    taken = {*made, "Notes"}
    for path, text in texts.items():
        for heading, said in sections(text):
            if heading not in taken and heading not in paper["tables"] and not heading.startswith("Settings"):
                taken.add(heading)
                lines += [f"## {heading}", "", f"Of [{path.stem}]({path.name}).", "", said, ""]
    if len(table := judged(paper, texts.values(), by_key)):
        said = claims.text(paper["claims"], table).strip()
        lines += ["## Claims about two datasets", "", "Of all records.", "", said, ""]
    lines += ["## Notes", "", paper["notes"].strip(), ""] if paper.get("notes") else []
    io.save_text(page, "\n".join(lines))
    whole = pd.concat([table.assign(scale=next(iter(scales))) for table in made.values()], ignore_index=True)
    io.save_table(page.with_suffix(".csv"), whole[tables.COLUMNS])
    print(page)


def read(path: Path) -> str:
    """A record's page."""
    if not path.is_file():
        raise BadInput(f"{path} is missing; write it with record.py, or correct the path")
    return path.read_text(encoding="utf-8")


def known(records: list[Path]) -> tuple[pd.DataFrame, list[str]]:
    """What each seed contributes, once, with its ``record``; and in words which seeds are in two that do not agree."""
    parts = []
    for path in records:
        csv = path.with_name(f"{path.stem}-seeds.csv")
        if not csv.is_file():
            raise BadInput(f"{csv} is missing: {path.name} was recorded without it; record that run again")
        parts.append(
            pd.read_csv(csv, keep_default_na=False, na_values={"mean": [""], "spread": [""]}, dtype={"at": str})
        )
        parts[-1]["record"] = path.stem
    table = pd.concat(parts, ignore_index=True)
    said = []
    for key, lines in table.groupby([*pages.AXES, "seed"], sort=False):
        first, *others = lines.itertuples()
        for other in others:
            if abs(other.mean - first.mean) > SAME * max(abs(first.mean), first.spread if first.spread > 0 else 0):
                where = ", ".join(filter(None, key[:-1]))
                said.append(
                    f"- Seed {key[-1]} of {where} is in two records: {first.mean:.3f} in {first.record} counts, "
                    f"{other.mean:.3f} in {other.record} does not."
                )
    table = table.drop_duplicates([*pages.AXES, "seed"])
    for key, lines in table.groupby(list(pages.AXES), sort=False):
        if lines["n"].nunique() > 1:
            said.append(f"- Seeds of {', '.join(filter(None, key))} are of {span(lines['n'])} scores.")
    return table, [*said, ""] if said else []


def table_of(name: str, spec: Mapping[str, Any], by_key: Mapping[tuple, pd.DataFrame]) -> pd.DataFrame | None:
    """A table of the paper, what was measured of it; None where that is floors at most."""
    rows = []
    nothing = next(iter(by_key.values()))[:0]
    for cell in pages.cells(spec):
        own = by_key.get(cell.key, nothing)
        better = own["better"].iloc[0] if len(own) else "higher"
        source = own["source"].iloc[0] if len(own) else ""
        rows.append({**tables.entry(name, spec, cell, own), "source": source, "better": better})
    table = pd.DataFrame(rows)
    for axis in ("row", "column"):
        table = table[table.groupby(axis)["seeds"].transform("sum") > 0]
    return table.reset_index(drop=True) if set(table["row"]) - set(spec.get("floors", ())) else None


def judged(paper: Mapping[str, Any], texts: Collection[str], by_key: Mapping[tuple, pd.DataFrame]) -> pd.DataFrame:
    """Claims that no record checked, and of which each comparison is of two datasets, so by their means alone."""
    rows = []
    for name, spec in paper.get("claims", {}).items():
        comparisons = list(pages.comparisons(spec))
        checked = any(f"### {name}\n" in text for text in texts)
        if checked or not all(of_two_datasets(each, by_key) for each in comparisons):
            continue
        for each in comparisons:
            ours, theirs = by_key[each.cell.key], by_key[each.reference.key]
            found = claims.compared(each, pooled(ours), pooled(theirs))
            rows.append({"claim": name, **found, "source": ours["source"].iloc[0]})
    return pd.DataFrame(rows)


def of_two_datasets(comparison: pages.Comparison, by_key: Collection[tuple]) -> bool:
    """Whether its sides are of two datasets, and both were measured."""
    cell, other = comparison.cell, comparison.reference
    return (
        isinstance(other, pages.Cell) and other.dataset != cell.dataset and cell.key in by_key and other.key in by_key
    )


def facts_of(text: str) -> dict[str, list[str]]:
    """What the head of a record says, by heading."""
    facts: dict[str, list[str]] = {"Scale": ["unknown"], "Data": []}
    for fact, said in re.findall(r"^- \*\*(.+?)\*\*: (.+)$", text, re.M):
        facts[fact] = [*facts["Data"], said] if fact == "Data" else [said]  # a line a dataset
    return facts


def runs(facts: Mapping[Path, Mapping[str, list[str]]], seeds: pd.DataFrame) -> list[str]:
    """The facts a reader needs before any number."""
    of_all = [
        ("Scale", facts[next(iter(facts))]["Scale"]),
        ("Data", [line for own in facts.values() for line in own["Data"]]),
    ]
    lines = [f"- **{fact}**: {said}" for fact, there in of_all for said in dict.fromkeys(there)]
    for path, own in facts.items():
        used = seeds.loc[seeds["record"] == path.stem, "seed"]
        said = [f"seeds {', '.join(map(str, sorted(set(used)))) or 'that are all in another record'}"]
        said += [f"{fact.lower()}: {own[fact][0]}" for fact in FACTS if fact in own]
        lines.append(f"- **Run** [{path.stem}]({path.name}): {'; '.join(said)}")
    return [*lines, ""]


def sections(text: str) -> list[tuple[str, str]]:
    """Heading and text of each section."""
    parts = re.split(r"^## (.+)$", text, flags=re.M)[1:]
    return [(heading, said.strip()) for heading, said in zip(parts[::2], parts[1::2], strict=True)]


if __name__ == "__main__":
    cli.run(main)
