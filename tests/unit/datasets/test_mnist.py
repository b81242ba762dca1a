"""Digits: the phantom in the four original files, what is refused, and the real ones where there are some."""

import gzip
import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest

from evidence import cohort
from evidence.datasets import mnist
from evidence.errors import BadInput

COUNT, TESTED = 120, 50
TRAIN, T10K = (
    [Path(f"{name}-{part}.gz") for part in ("images-idx3-ubyte", "labels-idx1-ubyte")] for name in ("train", "t10k")
)


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom")
    return folder, mnist.simulate(folder, count=COUNT, test_count=TESTED)


@pytest.fixture
def raw(phantom, tmp_path):
    """A copy to break."""
    return Path(shutil.copytree(phantom[0], tmp_path / "raw"))


def rewrite(file, change):
    """The file with other bytes in it, packed as before."""
    file.write_bytes(gzip.compress(change(gzip.decompress(file.read_bytes()))))


def written(file, magic, array):
    """An idx file, by its definition: the magic number and each length in four bytes, then the array."""
    head = b"".join(number.to_bytes(4, "big") for number in (magic, *array.shape))
    file.write_bytes(head + array.astype(np.uint8).tobytes())


# --- simulate and fetch -----------------------------------------------------------------------------------------------


def test_fetch_finds_what_simulate_wrote(phantom):
    folder, units = phantom
    assert mnist.fetch(folder) == units
    assert units == {"train": [folder / file for file in TRAIN], "t10k": [folder / file for file in T10K]}


def test_the_phantom_is_stored_as_the_real_ones(phantom):
    folder, _ = phantom
    images, labels = (gzip.decompress((folder / file).read_bytes()) for file in TRAIN)
    assert images[:16] == bytes([0, 0, 8, 3, 0, 0, 0, COUNT, 0, 0, 0, 28, 0, 0, 0, 28])
    assert labels[:8] == bytes([0, 0, 8, 1, 0, 0, 0, COUNT])
    assert (len(images), len(labels)) == (16 + COUNT * 28 * 28, 8 + COUNT)
    pixels = np.frombuffer(images[16:], np.uint8).reshape(-1, 28, 28)
    assert (pixels.max((1, 2)) > 128).all()
    assert (pixels[:, [0, -1]] == 0).all(), "the border is black"
    ink = pixels.mean(0) / pixels.mean()
    assert ink[4:24, 4:24].mean() > 20 * ink[:4].mean()


def test_digits_come_equally_often(phantom):
    for files, count in zip(phantom[1].values(), (COUNT, TESTED), strict=True):
        np.testing.assert_array_equal(mnist.prepare(files).index["label"].value_counts(), count // 10)


def test_an_image_is_a_function_of_seed_and_number(phantom, tmp_path):
    fewer = mnist.simulate(tmp_path / "fewer", count=30, test_count=20)
    for name, count in (("train", 30), ("t10k", 20)):
        few, many = (mnist.prepare(units[name]) for units in (fewer, phantom[1]))
        np.testing.assert_array_equal(few.images, many.images[:count])
        np.testing.assert_array_equal(few.index["label"], many.index["label"][:count])
    other = mnist.simulate(tmp_path / "other", count=30, test_count=20, seed=43)
    assert not np.array_equal(mnist.prepare(other["train"]).images, mnist.prepare(fewer["train"]).images)


def test_tested_digits_stem_from_other_originals(phantom):
    """Were an original in both files, these images would be black where it is the only one that is not."""
    originals = mnist.load_digits()
    for name, kept in (("train", slice(None, 1437)), ("t10k", slice(1437, None))):
        one = np.zeros_like(originals.images)
        one[kept] = originals.images[kept]
        for number in range(20):
            drawn, _ = mnist.draw(number, name, one, originals.target, 42)
            np.testing.assert_array_equal(drawn, mnist.draw(number, name, originals.images, originals.target, 42)[0])


@pytest.mark.parametrize("many", [{"count": 19}, {"test_count": 9}])
def test_too_few(tmp_path, many):
    with pytest.raises(
        BadInput, match="lacks some digits; ask for a count of at least 20, and a test_count of at least"
    ):
        mnist.simulate(tmp_path, **many)


# --- where they are found ---------------------------------------------------------------------------------------------


def test_fetch_looks_two_folders_below_and_takes_the_nearest(raw, tmp_path):
    (tmp_path / "MNIST").mkdir()
    raw.rename(tmp_path / "MNIST" / "raw")
    assert mnist.fetch(tmp_path)["t10k"] == [tmp_path / "MNIST" / "raw" / file for file in T10K]
    shutil.copytree(tmp_path / "MNIST" / "raw", tmp_path / "FashionMNIST" / "raw")
    with pytest.raises(
        BadInput, match=r"just one folder in it \(.*FashionMNIST/raw and .*MNIST/raw\); point the dataset"
    ):
        mnist.fetch(tmp_path)
    shutil.copytree(tmp_path / "MNIST" / "raw", tmp_path, dirs_exist_ok=True)
    assert mnist.fetch(tmp_path)["t10k"] == [tmp_path / file for file in T10K]


def test_unpacked_files_are_the_same(phantom, raw):
    for file in (*TRAIN, *T10K):
        (raw / file.stem).write_bytes(gzip.decompress((raw / file).read_bytes()))
        (raw / file).unlink()
    units = mnist.fetch(raw)
    assert units["train"] == [raw / file.stem for file in TRAIN]
    for name, files in units.items():
        np.testing.assert_array_equal(mnist.prepare(files).images, mnist.prepare(phantom[1][name]).images)
    (raw / TRAIN[0].stem).rename(raw / TRAIN[0])  # as some browsers leave it
    np.testing.assert_array_equal(
        mnist.prepare(mnist.fetch(raw)["train"]).images, mnist.prepare(phantom[1]["train"]).images
    )


def test_fetch_says_where_to_get_them(tmp_path):
    with pytest.raises(
        BadInput, match=r"there is none.*; https://ossci-datasets.*/train-images-idx3-ubyte.gz is where"
    ):
        mnist.fetch(tmp_path)


def test_a_missing_file(raw):
    (raw / T10K[1]).rename(raw / "t10k-labels.gz")
    with pytest.raises(BadInput, match=r"raw lacks t10k-labels-idx1-ubyte.gz.*; did you mean 't10k-labels.*; https"):
        mnist.fetch(raw)


def test_what_is_downloaded_is_where_fetch_looks():
    assert [each.path for each in mnist.DOWNLOADS] == [file.name for file in (*TRAIN, *T10K)]
    assert not any(each.is_archive for each in mnist.DOWNLOADS)
    assert sum(each.size for each in mnist.DOWNLOADS) == 11_594_722


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", [TRAIN[0], T10K[1]])
def test_a_file_that_is_cut_short_is_named_with_its_lengths(raw, file):
    whole = len(gzip.decompress((raw / file).read_bytes()))
    rewrite(raw / file, lambda content: content[:-7])
    with pytest.raises(
        BadInput, match=f"{file} says that it holds .* are {whole:,}; it has {whole - 7:,}; get it again"
    ):
        mnist.fetch(raw)


def test_so_is_one_that_breaks_off_where_it_is_packed(raw):
    stored = (raw / TRAIN[0]).read_bytes()
    for lost, says in ((4, "it has 94,096, and breaks off"), (len(stored) // 2, "it has [0-9,]+, and breaks off")):
        (raw / TRAIN[0]).write_bytes(stored[:-lost])
        with pytest.raises(BadInput, match=f"{TRAIN[0]} says that it holds 120 × 28 × 28 bytes, .*94,096; {says}"):
            mnist.fetch(raw)


def test_one_that_is_too_long(raw):
    rewrite(raw / T10K[1], lambda content: content + b"\0")
    with pytest.raises(BadInput, match="holds 50 bytes, which with its head are 58; it has 59; get"):
        mnist.fetch(raw)


@pytest.mark.parametrize(
    ("kept", "says"),
    [(0, "starts with nothing"), (10, "holds 120 × 0 × 0 bytes, .* 16; it has 10"), (3, "with 00 00 08,")],
)
def test_one_that_lacks_its_head(raw, kept, says):
    rewrite(raw / TRAIN[0], lambda content: content[:kept])
    with pytest.raises(BadInput, match=f"{TRAIN[0]} .*{says}"):
        mnist.fetch(raw)


def test_broken_packing(raw):
    stored = bytearray((raw / T10K[0]).read_bytes())
    stored[len(stored) // 2] ^= 255
    (raw / T10K[0]).write_bytes(stored)
    with pytest.raises(BadInput, match=f"{T10K[0]} cannot be unpacked .*; get it again"):
        mnist.fetch(raw)


def test_images_and_labels_in_each_others_place(raw):
    (raw / TRAIN[0]).rename(raw / "aside")
    (raw / TRAIN[1]).rename(raw / TRAIN[0])
    (raw / "aside").rename(raw / TRAIN[1])
    with pytest.raises(
        BadInput, match="starts with 00 00 08 01, and images-idx3-ubyte with 00 00 08 03; .* which file is"
    ):
        mnist.fetch(raw)


def test_counts_that_disagree(raw):
    shutil.copy(raw / T10K[1], raw / TRAIN[1])
    with pytest.raises(BadInput, match=f"{TRAIN[0]} holds 120 images and .*{TRAIN[1]} 50 labels; get both again"):
        mnist.fetch(raw)


def test_eleven_classes(raw):
    rewrite(raw / TRAIN[1], lambda content: content[:-2] + bytes([10, 10]))
    with pytest.raises(BadInput, match=f"{TRAIN[1]} has the label 10, and 2 of 120 are none of 0 to 9: there are ten"):
        mnist.fetch(raw)


def test_files_of_different_datasets(raw):
    written(raw / T10K[0], 2051, np.zeros((TESTED, 20, 24)))
    with pytest.raises(BadInput, match=r"images of \(28, 28\) and .* of \(20, 24\); they are not of one dataset"):
        mnist.fetch(raw)


@pytest.mark.parametrize("one_in", [1, 121])
def test_a_validation_without_images_or_with_all(phantom, one_in):
    with pytest.raises(BadInput, match=f"validation_one_in has to be 2 to 120, .*, not {one_in}"):
        mnist.prepare(phantom[1]["train"], validation_one_in=one_in)


# --- prepare ----------------------------------------------------------------------------------------------------------


def test_prepared(phantom):
    part = mnist.prepare(phantom[1]["train"])
    assert part.images.shape == (COUNT, 1, 28, 28)
    assert part.images.dtype == np.float32
    assert part.truth is None
    assert list(part.index) == ["subject", "label", "split", "listed"]
    assert part.index["subject"].iloc[[0, 17, -1]].tolist() == ["train-00000", "train-00017", "train-00119"]
    assert part.index["split"].tolist() == ["train"] * 110 + ["validation"] * 10
    assert not part.index["listed"].any()
    halves = mnist.prepare(phantom[1]["train"], validation_one_in=2).index["split"]
    assert halves.tolist() == ["train"] * 60 + ["validation"] * 60


def test_bytes_become_minus_one_to_one_and_stay_in_their_places(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 5, 7))
    images, labels = tmp_path / TRAIN[0].stem, tmp_path / TRAIN[1].stem
    written(images, 2051, pixels)
    written(labels, 2049, np.arange(20) % 10)
    part = mnist.prepare([images, labels])
    np.testing.assert_allclose(part.images[:, 0], pixels / 127.5 - 1, atol=1e-6)
    assert part.index["label"].tolist() == [*range(10)] * 2


def test_of_the_phantom_the_first_of_each_digit_is_listed(phantom):
    index = mnist.prepare(phantom[1]["t10k"]).index
    assert set(index["split"]) == {"test"}
    listed = index[index["listed"]]
    assert sorted(listed["label"]) == list(range(10))
    assert listed.index.tolist() == index.drop_duplicates("label").index.tolist()


def test_the_ten_of_the_paper_are_listed_where_they_are_its_digits(tmp_path):
    labels = np.zeros(80, int)
    labels[list(mnist.EXPLAINED)] = range(10)
    files = [tmp_path / file.stem for file in T10K]
    written(files[0], 2051, np.zeros((80, 4, 4)))
    written(files[1], 2049, labels)
    listed = mnist.prepare(files).index["listed"]
    assert np.flatnonzero(listed).tolist() == sorted(mnist.EXPLAINED)
    labels[3], labels[2] = 1, 0
    written(files[1], 2049, labels)
    assert np.flatnonzero(mnist.prepare(files).index["listed"])[:2].tolist() == [0, 1], "the first 0, and the 2"


# --- the real ones ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(real_data):
    return {name: mnist.prepare(files) for name, files in mnist.fetch(real_data / "mnist").items()}


def test_the_real_files_are_those_that_are_downloaded(real_data):
    for each in mnist.DOWNLOADS:
        content = (real_data / "mnist" / each.path).read_bytes()
        assert len(content) == each.size
        assert f"md5:{hashlib.md5(content).hexdigest()}" == each.checksum


def test_all_real_images_are_there(real):
    assert real["train"].images.shape == (60_000, 1, 28, 28)
    assert real["t10k"].images.shape == (10_000, 1, 28, 28)
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert real["train"].index["label"].value_counts().sort_index().tolist() == counts
    assert real["train"].index["split"].value_counts().to_dict() == {"train": 55_000, "validation": 5_000}
    for part in real.values():
        assert (part.images.min(), part.images.max()) == (-1, 1)
    mean = np.mean([(part.images.mean() + 1) / 2 for part in real.values()])
    assert mean == pytest.approx(0.1307, abs=2e-3)  # what half the world subtracts


def test_the_ten_of_the_paper_are_explained(real):
    index = real["t10k"].index
    chosen = index[cohort.explained(index, classes=10)]
    assert dict(zip(chosen["label"], chosen.index, strict=True)) == dict(enumerate(mnist.EXPLAINED))


def test_the_phantom_looks_as_the_real_ones_on_average(real, phantom):
    """As much ink, and where it is; the mean images of most digits are alike."""
    mine = mnist.prepare(phantom[1]["train"])
    means = [
        np.stack([part.images[(part.index["label"] == digit).to_numpy()].mean(0).ravel() for digit in range(10)])
        for part in (real["t10k"], mine)
    ]
    alike = np.corrcoef(*means)[:10, 10:]
    assert (alike.argmax(1) == np.arange(10)).sum() >= 7
    assert abs(real["t10k"].images.mean() - mine.images.mean()) < 0.1
