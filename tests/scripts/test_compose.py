"""What a page says of the settings behind it."""

import importlib
import json

import pandas as pd

compose = importlib.import_module("scripts.compose")


def trained(*, steps, lr=1e-4):
    return {"model": "syce", "options": json.dumps({"steps": steps, "lr": lr})}


def weights(dataset, seed=0):
    return f"results/s/{dataset}/models/syce/seed{seed}/weights.safetensors"


def rows(models, maps=None):
    return [line for line in compose.settings({}, models, maps or {}) if line.startswith("| syce")]


def test_a_setting_is_told_once_for_all_seeds_and_datasets():
    alike = {weights(dataset, seed): trained(steps=5) for dataset in "ab" for seed in (0, 1)}
    assert rows(alike) == ["| syce | syce | steps 5 |"]


def test_where_datasets_differ_a_row_says_which_it_is_of():
    models = {weights("a"): trained(steps=5), weights("b"): trained(steps=6), weights("c"): trained(steps=5)}
    assert rows(models) == ["| syce on a, c | syce | steps 5 |", "| syce on b | syce | steps 6 |"]


def test_a_model_and_a_method_of_one_name_are_two():
    facts = {"method": "counterfactual", "options": '{"steps": 7}', "networks": "{}"}
    table = pd.DataFrame()
    table.attrs |= facts
    models, maps = {weights("a"): trained(steps=5)}, {"results/s/a/maps/syce/seed0/samples.parquet": table}
    assert rows(models, maps) == ["| syce | syce | steps 5 |", "| syce | counterfactual | steps 7 |"]
    table.attrs["networks"] = '{"generator": "x.safetensors#last"}'
    assert rows({}, maps) == ["| syce | counterfactual | steps 7, generator (last) |"]
