"""One table of scores a method, whatever number of maps it draws, and of what it measured of itself."""

import importlib

import numpy as np
import pandas as pd
import pytest
import torch

from evidence import io, weights
from evidence.networks.c3d import Classifier
from evidence.networks.latent import Generator

SCRIPT = importlib.import_module("scripts.evaluate")


@pytest.fixture
def scored(script, dataset, tmp_path):
    """The scores of two explained samples by a metric of maps, or of a method's columns."""

    def run(metric, maps, names="[]", **columns):
        status, text = evaluate(script, dataset, tmp_path, metric, maps, names, **columns)
        assert status == 0, text
        return io.load_table(tmp_path / "scores.parquet"), text

    return run


def evaluate(script, dataset, folder, metric, maps, names="[]", **columns):
    columns = {"sample": explained(dataset), **columns}
    io.save_array(folder / "maps.npy", maps)
    io.save_table(folder / "samples.parquet", pd.DataFrame(columns), maps=names)
    data = [word for name in ("images", "index", "truth") for word in (f"--{name}", dataset / file_of(name))]
    return script("evaluate", metric, *data, "--maps", folder / "maps.npy", "--scores", folder / "scores.parquet")


def explained(dataset):
    return np.flatnonzero(io.load_table(dataset / "index.parquet")["explain"])


def file_of(name):
    return "index.parquet" if name == "index" else f"{name}.npy"


def test_each_of_a_methods_maps_is_scored(scored, dataset):
    truth = io.load_truth(dataset / "truth.npy")[explained(dataset)].astype(np.float32)
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


def test_a_method_that_was_asked_for_some_of_the_images_has_their_scores(scored, dataset):
    _, second = explained(dataset)
    truth = io.load_truth(dataset / "truth.npy")[[second]].astype(np.float32)
    table, text = scored("ncc", truth, sample=[second])
    assert table["sample"].tolist() == [second]
    assert table["value"].tolist() == pytest.approx([1])
    assert "over 1 scores" in text


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


INVERTED = {"mse": [0.01, 0.5], "bce": [0.1, 2.0], "before": [0.9, 0.9], "after": [0.8, 0.2], "valid": [1.0, 0.0]}


def test_a_sample_whose_map_means_nothing_has_no_score(scored, dataset):
    truth = io.load_truth(dataset / "truth.npy")[explained(dataset)].astype(np.float32)
    table, text = scored("ncc", np.concatenate([truth, -truth], 1), '["right", "wrong"]', valid=[0.0, 1.0])
    assert table["sample"].tolist() == 2 * explained(dataset).tolist(), "it is named, not dropped"
    np.testing.assert_allclose(table["value"], [np.nan, 1, np.nan, -1], atol=1e-12)
    lost = explained(dataset)[0]
    assert f"1 of 2 samples have maps that mean nothing (valid is 0), and no score: [{lost}]" in text
    assert f"ncc of right: mean 1.0000 over 1 scores; 1 do not exist (constant map?), samples [{lost}]" in text


def test_what_a_method_measured_is_scored_once_invalid_samples_included(scored, dataset):
    table, text = scored("reconstruction", np.zeros((2, 1, 16, 24), np.float32), **INVERTED)
    assert table["map"].eq("").all()
    assert table.attrs["better"] == "lower"
    for name, values in INVERTED.items():
        found = table[table["at"] == name]
        assert found["value"].tolist() == values
        assert found["sample"].tolist() == explained(dataset).tolist()
    assert "do not exist" not in text
    frames = {f"p{number:02d}": [number / 10, 0.5] for number in range(11)}
    names = str([f"f{number:02d}" for number in range(11)]).replace("'", '"')
    table, text = scored("monotony", np.zeros((2, 11, 16, 24), np.float32), names, **frames, valid=[1.0, 0.0])
    assert table["map"].eq("").all(), "once, not for each of eleven maps"
    rise = table[table["at"] == "rise"]["value"]
    np.testing.assert_allclose(rise, [1, np.nan])
    assert "have maps that mean nothing" not in text


def test_rows_without_truth_are_left_out_of_the_table_too(scored, dataset):
    """The map of the second sample alone is scored, by whether it is valid."""
    index = io.load_table(dataset / "index.parquet")
    index.loc[explained(dataset)[0], "has_truth"] = False
    io.save_table(dataset / "index.parquet", index)
    truth = io.load_truth(dataset / "truth.npy")[explained(dataset)].astype(np.float32)
    table, _ = scored("ncc", truth, valid=[0.0, 1.0])
    assert table["sample"].tolist() == [explained(dataset)[1]]
    assert table["value"].tolist() == pytest.approx([1])
    table, _ = scored("ncc", truth, valid=[1.0, 0.0])
    assert table["value"].isna().all()


def test_a_table_without_the_columns_of_a_metric_is_refused(script, dataset, tmp_path):
    maps = np.zeros((2, 1, 16, 24), np.float32)
    status, text = evaluate(script, dataset, tmp_path, "convergence", maps, cosine=[1.0, 1.0], valid=[1.0, 1.0])
    assert status == 1
    assert "the metric convergence reads cosine_z1, cosine_z2, cosine_features, ssim, which the table beside" in text
    assert f"{tmp_path / 'maps.npy'} lacks; give the maps of a method of the kind restarts, or draw these again" in text
    assert not (tmp_path / "scores.parquet").exists()


def test_a_table_of_other_samples_is_refused(script, dataset, tmp_path):
    maps = np.zeros((2, 1, 16, 24), np.float32)
    status, text = evaluate(script, dataset, tmp_path, "ncc", maps, sample=[0, 1])
    assert status == 1
    assert "maps.npy is of samples that are not explained, [0, 1]; draw the maps again" in text


def test_a_metric_of_a_methods_table_needs_the_maps_it_lies_beside(script, dataset, tmp_path):
    words = ("--images", dataset / "images.npy", "--index", dataset / "index.parquet")
    status, text = script("evaluate", "convergence", *words, "--scores", tmp_path / "s.parquet")
    assert status == 1
    assert "the metric convergence reads the table beside a method's maps; give --maps" in text


@pytest.mark.parametrize("repeats", [3, 4])
def test_repeats_are_of_no_sample_even_where_there_are_as_many(script, dataset, tmp_path, repeats):
    """Four samples are in the test split."""
    torch.manual_seed(0)
    networks = {
        "generator": Generator(channels=1, z1=3, z2=2, base=4, widths=(4,)),
        "classifier": Classifier(size=(16, 16), width=2, hidden=4),
    }
    words = ["--images", dataset / "images.npy", "--index", dataset / "index.parquet", "--repeats", repeats]
    for role, network in networks.items():
        weights.save(tmp_path / f"{role}.safetensors", {role: network})
        words += [f"--{role}", tmp_path / f"{role}.safetensors"]
    out = tmp_path / "scores.parquet"
    status, text = script("evaluate", "class_agreement", *words, "--draws", "5", "--scores", out)
    assert status == 0, text
    table = io.load_table(out)
    assert table["at"].tolist() == ["accuracy"] * repeats + ["auc"] * repeats
    assert table["sample"].isna().all()


def test_a_method_is_asked_for_some_of_the_images(script, dataset, networks, tmp_path):
    words = ["--classifier", networks["classifier"], "--images", dataset / "images.npy"]
    words += [
        "--index",
        dataset / "index.parquet",
        "--maps",
        tmp_path / "maps.npy",
        "--samples",
        tmp_path / "t.parquet",
    ]
    status, text = script("attribute", "gradient", "--explain", 1, *words)
    assert status == 0, text
    table = io.load_table(tmp_path / "t.parquet")
    assert len(io.load_array(tmp_path / "maps.npy")) == len(table) == 1
    assert table["sample"].isin(explained(dataset)).all()
    assert table.attrs["explain"] == 1


def test_several_scores_of_a_sample_keep_its_name():
    found = {"precision": np.array([[1.0, 2.0], [3.0, 4.0]]), "auc": np.array([0.5, 0.6, 0.7])}
    table = SCRIPT.tidy("", found, np.array([7, 9]), np.array([True, False]))
    several = table[table["at"] == "precision"]
    assert several["sample"].tolist() == [7, 7, 9, 9]
    np.testing.assert_array_equal(several["value"], [1, 2, np.nan, np.nan])
    assert table[table["at"] == "auc"]["sample"].isna().all(), "three of two samples are of all"
