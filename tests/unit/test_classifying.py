"""What all classifiers share: ImageNet weights that are asked for and not there."""

import pytest
import torch
from safetensors.torch import save_file

from evidence.errors import BadInput
from evidence.models import resnet, resnet18, vgg

RESIDUAL = {"layers": (1, 1, 1, 1), "width": 4, "hidden": 4}
MODELS = {
    "ResNet-50": (resnet, RESIDUAL),
    "ResNet-18": (resnet18, RESIDUAL),
    "VGG-16": (vgg, {"width": 4, "hidden": 16, "head": (5,), "pool": 2}),
}


@pytest.mark.parametrize("name", MODELS)
def test_weights_that_are_not_there_are_asked_for(name, monkeypatch, tmp_path):
    model, settings = MODELS[name]
    path = tmp_path / "weights.safetensors"

    def refused(says):
        with pytest.raises(BadInput, match=says):
            model.Learner((1, 32, 48), **settings, pretrained=True)

    monkeypatch.delenv(model.WEIGHTS, raising=False)
    refused(f"set {model.WEIGHTS} to a safetensors file of {name}'s")
    monkeypatch.setenv(model.WEIGHTS, str(path))
    refused("which is not there")
    path.write_bytes(b"PK")
    refused(f"{model.WEIGHTS}: .* does not hold the weights")
    save_file({"conv1.weight": torch.zeros(4, 3, 7, 7), "features.0.weight": torch.zeros(2, 3, 3, 3)}, path)
    refused(f"{model.WEIGHTS}: .* does not hold the weights")
