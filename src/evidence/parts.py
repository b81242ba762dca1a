"""The parts that a dataset is prepared in, on their way to one array."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from evidence import io
from evidence.datasets import Part
from evidence.errors import BadInput


def check(part: Part, unit: str) -> None:
    """Refuse images that nothing could be learned from, by the name of the raw files they come from."""
    if part.images.ndim < 4 or part.images.dtype != np.float32:
        found = f"{part.images.dtype} {part.images.shape}"
        raise BadInput(f"{unit}: prepared images must be float32 (sample, channel, *space), not {found}")
    if not np.isfinite(part.images).all():
        raise BadInput(
            f"{unit}: the image holds NaN or infinite values; mend or remove it, then: snakemake --forcerun fetch"
        )
    if part.truth is not None and part.truth.shape[2:] != part.images.shape[2:]:
        raise BadInput(f"{unit}: truth of {part.truth.shape[2:]} does not fit images of {part.images.shape[2:]}")
    part.index["unit"] = unit
    if "has_truth" not in part.index:
        part.index["has_truth"] = part.truth is not None


def joined(made: Sequence[Part]) -> Part:
    """Several parts as one. All images must be of one shape."""
    if not made:
        return Part(np.zeros((0, 1, 0, 0), np.float32), None, pd.DataFrame())
    shapes = [(part.images.shape[1:], part.index["unit"].iloc[0]) for part in made]
    for shape, unit in shapes:
        _same_shape(shape, unit, *shapes[0])
    truth = None
    if any(part.truth is not None for part in made):
        truth = np.concatenate([part.truth if part.truth is not None else _unknown(part.images) for part in made])
    index = pd.concat([part.index for part in made], ignore_index=True)
    return Part(np.concatenate([part.images for part in made]), truth, index)


def save(path: Path | str, part: Part) -> None:
    columns = {f"index/{name}": values.to_numpy() for name, values in part.index.items()}
    columns = {name: values.astype(str) if values.dtype == object else values for name, values in columns.items()}
    truth = part.truth if part.truth is not None else np.zeros(0, np.uint8)
    with io.replacing(path) as aside, open(aside, "wb") as file:
        np.savez(file, images=part.images, truth=truth, **columns)


def load_index(path: Path | str) -> pd.DataFrame:
    with _opened(path) as arrays:
        columns = [name for name in arrays.files if name.startswith("index/")]
        return pd.DataFrame({name.removeprefix("index/"): arrays[name] for name in columns})


def pack(
    paths: Sequence[Path | str], rows: np.ndarray, images_to: Path | str, truth_to: Path | str
) -> tuple[list[int], bool]:
    """Write the chosen rows of all parts, part by part, so that a dataset larger than memory can be packed.

    Returns the shape of the images, and whether anything is known of the truth.
    """
    lengths, shapes, truths = [], [], []
    for path in paths:
        with _opened(path) as arrays:
            images, truth = arrays["images"], arrays["truth"]
            lengths.append(len(images))
            if len(images):
                shapes.append((images.shape[1:], str(path)))
                truths.append((truth.dtype, truth.size > 0))
    for shape, path in shapes:
        _same_shape(shape, path, *shapes[0])
    (channels, *space), known = shapes[0][0], any(has for _, has in truths)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    with io.replacing(images_to) as images_aside, io.replacing(truth_to) as truth_aside:
        open_map = np.lib.format.open_memmap
        images_out = open_map(images_aside, "w+", np.float32, (len(rows), channels, *space))
        dtype = np.result_type(*(dtype for dtype, has in truths if has)) if known else np.dtype(np.uint8)
        if known:
            truth_out = open_map(truth_aside, "w+", dtype, (len(rows), 1, *space))
        else:
            np.save(truth_aside, np.zeros((0, 1, *space), np.uint8))
        for path, start, stop in zip(paths, starts[:-1], starts[1:], strict=True):
            where = np.flatnonzero((rows >= start) & (rows < stop))
            if len(where) == 0:
                continue
            with _opened(path) as arrays:
                images_out[where] = arrays["images"][rows[where] - start]
                if known and arrays["truth"].size:
                    truth_out[where] = arrays["truth"][rows[where] - start]
        images_out.flush()
        if known:
            truth_out.flush()
    return [len(rows), channels, *space], known


@contextmanager
def _opened(path: Path | str) -> Iterator[np.lib.npyio.NpzFile]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            yield arrays
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise BadInput(f"{path} is not a whole part of a dataset ({error}); delete it and prepare it again") from error


def _same_shape(shape: tuple[int, ...], name: str, other: tuple[int, ...], other_name: str) -> None:
    if tuple(shape) != tuple(other):
        shapes = f"{name} has shape {tuple(shape)}, but {other_name} has {tuple(other)}"
        raise BadInput(f"{shapes} (channels first); all images must agree")


def _unknown(images: np.ndarray) -> np.ndarray:
    return np.zeros((len(images), 1, *images.shape[2:]), np.uint8)
