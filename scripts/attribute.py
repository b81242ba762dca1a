"""Draw the attribution maps of one method for the explained images of a dataset."""

import inspect

import numpy as np
import pandas as pd

from evidence import cli, explaining, io, resuming
from evidence.errors import BadInput


def main(argv: list[str] | None = None) -> None:
    call = cli.parse(
        argv,
        "attribution",
        description=__doc__,
        flags={
            "--seed": {"type": int, "default": 0, "help": "of what the method draws"},
            "--images": "images.npy of the packed dataset",
            "--index": "explained.parquet of the dataset: its column 'explain' chooses the images",
            "--explain": {"type": int, "default": 0, "help": "so many of these images at most; 0 for all"},
            "--truth": {"help": "truth.npy of the packed dataset, for the method that draws it"},
            "--latents": {"help": "samples.parquet of an inversion of the same images, for methods that start from it"},
            "--maps": "where the maps go (npy, float32: explained sample, kind of map, *space)",
            "--samples": "where the table goes (parquet): sample, seconds, prediction, what the method measures",
        },
    )
    args = call.files
    images, index = io.load_array(args.images), io.load_table(args.index)
    samples = explaining.fewer(np.flatnonzero(index["explain"]), args.explain)
    wanted = inspect.signature(call.module.attribute).parameters
    truth = io.load_truth(args.truth) if args.truth else None
    if truth is None and "truth" in wanted:
        raise BadInput(f"{call.name} draws the truth, and none is known; give --truth, or leave it out of this dataset")
    inverted = inversion(args.latents, call.name, samples) if args.latents else None
    if inverted is None and "latents" in wanted:
        raise BadInput(f"{call.name} starts from latents; give --latents, the samples.parquet of an inversion")
    data = resuming.fingerprint(images, index)
    explaining.draw(
        call,
        images[samples],
        samples,
        args.maps,
        args.samples,
        seed=args.seed,
        ranges={str(args.index): index.attrs.get("range", "")},
        depends={"data": data, "explain": args.explain, "latents": io.sha256(args.latents) if args.latents else ""},
        beside=explaining.Beside(
            truth=truth[samples] if truth is not None else None,
            inverted=inverted,
            donors=images[np.flatnonzero(index["split"] == "test")] if "donors" in wanted else None,
        ),
        explain=args.explain,
    )


def inversion(path: str, method: str, samples: np.ndarray) -> pd.DataFrame:
    """The table of an inversion, which has to be of these samples."""
    table = io.load_table(path)
    if not {"latents", "valid"} <= set(table):
        raise BadInput(f"{path} holds no latents for {method}; give the samples.parquet of an inversion")
    if table["sample"].tolist() != samples.tolist():
        raise BadInput(f"{path} is an inversion of other samples than those explained; invert these images again")
    return table


if __name__ == "__main__":
    cli.run(main)
