"""Anyone's own images: what the folders say, and what is wrong with them."""

import re

import numpy as np
import pytest
from PIL import Image

from evidence.datasets import folder
from evidence.errors import BadInput
from evidence.images import read

GREY = np.arange(63, dtype=np.uint8).reshape(7, 9)


def put(file, pixels=GREY):
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".npy":
        np.save(file, pixels)
    else:
        Image.fromarray(pixels).save(file)
    return file


@pytest.fixture
def raw(tmp_path):
    """Two classes, one mask, and files of no interest."""
    for name in ("healthy/a.png", "healthy/b.tif", "ill/a.png", "ill/c.jpg"):
        put(tmp_path / name)
    put(tmp_path / "masks" / "ill" / "a.tif", (GREY > 30).astype(np.uint8))
    for name in (".DS_Store", "notes.txt", "healthy/.a.png", "healthy/table.csv", "masks/readme.txt"):
        (tmp_path / name).touch()
    (tmp_path / ".git").mkdir()
    return tmp_path


def fails(raw, message, **options):
    with pytest.raises(BadInput, match=message):
        folder.fetch(raw, **{"baseline": "healthy", **options})


# --- fetch ------------------------------------------------------------------------------------------------------------


def test_units(raw):
    assert folder.fetch(raw, baseline="healthy") == {
        "healthy/a.png": [raw / "healthy/a.png"],
        "healthy/b.tif": [raw / "healthy/b.tif"],
        "ill/a.png": [raw / "ill/a.png", raw / "masks/ill/a.tif"],
        "ill/c.jpg": [raw / "ill/c.jpg"],
    }


def test_the_masks_may_have_another_name_or_not_be(raw):
    (raw / "masks").rename(raw / "drawn")
    units = folder.fetch(raw, baseline="healthy", masks="drawn")
    assert units["ill/a.png"][1] == raw / "drawn/ill/a.tif"
    fails(raw, "drawn holds no image")  # a class, as far as one can tell
    (raw / "drawn" / "ill" / "a.tif").unlink()
    assert all(len(files) == 1 for files in folder.fetch(raw, baseline="healthy", masks="drawn").values())


@pytest.mark.parametrize(
    ("baseline", "message"), [("", "there is: healthy, ill"), ("helthy", "'helthy'; did you mean 'healthy'")]
)
def test_the_baseline_has_to_be_named(raw, baseline, message):
    fails(raw, message, baseline=baseline)


def test_an_empty_class(raw):
    (raw / "worse").mkdir()
    fails(raw, "worse holds no image .*it is empty")
    for name in ("one.txt", ".two.png"):
        (raw / "worse" / name).touch()
    fails(raw, r"worse holds no image .*passed over: 2 \(\.two\.png, one\.txt\)")


def test_no_image_is_left_out_in_silence(raw, capsys):
    (raw / "ill" / "notes.txt").touch()
    folder.fetch(raw, baseline="healthy")
    assert "ill: 1 files are no pictures and passed over, notes.txt" in capsys.readouterr().out
    put(raw / "ill" / "patient" / "d.png")
    fails(raw, "ill/patient/d.png lies deeper than the folder of its class, .*ill, and would be left out")


def test_classes_are_at_least_two(raw, tmp_path):
    fails(tmp_path / "nowhere", "nowhere has to be a folder.*there is: nothing")
    for file in (raw / "ill").iterdir():
        file.unlink()
    (raw / "ill").rmdir()
    fails(raw, "two or more classes; there is: healthy")


def test_the_folder_cannot_have_the_name_of_the_masks(raw):
    """Or prepare, which sees no more than paths, would take each image for a mask."""
    fails(raw, f"not named '{raw.name}'", masks=raw.name)


@pytest.mark.parametrize("orphan", ["masks/ill/b.png", "masks/il/a.png", "masks/a.png", "masks/ill/more/a.png"])
def test_a_mask_without_an_image(raw, orphan):
    put(raw / orphan)
    fails(raw, f"{orphan} is a mask without an image")


def test_which_mask_is_whose(raw):
    twin = put(raw / "ill" / "a.npy")
    fails(raw, "ill/a.npy, .*ill/a.png, .*masks/ill/a.tif: one mask")
    twin.unlink()
    put(raw / "masks" / "ill" / "a.png")
    fails(raw, "ill/a.png, .*masks/ill/a.png, .*masks/ill/a.tif: one mask")


@pytest.mark.parametrize("name", ["rgb.png", "rgb.tif", "rgb.npy", "rgb.jpg"])
def test_grey_and_rgb_have_to_be_reconciled(raw, name):
    put(raw / "ill" / name, np.dstack([GREY] * 3))
    fails(raw, f"(healthy|ill)/.* is grey but .*ill/{re.escape(name)} is RGB; set channels to 1 or 3")
    for channels in (1, 3):
        units = folder.fetch(raw, baseline="healthy", channels=channels)
        for files in units.values():
            part = folder.prepare(files, baseline="healthy", size=8, channels=channels)
            assert part.images.shape == (1, channels, 8, 8)


# --- prepare ----------------------------------------------------------------------------------------------------------


def prepare(raw, unit, **options):
    units = folder.fetch(raw, baseline="healthy", channels=1)
    return folder.prepare(units[unit], **{"baseline": "healthy", "size": 8, **options})


def test_what_is_known(raw):
    ill, healthy = prepare(raw, "ill/a.png"), prepare(raw, "healthy/a.png")
    content = ill.index["content"][0]
    shared = {"subject": content, "content": content}
    assert ill.index.to_dict("records") == [
        {**shared, "label": 1, "subtype": "ill", "has_truth": True, "name": "ill/a.png"}
    ]
    assert healthy.index.to_dict("records") == [  # the same pixels: the same subject
        {**shared, "label": 0, "subtype": "healthy", "has_truth": False, "name": "healthy/a.png"}
    ]
    assert ill.truth.shape == healthy.truth.shape == (1, 1, 8, 8)
    assert ill.truth.dtype == healthy.truth.dtype == np.uint8
    assert ill.truth.any()
    assert not healthy.truth.any()


@pytest.mark.parametrize(
    ("name", "subject"), [("p1__left.png", "p1"), ("p1__b__c.png", "p1"), ("p_1.png", None), ("__b.png", None)]
)
def test_the_subject(raw, name, subject):
    put(raw / "ill" / name)
    index = prepare(raw, f"ill/{name}").index
    assert index["subject"][0] == (subject or index["content"][0])


def test_scaling_by_the_image(raw):
    put(raw / "ill" / "ramp.npy", np.linspace(200, 300, 64).reshape(8, 8))
    image = prepare(raw, "ill/ramp.npy").images
    assert image.dtype == np.float32
    np.testing.assert_allclose(image.ravel(), np.linspace(-1, 1, 64), atol=1e-5)
    image = prepare(raw, "ill/ramp.npy", percentiles=(10.0, 90.0)).images
    np.testing.assert_allclose(image.ravel(), np.clip(np.linspace(-1.25, 1.25, 64), -1, 1), atol=1e-5)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32])
def test_scaling_by_the_type(raw, dtype):
    low, high = (0, 1) if dtype == np.float32 else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    put(raw / "ill" / "x.npy", np.full((8, 8), low + (high - low) * 0.2).astype(dtype))
    np.testing.assert_allclose(prepare(raw, "ill/x.npy", scale="type").images, -0.6, atol=0.005)


def test_scaling_that_cannot_be(raw):
    put(raw / "ill" / "flat.png", np.full((7, 9), 5, np.uint8))
    with pytest.raises(BadInput, match=r"ill/flat\.png has no contrast"):
        prepare(raw, "ill/flat.png")
    put(raw / "ill" / "large.npy", 40.0 * GREY)
    with pytest.raises(BadInput, match=r"ill/large\.npy holds floats from 0 to 2480, not 0 to 1; set scale to 'image'"):
        prepare(raw, "ill/large.npy", scale="type")
    for wrong in ((90.0, 10.0), (50.0, 50.0), (-1.0, 99.0), (0.0, 101.0)):
        with pytest.raises(BadInput, match="percentiles have to ascend"):
            prepare(raw, "ill/a.png", percentiles=wrong)
    with pytest.raises(BadInput, match=r"baseline has to name.*a\.png"):
        prepare(raw, "ill/a.png", baseline="")


def test_a_mask_covers_a_pixel_by_more_than_half(raw):
    put(raw / "ill" / "m.png", np.arange(128, dtype=np.uint8).reshape(8, 16))
    mask = np.zeros((8, 16), np.uint8)
    mask[0:2, 0:4] = 1  # all of the first pixel of 2 x 4
    mask[2:4, 4:7] = 7  # three quarters of the second
    mask[4:6, 8:10] = 255  # a half, no more, of the third
    put(raw / "masks" / "ill" / "m.png", mask)
    np.testing.assert_array_equal(prepare(raw, "ill/m.png", size=4).truth[0, 0], np.diag([1, 1, 0, 0]))
    larger = prepare(raw, "ill/m.png", size=16).truth[0, 0]
    np.testing.assert_array_equal(larger, np.repeat(mask > 0, 2, axis=0))


def test_a_mask_of_another_size(raw):
    put(raw / "masks" / "ill" / "a.tif", np.zeros((9, 7), np.uint8))
    with pytest.raises(
        BadInput, match=r"masks/ill/a\.tif is 7 wide and 9 high, but its image .*ill/a\.png is 9 wide and 7"
    ):
        prepare(raw, "ill/a.png")


def test_a_mask_that_jpeg_smeared(raw):
    spot = np.zeros((7, 9), np.uint8)
    spot[2:5, 3:6] = 255
    put(raw / "masks" / "ill" / "c.jpg", spot)
    with pytest.raises(BadInput, match=r"masks/ill/c\.jpg is smeared"):
        prepare(raw, "ill/c.jpg")


def test_images_that_do_not_decode(raw):
    hole = GREY.astype(float)
    hole[1, 1] = np.nan
    put(raw / "ill" / "hole.npy", hole)
    with pytest.raises(BadInput, match=r"ill/hole\.npy holds NaN"):
        prepare(raw, "ill/hole.npy")
    file = raw / "ill" / "c.jpg"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(BadInput, match=r"ill/c\.jpg cannot be decoded"):
        prepare(raw, "ill/c.jpg")


# --- the phantom ------------------------------------------------------------------------------------------------------


def test_the_phantom(tmp_path):
    units = folder.simulate(tmp_path, count=24, native=48, baseline="calm", masks="drawn")
    found = folder.fetch(tmp_path, baseline="calm", masks="drawn")
    assert found == units
    assert list(found) == list(units)
    parts = [folder.prepare(files, baseline="calm", masks="drawn", size=32) for files in units.values()]
    labels = np.array([part.index["label"][0] for part in parts])
    assert labels.sum() == 12
    subjects = [part.index["subject"][0] for part in parts]
    assert sorted(subjects) == sorted(f"p{n:05d}" for n in range(12) for _ in range(2))
    for part, files in zip(parts, units.values(), strict=True):
        assert part.images.shape == (1, 1, 32, 32)
        assert np.abs(part.images).max() <= 1
        assert part.index["has_truth"][0] == part.truth.any() == part.index["label"][0] == len(files) - 1
        assert read(files[0])[1] == (0, 65_535)
        if part.truth.any():
            assert part.images[part.truth > 0].mean() > part.images[part.truth == 0].mean() + 0.5


def test_the_phantom_is_a_function_of_seed_and_number(tmp_path):
    many, few = (folder.simulate(tmp_path / str(count), count=count, native=32) for count in (12, 8))
    assert len(few) == 8
    for unit, files in few.items():
        assert [file.read_bytes() for file in files] == [file.read_bytes() for file in many[unit]]
    assert not np.array_equal(folder.draw(0, False, 32, 42)[0], folder.draw(0, False, 32, 43)[0])
    for wrong in (
        {"count": 3},
        {"baseline": "diseased"},
        {"baseline": "masks"},
        {"baseline": ""},
        {"masks": "diseased"},
    ):
        with pytest.raises(BadInput, match="at least 4"):
            folder.simulate(tmp_path, **wrong)
