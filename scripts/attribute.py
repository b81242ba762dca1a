"""Draw the attribution maps of one method for the explained images of a dataset."""

import inspect
from pathlib import Path

import numpy as np
import pandas as pd

from evidence import cli, explaining, io, machine, resuming, signatures, sources, weights
from evidence.errors import BadInput
from evidence.provenance import commit


def main(argv: list[str] | None = None) -> None:
    call = cli.parse(
        argv,
        "attribution",
        description=__doc__,
        flags={
            "--seed": {"type": int, "default": 0, "help": "of what the method draws"},
            "--images": "images.npy of the packed dataset",
            "--index": "index.parquet of the packed dataset; its column 'explain' chooses the images",
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
    truth = io.load_truth(args.truth) if args.truth else None
    wanted = inspect.signature(call.module.attribute).parameters
    if truth is None and "truth" in wanted:
        raise BadInput(f"{call.name} draws the truth, and none is known; give --truth, or leave it out of this dataset")
    inverted = inversion(args.latents, call.name, samples) if args.latents else None
    if inverted is None and "latents" in wanted:
        raise BadInput(f"{call.name} starts from latents; give --latents, the samples.parquet of an inversion")
    names = signatures.maps(call.name)
    networks = weights.load_all(call.networks)
    recipe = resuming.recipe(
        *sources.of_module("attribution", call.name),
        networks=call.networks,
        method=call.name,
        options=call.options,
        seed=args.seed,
        data=resuming.fingerprint(images, index),
        explain=args.explain,
        latents=io.sha256(args.latents) if args.latents else "",
    )
    output = Path(args.maps)
    with resuming.only_one(output.parent):
        machine.prepare()
        state = output.with_name("state.npz")
        maps, table = explaining.explain(
            call.module.attribute,
            images[samples],
            samples,
            networks,
            call.options,
            seed=args.seed,
            state=state,
            recipe=recipe,
            kinds=max(1, len(names)),
            truth=truth[samples] if truth is not None else None,
            inverted=inverted,
            donors=images[np.flatnonzero(index["split"] == "test")] if "donors" in wanted else None,
            unfolded=getattr(call.module, "UNFOLDED", ()),
            batch=getattr(call.module, "AT_ONCE", 0),
        )
        io.save_array(output, maps)
        facts = {
            "method": call.name,
            "options": io.as_json(call.options),
            "explain": args.explain,
            "networks": io.as_json(call.networks),
            "maps": io.as_json(names),
            "machine": machine.describe(),
            "commit": commit(),
        }
        io.save_table(args.samples, table, **facts)
        state.unlink(missing_ok=True)


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
