"""Handwritten digits (LeCun et al., 1998), ten classes: what GANchors explains first (David et al., 2019).

The four files of the original, packed or unpacked, in one folder::

    train-images-idx3-ubyte.gz      train-labels-idx1-ubyte.gz      60,000 images of 28×28, bytes, white on black
    t10k-images-idx3-ubyte.gz       t10k-labels-idx1-ubyte.gz       10,000

Other files of this format and these names are taken too, Fashion-MNIST for one, if they have ten classes. The t10k file
is tested, the end of the training file validated on. Who wrote a digit is not told, so each image is a subject of its
own; no image of MNIST comes twice. GANchors explains ten images, one a digit, which are listed.

Source: a copy of the original files (``DOWNLOADS``; 11.6 MB, no account). Licence as stated: the original page stated
none, its usual copies CC BY-SA 3.0. References: LeCun, Bottou, Bengio and Haffner, 1998,
Proceedings of the IEEE 86(11); https://arxiv.org/abs/1906.00297.
"""

import gzip
import zlib
from math import cos, prod, sin
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import center_of_mass, map_coordinates
from sklearn.datasets import load_digits

from evidence.datasets import Download, Part
from evidence.errors import BadInput, near
from evidence.images import scaled
from evidence.io import Units, replacing
from evidence.seeds import rng

DIGITS = 10
NATIVE = 28  # side of an image in pixels
IMAGES, LABELS = "images-idx3-ubyte", "labels-idx1-ubyte"
FILES = {name: (f"{name}-{IMAGES}", f"{name}-{LABELS}") for name in ("train", "t10k")}
HEADS = {IMAGES: (2051, 3), LABELS: (2049, 1)}  # the number at the start, and how many axes there are
EXPLAINED = (3, 2, 1, 18, 4, 8, 11, 0, 61, 7)  # images of the t10k file in the experiments of GANchors: a 0, a 1, … a 9
ORIGINAL = "https://ossci-datasets.s3.amazonaws.com/mnist"
DOWNLOADS = tuple(
    Download(f"{ORIGINAL}/{name}.gz", size, f"md5:{checksum}", f"{name}.gz")
    for name, size, checksum in (
        (f"train-{IMAGES}", 9_912_422, "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        (f"train-{LABELS}", 28_881, "d53e105ee54ea40749a09fcbcd1e9432"),
        (f"t10k-{IMAGES}", 1_648_877, "9fb629c4189551a2d022fa330f9573f3"),
        (f"t10k-{LABELS}", 4_542, "ec29112dd5afa0611ce80d1b7f02629c"),
    )
)


def fetch(raw: Path) -> Units:
    """The two files of the training images, and those of the others, read once to see that they are whole.

    Args:
        raw: the folder that holds the four files, or one in which they are one or two folders deep.
    """
    homes = {file.parent for name in ("", "*/", "*/*/") for file in raw.glob(f"{name}*-ubyte*") if _bare(file)}
    nearest = sorted(home for home in homes if len(home.parts) == min(len(other.parts) for other in homes))
    if len(nearest) != 1:
        there = " and ".join(map(str, nearest)) if nearest else "there is none"
        raise BadInput(
            f"{raw} has to hold {FILES['train'][0]}.gz and the others of MNIST, or just one folder in it ({there}); "
            f"point the dataset at theirs; {ORIGINAL}/{FILES['train'][0]}.gz is where they are"
        )
    units = {name: [_found(nearest[0], part) for part in parts] for name, parts in FILES.items()}
    shapes = {name: _read(*files)[0].shape[1:] for name, files in units.items()}
    if shapes["train"] != shapes["t10k"]:
        raise BadInput(
            f"{units['train'][0]} holds images of {shapes['train']} and {units['t10k'][0]} of {shapes['t10k']}; "
            "they are not of one dataset"
        )
    return units


def _bare(file: Path) -> str:
    """The name without .gz, if it is one of the four; else nothing."""
    name = file.name.removesuffix(".gz")
    return name if file.is_file() and any(name in parts for parts in FILES.values()) else ""


def _found(home: Path, name: str) -> Path:
    for file in (home / f"{name}.gz", home / name):
        if file.is_file():
            return file
    there = near(f"{name}.gz", (file.name for file in home.iterdir() if not _bare(file)))
    raise BadInput(f"{home} lacks {name}.gz, packed or unpacked; {there}; {ORIGINAL}/{name}.gz is where it is")


def simulate(folder: Path, *, count: int = 2400, test_count: int = 400, seed: int = 42) -> Units:
    """The 1,797 digits of 8×8 that scikit-learn brings along, enlarged, turned, sheared, with other pens, in the same
    files. Those that are tested stem from the last fifth of the originals, all others from the rest.

    Args:
        folder: where the four files go.
        count: images of the training file, at least 20; the digits come equally often.
        test_count: images of the other file, at least 10.
        seed: of the images; each is a function of it and its number.
    """
    if count < 20 or test_count < DIGITS:
        raise BadInput(
            f"a phantom of {count} and {test_count} images lacks some digits; ask for a count of at least 20, and a "
            f"test_count of at least {DIGITS}"
        )
    originals = load_digits()
    for name, many in (("train", count), ("t10k", test_count)):
        drawn = [draw(number, name, originals.images, originals.target, seed) for number in range(many)]
        images, labels = (np.array(each, np.uint8) for each in zip(*drawn, strict=True))
        for part, array in ((IMAGES, images), (LABELS, labels)):
            head = np.array([HEADS[part][0], *array.shape], ">u4").tobytes()
            with replacing(folder / f"{name}-{part}.gz") as aside:
                aside.write_bytes(gzip.compress(head + array.tobytes(), mtime=0))
    return fetch(folder)


def draw(number: int, name: str, originals: np.ndarray, digits: np.ndarray, seed: int) -> tuple[np.ndarray, int]:
    """One image of the file ``name``, uint8 (28, 28), and its digit: its mass in the middle, about 20 pixels high."""
    digit = rng(seed, "mnist", name, "digits", number // DIGITS).permutation(DIGITS)[number % DIGITS]
    random = rng(seed, "mnist", name, number)
    tested = np.arange(len(digits)) >= len(digits) * 4 // 5
    original = originals[random.choice(np.flatnonzero((digits == digit) & (tested == (name == "t10k"))))] / 16

    turn, shear = random.normal(0, 0.12), random.normal(0, 0.15)
    high, wide = random.uniform(0.85, 1.08), random.uniform(0.95, 1.25)
    y, x = np.indices((NATIVE, NATIVE)) - (NATIVE - 1) / 2 - random.normal(0, 0.4, (2, 1, 1))
    x, y = cos(turn) * x + sin(turn) * y, cos(turn) * y - sin(turn) * x
    middle = center_of_mass(original)
    down, across = middle[0] + 0.4 * y / high, middle[1] + 0.4 * (x + shear * y) / wide  # 8 pixels become 20
    ink = map_coordinates(original, [down, across], order=3)
    threshold, blur = random.uniform(0.4, 0.62), random.uniform(0.3, 0.5)  # the pen: wide where the threshold is low
    level = np.clip((ink - threshold) / blur + 0.5, 0, 1)
    return np.round(255 * random.uniform(0.9, 1.0) * level).astype(np.uint8), int(digit)


def prepare(files: list[Path], *, validation_one_in: int = 12) -> Part:
    """The images of one file, [0, 255] to [-1, 1], as large as they are. There are no masks.

    Args:
        files: images and labels.
        validation_one_in: of so many training images one is validated on, the last ones: of 60,000, 5,000.
    """
    pixels, labels = _read(*files)
    count, name = len(labels), _bare(files[0]).partition("-")[0]
    if not 2 <= validation_one_in <= count:
        raise BadInput(f"validation_one_in has to be 2 to {count}, of which there are images, not {validation_one_in}")
    trained = count - count // validation_one_in
    split = np.where(np.arange(count) < trained, "train", "validation") if name == "train" else "test"
    index = pd.DataFrame(
        {
            "subject": [f"{name}-{number:05d}" for number in range(count)],
            "label": labels.astype(int),
            "split": split,
            "listed": np.isin(np.arange(count), _listed(labels) if name == "t10k" else []),
        }
    )
    levels = scaled(np.arange(256, dtype=np.float32), 0.0, 255.0)
    return Part(levels[pixels][:, None], None, index)


def _listed(labels: np.ndarray) -> np.ndarray:
    """The images of the paper's experiments; where the labels are not those of MNIST, the first of each class."""
    if len(labels) > max(EXPLAINED) and (labels[list(EXPLAINED)] == np.arange(DIGITS)).all():
        return np.array(EXPLAINED)
    return np.unique(labels, return_index=True)[1]


def _read(images: Path, labels: Path) -> tuple[np.ndarray, np.ndarray]:
    """The images, uint8 (image, height, width), and their labels, uint8 (image), 0 to 9."""
    pixels, digits = _array(images, IMAGES), _array(labels, LABELS)
    if len(pixels) != len(digits):
        raise BadInput(f"{images} holds {len(pixels):,} images and {labels} {len(digits):,} labels; get both again")
    if (digits >= DIGITS).any():
        raise BadInput(
            f"{labels} has the label {digits.max()}, and {(digits >= DIGITS).sum():,} of {len(digits):,} are none of "
            f"0 to {DIGITS - 1}: there are ten classes, so leave the others out"
        )
    return pixels, digits


def _array(file: Path, part: str) -> np.ndarray:
    """The bytes of an idx file in the shape that its head says; it has to be as long as that."""
    content, whole = _unpacked(file)
    magic, axes = HEADS[part]
    start, wanted = content[:4], magic.to_bytes(4, "big")
    if start != wanted:
        raise BadInput(
            f"{file} starts with {start.hex(' ') or 'nothing'}, and {part} with {wanted.hex(' ')}; get it again, and "
            "mind which file is which"
        )
    size = 4 + 4 * axes  # of the head
    shape = tuple(map(int, np.frombuffer(content[4:size].ljust(size - 4, b"\0"), ">u4")))
    expected = size + prod(shape)
    if len(content) != expected or not whole or not prod(shape):
        state = "" if whole else ", and breaks off"
        raise BadInput(
            f"{file} says that it holds {' × '.join(map(str, shape))} bytes, which with its head are {expected:,}; it "
            f"has {len(content):,}{state}; get it again"
        )
    return np.frombuffer(content, np.uint8, offset=size).reshape(shape)


def _unpacked(file: Path) -> tuple[bytes, bool]:
    """The content, and whether it is whole. Some browsers unpack what they load and leave it its name."""
    stored = file.read_bytes()
    if not stored.startswith(b"\x1f\x8b"):
        return stored, True
    try:
        return gzip.decompress(stored), True
    except EOFError:
        return zlib.decompressobj(wbits=31).decompress(stored), False
    except (OSError, zlib.error) as error:
        raise BadInput(f"{file} cannot be unpacked ({error}); get it again") from error
