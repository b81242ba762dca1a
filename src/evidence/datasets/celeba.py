"""Faces of the well-known with forty attributes: CelebA-HQ, as GANchors has it (David et al., 2019), or CelebA.

The 30,000 of CelebA-HQ, as CelebAMask-HQ lays them out, or else the 202,599 of CelebA, aligned by its authors::

    CelebA-HQ-img/0.jpg                     img_align_celeba/000001.jpg
    CelebAMask-HQ-attribute-anno.txt        list_attr_celeba.txt
    CelebA-HQ-to-CelebA-mapping.txt         list_eval_partition.txt

The tables may lie in other folders than the images; list_eval_partition.txt, CelebA's, is taken for CelebA-HQ too, by
way of the mapping, and neither need be there. Class 1 has the attribute that is asked for, class 0 has not. Where there
is a partition into training, validation and test, it is kept; else a split is drawn. The paper tests 6,000 of 30,000,
and does not say which. People are not named here: the digest of the decoded pixels stands in for them, so that no image
is in two splits. A person may be in two that were drawn; CelebA's partition was made by person.

An image of 256×256 in colour takes 0.8 MB of memory, so prepare them in many ``parts``, such as 60.

Source: CelebA-HQ, https://github.com/switchablenorms/CelebAMask-HQ (2.9 GB), and CelebA,
https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html. Licence as stated: non-commercial research and education; those who
made the datasets do not own the photographs. References: Liu et al., 2015, https://arxiv.org/abs/1411.7766; Karras et
al., 2018, https://arxiv.org/abs/1710.10196; Lee et al., 2020, https://arxiv.org/abs/1907.11922.
"""

from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from PIL import Image

from evidence import portraits
from evidence.datasets import Part
from evidence.errors import BadInput, near
from evidence.images import digest, prepared, read
from evidence.io import Units, replacing, save_text
from evidence.seeds import rng

HQ = ("CelebA-HQ-img", "CelebAMask-HQ-attribute-anno.txt")  # the folder of images, and the table of attributes
ALIGNED = ("img_align_celeba", "list_attr_celeba.txt")
PARTITION, MAPPING = "list_eval_partition.txt", "CelebA-HQ-to-CelebA-mapping.txt"
SPLITS = {"0": "train", "1": "validation", "2": "test"}
ATTRIBUTES = (
    "5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose Black_Hair Blond_Hair "
    "Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair Heavy_Makeup High_Cheekbones Male "
    "Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks "
    "Sideburns Smiling Straight_Hair Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace "
    "Wearing_Necktie Young"
).split()
BY_HAND = (
    ". To get them: download CelebAMask-HQ.zip (2.9 GB, for non-commercial research) from the Google Drive that "
    "https://github.com/switchablenorms/CelebAMask-HQ names, and unpack it; for its published split, put "
    "list_eval_partition.txt of https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html beside it"
)
TOGETHER = 500  # images in a unit, so that the tables are not read for each


def fetch(raw: Path, *, attribute: str = "Smiling") -> Units:
    """The images below ``raw`` in the order of their table, in units of 500 with the tables that speak of them.

    Args:
        raw: the folder that holds the images' folder and the tables, or one in which these are one or two folders deep.
        attribute: the one that makes class 1, by its name in the table.
    """
    layout = next((names for names in (HQ, ALIGNED) if _nearest(raw, names[0])), None)
    if layout is None:
        raise BadInput(f"{raw} holds neither {HQ[0]}/ nor {ALIGNED[0]}/, nor do the folders in it{BY_HAND}")
    home, table = (_nearest(raw, name) for name in layout)
    if table is None:
        raise BadInput(f"{raw} holds {layout[0]}/ but no {layout[1]}, nor do the folders in it{BY_HAND}")
    labels = _labels(table, attribute)
    found = {file.name for file in home.glob("[!.]*.jpg")}
    if absent := [name for name in labels if name not in found]:
        raise BadInput(f"{home} lacks {len(absent)} images that {table} names, {absent[0]} among them; get them again")
    if unknown := sorted(found - labels.keys()):
        raise BadInput(f"{table} does not name {len(unknown)} images of {home}, {unknown[0]} among them; get it again")
    if len(set(labels.values())) < 2:
        raise BadInput(f"{table}: all images have the attribute {attribute}, or none has; choose another one")
    tables = [table, *filter(None, (_nearest(raw, PARTITION), _nearest(raw, MAPPING)))]
    _splits(tables, list(labels))  # one message now, not one for each unit
    files = [home / name for name in labels]
    parts = [files[start : start + TOGETHER] for start in range(0, len(files), TOGETHER)]
    return {f"{number:03d}": [*part, *tables] for number, part in enumerate(parts)}


def _nearest(raw: Path, name: str) -> Path | None:
    """The file or folder of that name: in ``raw``, or else in just one folder in it, or else one deeper."""
    for depth in ("", "*/", "*/*/"):
        found = sorted(raw.glob(depth + name))
        if len(found) > 1:
            raise BadInput(f"{' and '.join(map(str, found))}: which one? Point the dataset at a folder that holds one")
        if found:
            return found[0]
    return None


def simulate(folder: Path, *, count: int = 400, native: int = 256, seed: int = 42) -> Units:
    """Drawn faces in the files of CelebAMask-HQ, every other one smiling. Glasses, beards, lips that are parted and the
    colour of the hair are in its table as they were drawn, all other attributes by lot.

    Args:
        folder: where the images and their table go.
        count: number of images, at least 2.
        native: side of an image in pixels; CelebA-HQ has 1024.
        seed: of the images; each is a function of it and its number.
    """
    if count < 2:
        raise BadInput(f"a phantom of {count} images leaves a class empty; ask for a count of at least 2")
    rows = []
    for number in range(count):
        smiling = number % 2 == 1
        face = draw(number, native, seed, smiling=smiling)
        with replacing(folder / HQ[0] / f"{number}.jpg") as aside:
            Image.fromarray(np.round(255 * np.moveaxis(face.image, 0, -1)).astype(np.uint8)).save(aside, quality=95)
        lot = rng(seed, "celeba", "attributes", number).random(len(ATTRIBUTES)) < 0.25
        traits = dict(zip(ATTRIBUTES, lot, strict=True))
        traits |= {f"{hair}_Hair": hair == face.hair for hair in portraits.HAIR}
        traits |= {"Smiling": smiling, "Mouth_Slightly_Open": face.parted}
        traits |= {"Eyeglasses": face.glasses, "No_Beard": not face.beard}
        rows.append(" ".join([f"{number}.jpg", *("1" if has else "-1" for has in traits.values())]))
    save_text(folder / HQ[1], "\n".join([str(count), " ".join(ATTRIBUTES), *rows]) + "\n")
    return fetch(folder)


def draw(number: int, native: int, seed: int, *, smiling: bool) -> portraits.Portrait:
    """One face in colour; one that does not smile is the same but for the mouth and the cheeks."""
    return portraits.draw(rng(seed, "celeba", number), native, smiling=smiling)


def prepare(files: list[Path], *, attribute: str = "Smiling", size: int = 256, channels: Literal[1, 3] = 3) -> Part:
    """Images, [0, 255] to [-1, 1], the square in their middle resized with antialiasing. There are no masks.

    Args:
        files: those of a unit, images and tables.
        attribute: the one that makes class 1, by its name in the table.
        size: side of the prepared image in pixels; GANchors has 256.
        channels: 3, or 1 to make all images grey.
    """
    tables, pictures = ([file for file in files if (file.suffix == ".txt") == text] for text in (True, False))
    labels, splits = _labels(tables[0], attribute), _splits(tables, [file.name for file in pictures])
    made, rows = [], []
    for file in pictures:
        pixels, limits = read(file)
        content = digest(pixels, limits)
        made.append(prepared(_square(pixels), limits, size, channels))
        row = {"subject": content, "content": content, "label": labels[file.name], "name": file.name}
        rows.append(row | ({"split": splits[file.name]} if splits else {}))
    return Part(np.stack(made), None, pd.DataFrame(rows))


def image(file: Path, *, size: int = 256, channels: Literal[1, 3] = 3) -> np.ndarray:
    """What networks see of a file, (channel, size, size); the settings are those of ``prepare``."""
    pixels, limits = read(file)
    return prepared(_square(pixels), limits, size, channels)


def _square(image: np.ndarray) -> np.ndarray:
    """The middle of (channel, height, width), as wide as high."""
    side = min(image.shape[1:])
    top, left = ((length - side) // 2 for length in image.shape[1:])
    return image[:, top : top + side, left : left + side]


def _labels(file: Path, attribute: str) -> dict[str, int]:
    """Image → whether it has the attribute, 1 or 0. First comes the count of images, then the names of attributes."""
    lines = _lines(file)
    counted, names = lines[:2] if len(lines) > 2 else ([], [])
    if len(counted) != 1 or not counted[0].isdigit() or "-1" in names:
        raise BadInput(f"{file} has to begin with the number of images and a line of attributes; get it again")
    if attribute not in names:
        raise BadInput(f"{file} knows no attribute {attribute!r}; {near(attribute, names)}")
    place, labels = 1 + names.index(attribute), {}
    for number, line in enumerate(lines[2:], start=3):
        if len(line) != 1 + len(names) or line[place] not in ("1", "-1"):
            raise BadInput(
                f"{file}, line {number}: {' '.join(line[:3])} … has {len(line) - 1} values; {len(names)} are expected, "
                "each 1 or -1; get the file again, or mend the line"
            )
        labels[line[0]] = int(line[place] == "1")
    if len(labels) != int(counted[0]):
        raise BadInput(f"{file} says that it names {counted[0]} images, and names {len(labels)}; get it again")
    return labels


def _splits(tables: list[Path], names: list[str]) -> dict[str, str]:
    """Image → split, for these images; empty where no partition is published."""
    files = {file.name: file for file in tables}
    if PARTITION not in files:
        return {}
    numbers = {line[0]: line[-1] for line in _lines(files[PARTITION])}
    original = {f"{line[0]}.jpg": line[-1] for line in _lines(files[MAPPING])} if MAPPING in files else {}
    splits = {name: SPLITS.get(numbers.get(original.get(name, name), "")) for name in names}
    if missing := [name for name, split in splits.items() if not split]:
        raise BadInput(
            f"{files[PARTITION]} has no split, 0, 1 or 2, for {len(missing)} images, {missing[0]} among them; "
            f"put {MAPPING} beside it if they are those of CelebA-HQ, or take it away to draw a split"
        )
    return splits


def _lines(file: Path) -> list[list[str]]:
    """The words of each line that has some."""
    return [
        words for line in file.read_text(encoding="utf-8", errors="replace").splitlines() if (words := line.split())
    ]
