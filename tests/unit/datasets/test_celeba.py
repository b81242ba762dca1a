"""Faces with attributes: the phantom in the files of CelebAMask-HQ, those of CelebA, and what is refused."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from evidence import cohort
from evidence.datasets import celeba
from evidence.errors import BadInput
from evidence.images import digest, read

COUNT, NATIVE = 20, 48
IMAGES, TABLE = celeba.HQ


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom")
    return folder, celeba.simulate(folder, count=COUNT, native=NATIVE)


@pytest.fixture
def raw(phantom, tmp_path):
    """A copy to break."""
    return Path(shutil.copytree(phantom[0], tmp_path / "raw"))


@pytest.fixture
def aligned(raw):
    """The same as the authors of CelebA lay theirs out: other names, higher than wide, tables in other folders."""
    (raw / "Img" / celeba.ALIGNED[0]).mkdir(parents=True)
    (raw / "Anno").mkdir()
    for number in range(COUNT):
        with Image.open(raw / IMAGES / f"{number}.jpg") as picture:
            taller = np.pad(np.asarray(picture), ((5, 6), (0, 0), (0, 0)))
        Image.fromarray(taller).save(raw / "Img" / celeba.ALIGNED[0] / f"{number + 1:06d}.jpg", quality=100)
    text = re.sub(r"^(\d+)\.jpg ", lambda found: f"{int(found[1]) + 1:06d}.jpg ", (raw / TABLE).read_text(), flags=re.M)
    (raw / "Anno" / celeba.ALIGNED[1]).write_text(text.replace(" 1", "  1"))  # columns are aligned, too
    shutil.rmtree(raw / IMAGES)
    (raw / TABLE).unlink()
    return raw


def edit(file, line, change):
    """Change a line of a table, counted from 1."""
    lines = file.read_text().splitlines()
    lines[line - 1 : line] = change(lines[line - 1])
    file.write_text("\n".join(lines) + "\n")


def whole(units, **settings):
    """The index of all units."""
    return pd.concat([celeba.prepare(files, size=8, **settings).index for files in units.values()], ignore_index=True)


# --- simulate and fetch -----------------------------------------------------------------------------------------------


def test_fetch_finds_what_simulate_wrote(phantom):
    folder, units = phantom
    assert celeba.fetch(folder) == units
    assert units == {"000": [*(folder / IMAGES / f"{number}.jpg" for number in range(COUNT)), folder / TABLE]}


def test_the_phantom_is_stored_as_the_real_ones(phantom):
    count, names, *rows = (phantom[0] / TABLE).read_text().splitlines()
    assert count == f"{COUNT}"
    assert names.split() == celeba.ATTRIBUTES
    assert len(names.split()) == 40
    assert names.split()[31] == "Smiling"
    assert len(rows) == COUNT
    assert all(re.fullmatch(r"\d+\.jpg( -?1){40}", row) for row in rows)
    with Image.open(phantom[1]["000"][0]) as picture:
        assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", (NATIVE, NATIVE))


@pytest.mark.parametrize(
    ("attribute", "drawn"),
    [
        ("Smiling", lambda number, face: number % 2 == 1),
        ("No_Beard", lambda number, face: not face.beard),
        ("Mouth_Slightly_Open", lambda number, face: face.parted),
        ("Black_Hair", lambda number, face: face.hair == "Black"),
    ],
)
def test_attributes_are_as_they_were_drawn(phantom, attribute, drawn):
    index = whole(celeba.fetch(phantom[0], attribute=attribute), attribute=attribute)
    for number, label in enumerate(index["label"]):
        assert label == drawn(number, celeba.draw(number, 8, 42, smiling=number % 2 == 1))


def test_an_image_is_a_function_of_seed_and_number(phantom, tmp_path):
    for file in celeba.simulate(tmp_path, count=6, native=NATIVE)["000"][:-1]:
        assert file.read_bytes() == (phantom[0] / file.relative_to(tmp_path)).read_bytes()
    assert not np.array_equal(*(celeba.draw(1, 32, seed, smiling=True).image for seed in (42, 43)))


def test_too_few(tmp_path):
    with pytest.raises(BadInput, match="at least 2"):
        celeba.simulate(tmp_path, count=1)


def test_many_images_go_in_units_with_the_tables(phantom, monkeypatch):
    monkeypatch.setattr(celeba, "TOGETHER", 8)
    units = celeba.fetch(phantom[0])
    assert [len(files) for files in units.values()] == [9, 9, 5]
    assert whole(units)["name"].tolist() == [f"{number}.jpg" for number in range(COUNT)]


# --- prepare ----------------------------------------------------------------------------------------------------------


def test_prepared(phantom):
    files = phantom[1]["000"]
    part = celeba.prepare(files, size=24)
    assert part.images.shape == (COUNT, 3, 24, 24)
    assert part.images.dtype == np.float32
    assert part.truth is None
    assert list(part.index) == ["subject", "content", "label", "name"]
    assert part.index["label"].tolist() == [0, 1] * (COUNT // 2)
    assert part.index["subject"][3] == part.index["content"][3] == digest(*read(files[3]))
    grey = celeba.prepare(files, size=24, channels=1).images
    np.testing.assert_allclose(grey[:, 0], np.tensordot(part.images, [0.299, 0.587, 0.114], (1, 0)), atol=1e-2)


def test_images_keep_their_pixels(phantom):
    part = celeba.prepare(phantom[1]["000"], size=NATIVE)
    theirs = np.asarray(Image.open(phantom[1]["000"][7]), np.float32) / 127.5 - 1
    np.testing.assert_allclose(part.images[7], np.moveaxis(theirs, -1, 0), atol=1e-6)


def test_of_celeba_the_middle_is_taken(phantom, aligned):
    units = celeba.fetch(aligned)
    part, square = (celeba.prepare(each["000"], size=NATIVE) for each in (units, phantom[1]))
    assert part.index["name"].tolist() == [f"{number:06d}.jpg" for number in range(1, COUNT + 1)]
    assert part.index["label"].tolist() == square.index["label"].tolist()
    assert np.abs(part.images - square.images).mean() < 0.03  # but for another round of compression
    assert np.abs(part.images - np.roll(square.images, 1, 2)).mean() > 0.03


def test_the_published_partition_is_kept(aligned):
    splits = [0, 0, 0, 1, 2] * (COUNT // 5)
    (aligned / "Eval").mkdir()
    partition = aligned / "Eval" / celeba.PARTITION
    partition.write_text("".join(f"{number + 1:06d}.jpg {split}\n" for number, split in enumerate(splits)))
    index = whole(celeba.fetch(aligned))
    assert index["split"].tolist() == [cohort.SPLITS[split] for split in splits]
    edit(partition, 20, lambda line: [line.replace("2", "3")])
    with pytest.raises(BadInput, match=r"partition.txt has no split, 0, 1 or 2, for 1 images, 000020.jpg among them"):
        celeba.fetch(aligned)


def test_for_celeba_hq_by_way_of_the_mapping(raw):
    (raw / celeba.PARTITION).write_text("".join(f"{number:06d}.jpg {number % 3}\n" for number in range(100, 200)))
    with pytest.raises(BadInput, match=f"for {COUNT} images, 0.jpg among them; put {celeba.MAPPING} beside it if"):
        celeba.fetch(raw)
    rows = [f"{number:<11}{119 + number:<11}{120 + number:06d}.jpg" for number in range(COUNT)]
    (raw / celeba.MAPPING).write_text("\n".join(["idx        orig_idx   orig_file", *rows]))
    index = whole(celeba.fetch(raw))
    assert index["split"].tolist() == [cohort.SPLITS[number % 3] for number in range(120, 120 + COUNT)]


def test_a_face_that_comes_twice_is_one_and_with_two_labels_an_error(raw):
    shutil.copy(raw / IMAGES / "2.jpg", raw / IMAGES / "6.jpg")
    kept = cohort.without_duplicates(whole(celeba.fetch(raw)).assign(unit="000"))
    assert kept.loc[kept["copies"] == 2, "name"].tolist() == ["2.jpg"]
    shutil.copy(raw / IMAGES / "2.jpg", raw / IMAGES / "7.jpg")
    with pytest.raises(BadInput, match="2.jpg and 7.jpg are the same image with different labels"):
        cohort.without_duplicates(whole(celeba.fetch(raw)).assign(unit="000"))


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_fetch_looks_two_folders_below_and_wants_one_dataset(raw, tmp_path):
    (tmp_path / "deep").mkdir()
    raw.rename(tmp_path / "deep" / "raw")
    assert len(celeba.fetch(tmp_path)["000"]) == COUNT + 1
    shutil.copytree(tmp_path / "deep" / "raw", tmp_path / "deep" / "other")
    with pytest.raises(BadInput, match=rf"other/{IMAGES} and .*raw/{IMAGES}: which one\?"):
        celeba.fetch(tmp_path)


def test_fetch_says_where_to_get_them(tmp_path):
    with pytest.raises(
        BadInput, match=r"holds neither CelebA-HQ-img/ nor img_align_celeba/.*To get them: .*CelebAMask-HQ"
    ):
        celeba.fetch(tmp_path)


def test_a_missing_table(raw):
    (raw / TABLE).unlink()
    with pytest.raises(BadInput, match=f"holds {IMAGES}/ but no {TABLE}, .*. To get them"):
        celeba.fetch(raw)


def test_an_unknown_attribute_is_told_its_near_miss(raw):
    with pytest.raises(BadInput, match=f"{TABLE} knows no attribute 'smiling'; did you mean 'Smiling'?"):
        celeba.fetch(raw, attribute="smiling")


def test_an_attribute_that_all_or_none_have(raw):
    text = (raw / TABLE).read_text().splitlines()
    place = 1 + celeba.ATTRIBUTES.index("Bald")
    rows = [" ".join([*row.split()[:place], "-1", *row.split()[place + 1 :]]) for row in text[2:]]
    (raw / TABLE).write_text("\n".join([*text[:2], *rows]))
    with pytest.raises(BadInput, match="all images have the attribute Bald, or none has; choose another"):
        celeba.fetch(raw, attribute="Bald")


@pytest.mark.parametrize(
    ("line", "change", "says"),
    [
        (5, lambda text: [text.rpartition(" ")[0]], r"line 5: 2.jpg -?1 -?1 … has 39 values; 40 are expected"),
        (6, lambda text: [text + " 1"], r"line 6: 3.jpg .* has 41 values; 40 are expected"),
        (6, lambda text: [text.replace("1", "0")], r"line 6: 3.jpg .*; 40 are expected, each 1 or -1"),
        (7, lambda text: [], f"says that it names {COUNT} images, and names {COUNT - 1}"),
        (7, lambda text: [text, text], None),
        (7, lambda text: ["3.jpg " + text.partition(" ")[2]], f"names {COUNT - 1}"),
        (1, lambda text: [], "has to begin with the number of images and a line of attributes"),
        (2, lambda text: [], "has to begin with the number of images and a line of attributes"),
        (1, lambda text: ["image_id,5_o_Clock_Shadow"], "has to begin with the number of images"),
    ],
)
def test_a_table_that_cannot_be(raw, line, change, says):
    edit(raw / TABLE, line, change)
    if says is None:  # the same line twice says nothing new
        assert celeba.fetch(raw)
        return
    with pytest.raises(BadInput, match=f"{TABLE}.*{says}"):
        celeba.fetch(raw)


def test_an_empty_table(raw):
    (raw / TABLE).write_text("")
    with pytest.raises(BadInput, match="has to begin with the number of images"):
        celeba.fetch(raw)


def test_images_that_are_listed_but_missing_and_the_other_way_round(raw):
    (raw / IMAGES / "._0.jpg").write_bytes(b"what macOS leaves")
    (raw / IMAGES / "11.jpg").rename(raw / IMAGES / "99.jpg")
    with pytest.raises(
        BadInput, match=f"{IMAGES} lacks 1 images that .*{TABLE} names, 11.jpg among them; get them again"
    ):
        celeba.fetch(raw)
    shutil.copy(raw / IMAGES / "99.jpg", raw / IMAGES / "11.jpg")
    with pytest.raises(
        BadInput, match=f"{TABLE} does not name 1 images of .*{IMAGES}, 99.jpg among them; get it again"
    ):
        celeba.fetch(raw)


def test_a_truncated_jpeg(raw):
    file = raw / IMAGES / "5.jpg"
    file.write_bytes(file.read_bytes()[:700])
    with pytest.raises(BadInput, match=re.escape(file.name) + ".*truncated"):
        celeba.prepare(celeba.fetch(raw)["000"])
