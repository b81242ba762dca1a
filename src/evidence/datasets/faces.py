"""Small faces that smile or do not (Hromada, 2010), in place of the CelebA-HQ of GANchors (David et al., 2019).

13,165 grey JPEGs of 64×64 pixels, cut close around the face: 3,690 that smile, class 1, and 9,475 that do not, class 0,
some of which have an open mouth. Two folders, whose own folders may have any name::

    SMILEs/positives/positives7/9912.jpg        SMILEs/negatives/negatives7/10000.jpg

People are not named, and one may be there several times: the digest of the decoded pixels stands in for the person, so
that at least no image is in two splits.

Source: https://github.com/hromi/SMILEsmileD (needs no account). Licence as stated: none ("open source project").
Photographs of real people, some of whom can be recognised: the phantom is what to show. Reference for what is asked of
them: https://arxiv.org/abs/1906.00297.
"""

from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from PIL import Image

from evidence import portraits
from evidence.datasets import Part
from evidence.errors import BadInput, near
from evidence.images import digest, is_picture, prepared, read, to_channels
from evidence.io import Units, replacing
from evidence.seeds import rng

LABELS = {"negatives": 0, "positives": 1}  # folder → class
BY_HAND = ". To get them: git clone https://github.com/hromi/SMILEsmileD (13,165 small images, no account)"


def fetch(raw: Path) -> Units:
    """The images below positives/ and negatives/, each a unit.

    Args:
        raw: the folder that holds these two, or one in which they are one or two folders deep, such as the clone.
    """
    root = _root(raw)
    units = {}
    for kind in LABELS:
        found = [file for file in sorted((root / kind).rglob("*")) if is_picture(file)]
        if not found:
            raise BadInput(f"{root / kind} holds no image, nor do the folders in it; get them again{BY_HAND}")
        units |= {file.relative_to(root).as_posix(): [file] for file in found}
    return units


def _root(raw: Path) -> Path:
    for depth in ("", "*/", "*/*/"):
        roots = [
            folder.parent for folder in sorted(raw.glob(f"{depth}positives")) if (folder.parent / "negatives").is_dir()
        ]
        if len(roots) > 1:
            raise BadInput(f"{' and '.join(map(str, roots))}: which one? Point the dataset at one of them")
        if roots:
            return roots[0]
    there = near("positives", (folder.name for folder in raw.glob("*") if folder.is_dir()))
    raise BadInput(f"{raw} does not hold positives/ and negatives/, nor do the folders in it ({there}){BY_HAND}")


def simulate(folder: Path, *, count: int = 400, native: int = 64, seed: int = 42) -> Units:
    """Drawn faces in the same folders, every other one smiling.

    Args:
        folder: where SMILEs/ goes.
        count: number of images, at least 2.
        native: side of an image in pixels.
        seed: of the images; each is a function of it and its number.
    """
    if count < 2:
        raise BadInput(f"a phantom of {count} images leaves a class empty; ask for a count of at least 2")
    for number in range(count):
        kind = ("negatives", "positives")[number % 2]
        with replacing(folder / "SMILEs" / kind / f"{kind}7" / f"{number}.jpg") as aside:
            Image.fromarray(draw(number, native, seed, smiling=kind == "positives")).save(aside, quality=95)
    return fetch(folder)


def draw(number: int, native: int, seed: int, *, smiling: bool) -> np.ndarray:
    """One face, uint8 (native, native); one that does not smile is the same but for the mouth and the cheeks."""
    face = portraits.draw(rng(seed, "faces", number), native, smiling=smiling, close=True)
    return np.round(255 * to_channels(face.image, 1)[0]).astype(np.uint8)


def prepare(files: list[Path], *, size: int = 64, channels: Literal[1, 3] = 1) -> Part:
    """One image, [0, 255] to [-1, 1], resized with antialiasing, the aspect ratio not kept. There are no masks.

    Args:
        files: the one file of a unit.
        size: side of the prepared image in pixels.
        channels: 1, or 3 equal ones.
    """
    (file,) = files
    pixels, limits = read(file)
    content, kind = digest(pixels, limits), next(part for part in reversed(file.parts) if part in LABELS)
    index = {
        "subject": content,
        "content": content,
        "label": LABELS[kind],
        "name": f"{kind}/{file.name}",
    }
    return Part(images=prepared(pixels, limits, size, channels)[None], truth=None, index=pd.DataFrame([index]))


def image(file: Path, *, size: int = 64, channels: Literal[1, 3] = 1) -> np.ndarray:
    """What networks see of a file, (channel, size, size); the settings are those of ``prepare``."""
    return prepared(*read(file), size, channels)
