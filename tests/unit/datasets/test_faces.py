"""Small faces: the phantom in the folders of SMILEsmileD, what is refused, and some of the real ones."""

import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from evidence import cohort
from evidence.datasets import faces
from evidence.errors import BadInput
from evidence.images import digest, read

COUNT, NATIVE = 20, 48


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom")
    return folder, faces.simulate(folder, count=COUNT, native=NATIVE)


@pytest.fixture
def raw(phantom, tmp_path):
    """A copy to break."""
    return Path(shutil.copytree(phantom[0], tmp_path / "raw"))


# --- simulate and fetch -----------------------------------------------------------------------------------------------


def test_fetch_finds_what_simulate_wrote(phantom):
    folder, units = phantom
    assert faces.fetch(folder) == units
    assert all(folder / "SMILEs" / unit == file for unit, (file,) in units.items())
    assert Counter(unit.rpartition("/")[0] for unit in units) == {
        "negatives/negatives7": COUNT // 2,
        "positives/positives7": COUNT // 2,
    }


def test_the_phantom_is_stored_as_the_real_ones(phantom):
    for (file,) in phantom[1].values():
        with Image.open(file) as picture:
            assert (picture.format, picture.mode, picture.size) == ("JPEG", "L", (NATIVE, NATIVE))


def test_an_image_is_a_function_of_seed_and_number(phantom, tmp_path):
    for unit, (file,) in faces.simulate(tmp_path, count=6, native=NATIVE).items():
        assert file.read_bytes() == phantom[1][unit][0].read_bytes()
    assert not np.array_equal(*(faces.draw(1, 32, seed, smiling=True) for seed in (42, 43)))


def test_the_level_of_an_image_does_not_tell_its_class():
    images = np.stack([faces.draw(number, 32, 42, smiling=number % 2 == 1) for number in range(200)])
    for level in (np.median, np.mean, np.std, np.max):
        assert 0.35 < roc_auc_score(np.arange(200) % 2, level(images, (1, 2))) < 0.65


def test_too_few(tmp_path):
    with pytest.raises(BadInput, match="at least 2"):
        faces.simulate(tmp_path, count=1)


# --- where they are found ---------------------------------------------------------------------------------------------


def test_fetch_looks_two_folders_below(raw, tmp_path):
    assert list(faces.fetch(tmp_path)) == list(faces.fetch(raw)) == list(faces.fetch(raw / "SMILEs"))


def test_fetch_wants_one_dataset(raw, tmp_path):
    shutil.copytree(raw, tmp_path / "other")
    with pytest.raises(BadInput, match=r"other/SMILEs and .*raw/SMILEs: which one\?"):
        faces.fetch(tmp_path)


def test_fetch_says_where_to_get_them(raw, tmp_path):
    shutil.rmtree(raw / "SMILEs" / "negatives")
    with pytest.raises(BadInput, match=r"raw does not hold positives/ and negatives/.*git clone .*hromi/SMILEsmileD"):
        faces.fetch(raw)


def test_an_empty_class(raw):
    for file in (raw / "SMILEs" / "positives").rglob("*.jpg"):
        file.rename(file.with_suffix(".txt"))
    with pytest.raises(BadInput, match="positives holds no image, nor do the folders in it"):
        faces.fetch(raw)


# --- prepare ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("unit", "label"), [("negatives/negatives7/4.jpg", 0), ("positives/positives7/5.jpg", 1)])
def test_prepared(phantom, unit, label):
    files = phantom[1][unit]
    part = faces.prepare(files, size=24)
    assert part.images.shape == (1, 1, 24, 24)
    assert part.images.dtype == np.float32
    assert part.truth is None
    same = digest(*read(files[0]))
    name = f"{unit.split('/')[0]}/{files[0].name}"
    assert part.index.to_dict("records") == [{"subject": same, "content": same, "label": label, "name": name}]
    colour = faces.prepare(files, size=24, channels=3).images
    np.testing.assert_array_equal(colour, np.repeat(part.images, 3, axis=1))


def test_the_nearest_folder_tells_the_class(tmp_path):
    file = tmp_path / "positives" / "SMILEs" / "negatives" / "a.png"
    file.parent.mkdir(parents=True)
    Image.fromarray(np.repeat(np.array([0, 51, 255, 255], np.uint8)[:, None], 4, axis=1)).save(file)
    part = faces.prepare([file], size=4)
    assert part.index["label"].item() == 0
    np.testing.assert_allclose(part.images[0, 0, :, 0], [-1, -0.6, 1, 1], atol=1e-6)


def test_a_face_that_comes_twice_is_one_and_with_two_labels_an_error(raw):
    calm = raw / "SMILEs" / "negatives" / "negatives7"
    shutil.copy(calm / "4.jpg", calm / "4 again.jpg")
    index = pd.concat(
        [faces.prepare(files, size=8).index.assign(unit=unit) for unit, files in faces.fetch(raw).items()]
    )
    kept = cohort.without_duplicates(index.reset_index(drop=True))
    assert len(kept) == COUNT
    assert kept.loc[kept["copies"] == 2, "name"].tolist() == ["negatives/4 again.jpg"]
    shutil.copy(calm / "4.jpg", raw / "SMILEs" / "positives" / "odd.jpg")
    index = pd.concat(
        [faces.prepare(files, size=8).index.assign(unit=unit) for unit, files in faces.fetch(raw).items()]
    )
    with pytest.raises(BadInput, match="negatives/4 again.jpg and positives/odd.jpg are the same image with different"):
        cohort.without_duplicates(index.reset_index(drop=True))


def test_a_truncated_jpeg(raw):
    file = raw / "SMILEs" / "positives" / "positives7" / "5.jpg"
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(BadInput, match=re.escape(file.name) + ".*truncated"):
        faces.prepare(faces.fetch(raw)["positives/positives7/5.jpg"])


# --- the real ones ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(real_data):
    return faces.fetch(real_data / "smiles_faces")


def test_all_real_images_are_listed_and_none_comes_twice(real):
    assert Counter(unit.split("/")[0] for unit in real) == {"negatives": 500, "positives": 500}
    index = pd.concat([faces.prepare(files, size=8).index for files in real.values()])
    assert index["label"].value_counts().to_dict() == {0: 500, 1: 500}
    assert index["subject"].is_unique


def test_real_images_keep_their_pixels(real):
    for files in list(real.values())[::250]:
        theirs = np.asarray(Image.open(files[0]), np.float32) / 255 * 2 - 1
        np.testing.assert_allclose(faces.prepare(files).images[0, 0], theirs, atol=1e-6)
