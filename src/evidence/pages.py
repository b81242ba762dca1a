"""Papers as data: which tables and figures one has, and which scores a table is made of. Standard library and yaml.

A table is a pivot of scores. ``rows`` and ``columns`` are axes, ``{axis: {heading: label}}`` with the axes ``dataset``,
``method``, ``metric`` and ``at``; several axes are nested in the order they stand. ``fixed`` names what does not vary.
"""

import functools
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from evidence.errors import BadInput, near

AXES = ("dataset", "metric", "method", "at")
TABLE_KEYS = {"caption", "rows", "columns", "fixed", "cell", "published", "floors", "optional"}
FIGURE_KEYS = {"caption", "kind", "dataset", "methods", "models", "options", "optional"}
CELL = {"over": "sample", "decimals": 2}


@dataclass(frozen=True)
class Cell:
    """One cell of a table: where it stands and what it is the mean of."""

    row: str
    column: str
    dataset: str
    metric: str
    method: str  # empty for a metric of networks
    at: str

    def scores(self, results: str, seed: int) -> str:
        """The file that holds its scores."""
        parts = (results, self.dataset, "scores", self.metric, self.method, f"seed{seed}.parquet")
        return "/".join(part for part in parts if part)


@functools.cache
def load(path: str) -> dict[str, Any]:
    """A paper's file, its keys checked."""
    file = Path(path)
    if not file.is_file():
        there = [other.stem for other in file.parent.glob("*.yaml")]
        raise BadInput(f"there is no paper {file.stem!r} in {file.parent}/; {near(file.stem, there)}")
    try:
        paper = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    _known(path, paper, {"title", "reference", "tables", "figures", "notes"})
    for kind, keys, needed in (("tables", TABLE_KEYS, {"rows"}), ("figures", FIGURE_KEYS, {"kind", "dataset"})):
        paper[kind] = _mapping(f"{path}: {kind}", paper.get(kind) or {})
        for name, entry in paper[kind].items():
            _known(f"{path}: {kind}.{name}", entry, keys)
            if missing := needed - set(entry):
                raise BadInput(f"{path}: {kind}.{name} lacks {', '.join(sorted(missing))}")
    for name, table in paper["tables"].items():
        _check_table(f"{path}: tables.{name}", table)
    return paper


def cells(table: Mapping[str, Any]) -> Iterator[Cell]:
    """All cells of a table, row by row."""
    for row_headings, row in _combinations(table["rows"]):
        for column_headings, column in _combinations(table.get("columns", {})):
            at = {**table.get("fixed", {}), **row, **column}
            for axis in ("dataset", "metric"):
                if axis not in at:
                    raise BadInput(f"the table {table.get('caption', '')!r} says nothing of its {axis}")
            yield Cell(
                " / ".join(row_headings),
                " / ".join(column_headings),
                at["dataset"],
                at["metric"],
                at.get("method", ""),
                str(at.get("at", "")),
            )


def _combinations(axes: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    for headings in itertools.product(*axes.values()):
        yield headings, {axis: axes[axis][heading] for axis, heading in zip(axes, headings, strict=True)}


def _check_table(where: str, table: Mapping[str, Any]) -> None:
    for axes in ("rows", "columns", "fixed"):
        for axis, headings in _mapping(f"{where}.{axes}", table.get(axes, {})).items():
            if axis not in AXES:
                raise BadInput(f"{where} has an axis {axis!r}; {near(str(axis), AXES)}")
            if axes != "fixed":
                _mapping(f"{where}.{axes}.{axis}", headings)
    _known(f"{where}.cell", table.get("cell", {}), set(CELL))
    rows, columns = ({getattr(cell, which) for cell in cells(table)} for which in ("row", "column"))
    published = _mapping(f"{where}.published", table.get("published", {}))
    for row in (*published, *table.get("floors", ())):
        if row not in rows:
            raise BadInput(f"{where} has no row {row!r}; {near(str(row), rows)}")
    for row, numbers in published.items():
        for column in _mapping(f"{where}.published.{row}", numbers):
            if column not in columns:
                raise BadInput(f"{where} has no column {column!r}; {near(str(column), columns)}")


def _mapping(where: str, entry: Any) -> Mapping[str, Any]:
    if not isinstance(entry, Mapping):
        raise BadInput(f"{where} must be a mapping, not {entry!r}")
    return entry


def _known(where: str, entry: Any, keys: set[str]) -> None:
    for key in _mapping(where, entry):
        if key not in keys:
            raise BadInput(f"{where} has an unknown key {key!r}; {near(str(key), keys)}")
