"""Picture files as arrays: PNG, JPEG, TIFF and NPY; grey or colour; 8, 16 bits or floats. Pillow, tifffile, NumPy.

Arrays are float32 (channel, height, width) with the numbers of the file; the range of its pixel type comes beside
them. Alpha is dropped, palettes become RGB, orientation tags are not followed. Whatever cannot be read whole is a
BadInput that names the file.

Grey of colour is the luma of ITU-R BT.601.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
import tifffile
from PIL import Image

from evidence.errors import BadInput, near
from evidence.io import load_array

EXTENSIONS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".npy")
GREY = ("1", "L", "LA", "I;16")  # Pillow's names of what is not colour
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
Resampling = Image.Resampling


def is_picture(file: Path) -> bool:
    """Whether the name is that of a picture; hidden files, such as macOS leaves beside each image, are none."""
    return file.suffix.lower() in EXTENSIONS and not file.name.startswith(".") and file.is_file()


def pictures(folder: Path) -> list[Path]:
    """The pictures of a folder that has to have some, sorted."""
    if not folder.is_dir():
        there = near(folder.name, (entry.name for entry in folder.parent.iterdir()))
        raise BadInput(f"{folder} is missing; {there}")
    found = sorted(folder.iterdir())
    images = [file for file in found if is_picture(file)]
    if not images:
        passed = f"passed over: {len(found)} ({', '.join(file.name for file in found[:5])})" if found else "it is empty"
        raise BadInput(f"{folder} holds no image ({' '.join(EXTENSIONS)}; {passed}); put some in, or take it away")
    return images


def read(path: Path) -> tuple[np.ndarray, tuple[float, float]]:
    """The pixels, float32 (channel, height, width) with 1 or 3 channels, and the darkest and brightest storable value.

    For floats, which could store anything, that is 0 and 1 by convention.
    """
    with _decoding(path):
        array = np.asarray(_pixels(path))
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[-1] not in (3, 4)) or not array.size:
        raise BadInput(
            f"{path} has the shape {array.shape}; a picture is (height, width) or (height, width, 3 or 4): "
            "save each slice of a volume by itself"
        )
    if array.dtype.kind not in "buif":
        raise BadInput(f"{path} holds {array.dtype}; save it as integers or floats")
    image = np.atleast_3d(array)[..., :3].transpose(2, 0, 1).astype(np.float32, order="C")  # (channel, height, width)
    if not np.isfinite(image).all():
        raise BadInput(f"{path} holds NaN or infinity; replace them, or take the file out")
    if array.dtype.kind in "bf":
        return image, (0.0, 1.0)
    return image, (float(np.iinfo(array.dtype).min), float(np.iinfo(array.dtype).max))


def count_channels(path: Path) -> int:
    """1 or 3, from the header alone."""
    with _decoding(path):
        if path.suffix.lower() == ".npy":
            return 1 if load_array(path).ndim == 2 else 3
        if path.suffix.lower() in (".tif", ".tiff"):
            with tifffile.TiffFile(path) as tiff:
                return 1 if tiff.pages[0].photometric == tifffile.PHOTOMETRIC.MINISBLACK else 3
        with Image.open(path, formats=("PNG", "JPEG")) as picture:
            return 1 if picture.mode in GREY else 3


def to_channels(image: np.ndarray, channels: Literal[1, 3]) -> np.ndarray:
    """Grey of RGB by the luma of ITU-R 601, exactly where the three are equal; RGB of grey by repetition."""
    if len(image) == channels:
        return image
    if channels == 3:
        return np.repeat(image, 3, axis=0)
    if (image == image[:1]).all():
        return image[:1]
    return np.tensordot(LUMA, image, 1)[None]


def resize(image: np.ndarray, size: int, resampling: Resampling = Resampling.BILINEAR) -> np.ndarray:
    """To (channel, size, size) with Pillow's antialiasing but without its rounding; the aspect ratio is not kept."""
    if size < 1:
        raise BadInput(f"size: {size} pixels make no image; give 1 or more")
    return np.stack([np.asarray(Image.fromarray(channel).resize((size, size), resampling)) for channel in image])


def scaled(image: np.ndarray, low: float, high: float) -> np.ndarray:
    """From [low, high] to [-1, 1], float32; what lies outside is clipped."""
    return np.clip((image - low) / (high - low) * 2 - 1, -1, 1).astype(np.float32)


def prepared(image: np.ndarray, limits: tuple[float, float], size: int, channels: Literal[1, 3]) -> np.ndarray:
    """What ``read`` returns to [-1, 1], (channels, size, size); the aspect ratio is not kept."""
    return scaled(resize(to_channels(image, channels), size), *limits)


def stretched(images: np.ndarray) -> np.ndarray:
    """Each of (…, height, width) to [0, 1] by its darkest and brightest pixel; a constant one becomes 0."""
    darkest = images.min((-2, -1), keepdims=True)
    extent = images.max((-2, -1), keepdims=True) - darkest
    return (images - darkest) / np.where(extent > 0, extent, 1)


def digest(image: np.ndarray, limits: tuple[float, float]) -> str:
    """The sha256 of what ``read`` returns: equal for files with the same pixels, however they were compressed."""
    head = f"{image.shape} {tuple(map(float, limits))}".encode()
    return hashlib.sha256(head + image.astype("<f4").tobytes()).hexdigest()


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    try:
        yield
    except BadInput:
        raise
    except Exception as error:  # decoders meet a broken file with whatever breaks first
        raise BadInput(f"{path} cannot be decoded ({error}); get it again, save it anew, or take it out") from error


def _pixels(path: Path) -> np.ndarray:
    match path.suffix.lower():
        case ".npy":
            return load_array(path)
        case ".tif" | ".tiff":
            return _tiff(path)
        case _:
            return _png_or_jpeg(path)


def _png_or_jpeg(path: Path) -> np.ndarray:
    with Image.open(path, formats=("PNG", "JPEG")) as picture:
        stored = picture.tile[0].args
        if stored == "LA;16B":
            raise BadInput(f"{path} is 16-bit grey with alpha, which Pillow reads as 8-bit; save it without alpha")
        mode = "RGB" if picture.mode not in GREY else picture.mode.removesuffix("A")
        pixels = np.asarray(picture.convert(mode))
    if stored not in ("RGB;16B", "RGBA;16B"):
        return pixels
    # Of 16-bit colour Pillow keeps the high bytes. Told that the file is little-endian, it keeps what are the low ones.
    with Image.open(path) as picture:
        picture.tile = [picture.tile[0]._replace(args=stored.replace("16B", "16L"))]
        return pixels.astype(np.uint16) * 256 + np.asarray(picture.convert("RGB"))


def _tiff(path: Path) -> np.ndarray:
    kinds = tifffile.PHOTOMETRIC
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        if len(tiff.pages) > 1:
            raise BadInput(f"{path} holds {len(tiff.pages)} pages; save each by itself")
        if page.photometric not in (kinds.MINISBLACK, kinds.RGB, kinds.PALETTE):
            raise BadInput(f"{path} stores its pixels as {page.photometric.name}; save it as grey or RGB")
        array = page.asarray()
        if page.photometric == kinds.PALETTE:
            array = page.colormap[:, array]  # (3, height, width)
        return np.moveaxis(array, 0, -1) if page.photometric == kinds.PALETTE or page.axes == "SYX" else array
