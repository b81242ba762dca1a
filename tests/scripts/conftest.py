"""A tiny packed dataset, and tiny weights for it, on disk."""

import numpy as np
import pandas as pd
import pytest
import torch

from evidence import io, weights
from evidence.networks.c3d import Classifier
from evidence.networks.unet import MapGenerator

SIZE = (16, 24)


@pytest.fixture
def dataset(tmp_path):
    """24 images of 16×24: 16 to train, 4 to validate, 4 to test, of which two are explained."""
    random = np.random.default_rng(0)
    folder = tmp_path / "data"
    io.save_array(folder / "images.npy", random.uniform(-1, 1, (24, 1, *SIZE)).astype(np.float32))
    io.save_array(folder / "truth.npy", (random.uniform(size=(24, 1, *SIZE)) > 0.9).astype(np.uint8))
    labels = np.arange(24) % 2
    split = np.repeat(["train", "validation", "test"], [16, 4, 4])
    explain = (split == "test") & (labels == 1)
    columns = {
        "sample": range(24),
        "label": labels,
        "split": split,
        "explain": explain,
        "has_truth": True,
        "subtype": "A",
    }
    io.save_table(folder / "index.parquet", pd.DataFrame(columns))
    return folder


@pytest.fixture
def networks(tmp_path):
    """Files of weights by name."""
    torch.manual_seed(0)
    made = {
        "classifier": {"classifier": Classifier(size=SIZE, width=2, hidden=4)},
        "cam": {"classifier": Classifier(size=SIZE, width=2, head="cam")},
        "vagan": {"generator": MapGenerator(width=2), "average": MapGenerator(width=2)},
    }
    paths = {}
    for name, content in made.items():
        paths[name] = tmp_path / "weights" / f"{name}.safetensors"
        weights.save(paths[name], content)
    return paths
