"""Score all maps of one method, or the networks themselves, and write one tidy table."""

import inspect
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from evidence import cli, io
from evidence.errors import BadInput

OPTIONAL = ("maps", "truth")


def main(argv: list[str] | None = None) -> None:
    call = cli.parse(
        argv,
        "metrics",
        description=__doc__,
        flags={
            "--images": "images.npy of the packed dataset",
            "--index": "index.parquet of the packed dataset",
            "--truth": {"help": "truth.npy of the packed dataset, for metrics that compare with it"},
            "--maps": {"help": "maps.npy of a method, for metrics of maps; each of its maps is scored"},
            "--scores": "where the scores go (parquet): map, sample, at, value",
        },
    )
    args = call.files
    index, images = io.load_table(args.index), io.load_array(args.images)
    wanted = inspect.signature(call.module.score).parameters
    for name in OPTIONAL:
        if name in wanted and not args[name]:
            raise BadInput(f"the metric {call.name} compares with the {name}; give --{name}")
    about_maps = "maps" in wanted
    if about_maps and "#" in args.maps:
        raise BadInput(f"--maps {args.maps}: all maps of the file are scored; leave #{args.maps.partition('#')[2]} out")
    rows = np.flatnonzero(index["explain"] if about_maps else index["split"] == "test")
    if "truth" in wanted:
        rows, unknown = rows[index["has_truth"].iloc[rows]], rows[~index["has_truth"].iloc[rows]]
        if len(rows) == 0:
            raise BadInput(f"no explained sample of {args.index} has a truth; leave {call.name} out for this dataset")
        if len(unknown):
            print(f"{len(unknown)} explained samples have no truth and no score")
    given = {"labels": lambda: index["label"].to_numpy()[rows], "images": lambda: images[rows]}
    if "truth" in wanted:
        given["truth"] = lambda: io.load_array(args.truth)[rows]
    networks = {}
    if call.networks:
        from evidence import weights  # metrics of maps need no torch

        networks = {role: weights.load(path, role) for role, path in call.networks.items()}
    data = {name: make() for name, make in given.items() if name in wanted}
    tables = []
    for name, maps in maps_of(args.maps, index, rows) if about_maps else [("", {})]:
        found = call.module.score(**maps, **data, **networks, **call.options)
        tables.append(tidy(name, found, index["sample"].to_numpy()[rows]))
        print(summary(" of ".join(filter(None, (call.name, name))), tables[-1]))
    io.save_table(args.scores, pd.concat(tables, ignore_index=True), metric=call.name, better=call.module.BETTER)


def maps_of(path: str, index: pd.DataFrame, rows: np.ndarray) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Name, empty where there is but one, and some rows of each of a method's maps."""
    explained = np.flatnonzero(index["explain"])
    for name in io.map_names(path):
        maps = io.load_maps(f"{path}#{name}")
        if len(maps) != len(explained):
            raise BadInput(f"{path} has {len(maps)} maps for {len(explained)} explained samples; draw it again")
        yield name, {"maps": maps[np.searchsorted(explained, rows)]}


def tidy(name: str, found: np.ndarray | Mapping, samples: np.ndarray) -> pd.DataFrame:
    """One row a score of the map called so; ``sample`` is missing where a score is of all samples, ``map`` is empty
    where a method has but one, and ``at`` without settings."""
    pieces = []
    for at, values in (found if isinstance(found, Mapping) else {"": found}).items():
        of_each = len(values) == len(samples)
        sample = pd.array(samples if of_each else [pd.NA] * len(values), dtype="Int64")
        columns = {"map": name, "sample": sample, "at": str(at), "value": np.asarray(values, np.float64)}
        pieces.append(pd.DataFrame(columns))
    return pd.concat(pieces, ignore_index=True)


def summary(what: str, table: pd.DataFrame) -> str:
    """What the log says, scores that do not exist by name."""
    missing = table[table["value"].isna()]
    text = f"{what}: mean {table['value'].mean():.4f} over {len(table) - len(missing)} scores"
    if len(missing):
        text += f"; {len(missing)} do not exist (constant map?), samples {missing['sample'].tolist()[:10]}"
    return text


if __name__ == "__main__":
    cli.run(main)
