"""Put the parts of a dataset together: one array of images, one of truth, and an index with splits by subject."""

import json
from pathlib import Path

import pandas as pd

from evidence import cli, cohort, io, parts
from evidence.errors import BadInput


def main(argv: list[str] | None = None) -> None:
    args = cli.plain(
        argv,
        description=__doc__,
        function=cohort.settings,
        flags={
            "--parts": {"nargs": "+", "required": True, "help": "the parts, in their order (npz)"},
            "--manifest": "manifest.csv of the raw files",
            "--source": {"default": "real", "choices": ["real", "phantom", "generated"], "help": "of the raw files"},
            "--settings": {"default": "{}", "help": "kind and hyperparameters of the dataset (JSON), for its facts"},
            "--images": "where the images go (npy, float32)",
            "--truth": "where the truth goes (npy); an array without samples where none is known",
            "--index": "where the index goes (parquet)",
            "--info": "where the facts for people go (json)",
        },
    )
    index = pd.concat([parts.load_index(path) for path in args.parts], ignore_index=True)
    found = len(index)
    index = cohort.without_duplicates(cohort.of_classes(index, args.classes))
    rows = index.index.to_numpy()  # of the samples that stay, counted over all parts
    index = index.reset_index(drop=True)
    if len(index) == 0:
        raise BadInput(f"{args.manifest} leads to no image; the logs of prepare say what was left out")
    index.insert(0, "sample", range(len(index)))
    index["split"] = cohort.split(index, seed=args.split_seed, test=args.test, validation=args.validation)
    shape, known = parts.pack(args.parts, rows, args.images, args.truth)
    if not known:
        index["has_truth"] = False
    io.save_table(args.index, index)
    counts = index.groupby(["split", "label"]).size()
    facts = {
        "source": args.source,
        "settings": json.loads(args.settings),
        "classes": args.classes,
        "split seed": args.split_seed,
        "raw": str(Path(args.manifest).with_name("raw").resolve()) if args.source == "real" else "",
        "shape": shape,
        "range": [-1 if any(images.min() < 0 for images in io.load_array(args.images)) else 0, 1],
        "images found": found,
        "duplicates left out": found - len(index),
        "samples": len(index),
        "subjects": int(index["subject"].nunique()),
        "split": {f"{split}, class {label}": int(n) for (split, label), n in counts.items()},
        "manifest sha256": io.sha256(Path(args.manifest)),
    }
    io.save_json(args.info, facts)
    print(io.as_json(facts))


if __name__ == "__main__":
    cli.run(main)
