"""Slices of brain MRI with and without a tumour (Bhuvaji et al., 2020), the MRI of medXGAN (Dravid et al., 2022).

3,264 JPEGs, ``Training|Testing/<class>_tumor/*.jpg``: 500 without and 2,764 with a glioma, a meningioma or a pituitary
tumour; axial, coronal and sagittal, most of 512x512 pixels, all RGB with equal channels. Patients are not named, and
many images come twice, within and across Training and Testing, not always in the same bytes: the digest of the decoded
pixels stands in for the patient, so that no image is in two splits. Images that someone has rescaled escape it.
Those without a tumour are from other sources than those with one, so a classifier can tell source from source.

Source: Bhuvaji, Kadam, Bhumkar, Dedge and Kanchan, Brain Tumor Classification (MRI), DOI 10.34740/KAGGLE/DSV/1183165:
https://www.kaggle.com/datasets/sartajbhuvaji/brain-tumor-classification-mri (about 90 MB, needs an account) or
https://github.com/SartajBhuvaji/Brain-Tumor-Classification-DataSet/archive/3ea9f4eae54c67e5bddbf6f7a73582967a5f5f79.zip
(93.1 MB of images, needs none). Licence as stated: none in the repository; the Kaggle page is listed as CC0 by others.
Reference: https://arxiv.org/abs/2204.05376.
"""

from math import cos, pi, sin
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from PIL import Image

from evidence.datasets import Part
from evidence.errors import BadInput, near
from evidence.images import Resampling, digest, pictures, prepared, read, resize
from evidence.io import Units, replacing
from evidence.seeds import rng

HOME = "https://github.com/SartajBhuvaji/Brain-Tumor-Classification-DataSet"
BY_HAND = f". To get them: {HOME}/archive/3ea9f4eae54c67e5bddbf6f7a73582967a5f5f79.zip (93 MB, no account)"
OFFICIAL = ("Testing", "Training")
CLASSES = ("glioma_tumor", "meningioma_tumor", "no_tumor", "pituitary_tumor")
ROUND = ("", "glioma", "", "meningioma", "", "pituitary")  # the phantom's subtypes, over and over


def fetch(raw: Path) -> Units:
    """The images below ``raw``, where Training/ and Testing/ lie, or below the one folder in it where they do.

    Args:
        raw: the unpacked download; its addresses stand at the head of this file.
    """
    below = sorted(folder for folder in raw.glob("*") if folder.is_dir())
    roots = [folder for folder in (raw, *below) if all((folder / name).is_dir() for name in OFFICIAL)]
    if not roots or (len(roots) > 1 and raw not in roots):
        there = ", ".join(map(str, roots)) if roots else near("Training", (folder.name for folder in below))
        raise BadInput(
            f"{raw} does not hold Training/ and Testing/, nor does just one folder in it ({there}); "
            f"point the dataset at the folder that holds Training/ and Testing/; {HOME} has them"
        )
    root = roots[0]
    return _units(root, [file for name in OFFICIAL for kind in CLASSES for file in pictures(root / name / kind)])


def simulate(folder: Path, *, count: int = 400, native: int = 256, seed: int = 42) -> Units:
    """Drawn heads in the same folders: half without a tumour, a sixth of each kind, a fifth in Testing, 5 % duplicates.

    Args:
        folder: where Training/ and Testing/ go.
        count: number of images, at least 30, so that no folder is empty.
        native: side of an image in pixels.
        seed: of the images.
    """
    if count < 30:
        raise BadInput(f"a phantom of {count} images leaves folders empty; ask for a count of at least 30")
    files = []
    for number in range(count):
        subtype = ROUND[number % 6]
        official = "Testing" if number // 6 % 5 == 4 else "Training"
        file = folder / official / f"{subtype or 'no'}_tumor" / f"image({number:05d}).jpg"
        pixels = draw(original(number), subtype, native, seed)
        with replacing(file) as aside:
            Image.fromarray(pixels).convert("RGB").save(aside, quality=90)
        files.append(file)
    return _units(folder, sorted(files))


def _units(root: Path, files: list[Path]) -> Units:
    return {file.relative_to(root).as_posix(): [file] for file in files}


def original(number: int) -> int:
    """The number of which this one is a copy: a Training image of the same class. Most are their own.

    >>> [n for n in range(120) if original(n) != n], original(28), original(19)
    ([19, 28, 58, 79, 88, 118], 16, 13)
    """
    if number % 30 == 28:
        return number - 12  # in Testing, without a tumour, as are all 88 that the real Testing has from Training
    return number - 6 if number % 60 == 19 else number


def draw(number: int, subtype: str, native: int, seed: int) -> np.ndarray:
    """One head, uint8 (native, native): scalp, skull, fluid, cortex, white matter, ventricles, maybe a tumour."""
    random = rng(seed, "brain_mri", number)
    axis = np.linspace(-1, 1, native, dtype=np.float32)
    y, x = axis[:, None], axis[None]

    def cloud(cells: int) -> np.ndarray:
        """Smooth noise of about unit variance, with as many cells along an axis."""
        return 1.3 * resize(random.standard_normal((1, cells, cells), np.float32), native, Resampling.BICUBIC)[0]

    def inside(distance: np.ndarray, border: float | np.ndarray, blur: float = 3.0) -> np.ndarray:
        """1 where nearer than the border, 0 where farther, over a few pixels."""
        return np.clip((border - distance) * native / (2 * blur) + 0.5, 0, 1)

    def paint(value: float | np.ndarray, where: np.ndarray) -> None:
        nonlocal image
        image = image + where * (value - image)

    # The head's own coordinates: u to its left, v to its back, both ±1 at the scalp.
    turn = random.normal(0, 0.12)
    width, height = random.uniform(0.58, 0.74), random.uniform(0.76, 0.92)
    x, y = x - random.normal(0, 0.03), y - random.normal(0, 0.03)
    u = (cos(turn) * x + sin(turn) * y) / width
    v = (cos(turn) * y - sin(turn) * x) / height
    u = u * (1 - random.uniform(0, 0.1) * v)  # narrower in front or not
    depth = np.hypot(u, v) + 0.012 * cloud(5)  # 0 in the middle, 1 at the scalp

    scalp, fluid, white = random.uniform(0.5, 0.95), random.uniform(0.05, 0.15), random.uniform(0.32, 0.55)
    grey = white * random.uniform(0.68, 0.82)
    folds = cloud(16)
    image = np.zeros_like(depth)
    paint(scalp * (1 + 0.1 * cloud(24)), inside(depth, 1.0))
    paint(0.04, inside(depth, 0.93))  # bone
    paint(fluid, inside(depth, 0.88))
    paint(grey, inside(depth, 0.85))
    paint(white * (1 + 0.06 * cloud(40)), inside(depth, 0.70 + 0.07 * folds, 4.0))
    paint(fluid, inside(np.abs(folds), 0.13, 6.0) * inside(0.62 - depth, 0.0, 6.0) * inside(depth, 0.86))  # sulci
    paint(fluid, inside(np.abs(u + 0.02 * folds), 0.012) * inside(0.42 - np.abs(v), 0.0) * inside(depth, 0.86))  # falx
    spread, length = random.uniform(0.04, 0.1), random.uniform(0.22, 0.36)
    for side in (-1, 1):  # the ventricles bend away from each other in front and behind
        bend = side * u - 0.03 - spread - 0.9 * (v + 0.02) ** 2
        paint(fluid, inside(np.hypot(bend / spread, (v + 0.02) / length) * spread, spread))

    coil = random.uniform(0.75, 1.0) * (1 + 0.08 * cloud(3))  # nearer to one side
    noise = 0.015 * random.standard_normal((2, native, native), np.float32)

    if subtype:  # drawn last: with another subtype, or none, the head is the same
        angle = random.uniform(0, 2 * pi)
        match subtype:
            case "glioma":  # anywhere in the brain
                radius, far = random.uniform(0.16, 0.27), random.uniform(0.15, 0.52)
                centre = far * cos(angle), far * sin(angle)
            case "meningioma":  # sits at the skull
                radius = random.uniform(0.15, 0.25)
                centre = (0.87 - 0.75 * radius) * cos(angle), (0.87 - 0.75 * radius) * sin(angle)
            case "pituitary":  # in the midline, low
                radius = random.uniform(0.10, 0.16)
                centre = random.normal(0, 0.02), random.uniform(0.52, 0.62)
        right, down = (u - centre[0]) * width, (v - centre[1]) * height  # round in the picture, not in the head
        away = np.hypot(right, down) * 1.2 * (1 + (0.16 if subtype == "glioma" else 0.05) * cloud(10))
        brain = inside(depth, 0.87)
        bright = random.uniform(0.65, 1.0) * (1 + 0.1 * cloud(32))
        if subtype == "glioma":
            paint(0.72 * image, inside(away, 1.5 * radius, 12.0) * brain)  # oedema
            paint(bright * (0.85 + 0.2 * cloud(14)), inside(away, radius) * brain)  # a rim of uneven thickness
            paint(random.uniform(0.12, 0.3), inside(away, radius * (0.68 + 0.16 * cloud(12)), 4.0) * brain)  # dead core
        else:
            paint(bright, inside(away, radius) * brain)

    return np.clip(np.hypot(image * coil + noise[0], noise[1]) * 255, 0, 255).astype(np.uint8)


def prepare(files: list[Path], *, size: int = 64, channels: Literal[1, 3] = 1) -> Part:
    """One image, [0, 255] to [-1, 1], resized with antialiasing, the aspect ratio not kept. There are no masks.

    Args:
        files: the one file of a unit.
        size: side of the prepared image in pixels; medXGAN has 64.
        channels: 1, or 3 equal ones as medXGAN has.
    """
    (file,) = files
    official, kind = file.parts[-3:-1]
    pixels, limits = read(file)
    content = digest(pixels, limits)
    index = {
        "subject": content,
        "content": content,
        "label": int(kind != "no_tumor"),
        "subtype": "" if kind == "no_tumor" else kind.removesuffix("_tumor"),
        "official": official,
        "name": "/".join(file.parts[-3:]),
    }
    return Part(images=prepared(pixels, limits, size, channels)[None], truth=None, index=pd.DataFrame([index]))


def image(file: Path, *, size: int = 64, channels: Literal[1, 3] = 1) -> np.ndarray:
    """What networks see of a file, (channel, size, size); the settings are those of ``prepare``."""
    return prepared(*read(file), size, channels)
