"""Packing: duplicates, splits and what is explained, from parts on disk."""

import json

import numpy as np
import pandas as pd
import pytest

from evidence import io, parts
from evidence.datasets import Part


@pytest.fixture
def pack(script, tmp_path):
    """Pack two parts of 40 images each, with changed columns if asked for."""

    def run(change=lambda index: index, truth=True, *words):
        random = np.random.default_rng(0)
        (tmp_path / "manifest.csv").write_text("unit,path,sha256\n")
        for number in range(2):
            names = [f"{number}-{i}" for i in range(40)]
            index = pd.DataFrame(
                {"subject": names, "content": names, "unit": names, "label": np.arange(40) % 2, "has_truth": truth}
            )
            images = (
                np.full((40, 1, 8, 12), number, np.float32) + np.arange(40, dtype=np.float32)[:, None, None, None] / 40
            )
            known = random.integers(0, 2, images.shape).astype(np.uint8) if truth else None
            parts.save(tmp_path / f"{number}.npz", Part(images - 1, known, change(index)))
        out = {name: tmp_path / "out" / name for name in ("images.npy", "truth.npy", "index.parquet", "info.json")}
        flags = [word for name, path in out.items() for word in (f"--{name.partition('.')[0]}", path)]
        given = ("--parts", tmp_path / "0.npz", tmp_path / "1.npz", "--manifest", tmp_path / "manifest.csv")
        status, text = script("pack", *given, "--source", "phantom", *flags, *words)
        return status, text, out

    return run


def test_rows_of_images_truth_and_index_are_the_same_samples(pack):
    def repeat(index):
        index.loc[5, "content"] = index.loc[3, "content"]  # of the same label: a copy
        return index

    status, text, out = pack(repeat)
    assert status == 0, text
    index, images = io.load_table(out["index.parquet"]), io.load_array(out["images.npy"])
    assert len(index) == len(images) == 78
    assert index["sample"].tolist() == list(range(78))
    for row in (0, 4, 5, 38, 39, 77):
        number, place = index["unit"].iloc[row].split("-")
        assert images[row].flat[0] == pytest.approx(int(number) + int(place) / 40 - 1)
    assert index.loc[index["unit"] == "0-3", "copies"].item() == 2
    info = json.loads(out["info.json"].read_text())
    assert info["duplicates left out"] == 2
    assert info["source"] == "phantom"


@pytest.fixture
def choose(script, pack, tmp_path):
    """Pack, and choose who is explained; the index, and the facts."""

    def run(*words, classes=2):
        status, text, out = pack(lambda index: index.assign(label=np.arange(40) % classes), True, "--classes", classes)
        assert status == 0, text
        explained, facts = tmp_path / "explained.parquet", tmp_path / "facts.json"
        given = ("--index", out["index.parquet"], "--info", out["info.json"])
        status, text = script("choose", *given, "--explained", explained, "--facts", facts, *words)
        assert status == 0, text
        index = io.load_table(explained)
        pd.testing.assert_frame_equal(index.drop(columns="explain"), io.load_table(out["index.parquet"]))
        return index, json.loads(facts.read_text())

    return run


def test_the_explained_are_test_samples_of_class_1(choose):
    index, facts = choose("--explain", "3")
    chosen = index.query("explain")
    assert len(chosen) == facts["explained"] == 3
    assert set(chosen["split"]) == {"test"}
    assert set(chosen["label"]) == {1}
    assert facts["settings"] == {"explain": 3}
    assert facts["range"] == [-1, 1]


def test_all_are_explained_where_nothing_is_said(choose):
    index, facts = choose()
    assert facts["explained"] == ((index["split"] == "test") & (index["label"] == 1)).sum() > 0
    assert facts["settings"] == {}


def test_what_an_older_version_packed_is_packed_again(script, tmp_path):
    io.save_table(tmp_path / "i.parquet", pd.DataFrame({"label": [1]}))
    io.save_json(tmp_path / "i.json", {"settings": {}})
    words = ("--index", tmp_path / "i.parquet", "--info", tmp_path / "i.json")
    status, text = script("choose", *words, "--explained", tmp_path / "e.parquet", "--facts", tmp_path / "f.json")
    assert status == 1
    assert "i.json lacks classes and split seed: pack it again" in text


def test_some_of_the_baseline_are_explained_where_they_are_asked_for(choose):
    index, facts = choose("--explain", "3", "--explain_baseline", "2")
    assert sorted(index.query("explain")["label"]) == [0, 0, 1, 1, 1]
    assert set(index.query("explain")["split"]) == {"test"}
    assert facts["settings"] == {"explain": 3, "explain_baseline": 2}


def test_a_published_split_is_kept(pack):
    names = np.array(["train", "validation", "test", "train"])
    status, text, out = pack(lambda index: index.assign(split=names[np.arange(40) // 2 % 4]))
    assert status == 0, text
    index = io.load_table(out["index.parquet"])
    assert index["split"].tolist() == (names[np.arange(40) // 2 % 4]).tolist() * 2


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"subject": "one", "split": ["train", "test"] * 20}, "the subject one is in two splits, test and train"),
        ({"split": ["train", "test"] * 20}, "the published split leaves validation empty"),
    ],
)
def test_a_published_split_that_cannot_be_is_refused(pack, change, says):
    status, text, _ = pack(lambda index: index.assign(**change))
    assert status == 1
    assert says in text


def test_without_truth_there_is_an_array_without_samples(pack):
    status, _, out = pack(lambda index: index, False)
    assert status == 0
    assert io.load_truth(out["truth.npy"]) is None
    assert not io.load_table(out["index.parquet"])["has_truth"].any()


def test_one_image_under_two_labels_is_refused_by_both_names(pack, tmp_path):
    def contradict(index):
        index.loc[4, "content"] = index.loc[3, "content"]
        return index

    status, text, _ = pack(contradict)
    assert status == 1
    assert "0-3" in text
    assert "0-4" in text
    assert "different labels" in text
    assert not (tmp_path / "out").exists()


def test_labels_of_more_than_two_classes_are_refused_before_anything_is_packed(pack, tmp_path):
    status, text, _ = pack(lambda index: index.assign(label=np.arange(40) % 3))
    assert status == 1
    assert "0-2 has the label 2, and 26 of 80 images have one" in text
    assert not (tmp_path / "out").exists()


def test_more_than_two_classes_are_packed_where_it_is_said_how_many_there_are(choose):
    index, facts = choose("--explain", "1", classes=4)
    assert index.query("split == 'test'")["label"].value_counts().to_dict() == dict.fromkeys(range(4), 4)
    assert sorted(index.query("explain")["label"]) == [0, 1, 2, 3]
    assert facts["split"]["test, class 3"] == 4


def test_parts_of_different_shapes_are_refused(pack, script, tmp_path):
    pack()
    odd = Part(np.zeros((2, 3, 8, 12), np.float32), None, pd.DataFrame({"unit": ["a", "b"], "label": [0, 1]}))
    parts.save(
        tmp_path / "1.npz", odd.__class__(odd.images, None, odd.index.assign(subject=["a", "b"], has_truth=False))
    )
    out = [w for n in ("images", "truth", "index", "info") for w in (f"--{n}", tmp_path / "new" / n)]
    given = ("--parts", tmp_path / "0.npz", tmp_path / "1.npz", "--manifest", tmp_path / "manifest.csv")
    status, text = script("pack", *given, *out)
    assert status == 1
    assert "(3, 8, 12)" in text
    assert "(1, 8, 12)" in text
    assert not (tmp_path / "new" / "images").exists()
