"""Tumour slices: the phantom in the Decathlon's files, what is refused, and real BraTS patients where there are."""

import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from evidence import io, volumes
from evidence.datasets import tumour
from evidence.errors import BadInput
from evidence.splits import chosen, published

NATIVE = (60, 60, 39)
SMALL = {"size": 56, "slices": 36, "least": 2}


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom")
    return folder, tumour.simulate(folder, subjects=3, native=NATIVE)


@pytest.fixture
def raw(phantom, tmp_path):
    """A copy to break."""
    return Path(shutil.copytree(phantom[0], tmp_path / "raw"))


def change(file, how):
    found = nibabel.load(file)
    nibabel.save(nibabel.Nifti1Image(how(np.asarray(found.dataobj)), found.affine), file)


# --- the files --------------------------------------------------------------------------------------------------------


def test_the_phantom_is_stored_as_the_real_ones(phantom):
    folder, units = phantom
    assert list(units) == ["BRATS_001", "BRATS_002", "BRATS_003"]
    assert tumour.fetch(folder) == units
    for image, label in units.values():
        volume, mask = nibabel.load(image), nibabel.load(label)
        assert volume.shape == (*NATIVE, 4)
        assert mask.shape == NATIVE
        np.testing.assert_allclose(volume.header.get_zooms()[:3], [4, 4, 155 / 39], rtol=1e-5)
        assert volume.get_data_dtype() == np.int16
        assert set(np.unique(mask.dataobj)) == {0, 1, 2, 3}
    assert json.loads((folder / "dataset.json").read_text())["modality"]["2"] == "T1gd"


def test_tumours_show_in_t1gd_and_oedema_in_flair(phantom):
    image, label = (np.asarray(nibabel.load(file).dataobj, float) for file in phantom[1]["BRATS_002"])
    brain = (label == 0) & (image[..., 2] > 0)
    flair, t1gd = image[..., 0], image[..., 2]
    assert t1gd[label == 3].mean() > 1.3 * t1gd[brain].mean() > 1.3 * t1gd[label == 2].mean()
    assert flair[label == 1].mean() > 1.2 * flair[brain].mean()


def test_a_patient_is_a_function_of_seed_and_number(phantom, tmp_path):
    one = tumour.simulate(tmp_path / "one", subjects=1, native=NATIVE)
    np.testing.assert_array_equal(
        nibabel.load(one["BRATS_001"][0]).dataobj, nibabel.load(phantom[1]["BRATS_001"][0]).dataobj
    )
    other = tumour.simulate(tmp_path / "other", subjects=1, native=NATIVE, seed=1)
    assert (np.asarray(nibabel.load(other["BRATS_001"][1]).dataobj) != nibabel.load(one["BRATS_001"][1]).dataobj).any()


def test_the_level_of_a_slice_does_not_tell_its_class(tmp_path):
    """Scaled by its brightest pixel, all tissue beside a tumour would be darker, if nothing else shone as much."""
    parts = [tumour.prepare(files, **SMALL) for files in tumour.simulate(tmp_path, subjects=16, native=NATIVE).values()]
    images = np.concatenate([part.images[:, 0] for part in parts])
    labels = np.concatenate([part.index["label"] for part in parts])
    brain = np.where(images > 0.05, images, np.nan)
    enough = np.isfinite(brain).mean((1, 2)) > 0.12
    levels = np.nanmedian(brain[enough], axis=(1, 2))
    assert 0.4 < roc_auc_score(labels[enough], levels) < 0.6


# --- slices -----------------------------------------------------------------------------------------------------------


def test_slices_are_scaled_each_by_itself_and_labelled_by_their_tumour(phantom):
    part = tumour.prepare(phantom[1]["BRATS_001"], **SMALL)
    assert part.images.shape[1:] == part.truth.shape[1:] == (1, 56, 56)
    assert part.images.dtype == np.float32
    np.testing.assert_array_equal(part.images.min((1, 2, 3)), 0)
    np.testing.assert_allclose(part.images.max((1, 2, 3)), 1)
    np.testing.assert_array_equal(part.index["label"], part.truth.sum((1, 2, 3)) >= 2)
    np.testing.assert_array_equal(part.index["has_truth"], part.index["label"] == 1)
    assert 0.1 < part.index["label"].mean() < 0.6
    assert (np.diff(part.index["slice"]) == 1).all()
    assert len(part.images) < 36, "slices without a head are left out"
    assert set(part.index["subject"]) == {"BRATS_001"}


def test_oedema_is_no_tumour_unless_it_is_said_to_be(phantom):
    without, with_oedema = (
        tumour.prepare(phantom[1]["BRATS_001"], **SMALL, tumour=labels).truth.sum() for labels in ((2, 3), (1, 2, 3))
    )
    assert with_oedema > 1.2 * without


def test_a_tumour_by_hand(raw):
    """A cube of 12 voxels, on a grid of the same size."""
    image, label = tumour.fetch(raw)["BRATS_001"]

    def cube(array):
        made = np.zeros_like(array)
        made[20:32, 30:42, 10:22] = 3
        return made

    change(label, cube)
    part = tumour.prepare([image, label], size=60, slices=39)
    first = part.index["slice"].iloc[0]
    assert part.index.loc[part.index["label"] == 1, "slice"].tolist() == list(range(10, 22))
    mask = part.truth[12 - first, 0]
    assert mask.sum() == 144
    assert mask[30:42, 20:32].all(), "rows are y, columns x"


def test_other_channels_are_other_images(phantom):
    found = [tumour.prepare(phantom[1]["BRATS_001"], **SMALL, channel=channel).images for channel in range(4)]
    assert all(not np.array_equal(found[2], each) for each in (found[0], found[1], found[3]))


def test_the_published_split_is_kept_where_it_is_there(raw):
    content = {
        "train_indexes": [["BRATS_001", 0]],
        "val_indexes": [["BRATS_002", 5]],
        "test_indexes": [["BRATS_003", 7]],
    }
    (raw / tumour.SPLIT).write_text(json.dumps(content))
    units = tumour.fetch(raw)
    found = [set(tumour.prepare(files, **SMALL).index["split"]) for files in units.values()]
    assert found == [{"train"}, {"validation"}, {"test"}]
    content["test_indexes"] = [["BRATS_009", 7]]
    (raw / tumour.SPLIT).write_text(json.dumps(content))
    with pytest.raises(BadInput, match="does not name the patient BRATS_003"):
        tumour.prepare(tumour.fetch(raw)["BRATS_003"], **SMALL)


def test_the_published_choice_of_slices_is_kept_with_or_without_the_split(raw):
    listed = {"train_indexes": [], "val_indexes": [], "test_indexes": [["BRATS_002", 12], ["BRATS_002", 14]]}
    (raw / tumour.EXPLAINED).write_text(json.dumps(listed))
    for _ in range(2):
        units = tumour.fetch(raw)
        first, second = (tumour.prepare(units[name], **SMALL).index for name in ("BRATS_001", "BRATS_002"))
        assert not first["listed"].any()
        assert second.query("listed")["slice"].tolist() == [12, 14], "numbers count the slices of the whole volume"
        splits = {key: [["BRATS_002", 12], ["BRATS_001", 1]] if key == "test_indexes" else [] for key in listed}
        (raw / tumour.SPLIT).write_text(json.dumps(splits))
    (raw / tumour.EXPLAINED).write_text("{}")
    with pytest.raises(BadInput, match=f"{tumour.EXPLAINED} lacks 'train_indexes'"):
        tumour.prepare(tumour.fetch(raw)["BRATS_002"], **SMALL)


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_three_channels_are_refused(raw):
    image, label = tumour.fetch(raw)["BRATS_001"]
    change(image, lambda array: array[..., :3])
    with pytest.raises(BadInput, match=r"BRATS_001.nii.gz is 60×60×39×3, not x×y×z×4: the channels FLAIR, T1w, T1gd"):
        tumour.prepare([image, label])


def test_a_label_outside_the_set_is_refused(raw):
    image, label = tumour.fetch(raw)["BRATS_001"]
    change(label, lambda array: np.where(array == 3, 4, array))
    with pytest.raises(BadInput, match=r"BRATS_001.nii.gz: the labels \[4.0\] are none of \[0, 1, 2, 3\]"):
        tumour.prepare([image, label])


def test_labels_of_another_shape_are_refused(raw):
    image, label = tumour.fetch(raw)["BRATS_001"]
    change(label, lambda array: array[1:])
    with pytest.raises(BadInput, match="differ in shape, 60×60×39 and 59×60×39"):
        tumour.prepare([image, label])


def test_an_empty_channel_is_refused(raw):
    image, label = tumour.fetch(raw)["BRATS_001"]
    change(image, np.zeros_like)
    with pytest.raises(BadInput, match="channel 2 is empty"):
        tumour.prepare([image, label])


def test_a_channel_that_is_not_there_is_refused(phantom):
    with pytest.raises(BadInput, match="channel: 4 is none of 0 to 3"):
        tumour.prepare(phantom[1]["BRATS_001"], channel=4)


@pytest.mark.parametrize("name", ["imagesTr/BRATS_002.nii.gz", "labelsTr/BRATS_002.nii.gz"])
def test_what_is_missing_is_named(raw, name):
    (raw / name).unlink()
    if name.startswith("labels"):
        with pytest.raises(BadInput, match=r"BRATS_002.nii.gz has no .*labelsTr"):
            tumour.fetch(raw)
    else:
        assert list(tumour.fetch(raw)) == ["BRATS_001", "BRATS_003"]


def test_a_patient_in_two_splits_is_refused_at_once(raw):
    content = {"train_indexes": [["BRATS_001", 0]], "val_indexes": [["BRATS_001", 5]], "test_indexes": []}
    (raw / tumour.SPLIT).write_text(json.dumps(content))
    with pytest.raises(BadInput, match="the patient BRATS_001 is in two splits, train and validation"):
        tumour.fetch(raw)
    (raw / tumour.SPLIT).write_text("{}")
    with pytest.raises(BadInput, match="lacks 'train_indexes'"):
        tumour.fetch(raw)


def test_a_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(BadInput, match="holds neither imagesTr/ and labelsTr/ nor patients"):
        tumour.fetch(tmp_path)
    (tmp_path / "A").mkdir()
    (tmp_path / "A" / "A_t1ce.nii.gz").touch()
    with pytest.raises(BadInput, match="has no segmentation A_seg.nii.gz"):
        tumour.fetch(tmp_path)


# --- the real ones ----------------------------------------------------------------------------------------------------


def test_the_published_split_has_the_published_counts(real_data):
    splits = published(real_data / "charachon2021_splits" / tumour.SPLIT, "patient")
    counts = {split: sum(found == split for found in splits.values()) for split in ("train", "validation", "test")}
    assert counts == {"train": 363, "validation": 48, "test": 73}
    explained = chosen(real_data / "charachon2021_splits" / tumour.EXPLAINED)
    assert sum(map(len, explained.values())) == 1000
    assert {splits[patient] for patient in explained} == {"test"}


def test_real_brats_patients_are_taken(real_data):
    units = tumour.fetch(real_data / "brats2018_sample")
    assert len(units) == 20
    part = tumour.prepare(units["Brats18_2013_3_1"])
    assert part.images.shape[1:] == (1, 224, 224)
    assert set(part.index["subject"]) == {"Brats18_2013_3_1"}
    # BraTS' 1 and 4 are tumour, 2 is oedema: counted in the stored segmentation, per slice of 1 mm
    stored = volumes.read(units["Brats18_2013_3_1"][1])
    areas = np.isin(stored, (1, 4)).sum((1, 2)) * (14 / 15) ** 2
    centres = (part.index["slice"] + 0.5) * 155 / 145
    expected = np.interp(centres, np.arange(155) + 0.5, areas)
    np.testing.assert_allclose(part.truth.sum((1, 2, 3)), expected, atol=0.15 * areas.max())
    assert 30 < part.index["label"].sum() < 85


def test_manifests_hold_what_prepare_reads(phantom, tmp_path):
    folder, units = phantom
    io.save_manifest(tmp_path / "manifest.csv", folder, units)
    manifest = io.load_manifest(tmp_path / "manifest.csv")
    assert io.checked(folder, manifest, "BRATS_002") == units["BRATS_002"]
