"""The range of intensities goes with weights, from the dataset to every step that uses networks together."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from evidence import io, provenance, weights
from evidence.networks.c3d import Classifier
from evidence.networks.translators import Pair
from tests.scripts.conftest import SIZE
from tests.scripts.test_bad_input import assert_refused, files

UNIT, SIGNED = "[0, 1]", "[-1, 1]"


@pytest.fixture
def saved(tmp_path, dataset):
    """A classifier, which decides for either class, and a pair of generators, of these ranges; None for weights that do
    not say."""

    def make(classifier, generator):
        torch.manual_seed(0)
        judge = Classifier(size=SIZE, width=2, hidden=4)
        for layer in judge.modules():
            if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                layer.momentum = None  # statistics of the images to validate alone, whose log-odds are around zero
        with torch.no_grad():
            judge.train()(torch.from_numpy(np.array(io.load_array(dataset / "images.npy")[16:20])))
        networks = {
            "classifier": (judge, classifier),
            "generator": (Pair(symmetric=True, widths=(2, 2), spatial_dims=2), generator),
        }
        for role, (network, intensities) in networks.items():
            facts = {} if intensities is None else {"range": intensities}
            weights.save(tmp_path / f"{role}.safetensors", {role: network}, **facts)
        return [word for role in networks for word in (f"--{role}", tmp_path / f"{role}.safetensors")]

    return make


def data(dataset):
    return ("--images", dataset / "images.npy", "--index", dataset / "index.parquet")


def train(script, dataset, out, model, *words, intensities=None):
    if intensities is not None:
        io.save_json(dataset / "info.json", {"range": json.loads(intensities)} if intensities else {})
        words = (*words, "--info", dataset / "info.json")
    saved = ("--weights", out / "weights.safetensors", "--history", out / "history.parquet")
    return script("train", model, *words, *data(dataset), *saved)


TINY = ("--steps", "1", "--width", "2", "--hidden", "4", "--batch", "4")


@pytest.mark.parametrize(("intensities", "recorded"), [(SIGNED, SIGNED), (UNIT, UNIT), ("", ""), (None, "")])
def test_a_training_records_the_range_of_its_dataset(script, dataset, tmp_path, intensities, recorded):
    status, text = train(script, dataset, tmp_path / "out", "classifier", *TINY, intensities=intensities)
    assert status == 0, text
    assert provenance.facts(tmp_path / "out" / "weights.safetensors")["range"] == recorded


def test_facts_of_a_dataset_that_are_missing(script, dataset, tmp_path):
    answer = train(script, dataset, tmp_path / "out", "classifier", *TINY, "--info", tmp_path / "no.json")
    assert_refused(answer, "no.json", "missing")
    assert not files(tmp_path / "out")


def test_a_training_refuses_a_network_of_another_range(script, dataset, saved, tmp_path):
    words = saved(UNIT, UNIT)[:2]
    answer = train(script, dataset, tmp_path / "out", "cyce", *words, intensities=SIGNED)
    assert_refused(answer, "classifier.safetensors", UNIT, dataset / "info.json", SIGNED, "train them again")
    assert not files(tmp_path / "out")


@pytest.mark.parametrize("classifier", [None, SIGNED])
def test_a_training_takes_a_network_of_the_same_range_or_of_none(script, dataset, saved, tmp_path, classifier):
    tiny = "--steps 1 --batch 1 --widths [2,2] --judge_widths [2,2] --low -1".split()
    words = (*saved(classifier, None)[:2], *tiny)
    status, text = train(script, dataset, tmp_path / "out", "cyce", *words, intensities=SIGNED)
    assert status == 0, text


@pytest.mark.parametrize("method", ["counterfactual", "anchor"])
def test_a_method_refuses_networks_of_two_ranges(script, dataset, saved, tmp_path, method):
    out = tmp_path / "out"
    words = (*data(dataset), "--maps", out / "maps.npy", "--samples", out / "samples.parquet")
    answer = script("attribute", method, *saved(SIGNED, UNIT), *words)
    assert_refused(answer, "classifier.safetensors", SIGNED, "generator.safetensors", UNIT, "train them again")
    assert not files(out)


def test_a_method_takes_a_network_that_does_not_say_its_range(script, dataset, saved, tmp_path):
    out = tmp_path / "out"
    words = (*data(dataset), "--maps", out / "maps.npy", "--samples", out / "samples.parquet")
    status, text = script("attribute", "counterfactual", *saved(SIGNED, None), *words)
    assert status == 0, text


def test_a_method_refuses_a_network_of_another_range_than_the_images(script, dataset, saved, tmp_path):
    """Stitching has a classifier alone; of which range the images are is said where those to explain are chosen."""
    io.save_json(dataset / "info.json", {"range": [-1, 1], "classes": 2, "split seed": 0, "settings": {}})
    chosen = ("--index", tmp_path / "explained.parquet", "--images", dataset / "images.npy")
    facts = ("--info", dataset / "info.json", "--explained", chosen[1], "--facts", tmp_path / "facts.json")
    status, text = script("choose", "--index", dataset / "index.parquet", *facts)
    assert status == 0, text
    out = tmp_path / "out"
    words = (*chosen, "--maps", out / "maps.npy", "--samples", out / "samples.parquet", "--sampler", "stitching")
    answer = script("attribute", "anchor", *saved(UNIT, None)[:2], *words)
    assert_refused(answer, "explained.parquet", SIGNED, "classifier.safetensors", UNIT, "trained on the same dataset")
    assert not files(out)
    words = (*words, *"--repeats 1 --fresh 0 --segments 3 --largest 1 --batch 5".split())
    status, text = script("attribute", "anchor", *saved(SIGNED, None)[:2], *words)
    assert status == 0, text


def test_a_metric_refuses_networks_of_two_ranges(script, dataset, saved, tmp_path):
    scores = tmp_path / "out" / "scores.parquet"
    answer = script("evaluate", "acceptance", *saved(UNIT, SIGNED), *data(dataset), "--scores", scores)
    assert_refused(answer, "classifier.safetensors", UNIT, "generator.safetensors", SIGNED, "train them again")
    assert not files(tmp_path / "out")
    status, text = script("evaluate", "acceptance", *saved(UNIT, UNIT), *data(dataset), "--scores", scores)
    assert status == 0, text


def test_a_way_that_begins_at_black_is_asked_for_by_a_word(script, dataset, networks, tmp_path):
    """A negative number after a flag is not taken for a flag."""
    out = tmp_path / "out"
    words = (*data(dataset), "--maps", out / "maps.npy", "--samples", out / "samples.parquet", "--steps", "2")
    answer = script(
        "attribute", "integrated_gradients", "--classifier", networks["classifier"], "--baseline", "-1", *words
    )
    assert answer[0] == 0, answer[1]
    assert json.loads(io.load_table(out / "samples.parquet").attrs["options"])["baseline"] == -1
