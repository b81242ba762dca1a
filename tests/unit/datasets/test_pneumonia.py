"""Chest X-rays: the phantom in the challenge's files, what is refused, and real ones where there are some."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest
from PIL import Image

from evidence import images
from evidence.datasets import pneumonia
from evidence.errors import BadInput
from evidence.splits import KEYS, published

NATIVE, COUNT = 64, 20


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom")
    return folder, pneumonia.simulate(folder, count=COUNT, native=NATIVE)


@pytest.fixture
def raw(phantom, tmp_path):
    """A copy to break."""
    return Path(shutil.copytree(phantom[0], tmp_path / "raw"))


def dicoms(folder):
    return sorted((folder / pneumonia.FOLDER).glob("*.dcm"))


def ill(folder):
    """An image with boxes."""
    table = pd.read_csv(folder / pneumonia.BOXES)
    return table.loc[table["Target"] == 1, "patientId"].iloc[0]


# --- the files --------------------------------------------------------------------------------------------------------


def test_the_phantom_is_stored_as_the_real_ones(phantom):
    folder, units = phantom
    assert pneumonia.fetch(folder) == units
    assert len(dicoms(folder)) == COUNT
    data = pydicom.dcmread(dicoms(folder)[0])
    assert data.file_meta.TransferSyntaxUID.name == "JPEG Baseline (Process 1)"
    assert (data.Modality, data.BitsStored, data.PhotometricInterpretation) == ("CR", 8, "MONOCHROME2")
    assert data.pixel_array.shape == (NATIVE, NATIVE)
    boxes, classes = (pd.read_csv(folder / name) for name in (pneumonia.BOXES, pneumonia.CLASSES))
    assert list(boxes) == ["patientId", "x", "y", "width", "height", "Target"]
    assert list(classes) == ["patientId", "class"]
    assert classes.drop_duplicates("patientId")["class"].value_counts().to_dict() == {
        "Normal": 10,
        "Lung Opacity": 6,
        "No Lung Opacity / Not Normal": 4,
    }
    assert boxes["x"].notna().equals(boxes["Target"] == 1)


def test_what_is_neither_is_left_out(phantom):
    part = pneumonia.prepare(phantom[1]["000"], size=32)
    assert part.index["label"].value_counts().to_dict() == {0: 10, 1: 6}
    assert part.index["subject"].is_unique


def test_images_are_scaled_each_by_itself(phantom):
    part = pneumonia.prepare(phantom[1]["000"], size=32)
    assert part.images.shape == part.truth.shape == (16, 1, 32, 32)
    np.testing.assert_array_equal(part.images.min((1, 2, 3)), 0)
    np.testing.assert_allclose(part.images.max((1, 2, 3)), 1)
    assert set(part.index["view"]) == {"AP", "PA"}
    np.testing.assert_array_equal(part.truth.any((1, 2, 3)), part.index["label"] == 1)
    assert (part.index["has_truth"] == (part.index["label"] == 1)).all()


def test_boxes_become_the_union_of_their_pixels(raw):
    name = ill(raw)
    table = pd.read_csv(raw / pneumonia.BOXES)
    table = table[table["patientId"] != name]
    rows = [{"patientId": name, "x": 8.0, "y": 16.0, "width": 16.0, "height": 8.0, "Target": 1}]
    rows.append({"patientId": name, "x": 21.0, "y": 17.0, "width": 10.0, "height": 20.0, "Target": 1})
    pd.concat([table, pd.DataFrame(rows)]).to_csv(raw / pneumonia.BOXES, index=False)
    part = pneumonia.prepare(pneumonia.fetch(raw)["000"], size=32)
    mask = part.truth[part.index["name"] == name][0, 0]
    expected = np.zeros((32, 32), np.uint8)
    expected[8:12, 4:12] = 1
    expected[8:18, 10:15] = 1  # 8.5 to 18.5 and 10.5 to 15.5, cut to whole pixels
    np.testing.assert_array_equal(mask, expected)


def test_opacities_are_brighter_than_the_lung_without(phantom):
    part = pneumonia.prepare(phantom[1]["000"], size=64)
    mean_chest = part.images[(part.index["label"] == 0).to_numpy()].mean(0)
    brighter = [
        (part.images[row] - mean_chest)[part.truth[row] > 0].mean() for row in np.flatnonzero(part.index["label"])
    ]
    assert np.mean(brighter) > 0.05


def test_png_copies_are_taken_and_negatives_turned(raw):
    units = pneumonia.fetch(raw)
    before = pneumonia.prepare(units["000"], size=32)
    for file in dicoms(raw)[:10]:
        Image.fromarray(pydicom.dcmread(file).pixel_array).save(file.with_suffix(".png"))
        file.unlink()
    for file in dicoms(raw):
        data = pydicom.dcmread(file)
        data.decompress()
        data.PhotometricInterpretation = "MONOCHROME1"
        data.PixelData = (255 - data.pixel_array).tobytes()
        data.save_as(file)
    after = pneumonia.prepare(pneumonia.fetch(raw)["000"], size=32)
    np.testing.assert_allclose(after.images, before.images, atol=1e-6)
    assert set(after.index["view"]) == {"", "AP", "PA"}


def test_many_images_go_in_units_with_the_tables(phantom, monkeypatch):
    monkeypatch.setattr(pneumonia, "TOGETHER", 7)
    units = pneumonia.fetch(phantom[0])
    assert list(units) == ["000", "001", "002"]
    assert sum(len(pneumonia.prepare(files, size=16).images) for files in units.values()) == 16


def test_the_published_split_and_the_patients_of_the_nih_are_kept(raw):
    names = [file.stem for file in dicoms(raw)]
    parts = (names[:12], names[12:16], names[16:])
    content = {key: [[name, 0] for name in part] for key, part in zip(KEYS, parts, strict=True)}
    (raw / pneumonia.SPLIT).write_text(json.dumps(content))
    mapping = pd.DataFrame({"nih_image": [f"{i // 2:08d}_{i:03d}.png" for i in range(COUNT)], "patientId": names})
    mapping.to_csv(raw / pneumonia.PATIENTS, index=False)
    index = pneumonia.prepare(pneumonia.fetch(raw)["000"], size=16).index
    assert index["subject"].equals(index["name"]), "the published split is of images"
    for name, patient, split in zip(index["name"], index["patient"], index["split"], strict=True):
        assert patient == f"{names.index(name) // 2:08d}"
        assert split == ("train", "train", "train", "validation", "test")[names.index(name) // 4]
    content["test_indexes"] = content["test_indexes"][1:]
    (raw / pneumonia.SPLIT).write_text(json.dumps(content))
    if names[16] in set(index["name"]):
        with pytest.raises(BadInput, match=f"does not name the image {names[16]}"):
            pneumonia.prepare(pneumonia.fetch(raw)["000"], size=16)


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [pneumonia.FOLDER, pneumonia.BOXES, pneumonia.CLASSES])
def test_what_is_missing_is_named_with_what_to_do(raw, name):
    shutil.rmtree(raw / name) if name == pneumonia.FOLDER else (raw / name).unlink()
    with pytest.raises(BadInput, match=f"lacks {re.escape(name)}. To get them: download stage 2 of .*account"):
        pneumonia.fetch(raw)


def kept(raw):
    return next(file for file in pneumonia.fetch(raw)["000"] if file.suffix == ".dcm")


def test_a_dicom_without_pixels_is_named(raw):
    file = kept(raw)
    data = pydicom.dcmread(file)
    del data.PixelData
    data.save_as(file)
    with pytest.raises(BadInput, match=f"{file.name} is a DICOM without pixel data"):
        pneumonia.prepare(pneumonia.fetch(raw)["000"])


@pytest.mark.filterwarnings("ignore:End of file reached")  # pydicom says it too, and goes on
@pytest.mark.parametrize(("size", "says"), [(0, "cannot be read as DICOM"), (900, "cannot be")])
def test_a_torn_dicom_is_named(raw, size, says):
    file = kept(raw)
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(BadInput, match=f"{file.name}.* {says}|{file.name} is a DICOM without"):
        pneumonia.prepare(pneumonia.fetch(raw)["000"])


@pytest.mark.parametrize("box", [(60, 10, 10, 5), (-1, 10, 10, 5), (10, 10, 0, 5), (10, 60, 4, 9)])
def test_a_box_outside_of_the_image_is_refused(raw, box):
    name = ill(raw)
    table = pd.read_csv(raw / pneumonia.BOXES)
    row = table.index[table["patientId"] == name][0]
    table.loc[row, ["x", "y", "width", "height"]] = [float(side) for side in box]
    table.to_csv(raw / pneumonia.BOXES, index=False)
    with pytest.raises(BadInput, match=f"{name}.dcm: the box at .* leaves the image of 64×64"):
        pneumonia.prepare(pneumonia.fetch(raw)["000"])


def test_an_opacity_without_a_box_is_refused(raw):
    name = ill(raw)
    table = pd.read_csv(raw / pneumonia.BOXES)
    table[table["patientId"] != name].to_csv(raw / pneumonia.BOXES, index=False)
    with pytest.raises(BadInput, match=f"{name} is of class Lung Opacity and has no box"):
        pneumonia.prepare(pneumonia.fetch(raw)["000"])


def test_a_missing_label_and_an_unknown_class_are_refused(raw):
    table = pd.read_csv(raw / pneumonia.CLASSES)
    name = table["patientId"].iloc[0]
    table[table["patientId"] != name].to_csv(raw / pneumonia.CLASSES, index=False)
    with pytest.raises(BadInput, match=f"does not name 1 images, {name} among them"):
        pneumonia.fetch(raw)
    table.assign(**{"class": "Normall"}).to_csv(raw / pneumonia.CLASSES, index=False)
    with pytest.raises(BadInput, match=r"the classes \['Normall'\] are none of"):
        pneumonia.fetch(raw)
    table[["patientId"]].to_csv(raw / pneumonia.CLASSES, index=False)
    with pytest.raises(BadInput, match="lacks the columns class; it has patientId"):
        pneumonia.fetch(raw)


def test_an_image_in_two_splits_is_refused(raw):
    (raw / pneumonia.SPLIT).write_text(json.dumps({key: [["a", 0]] for key in KEYS}))
    with pytest.raises(BadInput, match="the image a is in two splits, train and validation"):
        pneumonia.fetch(raw)


# --- the real ones ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(real_data, tmp_path_factory):
    """The real X-rays, which are PNG under their names at the NIH, laid out as the challenge does."""
    source, folder = real_data / "rsna_nih_pneumonia", tmp_path_factory.mktemp("real")
    mapping = pd.read_csv(source / "rsna_nih_mapping.csv")
    (folder / pneumonia.FOLDER).mkdir()
    for image, patient in zip(mapping["nih_image"], mapping["patientId"], strict=True):
        (folder / pneumonia.FOLDER / f"{patient}.png").symlink_to(source / "nih_png" / image)
    mapping[["patientId", "class"]].to_csv(folder / pneumonia.CLASSES, index=False)
    pd.read_csv(source / "stage_2_train_labels.csv.zip").to_csv(folder / pneumonia.BOXES, index=False)
    shutil.copy(source / "rsna_nih_mapping.csv", folder / pneumonia.PATIENTS)
    return folder


def test_real_x_rays_are_taken(real):
    part = pneumonia.prepare(pneumonia.fetch(real)["000"])
    assert part.images.shape == (48, 1, 224, 224)
    assert part.index["label"].sum() == 24
    assert part.index["subject"].nunique() == 48
    assert 0.02 < part.truth[(part.index["label"] == 1).to_numpy()].mean() < 0.25  # 0.116 over all of the test split


def test_a_real_dicom_is_read(real_data):
    (file,) = (real_data / "rsna_nih_pneumonia" / "dicom_example").glob("*.dcm")
    pixels, view = pneumonia._read(file)
    assert pixels.shape == (1, 1024, 1024)
    assert view == "PA"
    assert images.resize(pixels, 224).shape == (1, 224, 224)


def test_the_published_split_has_the_published_counts(real_data):
    splits = published(real_data / "charachon2021_splits" / pneumonia.SPLIT, "image")
    counts = {split: sum(found == split for found in splits.values()) for split in ("train", "validation", "test")}
    assert counts == {"train": 11_917, "validation": 1_495, "test": 1_451}
