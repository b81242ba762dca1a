"""Anyone's own images: a folder for each class and, where it is known what is to be found, a folder of masks.

::

    healthy/p01__a.png      diseased/p07__a.png      masks/diseased/p07__a.tif
    healthy/p01__b.png      diseased/p07__b.png

One class, ``baseline``, is class 0, all others are class 1. PNG, JPEG, TIFF and NPY; other files are passed over. A
mask has its image's name but for the ending, its height and width, and is not 0 where something is to be found. What
stands before "__" in the name is the subject, and no subject is in two splits; without "__" an image is a subject of
its own, known by its pixels, so that its duplicates stay with it. The aspect ratio of an image is not kept.

Source, licence and reference: those of the images.
"""

from collections import defaultdict
from math import pi
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from PIL import Image
from scipy.ndimage import gaussian_filter

from evidence.datasets import Part
from evidence.errors import BadInput, near
from evidence.images import Resampling, count_channels, digest, is_picture, pictures, read, resize, scaled, to_channels
from evidence.io import Units, replacing
from evidence.seeds import rng


def fetch(raw: Path, *, baseline: str = "", masks: str = "masks", channels: Literal[0, 1, 3] = 0) -> Units:
    """Each image below ``raw`` with its mask, if it has one.

    Args:
        raw: holds one folder for each class.
        baseline: the folder of class 0; has to be given.
        masks: the folder of the masks, in which each class has its folder again; it need not be there.
        channels: 0 to take the images as they are, in which case they all have to be grey or all RGB.
    """
    below = [entry for entry in raw.glob("[!.]*") if entry.is_dir()]
    classes = sorted(entry.name for entry in below if entry.name != masks)
    if len(classes) < 2 or raw.name == masks:
        raise BadInput(
            f"{raw} has to be a folder, not named {masks!r}, with a folder of images for each of two or more classes; "
            f"there is: {', '.join(classes) or 'nothing'}"
        )
    if baseline not in classes:
        there = near(baseline, classes)
        raise BadInput(f"baseline has to name the folder of class 0 in {raw}, not {baseline!r}; {there}")
    images, drawn = defaultdict(list), defaultdict(list)  # by class and name without its ending
    for name in classes:
        found = pictures(raw / name)
        if nested := next((file for file in sorted((raw / name).glob("[!.]*/**/*")) if is_picture(file)), None):
            raise BadInput(
                f"{nested} lies deeper than the folder of its class, {raw / name}, and would be left out; move it "
                "there (p07__a.png says whose it is), or take it away"
            )
        if passed := [
            file.name for file in sorted((raw / name).glob("[!.]*")) if file.is_file() and not is_picture(file)
        ]:
            print(f"{raw / name}: {len(passed)} files are no pictures and passed over, {', '.join(passed[:3])}")
        for image in found:
            images[name, image.stem].append(image)
    for mask in filter(is_picture, sorted((raw / masks).rglob("*"))):
        drawn[mask.parent.relative_to(raw / masks).as_posix(), mask.stem].append(mask)
    for (name, stem), files in drawn.items():
        owners = images.get((name, stem), [])
        if not owners:
            there = near(stem, (other for kind, other in images if kind == name))
            raise BadInput(f"{files[0]} is a mask without an image in {raw / name}; {there}")
        if len(owners) + len(files) > 2:
            clash = ", ".join(map(str, owners + files))
            raise BadInput(f"{clash}: one mask goes with one image of its name; rename or remove the others")
    if channels == 0:
        kinds = {count_channels(image): image for files in images.values() for image in files}
        if len(kinds) > 1:
            raise BadInput(f"{kinds[1]} is grey but {kinds[3]} is RGB; set channels to 1 or 3 to convert them all")
    return {
        f"{name}/{image.name}": [image, *drawn.get((name, stem), [])]
        for (name, stem), files in images.items()
        for image in files
    }


def simulate(
    folder: Path,
    *,
    count: int = 200,
    native: int = 96,
    seed: int = 42,
    baseline: str = "healthy",
    masks: str = "masks",
) -> Units:
    """Cloudy discs, two of each subject; those in ``diseased`` have a bright spot and its mask. 16-bit grey PNG.

    Args:
        folder: where the folders of the classes and of the masks go.
        count: number of images, at least 4; half of them diseased.
        native: side of an image in pixels.
        seed: of the images.
        baseline: name of the folder of class 0.
        masks: name of the folder of the masks.
    """
    if count < 4 or not baseline or len({baseline, masks, "diseased"}) < 3:
        raise BadInput(
            f"count has to be at least 4, not {count}; baseline {baseline!r}, masks {masks!r} and 'diseased' must be "
            "three different names"
        )
    units = {}
    for number in range(count):
        kind = (baseline, "diseased")[number // 2 % 2]
        image, spot = draw(number, kind == "diseased", native, seed)
        file = folder / kind / f"p{number // 2:05d}__{number % 2}.png"
        pixels = {file: image}
        if kind == "diseased":
            pixels[folder / masks / kind / file.name] = np.uint8(255) * spot
        for path, array in pixels.items():
            with replacing(path) as aside:
                Image.fromarray(array).save(aside)
        units[f"{kind}/{file.name}"] = list(pixels)
    return {unit: units[unit] for unit in sorted(units)}


def draw(number: int, diseased: bool, native: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """One image, uint16, and its spot, bool, both (native, native)."""
    random = rng(seed, "folder", number)
    axis = np.linspace(-1, 1, native)
    y, x = axis[:, None] - random.normal(0, 0.05), axis[None] - random.normal(0, 0.05)
    clouds = gaussian_filter(random.normal(size=(native, native)), native / 24)
    disc = np.hypot(x / random.uniform(0.65, 0.85), y / random.uniform(0.65, 0.85)) < 1
    far, angle = random.uniform(0, 0.4), random.uniform(0, 2 * pi)
    away = np.hypot(x - far * np.cos(angle), (y - far * np.sin(angle)) * random.uniform(0.8, 1.25))
    spot = (away < random.uniform(0.12, 0.22)) & diseased
    image = disc * (18_000 + 4000 * clouds / clouds.std()) + 12_000 * spot
    image += random.normal(2000, 600, (native, native))
    return np.clip(image, 0, 65_535).astype(np.uint16), spot


def prepare(
    files: list[Path],
    *,
    baseline: str = "",
    masks: str = "masks",
    size: int = 64,
    channels: Literal[0, 1, 3] = 0,
    scale: Literal["image", "type"] = "image",
    percentiles: tuple[float, float] = (0.0, 100.0),
) -> Part:
    """One image, scaled to [-1, 1] and resized with antialiasing, and its mask, 1 where it covers most of a pixel.

    Args:
        files: the files of a unit.
        baseline: the folder of class 0; has to be given.
        masks: the folder of the masks.
        size: side of the prepared image in pixels.
        channels: 1 to make all images grey, 3 to make them RGB, 0 to leave them as they are.
        scale: "image" to scale each image by its own ``percentiles``, "type" by what its pixel type can store, for
            floats 0 to 1.
        percentiles: which of an image's values become -1 and 1, all channels together; what lies outside is clipped.
    """
    if not baseline:
        raise BadInput(f"baseline has to name the folder of class 0; {files[0]} may or may not lie in it")
    (file,) = [file for file in files if file.parent.parent.name != masks]
    drawn = [file for file in files if file.parent.parent.name == masks]
    pixels, limits = read(file)
    content = digest(pixels, limits)
    before, marked, _ = file.stem.partition("__")
    truth = np.zeros((1, size, size), np.uint8)
    for mask in drawn:
        truth = _truth(mask, file, pixels.shape[1:], size)
    index = {
        "subject": before if before and marked else content,
        "content": content,
        "label": int(file.parent.name != baseline),
        "subtype": file.parent.name,
        "has_truth": bool(drawn),
        "name": "/".join(file.parts[-2:]),
    }
    seen = _seen(pixels, limits, file, size, channels, scale, percentiles)
    return Part(images=seen[None], truth=truth[None], index=pd.DataFrame([index]))


def image(
    file: Path,
    *,
    size: int = 64,
    channels: Literal[0, 1, 3] = 0,
    scale: Literal["image", "type"] = "image",
    percentiles: tuple[float, float] = (0.0, 100.0),
) -> np.ndarray:
    """What networks see of a file, (channel, size, size); the settings are those of ``prepare``."""
    return _seen(*read(file), file, size, channels, scale, percentiles)


def _seen(
    pixels: np.ndarray,
    limits: tuple[float, float],
    file: Path,
    size: int,
    channels: int,
    scale: str,
    percentiles: tuple[float, float],
) -> np.ndarray:
    if not 0 <= percentiles[0] < percentiles[1] <= 100:
        raise BadInput(f"percentiles have to ascend between 0 and 100, not {percentiles}")
    (low, high), pixels = limits, to_channels(pixels, channels or len(pixels))
    if scale == "image":
        low, high = map(float, np.percentile(pixels, percentiles))
        if low == high:
            raise BadInput(
                f"{file} has no contrast, percentiles {percentiles[0]:g} and {percentiles[1]:g} are {low:g}; "
                "take it out, set percentiles farther apart, or set scale to 'type'"
            )
    elif pixels.min() < low or pixels.max() > high:
        raise BadInput(
            f"{file} holds floats from {pixels.min():g} to {pixels.max():g}, not 0 to 1; set scale to 'image'"
        )
    return scaled(resize(pixels.clip(low, high), size), low, high)


def _truth(file: Path, owner: Path, shape: tuple[int, ...], size: int) -> np.ndarray:
    """The mask, uint8 (1, size, size)."""
    mask, _ = read(file)
    if mask.shape[1:] != shape:
        raise BadInput(
            f"{file} is {mask.shape[2]} wide and {mask.shape[1]} high, but its image {owner} is {shape[1]} wide and "
            f"{shape[0]} high; draw the mask on the image as it is"
        )
    if file.suffix.lower() in (".jpg", ".jpeg") and len(np.unique(mask)) > 2:
        raise BadInput(f"{file} is smeared by its JPEG compression, which leaves no 0 a 0; save the mask as PNG")
    covered = mask.any(0, keepdims=True).astype(np.float32)
    return (resize(covered, size, Resampling.BOX) > 0.5).astype(np.uint8)
