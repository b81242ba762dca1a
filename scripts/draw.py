"""Draw one figure of one paper."""

import functools
import inspect
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from evidence import cli, io


def main(argv: list[str] | None = None) -> None:
    call = cli.parse(
        argv,
        "figures",
        description=__doc__,
        flags={
            "--images": "images.npy of the packed dataset",
            "--truth": {"help": "truth.npy of the packed dataset"},
            "--index": "explained.parquet of the dataset",
            "--maps": {"nargs": "+", "default": [], "help": "HEADING=maps.npy, or maps.npy#NAME, one for each column"},
            "--scores": {
                "nargs": "+",
                "default": [],
                "help": "HEADING=scores.parquet, perhaps with #NAME, one for each line and seed",
            },
            "--histories": {
                "nargs": "+",
                "default": [],
                "help": "HEADING=history.parquet, one for each model and seed",
            },
            "--pdf": "where the figure goes, for print",
            "--png": "where the figure goes, for screens",
        },
    )
    args = call.files
    load = functools.cache(io.load_table)
    given = {
        "images": lambda: io.load_array(args.images),
        "truth": lambda: io.load_truth(args.truth) if args.truth else None,
        "index": lambda: load(args.index),
        "maps": lambda: of_explained(cli.pairs(args.maps), load(args.index)),
        "scores": lambda: tables(args.scores, functools.partial(io.load_scores, load=load)),
        "histories": lambda: tables(args.histories, io.load_table),
    }
    wanted = inspect.signature(call.module.draw).parameters
    figure = call.module.draw(**{name: make() for name, make in given.items() if name in wanted}, **call.options)
    with io.replacing(args.pdf) as aside:
        figure.savefig(aside, metadata={"CreationDate": None})  # the same results give the same file
    with io.replacing(args.png) as aside:
        figure.savefig(aside, metadata={"Slides": str(len(figure.subfigs))} if figure.subfigs else None)


def of_explained(paths: Mapping[str, str], index: pd.DataFrame) -> dict[str, np.ndarray]:
    """Heading → a map for each explained sample; NaN for those that the method was not asked for."""
    explained, found = index["sample"][index["explain"]].to_numpy(), {}
    for heading, path in paths.items():
        maps = io.load_maps(path)
        found[heading] = maps
        if len(maps) < len(explained):
            found[heading] = np.full((len(explained), *maps.shape[1:]), np.nan, maps.dtype)
            found[heading][np.isin(explained, io.load_samples(path.partition("#")[0])["sample"])] = maps
    return found


def tables(words: list[str], load: Callable[[str], pd.DataFrame]) -> dict[str, list[pd.DataFrame]]:
    """Heading → its tables, one for each seed."""
    found: dict[str, list[pd.DataFrame]] = {}
    for word in words:
        ((heading, path),) = cli.pairs([word]).items()
        found.setdefault(heading, []).append(load(path))
    return found


if __name__ == "__main__":
    cli.run(main)
