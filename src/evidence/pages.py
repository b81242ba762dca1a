"""Papers as data: the tables, figures and claims of each, and the scores they are made of. Standard library and yaml.

A table is a pivot of scores. ``rows`` and ``columns`` are axes, ``{axis: {heading: label}}`` with the axes ``dataset``,
``method``, ``metric`` and ``at``; several axes are nested in the order they stand. ``fixed`` names what does not vary.

A claim is a sentence (``says``), how it is tested in words (``how``), and a comparison of scores: each member of ``of``
lies ``above``, ``below`` or ``about`` some reference. Members and references are cells, ``{heading: {axis: label}}``; a
reference may be a number instead, with a heading or without. A member has what is ``fixed``; a reference has what its
member has, but for what it says itself. ``within`` is how far off ``about`` may be; if it is not said, the larger of
the two spreads over images.
"""

import functools
import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from evidence.errors import BadInput, near

AXES = ("dataset", "metric", "method", "at")
RELATIONS = ("above", "below", "about")
SECTIONS = {  # of a paper: the keys that an entry may have, and those that it must
    "tables": ({"caption", "rows", "columns", "fixed", "cell", "published", "floors", "optional"}, {"rows"}),
    "figures": (
        {"caption", "kind", "dataset", "methods", "metric", "models", "options", "optional"},
        {"kind", "dataset"},
    ),
    "claims": ({"says", "how", "fixed", "of", *RELATIONS, "within", "optional"}, {"says", "of"}),
}
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's, which is faster, where it is built in
CELL = {"over": "sample", "decimals": 2}
OVER = ("sample", "seed")  # what a spread may be over


@dataclass(frozen=True)
class Cell:
    """One cell of a table, or side of a comparison: where it stands and what it is the mean of."""

    row: str  # of a claim, the heading
    column: str
    dataset: str
    metric: str
    method: str  # label, or label.map where it has several; empty for a metric of networks
    at: str

    def scores(self, results: str, seed: int) -> str:
        """The file that holds its scores, beside those of the method's other maps."""
        method = self.method.partition(".")[0]
        parts = (results, self.dataset, "scores", self.metric, method, f"seed{seed}.parquet")
        return "/".join(part for part in parts if part)

    @property
    def key(self) -> tuple[str, ...]:
        """What it is the mean of, whatever a table calls it: its place on each axis."""
        return tuple(getattr(self, axis) for axis in AXES)

    @property
    def map(self) -> str:
        """Which of the method's maps; empty where it has but one."""
        return self.method.partition(".")[2]


@dataclass(frozen=True)
class Comparison:
    """What a claim says of one member and one reference."""

    cell: Cell
    relation: str  # one of RELATIONS
    heading: str  # of the reference; empty for a number alone
    reference: Cell | float
    within: float | None


@functools.cache
def load(path: str) -> dict[str, Any]:
    """A paper's file, its keys checked."""
    file = Path(path)
    if not file.is_file():
        there = [other.stem for other in file.parent.glob("*.yaml")]
        raise BadInput(f"there is no paper {file.stem!r} in {file.parent}/; {near(file.stem, there)}")
    try:
        paper = yaml.load(file.read_text(encoding="utf-8"), Loader=LOADER)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    _known(path, paper, {"title", "reference", "notes", *SECTIONS})
    if missing := [key for key in ("title", "reference") if not isinstance(paper.get(key), str)]:
        raise BadInput(f"{path} lacks its {' and its '.join(missing)}, a text each")
    for section, (keys, needed) in SECTIONS.items():
        paper[section] = _mapping(f"{path}: {section}", paper.get(section) or {})
        for name, entry in paper[section].items():
            _known(f"{path}: {section}.{name}", entry, keys)
            if missing := needed - set(entry):
                raise BadInput(f"{path}: {section}.{name} lacks {', '.join(sorted(missing))}")
    for name in paper["tables"]:
        if name in ("claims", "page", *paper["figures"]):
            raise BadInput(f"{path}: tables.{name} needs another name: the claims, the page or a figure has this one")
    for name, figure in paper["figures"].items():
        for key in ("methods", "models", "options"):
            _mapping(f"{path}: figures.{name}.{key}", figure.get(key, {}))
    for name, table in paper["tables"].items():
        _check_table(f"{path}: tables.{name}", table)
    for name, claim in paper["claims"].items():
        _check_claim(f"{path}: claims.{name}", claim)
    return paper


def cells(table: Mapping[str, Any]) -> Iterator[Cell]:
    """All cells of a table, row by row."""
    for row_headings, row in _combinations(table["rows"]):
        for column_headings, column in _combinations(table.get("columns", {})):
            at = {**table.get("fixed", {}), **row, **column}
            what = f"the table {table.get('caption', '')!r}"
            yield _cell(what, " / ".join(row_headings), " / ".join(column_headings), at)


def reported(text: Any) -> tuple[float, float]:
    """A published number and its spread, ``0.94 ± 0.07`` or ``0.94``; NaN for what is not there."""
    mean, _, spread = str(text).partition("±")
    return tuple(float(part) if part.strip() else math.nan for part in (mean, spread))


def comparisons(claim: Mapping[str, Any]) -> Iterator[Comparison]:
    """All comparisons of a claim, member by member."""
    what = f"the claim {claim['says']!r}"
    for member, said in claim["of"].items():
        at = {**claim.get("fixed", {}), **said}
        cell = _cell(what, member, "", at)
        for relation, references in ((relation, claim[relation]) for relation in RELATIONS if relation in claim):
            for heading, other in references.items() if isinstance(references, Mapping) else [("", references)]:
                reference = _cell(what, heading, "", {**at, **other}) if isinstance(other, Mapping) else float(other)
                within = claim.get("within") if relation == "about" else None
                yield Comparison(cell, relation, heading, reference, within)


def claim_cells(claim: Mapping[str, Any]) -> Iterator[Cell]:
    """All cells that a claim compares."""
    for comparison in comparisons(claim):
        yield comparison.cell
        if isinstance(comparison.reference, Cell):
            yield comparison.reference


def _cell(what: str, row: str, column: str, at: Mapping[str, Any]) -> Cell:
    for axis in ("dataset", "metric"):
        if axis not in at:
            raise BadInput(f"{what} says nothing of its {axis}")
    return Cell(row, column, at["dataset"], at["metric"], at.get("method", ""), str(at.get("at", "")))


def _combinations(axes: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    for headings in itertools.product(*axes.values()):
        yield headings, {axis: axes[axis][heading] for axis, heading in zip(axes, headings, strict=True)}


def _check_table(where: str, table: Mapping[str, Any]) -> None:
    for axes in ("rows", "columns", "fixed"):
        for axis, headings in _axes(where, axes, table.get(axes, {})).items():
            if axes != "fixed":
                _mapping(f"{where}.{axes}.{axis}", headings)
    cell = table.get("cell", {})
    _known(f"{where}.cell", cell, set(CELL))
    if cell.get("over", CELL["over"]) not in OVER:
        raise BadInput(f"{where}.cell.over: {cell['over']!r}; {near(str(cell['over']), OVER)}")
    if not isinstance(cell.get("decimals", CELL["decimals"]), int):
        raise BadInput(f"{where}.cell.decimals: {cell['decimals']!r} is no whole number")
    rows, columns = ({getattr(cell, which) for cell in cells(table)} for which in ("row", "column"))
    published = _mapping(f"{where}.published", table.get("published", {}))
    for row in (*published, *table.get("floors", ())):
        if row not in rows:
            raise BadInput(f"{where} has no row {row!r}; {near(str(row), rows)}")
    for row, numbers in published.items():
        for column, text in _mapping(f"{where}.published.{row}", numbers).items():
            if column not in columns:
                raise BadInput(f"{where} has no column {column!r}; {near(str(column), columns)}")
            try:
                reported(text)
            except ValueError:
                raise BadInput(f"{where}.published.{row}.{column}: {text!r} is neither 0.94 nor 0.94 ± 0.07") from None


def _check_claim(where: str, claim: Mapping[str, Any]) -> None:
    if not isinstance(claim["says"], str):
        raise BadInput(f"{where}.says must be a sentence, not {claim['says']!r}")
    relations = [relation for relation in RELATIONS if relation in claim]
    if not relations:
        raise BadInput(f"{where} lacks one of {', '.join(RELATIONS)}")
    _axes(where, "fixed", claim.get("fixed", {}))
    for heading, member in _filled(f"{where}.of", claim["of"]).items():
        _axes(where, f"of.{heading}", member)
    for relation in relations:
        if not _number(claim[relation]):
            for heading, reference in _filled(f"{where}.{relation}", claim[relation], "a number or ").items():
                if not _number(reference):
                    _axes(where, f"{relation}.{heading}", reference)
    if "within" in claim and not ("about" in claim and _number(claim["within"]) and claim["within"] > 0):
        raise BadInput(f"{where}.within: {claim['within']!r} has to be a number above 0, and goes with about")
    for comparison in comparisons(claim):
        same = replace(comparison.cell, row=comparison.heading)
        if comparison.reference == same:
            raise BadInput(f"{where} compares {comparison.cell.row!r} with itself")


def _axes(where: str, what: str, entry: Any) -> Mapping[str, Any]:
    for axis in _mapping(f"{where}.{what}", entry):
        if axis not in AXES:
            raise BadInput(f"{where} has an axis {axis!r}; {near(str(axis), AXES)}")
    return entry


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _filled(where: str, entry: Any, otherwise: str = "") -> Mapping[str, Any]:
    if not isinstance(entry, Mapping) or not entry:
        raise BadInput(f"{where} must be {otherwise}a mapping from headings to cells, not {entry!r}")
    return entry


def _mapping(where: str, entry: Any) -> Mapping[str, Any]:
    if not isinstance(entry, Mapping):
        raise BadInput(f"{where} must be a mapping, not {entry!r}")
    return entry


def _known(where: str, entry: Any, keys: set[str]) -> None:
    for key in _mapping(where, entry):
        if key not in keys:
            raise BadInput(f"{where} has an unknown key {key!r}; {near(str(key), keys)}")
