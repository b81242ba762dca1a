"""One table of scores a method, whatever number of maps it draws."""

import numpy as np
import pandas as pd
import pytest

from evidence import io


@pytest.fixture
def scored(script, dataset, tmp_path):
    """The scores, by a metric of maps, of the kinds of maps of two explained samples."""

    def run(metric, maps, names):
        io.save_array(tmp_path / "maps.npy", maps)
        io.save_table(tmp_path / "samples.parquet", pd.DataFrame({"sample": [0, 1]}), maps=names)
        data = [word for name in ("images", "index", "truth") for word in (f"--{name}", dataset / file_of(name))]
        out = tmp_path / "scores.parquet"
        status, text = script("evaluate", metric, *data, "--maps", tmp_path / "maps.npy", "--scores", out)
        assert status == 0, text
        return io.load_table(out), text

    return run


def file_of(name):
    return "index.parquet" if name == "index" else f"{name}.npy"


def test_each_of_a_methods_maps_is_scored(scored, dataset):
    index = io.load_table(dataset / "index.parquet")
    truth = io.load_truth(dataset / "truth.npy")[np.flatnonzero(index["explain"])].astype(np.float32)
    random = np.random.default_rng(1).uniform(size=truth.shape).astype(np.float32)
    table, text = scored("ncc", np.concatenate([truth, random], 1), '["right", "wrong"]')
    assert table.columns.tolist() == ["map", "sample", "at", "value"]
    assert table.attrs["metric"] == "ncc"
    assert table.attrs["better"] == "higher"
    values = table.set_index(["map", "sample"])["value"]
    assert values["right"].to_numpy() == pytest.approx([1, 1])
    assert (values["wrong"].abs() < 0.3).all()
    assert "ncc of right: mean 1.0000 over 2 scores" in text
    assert "ncc of wrong: mean" in text
    alone, text = scored("ncc", random, "[]")
    assert alone["map"].eq("").all()
    assert "ncc: mean" in text
    assert alone["value"].to_numpy() == pytest.approx(values["wrong"].to_numpy())


def test_one_map_of_several_is_not_scored_alone(script, dataset, tmp_path):
    words = (
        "--images",
        dataset / "images.npy",
        "--index",
        dataset / "index.parquet",
        "--scores",
        tmp_path / "s.parquet",
    )
    status, text = script("evaluate", "ncc", *words, "--truth", dataset / "truth.npy", "--maps", "maps.npy#v2")
    assert status == 1
    assert "all maps of the file are scored; leave #v2 out" in text
