"""COVID-19 X-rays: the phantom in the collection's files, what is passed over or refused, and the real ones."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from evidence import cohort
from evidence.datasets import covid
from evidence.errors import BadInput
from evidence.images import digest, read

COUNT, NATIVE = 40, 64
TABLE, MAPPING = Path("cohen") / "metadata.csv", Path("nih") / "rsna_nih_mapping.csv"


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom")
    return folder, covid.simulate(folder, count=COUNT, native=NATIVE)


@pytest.fixture
def raw(phantom, tmp_path):
    """A copy to break."""
    return Path(shutil.copytree(phantom[0], tmp_path / "raw"))


def names(units):
    """The X-rays of units, without their tables."""
    return [file.name for files in units.values() for file in files if file.suffix != ".csv"]


def edit(file, change):
    """A table, as text, after a change of it."""
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    change(table).to_csv(file, index=False)


def index_of(raw, **settings):
    """What is known of each X-ray that is found, by its name."""
    parts = [covid.prepare(files, size=8).index for files in covid.fetch(raw, **settings).values()]
    return pd.concat(parts).set_index("name")


# --- simulate and fetch -----------------------------------------------------------------------------------------------


def test_fetch_finds_what_simulate_wrote(phantom):
    folder, units = phantom
    assert covid.fetch(folder) == units
    assert list(units) == ["000"]
    assert [file for file in units["000"] if file.suffix == ".csv"] == [folder / TABLE, folder / MAPPING]
    assert len(names(units)) == len(set(names(units))) == COUNT


def test_the_phantom_is_stored_as_the_real_ones(phantom):
    kinds = set()
    for file in phantom[1]["000"][:COUNT]:
        with Image.open(file) as picture:
            kinds.add((file.parent.name, picture.format, picture.mode))
            assert picture.size == (NATIVE, NATIVE)
    assert kinds == {
        ("images", "JPEG", "RGB"),
        ("images", "JPEG", "L"),
        ("images", "PNG", "RGBA"),
        ("nih_png", "PNG", "L"),
    }


def test_its_findings_views_and_patients(phantom):
    index = index_of(phantom[0])
    assert index.groupby(["origin", "label", "finding"]).size().to_dict() == {
        ("cohen", 1, "COVID-19"): 16,
        ("cohen", 1, "COVID-19, ARDS"): 4,
        ("cohen", 0, "No Finding"): 4,
        ("cohen", 0, "Streptococcus"): 4,
        ("cohen", 0, "Klebsiella"): 4,
        ("nih", 0, "Normal"): 8,
    }
    assert index.groupby("origin")["view"].unique().map(set).to_dict() == {"cohen": set(covid.VIEWS), "nih": {""}}
    assert (index.groupby("subject")["label"].nunique() == 2).sum() == 4, "some fall ill or recover"
    assert index["subject"].nunique() == 24  # of sixteen patients two images each, and of eight one


def test_an_image_is_a_function_of_seed_and_number(phantom, tmp_path):
    fewer = covid.simulate(tmp_path, count=20, native=NATIVE)
    for file in fewer["000"][:20]:
        assert file.read_bytes() == (phantom[0] / file.relative_to(tmp_path)).read_bytes()
    assert not np.array_equal(covid.draw(1, "COVID-19", 32, 42), covid.draw(1, "COVID-19", 32, 43))


@pytest.mark.parametrize("finding", ["COVID-19", "COVID-19, ARDS", "Streptococcus"])
def test_opacities_are_all_that_differs(finding):
    """Those of COVID-19 are in both lungs, low and at the outer border; those of another pneumonia in one lung."""
    down, across = np.mgrid[-1 : 1 : NATIVE * 1j, -1 : 1 : NATIVE * 1j]
    places = []
    for number in range(20):
        healthy, ill = (covid.draw(number, which, NATIVE, 42).astype(float) for which in ("No Finding", finding))
        change = ill - healthy
        assert (change == 0).mean() > 0.7
        assert change.sum() > 0
        left, right = (change * (side * across > 0) for side in (-1, 1))
        shares = np.array([left.sum(), right.sum()]) / change.sum()
        assert (shares.min() > 0.05) == ("COVID" in finding)
        places.append([np.average(down, weights=change), np.average(np.abs(across), weights=change)])
    low, outward = np.mean(places, axis=0)
    if "COVID" in finding:
        assert low > 0.1
        assert outward > 0.45  # the middle of a lung is at 0.36
    else:
        assert -0.2 < low < 0.2


def test_the_level_of_an_image_does_not_tell_its_class(tmp_path):
    """Opacities are bright; were all exposures the same, so would the median be."""
    (files,) = covid.simulate(tmp_path, count=200, native=48).values()
    part = covid.prepare(files, size=32)
    for level in (np.median, np.mean, np.std, np.max):
        assert 0.3 < roc_auc_score(part.index["label"], level(part.images, (1, 2, 3))) < 0.7


def test_too_few(tmp_path):
    with pytest.raises(BadInput, match="at least 10"):
        covid.simulate(tmp_path, count=9)


# --- where they are found ---------------------------------------------------------------------------------------------


def test_fetch_looks_two_folders_below_and_no_deeper(raw, tmp_path):
    assert names(covid.fetch(tmp_path)) == names(covid.fetch(raw))
    raw.rename(tmp_path / "deeper")
    (tmp_path / "raw").mkdir()
    (tmp_path / "deeper").rename(tmp_path / "raw" / "deeper")
    with pytest.raises(BadInput, match=r"holds no metadata\.csv"):
        covid.fetch(tmp_path)


def test_the_nih_need_not_be_there(raw):
    alone = covid.fetch(raw / "cohen")
    assert alone["000"][-1] == raw / TABLE
    assert set(names(covid.fetch(raw))) - set(names(alone)) == {
        file.name for file in (raw / "nih" / "nih_png").iterdir()
    }


def test_both_may_lie_in_one_folder(raw):
    for entry in (raw / "nih").iterdir():
        entry.rename(raw / "cohen" / entry.name)
    assert index_of(raw / "cohen").groupby("origin").size().to_dict() == {"cohen": 32, "nih": 8}


def test_a_table_without_its_images_is_another_datasets(raw):
    (raw / "other").mkdir()
    (raw / "other" / "metadata.csv").write_text("a,b\n1,2\n")
    assert len(names(covid.fetch(raw))) == COUNT


def test_fetch_wants_one_collection(raw):
    shutil.copytree(raw / "cohen", raw / "again")
    with pytest.raises(BadInput, match=r"again/metadata\.csv and .*cohen/metadata\.csv: which one\?"):
        covid.fetch(raw)


@pytest.mark.parametrize("folder", ["nowhere", "empty"])
def test_fetch_says_where_to_get_them(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match=rf"{folder} holds no metadata\.csv with images/ .*git clone .*ieee8023"):
        covid.fetch(tmp_path / folder)


# --- which are taken --------------------------------------------------------------------------------------------------


def test_others_may_be_left_out(raw, tmp_path):
    index = index_of(raw, others=False)
    assert index.groupby(["origin", "label"]).size().to_dict() == {("cohen", 1): 20, ("nih", 0): 8}
    units = covid.simulate(tmp_path / "phantom", count=COUNT, native=NATIVE, others=False)
    assert sorted(names(units)) == sorted(index.index)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("view", "L"),
        ("view", "Axial"),
        ("view", ""),
        ("modality", "CT"),
        ("finding", "todo"),
        ("finding", "Unknown"),
        ("finding", ""),
    ],
)
def test_rows_that_are_no_x_ray_from_the_front_or_of_no_class_are_left_out(raw, column, value):
    whole = names(covid.fetch(raw))
    edit(raw / TABLE, lambda table: table.assign(**{column: [value, *table[column][1:]]}))
    assert set(whole) - set(names(covid.fetch(raw))) == {"00000.jpg"}


def test_later_names_of_the_finding_are_known(raw):
    edit(raw / TABLE, lambda table: table.replace({"finding": {"COVID-19": "Pneumonia/Viral/COVID-19"}}))
    assert index_of(raw)["label"].sum() == 20


def test_of_the_nih_only_the_normal_are_taken(raw):
    kinds = ["Lung Opacity", "No Lung Opacity / Not Normal"]
    edit(raw / MAPPING, lambda table: table.assign(**{"class": [*kinds, *table["class"][2:]]}))
    index = index_of(raw)
    assert (index["origin"] == "nih").sum() == 6
    assert set(index.loc[index["origin"] == "nih", "finding"]) == {"Normal"}


def test_rows_without_a_file_are_passed_over_and_counted(raw, capsys):
    whole = names(covid.fetch(raw))
    assert capsys.readouterr().out == ""
    gone = [raw / "cohen" / "images" / "00003.jpg", raw / "nih" / "nih_png" / "00000008_000.png"]
    for file in gone:
        file.unlink()
    assert set(whole) - set(names(covid.fetch(raw))) == {file.name for file in gone}
    assert "passed over: 2 X-rays" in capsys.readouterr().out


def test_an_image_in_two_rows_is_taken_once_with_the_patient_of_the_first(raw):
    first = covid.prepare(covid.fetch(raw)["000"], size=8).index
    edit(raw / TABLE, lambda table: pd.concat([table, table.iloc[:4].assign(patientid="7")]))
    assert covid.prepare(covid.fetch(raw)["000"], size=8).index.equals(first)


def test_many_images_go_in_units_with_the_tables(phantom, monkeypatch):
    monkeypatch.setattr(covid, "TOGETHER", 15)
    units = covid.fetch(phantom[0])
    assert list(units) == ["000", "001", "002"]
    assert [len(covid.prepare(files, size=8).images) for files in units.values()] == [15, 15, 10]


# --- prepare ----------------------------------------------------------------------------------------------------------


def test_prepared(phantom):
    files = phantom[1]["000"]
    part = covid.prepare(files, size=16)
    assert part.images.shape == (COUNT, 1, 16, 16)
    assert part.images.dtype == np.float32
    assert part.truth is None
    assert part.index.iloc[0].to_dict() == {
        "subject": "cohen-1000",
        "label": 1,
        "finding": "COVID-19",
        "view": "PA",
        "origin": "cohen",
        "name": "00000.jpg",
        "content": digest(*read(files[0])),
    }
    assert part.index.iloc[-1][["subject", "view", "name"]].tolist() == ["nih-00000039", "", "00000039_000.png"]
    assert part.index["name"].tolist() == [file.name for file in files[:COUNT]]
    colour = covid.prepare(files, size=16, channels=3).images
    np.testing.assert_array_equal(colour, np.repeat(part.images, 3, axis=1))


def test_bytes_become_minus_one_to_one_and_the_aspect_is_not_kept(raw):
    file = raw / "cohen" / "images" / "00001.png"
    pixels = np.repeat(np.array([0, 51, 255, 255], np.uint8)[:, None], 7, axis=1)
    Image.merge("RGBA", [*[Image.fromarray(pixels)] * 3, Image.fromarray(pixels // 2)]).save(file)
    part = covid.prepare(covid.fetch(raw)["000"], size=4)
    image = part.images[part.index["name"] == file.name][0, 0]
    np.testing.assert_allclose(image, np.repeat([[-1], [-0.6], [1], [1]], 4, axis=1), atol=1e-6)


def test_the_same_pixels_in_two_files_have_one_content(raw):
    shutil.copy(raw / "cohen" / "images" / "00001.png", raw / "cohen" / "images" / "00004.png")
    grey = Image.open(raw / "cohen" / "images" / "00001.png").convert("RGB")
    grey.save(raw / "cohen" / "images" / "00010.png")  # coded anew, without alpha
    edit(raw / TABLE, lambda table: table.replace({"filename": {"00010.jpg": "00010.png"}}))
    contents = index_of(raw)["content"]
    assert contents[["00001.png", "00004.png", "00010.png"]].nunique() == 1
    assert contents.nunique() == COUNT - 2


def test_no_patient_is_in_two_splits_though_ids_clash(raw):
    """A patient of the NIH and one of the collection may have one number, and be two people."""
    edit(raw / TABLE, lambda table: table.assign(patientid="0000000" + table["patientid"].str[-1]))
    index = index_of(raw)
    assert set(index["subject"].str.partition("-")[0]) == {"cohen", "nih"}
    assert "cohen-00000008" in set(index["subject"])
    assert "nih-00000008" in set(index["subject"])
    index["split"] = cohort.split(index)
    assert (index.groupby("subject")["split"].nunique() == 1).all()


def test_a_patient_under_two_ids_is_one(raw):
    edit(raw / TABLE, lambda table: table.replace({"patientid": {"1000": "178", "1001": "97"}}))
    assert (index_of(raw)["subject"] == "cohen-97").sum() == 4


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["patientid", "finding", "view", "modality", "filename"])
def test_a_missing_column_is_named(raw, column):
    edit(raw / TABLE, lambda table: table.drop(columns=column))
    with pytest.raises(BadInput, match=f"metadata.csv lacks the columns {column}; it has "):
        covid.fetch(raw)


def test_a_missing_column_of_the_nih_is_named(raw):
    edit(raw / MAPPING, lambda table: table.rename(columns={"class": "Class"}))
    with pytest.raises(BadInput, match=r"rsna_nih_mapping\.csv lacks the columns class; it has nih_image, Class"):
        covid.fetch(raw)


def test_no_image_of_class_1(raw):
    edit(raw / TABLE, lambda table: table[~table["finding"].str.contains("COVID")])
    with pytest.raises(BadInput, match=r"metadata\.csv: none of the X-rays that it calls COVID-19 is in images/"):
        covid.fetch(raw)


def test_no_image_of_class_0(raw):
    with pytest.raises(BadInput, match=r"holds no X-ray without COVID-19; put .* there, or set others to true"):
        covid.fetch(raw / "cohen", others=False)
    edit(raw / TABLE, lambda table: table[table["finding"].str.contains("COVID")])
    with pytest.raises(BadInput, match=r"put rsna_nih_mapping\.csv and nih_png/ of the NIH there$"):
        covid.fetch(raw / "cohen")


def test_an_image_of_both_classes_is_refused(raw):
    edit(raw / TABLE, lambda table: pd.concat([table, table.iloc[:1].assign(finding="Lipoid")]))
    with pytest.raises(BadInput, match=r"names 00000\.jpg in rows of both classes, COVID-19 and Lipoid; remove one"):
        covid.fetch(raw)


def test_an_image_without_a_patient_is_refused(raw):
    edit(raw / TABLE, lambda table: table.replace({"patientid": {"1000": ""}}))
    with pytest.raises(BadInput, match=r"has no patientid for 00000\.jpg; fill it in"):
        covid.fetch(raw)


@pytest.mark.parametrize(("name", "left"), [("00000.jpg", 700), ("00001.png", 300), ("00000.jpg", 0)])
def test_a_torn_image_is_named(raw, name, left):
    file = raw / "cohen" / "images" / name
    file.write_bytes(file.read_bytes()[:left])
    with pytest.raises(BadInput, match=re.escape(str(file)) + " cannot be decoded"):
        covid.prepare(covid.fetch(raw)["000"])


# --- the real ones ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(real_data):
    """Found beside other datasets."""
    return covid.fetch(real_data)


@pytest.fixture(scope="module")
def real_index(real):
    return covid.prepare(real["000"], size=8).index


def test_the_real_ones_are_found_and_labelled(real, real_index):
    assert list(real) == ["000"]
    assert real_index.groupby(["origin", "label"]).size().to_dict() == {
        ("cohen", 0): 49,
        ("cohen", 1): 90,
        ("nih", 0): 24,
    }
    assert real_index["finding"].value_counts().to_dict() == {
        "COVID-19": 81,
        "Normal": 24,
        "Pneumonia": 10,
        "COVID-19, ARDS": 9,
        "Streptococcus": 7,
        "Klebsiella": 7,
        "No Finding": 6,
        "Pneumocystis": 5,
        "Mycoplasma Bacterial Pneumonia": 4,
        "Lipoid": 3,
        "Varicella": 3,
        "Bacterial": 2,
        "ARDS": 1,
        "Legionella": 1,
    }
    assert real_index["view"].value_counts().to_dict() == {"PA": 94, "": 24, "AP": 23, "AP Supine": 22}


def test_real_patients_are_in_one_split_and_some_in_both_classes(real_index):
    collection = real_index[real_index["origin"] == "cohen"]
    assert collection["subject"].nunique() == 74  # 75 ids, two of which are one patient
    assert (collection.groupby("subject")["label"].nunique() == 2).sum() == 2
    assert real_index["content"].is_unique
    split = cohort.split(real_index)
    assert (split.groupby(real_index["subject"]).nunique() == 1).all()
    assert set(split) == set(cohort.SPLITS)


def test_patient_178_is_patient_97(real):
    """Four X-rays of each, compressed anew: other digests, but each correlates with its twin as with no other."""
    tables = [file for file in real["000"] if file.suffix == ".csv"]
    patients = pd.read_csv(tables[0], dtype=str).drop_duplicates("filename").set_index("filename")["patientid"]
    one, other = ([file for file in real["000"] if patients.get(file.name) == patient] for patient in ("97", "178"))
    flat = [covid.prepare([*some, *tables], size=32).images.reshape(len(some), -1) for some in (one, other)]
    alike = np.corrcoef(np.concatenate(flat))[: len(one), len(one) :]
    assert ((alike > 0.999).sum(1) == 1).all()
    assert (np.sort(alike, 1)[:, -2] < 0.9).all()
    assert len({digest(*read(file)) for file in (*one, *other)}) == len(one) + len(other) == 9


def test_without_others_the_normal_ones_of_the_nih_remain(real_data):
    assert len(names(covid.fetch(real_data, others=False))) == 90 + 24


def test_real_images_are_prepared_as_pillow_resizes_them(real):
    """Pillow rounds to whole numbers along each axis, we do not. Every eighth image: colour, grey, and with alpha."""
    tables = [file for file in real["000"] if file.suffix == ".csv"]
    files = [file for file in real["000"] if file.suffix != ".csv"][::8]
    part = covid.prepare([*files, *tables], channels=3)
    assert part.images.shape == (len(files), 3, 128, 128)
    assert np.isfinite(part.images).all()
    assert {Image.open(file).mode for file in files} == {"L", "RGB", "RGBA"}
    for file, image in zip(files, part.images, strict=True):
        picture = Image.open(file).convert("RGB").resize((128, 128), Image.Resampling.BILINEAR)
        theirs = np.moveaxis(np.asarray(picture, np.float32), -1, 0) / 127.5 - 1
        np.testing.assert_allclose(image, theirs, atol=1.01 * 2 / 255)
        assert -1 <= image.min() < image.max() <= 1
