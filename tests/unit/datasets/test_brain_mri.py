"""Brain slices: the phantom in the real folders and, where EVIDENCE_TEST_DATA names them, some of the real ones."""

import re
import shutil
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evidence.datasets import brain_mri
from evidence.errors import BadInput
from evidence.images import digest, read

COUNT, NATIVE = 60, 64


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom")
    return folder, brain_mri.simulate(folder, count=COUNT, native=NATIVE)


@pytest.fixture
def raw(phantom, tmp_path):
    """A copy to break."""
    return Path(shutil.copytree(phantom[0], tmp_path / "raw"))


# --- simulate and fetch -----------------------------------------------------------------------------------------------


def test_fetch_finds_what_simulate_wrote(phantom):
    folder, units = phantom
    found = brain_mri.fetch(folder)
    assert found == units
    assert list(found) == list(units) == sorted(units)
    assert all(folder / unit == file for unit, (file,) in found.items())


def test_the_classes(phantom):
    assert Counter(tuple(unit.split("/")[:2]) for unit in phantom[1]) == {
        (official, f"{kind}_tumor"): count * (3 if kind == "no" else 1)
        for official, count in (("Training", 8), ("Testing", 2))
        for kind in ("no", "glioma", "meningioma", "pituitary")
    }


def test_the_phantom_is_stored_as_the_real_ones(phantom):
    for (file,) in phantom[1].values():
        with Image.open(file) as picture:
            assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", (NATIVE, NATIVE))
        image, limits = read(file)
        assert limits == (0, 255)
        assert (image == image[:1]).all()


def test_duplicates_span_training_and_testing_but_no_classes(phantom):
    groups = defaultdict(list)
    for unit, (file,) in phantom[1].items():
        groups[digest(*read(file))].append(unit)
    twice = sorted(units for units in groups.values() if len(units) > 1)
    assert twice == [
        ["Testing/no_tumor/image(00028).jpg", "Training/no_tumor/image(00016).jpg"],
        ["Testing/no_tumor/image(00058).jpg", "Training/no_tumor/image(00046).jpg"],
        ["Training/glioma_tumor/image(00013).jpg", "Training/glioma_tumor/image(00019).jpg"],
    ]
    assert all(len({(phantom[0] / unit).read_bytes() for unit in units}) == 1 for units in twice)


def test_an_image_is_a_function_of_seed_and_number(phantom, tmp_path):
    for unit, (file,) in brain_mri.simulate(tmp_path / "fewer", count=30, native=NATIVE).items():
        assert file.read_bytes() == (phantom[0] / unit).read_bytes()
    assert not np.array_equal(brain_mri.draw(1, "glioma", 32, 42), brain_mri.draw(1, "glioma", 32, 43))


@pytest.mark.parametrize("subtype", ["glioma", "meningioma", "pituitary"])
def test_a_tumour_is_all_that_differs(subtype):
    """It is where its kind grows, it is bright, and the rest of the head is the same to the last bit."""
    row, column = np.indices((NATIVE, NATIVE))
    for number in range(20):
        healthy, ill = (brain_mri.draw(number, which, NATIVE, 42).astype(float) for which in ("", subtype))
        change = np.abs(ill - healthy) > 20
        assert 0.003 < change.mean() < 0.15
        assert (ill == healthy).mean() > 0.75
        assert ill[change].max() > healthy[change].max()
        if subtype == "pituitary":
            assert abs(column[change].mean() - 31.5) < 10
            assert row[change].mean() > 40


def test_too_few(tmp_path):
    with pytest.raises(BadInput, match="at least 30"):
        brain_mri.simulate(tmp_path, count=29)


def test_fetch_looks_one_folder_below(raw, tmp_path):
    units = brain_mri.fetch(tmp_path)  # which holds raw, as an unpacked archive would
    assert list(units) == list(brain_mri.fetch(raw))
    assert all(files[0].is_relative_to(tmp_path) for files in units.values())


def test_fetch_wants_one_dataset(raw, tmp_path):
    shutil.copytree(raw, tmp_path / "other")
    with pytest.raises(BadInput, match=r"just one folder in it \(.*other, .*raw\)"):
        brain_mri.fetch(tmp_path)


def test_fetch_says_where_to_get_them(tmp_path):
    with pytest.raises(BadInput, match=r"nowhere does not hold .*github\.com/SartajBhuvaji") as caught:
        brain_mri.fetch(tmp_path / "nowhere")
    assert "point the dataset at the folder that holds Training/ and Testing/" in str(caught.value)
    (tmp_path / "Trainning").mkdir()
    with pytest.raises(BadInput, match="did you mean 'Trainning'"):
        brain_mri.fetch(tmp_path)


def test_a_missing_class(raw):
    (raw / "Testing" / "no_tumor").rename(raw / "Testing" / "notumor")
    with pytest.raises(BadInput, match=r"Testing/no_tumor is missing; did you mean 'notumor'"):
        brain_mri.fetch(raw)


def test_an_empty_class(raw):
    folder = raw / "Training" / "pituitary_tumor"
    for file in folder.iterdir():
        file.rename(file.with_suffix(".txt"))
    with pytest.raises(BadInput, match=r"Training/pituitary_tumor holds no image .*: 8 \(image\(00005\)\.txt"):
        brain_mri.fetch(raw)


# --- prepare ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "label", "subtype"),
    [
        ("Training/no_tumor/image(00000).jpg", 0, ""),
        ("Training/glioma_tumor/image(00001).jpg", 1, "glioma"),
        ("Testing/pituitary_tumor/image(00029).jpg", 1, "pituitary"),
    ],
)
def test_prepared(phantom, unit, label, subtype):
    files = phantom[1][unit]
    part = brain_mri.prepare(files, size=16)
    assert part.images.shape == (1, 1, 16, 16)
    assert part.images.dtype == np.float32
    assert part.truth is None
    same = digest(*read(files[0]))
    assert part.index.to_dict("records") == [
        {
            "subject": same,
            "content": same,
            "label": label,
            "subtype": subtype,
            "official": unit.split("/")[0],
            "name": unit,
        }
    ]
    colour = brain_mri.prepare(files, size=16, channels=3).images
    assert colour.shape == (1, 3, 16, 16)
    np.testing.assert_array_equal(colour, np.repeat(part.images, 3, axis=1))


def test_bytes_become_minus_one_to_one(tmp_path):
    file = tmp_path / "Training" / "no_tumor" / "a.png"
    file.parent.mkdir(parents=True)
    Image.fromarray(np.repeat(np.array([0, 51, 255, 255], np.uint8)[:, None], 4, axis=1)).save(file)
    part = brain_mri.prepare([file], size=4)
    np.testing.assert_allclose(part.images[0, 0, :, 0], [-1, -0.6, 1, 1], atol=1e-6)
    np.testing.assert_allclose(brain_mri.prepare([file], size=1).images, (0 + 51 + 255 + 255) / 510 - 1, atol=0.2)


def test_a_truncated_jpeg(raw):
    file = raw / "Training" / "no_tumor" / "image(00000).jpg"
    file.write_bytes(file.read_bytes()[:700])
    with pytest.raises(BadInput, match=re.escape(file.name) + ".*truncated"):
        brain_mri.prepare(brain_mri.fetch(raw)["Training/no_tumor/image(00000).jpg"])


# --- the real ones ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(real_data):
    return brain_mri.fetch(real_data / "brain_tumor_mri")


def test_all_real_images_are_listed(real):
    assert len(real) == 1040
    assert Counter(unit.split("/")[1] for unit in real) == {
        "no_tumor": 500,
        "glioma_tumor": 180,
        "meningioma_tumor": 180,
        "pituitary_tumor": 180,
    }


def test_real_duplicates_are_found_by_their_pixels(real):
    """881 different files hold 845 different images: 36 are the same pixels in another coding."""
    labels = defaultdict(set)
    for unit, (file,) in real.items():
        labels[digest(*read(file))].add("no_tumor" in unit)
    assert len({file.read_bytes() for (file,) in real.values()}) == 881
    assert len(labels) == 845
    assert all(len(found) == 1 for found in labels.values())


def test_real_images_are_prepared_as_medxgan_does(real):
    """PIL's resizing of the bytes, which rounds to whole numbers along each axis, then 2x - 1."""
    for files in list(real.values())[::130]:
        image = brain_mri.prepare(files, channels=3).images[0]
        theirs = np.asarray(Image.open(files[0]).resize((64, 64), Image.Resampling.BILINEAR), np.float32) / 255 * 2 - 1
        np.testing.assert_allclose(image, np.moveaxis(theirs, -1, 0), atol=1.01 * 2 / 255)
        assert -1 <= image.min() < -0.5  # the air
        assert -0.5 < image.max() <= 1
