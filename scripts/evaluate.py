"""Score all maps of one method, what it measured of itself, or the networks, and write one tidy table."""

from collections.abc import Collection, Iterator, Mapping

import numpy as np
import pandas as pd

from evidence import cli, io, signatures
from evidence.errors import BadInput

OPTIONAL = ("maps", "truth")


def main(argv: list[str] | None = None) -> None:
    call = cli.parse(
        argv,
        "metrics",
        description=__doc__,
        flags={
            "--images": "images.npy of the packed dataset",
            "--index": "explained.parquet of the dataset, or index.parquet where networks are scored",
            "--truth": {"help": "truth.npy of the packed dataset, for metrics that compare with it"},
            "--maps": {
                "help": "maps.npy of a method, for metrics of maps, each of which is scored, or of the samples.parquet "
                "beside it"
            },
            "--scores": "where the scores go (parquet): map, sample, at, value",
        },
    )
    args, wanted = call.files, set(signatures.signature("metrics", call.name).positional)
    index, images = io.load_table(args.index), io.load_array(args.images)
    refuse(call, wanted)
    of_method = bool(wanted & {"maps", "samples"})
    table = table_of(args.maps, index) if of_method else None
    rows = rows_of(call, wanted, index, table)
    samples, valid = index["sample"].to_numpy()[rows], np.ones(len(rows), bool)
    there = np.zeros(0, bool)
    if of_method:
        there = table["sample"].isin(samples).to_numpy()
        table = table[there].reset_index(drop=True)
        if "valid" in table and "samples" not in wanted:
            valid = table["valid"].to_numpy() != 0
    if not valid.all():
        said = f"{(~valid).sum()} of {len(valid)} samples have maps that mean nothing (valid is 0), and no score"
        print(f"{said}: {samples[~valid].tolist()[:10]}")
    given = {
        "labels": lambda: index["label"].to_numpy()[rows],
        "images": lambda: images[rows],
        "truth": lambda: io.load_array(args.truth)[rows],
        "training": lambda: images[np.flatnonzero(index["split"] == "train")],
        "samples": lambda: with_columns(table, call, args.maps),
    }
    data = {name: make() for name, make in given.items() if name in wanted}
    networks = {}
    if call.networks:
        from evidence import machine, weights  # metrics of maps need no torch

        machine.prepare()
        networks = weights.load_all(call.networks, {str(args.index): index.attrs.get("range", "")})
    tables = []
    for name, maps in maps_of(args.maps, there) if "maps" in wanted else [("", {})]:
        found = call.module.score(**maps, **data, **networks, **call.options)
        tables.append(tidy(name, found, samples, valid))
        print(summary(" of ".join(filter(None, (call.name, name))), tables[-1]))
    io.save_table(args.scores, pd.concat(tables, ignore_index=True), metric=call.name, better=call.module.BETTER)


def refuse(call: cli.Call, wanted: Collection[str]) -> None:
    """Refuse a command line that lacks a file which the metric asks for."""
    args = call.files
    for name in OPTIONAL:
        if name in wanted and not args[name]:
            raise BadInput(f"the metric {call.name} compares with the {name}; give --{name}")
    if wanted & {"maps", "samples"}:
        if not args.maps:
            raise BadInput(f"the metric {call.name} reads the table beside a method's maps; give --maps")
        if "#" in args.maps:
            raise BadInput(
                f"--maps {args.maps}: all maps of the file are scored; leave #{args.maps.partition('#')[2]} out"
            )


def rows_of(call: cli.Call, wanted: Collection[str], index: pd.DataFrame, table: pd.DataFrame | None) -> np.ndarray:
    """Where in the index the samples are that have a score: those of a method's table, or the test split; of these,
    where the metric compares with the truth, those that have one. None where no score is of a sample."""
    asks = signatures.signature("metrics", call.name)
    if asks.positional == asks.roles:  # networks alone
        return np.zeros(0, int)
    rows = np.flatnonzero(index["split"] == "test" if table is None else index["sample"].isin(table["sample"]))
    if "truth" not in wanted:
        return rows
    known = index["has_truth"].to_numpy()[rows]
    if not known.any():
        raise BadInput(f"no explained sample of {call.files.index} has a truth; leave {call.name} out for this dataset")
    if not known.all():
        print(f"{(~known).sum()} explained samples have no truth and no score")
    return rows[known]


def table_of(path: str, index: pd.DataFrame) -> pd.DataFrame:
    """The table beside a method's maps, both of which have to be of explained samples."""
    table, count = io.load_samples(path), len(io.load_array(path))
    if count != len(table):
        raise BadInput(f"{path} has {count} maps for the {len(table)} samples of the table beside it; draw it again")
    if unknown := sorted(set(table["sample"]) - set(index["sample"][index["explain"]])):
        raise BadInput(f"{path} is of samples that are not explained, {unknown[:5]}; draw the maps again")
    return table


def with_columns(table: pd.DataFrame, call: cli.Call, path: str) -> pd.DataFrame:
    """The table, if it has the columns that a metric reads."""
    if missing := [name for name in call.module.COLUMNS if name not in table]:
        raise BadInput(
            f"the metric {call.name} reads {', '.join(missing)}, which the table beside {path} lacks; "
            f"give the maps of a method of the kind {' or '.join(call.module.METHODS)}, or draw these again"
        )
    return table


def maps_of(path: str, rows: np.ndarray) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Name, empty where there is but one, and some rows of each of a method's maps."""
    for name in io.map_names(path):
        yield name, {"maps": io.load_maps(f"{path}#{name}")[rows]}


def tidy(name: str, found: np.ndarray | Mapping, samples: np.ndarray, valid: np.ndarray) -> pd.DataFrame:
    """One row a score of the map called so; ``sample`` is missing where a score is of all samples and stands in several
    rows where it has several, (sample, score); ``map`` is empty where a method has but one, and ``at`` without
    settings. The score of a sample that is not valid does not exist."""
    pieces = []
    for at, values in (found if isinstance(found, Mapping) else {"": found}).items():
        values = np.asarray(values, np.float64)
        of_each, each = len(values) == len(samples), values[0].size if values.ndim > 1 else 1
        sample = pd.array(np.repeat(samples, each) if of_each else [pd.NA] * len(values), dtype="Int64")
        values = np.where(np.repeat(valid, each), values.ravel(), np.nan) if of_each else values
        pieces.append(pd.DataFrame({"map": name, "sample": sample, "at": str(at), "value": values}))
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
