"""Reading pictures: what was written comes back, and what is broken says so."""

import io
import re
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from evidence.errors import BadInput
from evidence.images import Resampling, count_channels, digest, pictures, read, resize, scaled, to_channels

RANDOM = np.random.default_rng(0)
GREY8 = RANDOM.integers(0, 256, (7, 9), np.uint8)
GREY16 = RANDOM.integers(0, 65_536, (7, 9), np.uint16)
RGB8 = RANDOM.integers(0, 256, (7, 9, 3), np.uint8)
RGB16 = RANDOM.integers(0, 65_536, (7, 9, 3), np.uint16)
FLOATS = RANDOM.normal(size=(7, 9)).astype(np.float32)
BYTE, WORD, UNIT = (0.0, 255.0), (0.0, 65_535.0), (0.0, 1.0)


def png16(colour: int, pixels: np.ndarray) -> bytes:
    """A 16-bit PNG of colour type 2 (RGB), 4 (grey, alpha) or 6 (RGBA), each row as the difference to the one above."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = pixels.astype(">u2").view(np.uint8).reshape(len(pixels), -1)
    rows = np.diff(rows, axis=0, prepend=np.zeros_like(rows[:1]))
    head = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 16, colour, 0, 0, 0)
    data = b"".join(b"\x02" + row.tobytes() for row in rows)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def pillow(pixels, format, mode=None, **options) -> bytes:
    file = io.BytesIO()
    picture = Image.fromarray(pixels)
    (picture.convert(mode) if mode else picture).save(file, format, **options)
    return file.getvalue()


def tiff(pixels, **options) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **options)
    return file.getvalue()


def npy(pixels) -> bytes:
    file = io.BytesIO()
    np.save(file, pixels)
    return file.getvalue()


FEW = np.array([[0, 80, 160]] * 2, np.uint8)
PALETTE = pillow(FEW, "PNG", "P")  # its palette is made of greys
STORED = {
    "grey8.png": (pillow(GREY8, "PNG"), GREY8, BYTE),
    "grey16.png": (pillow(GREY16, "PNG"), GREY16, WORD),
    "rgb8.PNG": (pillow(RGB8, "PNG"), RGB8, BYTE),
    "rgb16.png": (png16(2, RGB16), RGB16, WORD),
    "rgba8.png": (pillow(np.dstack([RGB8, GREY8]), "PNG"), RGB8, BYTE),
    "rgba16.png": (png16(6, np.dstack([RGB16, GREY16])), RGB16, WORD),
    "la8.png": (pillow(np.dstack([GREY8, GREY8[::-1]]), "PNG"), GREY8, BYTE),
    "bit.png": (pillow(GREY8 > 99, "PNG"), GREY8 > 99, UNIT),
    "palette.png": (PALETTE, np.dstack([FEW] * 3), BYTE),
    "flat.jpg": (pillow(np.full((7, 9), 128, np.uint8), "JPEG"), np.full((7, 9), 128), BYTE),
    "flat.JPEG": (pillow(np.full((7, 9, 3), 128, np.uint8), "JPEG"), np.full((7, 9, 3), 128), BYTE),
    "really a png.jpg": (pillow(GREY8, "PNG"), GREY8, BYTE),
    "grey8.tif": (tiff(GREY8), GREY8, BYTE),
    "grey16.tiff": (tiff(GREY16, compression="zlib"), GREY16, WORD),
    "rgb16.tif": (tiff(RGB16, photometric="rgb"), RGB16, WORD),
    "planes.tif": (tiff(RGB8.transpose(2, 0, 1), photometric="rgb", planarconfig="separate"), RGB8, BYTE),
    "rgba8.tif": (tiff(np.dstack([RGB8, GREY8]), photometric="rgb", extrasamples=["unassalpha"]), RGB8, BYTE),
    "palette.tif": (pillow(FEW, "TIFF", "P"), np.dstack([FEW] * 3).astype(int) * 256, WORD),
    "floats.tif": (tiff(FLOATS), FLOATS, UNIT),
    "grey8.npy": (npy(GREY8), GREY8, BYTE),
    "int16.npy": (npy(GREY16.astype(np.int16)), GREY16.astype(np.int16), (-32_768.0, 32_767.0)),
    "rgb16.npy": (npy(RGB16), RGB16, WORD),
    "floats.npy": (npy(FLOATS.astype(np.float64)), FLOATS, UNIT),
    "bool.npy": (npy(GREY8 > 99), GREY8 > 99, UNIT),
}


@pytest.mark.parametrize("name", STORED)
def test_what_was_stored_is_read(tmp_path, name):
    stored, pixels, limits = STORED[name]
    (tmp_path / name).write_bytes(stored)
    image, found = read(tmp_path / name)
    expected = np.moveaxis(np.atleast_3d(pixels), -1, 0).astype(np.float32)
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image, expected)
    assert found == limits
    assert count_channels(tmp_path / name) == len(image)


NAN, INFINITE = FLOATS.copy(), FLOATS.copy()
NAN[2, 3], INFINITE[2, 3] = np.nan, np.inf
BROKEN = {
    "nan.npy": (npy(NAN), "NaN"),
    "nan.tif": (tiff(NAN), "NaN"),
    "infinity.npy": (npy(INFINITE), "infinity"),
    "volume.npy": (npy(np.zeros((7, 8, 9))), r"\(7, 8, 9\)"),
    "planes first.npy": (npy(np.zeros((3, 8, 9))), r"\(3, 8, 9\)"),
    "line.npy": (npy(np.zeros(7)), r"\(7,\)"),
    "nothing.npy": (npy(np.zeros((0, 9))), r"\(0, 9\)"),
    "complex.npy": (npy(np.zeros((7, 9), complex)), "complex128"),
    "object.npy": (npy(np.array([[None]])), "objects"),
    "pages.tif": (tiff(np.zeros((5, 7, 9), np.uint8), photometric="minisblack"), "5 pages"),
    "inverted.tif": (tiff(GREY8, photometric="miniswhite"), "MINISWHITE"),
    "la16.png": (png16(4, np.dstack([GREY16, GREY16])), "alpha"),
    "text.png": (b"not a picture", "cannot be decoded"),
    "empty.jpg": (b"", "cannot be decoded"),
    "text.tif": (b"not a picture", "cannot be decoded"),
    "gif.png": (pillow(GREY8, "GIF"), "cannot be decoded"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_used_is_named(tmp_path, name):
    stored, reason = BROKEN[name]
    (tmp_path / name).write_bytes(stored)
    with pytest.raises(BadInput, match=f"{re.escape(name)}.*{reason}"):
        read(tmp_path / name)


@pytest.mark.parametrize("name", ["rgb8.PNG", "rgb16.png", "flat.jpg", "grey16.tiff", "planes.tif", "grey8.npy"])
@pytest.mark.parametrize("share", [0.2, 0.6, 0.9])
def test_truncated(tmp_path, name, share):
    stored = STORED[name][0]
    (tmp_path / name).write_bytes(stored[: int(share * len(stored))])
    with pytest.raises(BadInput, match=re.escape(name)):
        read(tmp_path / name)


def test_missing(tmp_path):
    for name in ("a.png", "a.tif", "a.npy"):
        with pytest.raises(BadInput, match=name):
            read(tmp_path / name)
        with pytest.raises(BadInput, match=name):
            count_channels(tmp_path / name)


def test_channels():
    grey = GREY16[None].astype(np.float32)
    rgb = RGB8.transpose(2, 0, 1).astype(np.float32)
    assert to_channels(grey, 1) is grey
    assert to_channels(rgb, 3) is rgb
    np.testing.assert_array_equal(to_channels(grey, 3), np.stack([GREY16] * 3))
    np.testing.assert_array_equal(to_channels(to_channels(grey, 3), 1), grey)
    luma = to_channels(rgb, 1)
    assert luma.shape == (1, 7, 9)
    assert luma.dtype == np.float32
    np.testing.assert_allclose(luma[0], 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2], rtol=1e-6)
    np.testing.assert_allclose(luma[0], np.asarray(Image.fromarray(RGB8).convert("L")), atol=0.51)  # Pillow rounds


def triangle(old: int, new: int) -> np.ndarray:
    """The slow twin of one axis: each new pixel is a mean of the old ones, with weights that fall linearly to none."""
    width = max(old / new, 1)
    centres = (np.arange(new) + 0.5) * old / new
    weights = np.clip(1 - np.abs(np.arange(old) + 0.5 - centres[:, None]) / width, 0, None)
    return weights / weights.sum(1, keepdims=True)


@pytest.mark.parametrize(("shape", "size"), [((23, 31), 8), ((40, 17), 24), ((7, 9), 16)])
def test_resize_is_antialiased_and_not_rounded(shape, size):
    image = RANDOM.integers(0, 256, (3, *shape), np.uint8)
    small = resize(image.astype(np.float32), size)
    assert small.shape == (3, size, size)
    assert small.dtype == np.float32
    np.testing.assert_allclose(small, triangle(shape[0], size) @ image @ triangle(shape[1], size).T, rtol=1e-5)
    bilinear = Image.fromarray(image.transpose(1, 2, 0)).resize((size, size), Resampling.BILINEAR)
    np.testing.assert_allclose(small, np.moveaxis(np.asarray(bilinear), -1, 0), atol=1.01)  # rounds along each axis


def test_resize_to_the_same_size_changes_nothing():
    image = RANDOM.normal(size=(1, 8, 8)).astype(np.float32)
    np.testing.assert_array_equal(resize(image, 8), image)


def test_scaled():
    np.testing.assert_array_equal(scaled(np.array([0, 5, 10, 20, -1]), 0.0, 10.0), np.float32([-1, 0, 1, 1, -1]))
    assert scaled(np.array([0.5]), 0.0, 1.0).dtype == np.float32


def test_digest_is_of_the_pixels(tmp_path):
    def of(name, stored):
        (tmp_path / name).write_bytes(stored)
        return digest(*read(tmp_path / name))

    plain = of("a.png", pillow(GREY8, "PNG"))
    assert plain == of("b.png", pillow(GREY8, "PNG", compress_level=0)) == of("c.tif", tiff(GREY8))
    changed = GREY8.copy()
    changed[0, 0] ^= 1
    others = {
        plain,
        of("d.png", pillow(changed, "PNG")),
        of("e.png", pillow(GREY8.reshape(9, 7), "PNG")),
        of("f.png", pillow(GREY8.astype(np.uint16), "PNG")),
        of("g.png", pillow(np.dstack([GREY8] * 3), "PNG")),
    }
    assert len(others) == 5
    assert len(plain) == 64


def test_pictures_of_a_folder(tmp_path):
    folder = tmp_path / "healthy"
    with pytest.raises(BadInput, match="healthy is missing; there is: nothing"):
        pictures(folder)
    folder.mkdir()
    with pytest.raises(BadInput, match=r"healthy holds no image .* it is empty"):
        pictures(folder)
    for name in (".hidden.png", "notes.txt"):
        (folder / name).touch()
    with pytest.raises(BadInput, match=r"passed over: 2 \(\.hidden\.png, notes\.txt\)"):
        pictures(folder)
    for name in ("b.TIF", "a.png"):
        (folder / name).touch()
    assert [file.name for file in pictures(folder)] == ["a.png", "b.TIF"]
    with pytest.raises(BadInput, match="did you mean 'healthy'"):
        pictures(tmp_path / "heathy")
