"""attribute.py and the table of an inversion, over real files."""

import numpy as np
import pandas as pd
import pytest
import torch

from evidence import io, weights
from evidence.networks.c3d import Classifier
from evidence.networks.latent import Generator


@pytest.fixture
def files(tmp_path):
    torch.manual_seed(0)
    images = np.random.default_rng(0).uniform(-1, 1, (4, 1, 32, 32)).astype(np.float32)
    index = pd.DataFrame({"sample": range(4), "label": [0, 1, 1, 1], "explain": [False, True, True, True]})
    io.save_array(tmp_path / "images.npy", images)
    io.save_table(tmp_path / "index.parquet", index)
    sizes = {"channels": 1, "z1": 3, "base": 4, "widths": (4, 4)}
    weights.save(tmp_path / "g.safetensors", {"generator": Generator(z2=2, **sizes)})
    weights.save(tmp_path / "other.safetensors", {"generator": Generator(z2=3, **sizes)})
    weights.save(tmp_path / "c.safetensors", {"classifier": Classifier(size=(32, 32), width=2, hidden=4)})
    return tmp_path


def asked(folder, method, *words, generator="g"):
    given = [method, "--images", folder / "images.npy", "--index", folder / "index.parquet"]
    given += ["--generator", folder / f"{generator}.safetensors", "--classifier", folder / "c.safetensors"]
    return [*given, "--maps", folder / method / "maps.npy", "--samples", folder / method / "samples.parquet", *words]


def test_latents_go_from_the_inversion_to_the_maps(files, script):
    status, said = script("attribute", *asked(files, "inversion", "--steps", "60"))
    assert status == 0, said
    table = io.load_table(files / "inversion" / "samples.parquet")
    assert np.stack(table["latents"]).shape == (3, 5)
    assert set(table["valid"]) <= {0.0, 1.0}
    table["valid"] = [1.0, 0.0, 1.0]
    io.save_table(files / "known.parquet", table)
    status, said = script("attribute", *asked(files, "traversal", "--latents", files / "known.parquet"))
    assert status == 0, said
    frames = io.load_samples(files / "traversal" / "maps.npy")
    assert frames["valid"].tolist() == [1.0, 0.0, 1.0], "what could not be inverted is no way either"
    maps = io.load_array(files / "traversal" / "maps.npy")
    assert np.allclose(maps[:, 10], io.load_array(files / "inversion" / "maps.npy")[:, 0], atol=1e-5)


def test_what_is_no_inversion_of_these_images_is_refused(files, script):
    status, said = script("attribute", *asked(files, "traversal"))
    assert (status, "traversal starts from latents; give --latents" in said) == (1, True)
    status, said = script("attribute", *asked(files, "traversal", "--latents", files / "index.parquet"))
    assert (status, "holds no latents for traversal" in said) == (1, True)
    table = pd.DataFrame({"sample": [0, 1, 2], "latents": list(np.zeros((3, 5), np.float32)), "valid": 1.0})
    io.save_table(files / "others.parquet", table)
    status, said = script("attribute", *asked(files, "traversal", "--latents", files / "others.parquet"))
    assert (status, "an inversion of other samples" in said) == (1, True)
    table["sample"] = [1, 2, 3]
    io.save_table(files / "these.parquet", table)
    words = asked(files, "traversal", "--latents", files / "these.parquet", generator="other")
    status, said = script("attribute", *words)
    assert (status, "latents of 5 numbers do not fit a generator of 3 + 3" in said) == (1, True), said
