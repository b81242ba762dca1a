"""Draw a method's maps of new images as those of a dataset were drawn: with the same networks and settings.

    python scripts/apply.py results/real/cohort/maps/vagan/seed0 --images new/*.png --out new/vagan

New images are files like the raw ones of the dataset, and are prepared as these were.
"""

import importlib
import inspect
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from evidence import cli, explaining, io, resuming, signatures
from evidence.errors import BadInput
from evidence.figures import gallery
from evidence.shapes import Images

ASKS = {"truth": "the truth", "latents": "an inversion of the same images", "donors": "other images of the dataset"}


def main(argv: list[str] | None = None) -> None:
    args = cli.plain(
        argv,
        description=__doc__,
        flags={
            "maps": "the folder of a method's maps, results/{scale}/{dataset}/maps/{method}/seed{n}",
            "--images": {"nargs": "+", "required": True, "help": "files, an image each"},
            "--out": "folder for maps.npy, samples.parquet and images.npy, a row a file, and a picture of each",
        },
    )
    folder, out = Path(os.path.abspath(args.maps)), Path(args.out)  # links as they are: results may lie elsewhere
    facts = io.load_samples(folder / "maps.npy").attrs
    if "seed" not in facts:
        raise BadInput(f"{folder} was drawn by an older version, which did not say with which seed; draw it again")
    if len(folder.parents) < 6 or folder.parents[1].name != "maps":
        raise BadInput(f"{folder} is no folder of maps, results/{{scale}}/{{dataset}}/maps/{{method}}/seed{{n}}")
    said = folder.parents[2] / "data" / "info.json"
    call, info = again(facts, folder.parents[5]), io.load_json(said)
    images = seen(args.images, info)
    index = pd.DataFrame({"subject": args.images, "subtype": [Path(file).name for file in args.images]})
    io.save_array(out / "images.npy", images)
    explaining.draw(
        call,
        images,
        np.arange(len(images)),
        out / "maps.npy",
        out / "samples.parquet",
        seed=int(facts["seed"]),
        ranges={str(said): io.load_range(said)},
        depends={"data": resuming.fingerprint(images, index)},
        files=args.images,
    )
    drawn = out / "maps.npy"
    named = {name: io.load_maps(f"{drawn}#{name}") for name in io.map_names(drawn)}
    maps = {(name or call.name).replace("_", "\n"): found for name, found in named.items()}
    for row, stem in enumerate(stems(args.images)):
        one = {heading: found[row : row + 1] for heading, found in maps.items()}
        figure = gallery.draw(images[row : row + 1], index[row : row + 1].assign(explain=True), one, count=1)
        with io.replacing(out / f"{stem}.png") as aside:
            figure.savefig(aside)
        plt.close(figure)  # else each file's stays in memory
    print(f"maps of {len(images)} images by {call.name}: {out}")


def again(facts: Mapping[str, Any], root: Path) -> cli.Call:
    """The method that these facts are of, to be called for once more; its networks are below the checkout, ``root``."""
    kind = facts["method"]
    module = importlib.import_module(f"evidence.attribution.{kind}")
    for name in ASKS.keys() & set(signatures.signature("attribution", kind).positional):
        raise BadInput(f"{kind} needs {ASKS[name]}, which nobody knows of new files; make a dataset of them")
    networks = {role: str(root / path) for role, path in json.loads(facts["networks"]).items()}
    for role, path in networks.items():
        if not Path(path.partition("#")[0]).is_file():
            raise BadInput(f"the weights of the {role}, {path.partition('#')[0]}, are missing; train it again first")
    return cli.Call(kind, module, json.loads(facts["options"]), networks, cli.Namespace())


def seen(files: Sequence[str], info: Mapping[str, Any]) -> Images:
    """What the networks see of these files, prepared as the dataset with these facts was."""
    settings = dict(info["settings"])
    kind = settings.pop("kind")
    module = importlib.import_module(f"evidence.datasets.{kind}")
    if not hasattr(module, "image"):
        raise BadInput(f"an image of {kind} is no file of its own; make a dataset of the new ones")
    takes = inspect.signature(module.image).parameters
    options = {name: value for name, value in settings.items() if name in takes}
    found = [module.image(Path(file), **options) for file in files]
    for file, image in zip(files, found, strict=True):
        if list(image.shape) != list(info["shape"][1:]):
            become, known = ("×".join(map(str, shape)) for shape in (image.shape, info["shape"][1:]))
            raise BadInput(f"{file} becomes an image of {become}, but the networks know those of {known}")
    return np.stack(found)


def stems(files: Sequence[str]) -> list[str]:
    """Names of pictures: those of the files, numbered where two are alike."""
    names = [Path(file).stem for file in files]
    return [f"{number}-{name}" if names.count(name) > 1 else name for number, name in enumerate(names)]


if __name__ == "__main__":
    cli.run(main)
