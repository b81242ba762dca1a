"""apply.py: new files get the maps that a dataset's images got."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from evidence import io, weights
from evidence.datasets import folder
from evidence.networks.c3d import Classifier
from evidence.networks.unet import MapGenerator

SETTINGS = {"kind": "folder", "baseline": "healthy", "size": 32}


@pytest.fixture
def cohort(tmp_path, script, monkeypatch):
    """Four images of a cohort with their maps by two methods, where the pipeline would have put them."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    units = list(folder.simulate(tmp_path / "raw", count=8, native=40).values())[:4]
    images = np.concatenate([folder.prepare(list(files), baseline="healthy", size=32).images for files in units])
    data, maps = tmp_path / "results/mine/cohort/data", tmp_path / "results/mine/cohort/maps"
    io.save_array(data / "images.npy", images)
    io.save_table(data / "index.parquet", pd.DataFrame({"sample": range(4), "label": 1, "explain": True}))
    io.save_json(data / "info.json", {"settings": SETTINGS, "shape": list(images.shape)})
    weights.save(tmp_path / "c.safetensors", {"classifier": Classifier(size=(32, 32), width=2, hidden=4)})
    weights.save(tmp_path / "g.safetensors", {"generator": MapGenerator(width=2), "average": MapGenerator(width=2)})
    for method, *words in (
        ("integrated_gradients", "--steps", "5", "--classifier", "c.safetensors"),
        ("vagan", "--generator", "g.safetensors#average", "--seed", "3"),
    ):
        given = ["--images", data / "images.npy", "--index", data / "index.parquet"]
        given += ["--maps", maps / method / "seed0/maps.npy", "--samples", maps / method / "seed0/samples.parquet"]
        status, said = script("attribute", method, *words, *given)
        assert status == 0, said
    return [str(files[0]) for files in units], maps


@pytest.mark.parametrize("method", ["integrated_gradients", "vagan"])
def test_files_of_the_dataset_get_the_maps_that_they_had(cohort, method, script, tmp_path):
    files, maps = cohort
    status, said = script("apply", maps / method / "seed0", "--out", tmp_path / "new", "--images", *files[1:3])
    assert status == 0, said
    known = io.load_array(maps / method / "seed0/maps.npy")
    assert np.allclose(io.load_array(tmp_path / "new/maps.npy"), known[1:3], atol=1e-5)
    table = io.load_samples(tmp_path / "new/maps.npy")
    assert table.attrs["files"] == files[1:3]
    assert table.attrs["seed"] == io.load_samples(maps / method / "seed0/maps.npy").attrs["seed"]
    for file in files[1:3]:
        with Image.open(tmp_path / "new" / f"{file.rpartition('/')[2].removesuffix('.png')}.png") as picture:
            assert picture.width > picture.height, "the image and its maps side by side"


def test_it_may_be_called_from_anywhere(cohort, script, tmp_path, monkeypatch):
    """Weights are remembered by their paths in the checkout."""
    files, maps = cohort
    monkeypatch.chdir(maps / "vagan/seed0")
    status, said = script("apply", ".", "--out", tmp_path / "new", "--images", *files[:1])
    assert status == 0, said
    (tmp_path / "g.safetensors").unlink()
    status, said = script("apply", ".", "--out", tmp_path / "newer", "--images", *files[:1])
    assert (status, "the weights of the generator" in said) == (1, True), said
    assert not (tmp_path / "newer").exists()
    status, said = script("apply", tmp_path, "--out", tmp_path / "newer", "--images", *files[:1])
    assert status == 1


def test_files_of_the_same_name_have_pictures_of_their_own(cohort, script, tmp_path):
    files, maps = cohort
    status, said = script("apply", maps / "vagan/seed0", "--out", tmp_path / "new", "--images", files[0], files[0])
    assert status == 0, said
    assert len(list((tmp_path / "new").glob("*.png"))) == 2


def test_what_cannot_be_applied_is_refused_before_anything_is_written(cohort, script, tmp_path):
    files, maps = cohort
    drawn = maps / "vagan/seed0"

    def refused(expected, *images):
        status, said = script("apply", drawn, "--out", tmp_path / "new", "--images", *(images or files))
        assert (status, expected in said) == (1, True), said
        assert not (tmp_path / "new").exists()

    refused("nowhere.png", tmp_path / "nowhere.png")
    info = drawn.parents[2] / "data/info.json"
    facts = json.loads(info.read_text())
    io.save_json(info, facts | {"shape": [4, 1, 16, 16]})
    refused("but the networks know those of 1×16×16")
    io.save_json(info, facts | {"settings": {"kind": "mnist"}})
    refused("an image of mnist is no file of its own; make a dataset of the new ones")
    table = io.load_samples(drawn / "maps.npy")
    for kind, expected in (("oracle", "oracle needs the truth"), ("traversal", "traversal needs an inversion")):
        io.save_table(drawn / "samples.parquet", table, **{**table.attrs, "method": kind})
        refused(expected)
    del table.attrs["seed"]
    io.save_table(drawn / "samples.parquet", table, **table.attrs)
    refused("drawn by an older version")
