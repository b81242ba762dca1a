"""medXGAN's two classifiers: the released loss and recipe, mirrors, ImageNet weights that stay, and that they learn."""

import copy
import math

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from evidence import training
from evidence.models import simple_cnn, vgg
from evidence.training import Samples

SMALL = {
    simple_cnn: {"widths": (4, 4), "kernels": (3, 4)},
    vgg: {"width": 4, "hidden": 16, "head": (5,), "pool": 2},
}
BOTH = pytest.mark.parametrize("model", [simple_cnn, vgg], ids=["simple_cnn", "vgg"])


@pytest.fixture
def samples():
    """A quarter is of class 1, which is brighter in the middle."""
    random = np.random.default_rng(5)
    images, labels = random.uniform(-1, 0, (24, 1, 32, 48)).astype(np.float32), (np.arange(24) % 4 == 0).astype(int)
    images[labels == 1, :, 8:24, 12:36] += 1.0
    return Samples(images, labels)


def tiny(model, **options):
    torch.manual_seed(0)
    return model.Learner((1, 32, 48), **{**SMALL[model], "batch": 8, "steps": 40, "validate_every": 20, **options})


def batch_of(samples, rows):
    return iter([samples.labelled(np.asarray(rows))])


@BOTH
@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("loss", ["probabilities", "logits"])
def test_the_loss_by_hand(model, loss, balanced, samples):
    learner = tiny(model, loss=loss, balanced=balanced)
    learner.pool(samples)
    logits, labels = torch.randn(6, 2), [0, 0, 0, 1, 0, 1]
    each = []
    for row, label in zip(logits.tolist(), labels, strict=True):
        scores = [math.exp(z) for z in row]
        if loss == "probabilities":
            scores = [math.exp(score / sum(scores)) for score in scores]
        weight = {False: (1, 1), True: (24 / 36, 24 / 12)}[balanced][label]
        each.append(-math.log(scores[label] / sum(scores)) * weight)
    assert float(learner.loss(logits, torch.tensor(labels))) == pytest.approx(sum(each) / 6, rel=1e-5)


@BOTH
def test_of_probabilities_it_lies_between_its_bounds_and_fades_where_the_network_is_certain(model):
    """softplus(∓1): 0.3133 and 1.3133, the released loss's range; certain and wrong, it hardly says so."""
    learner = tiny(model)
    logits = torch.tensor([[-20.0, 20.0], [0.0, 0.0]], requires_grad=True)
    right, even = (learner.loss(logits[n : n + 1], torch.tensor([1])).item() for n in (0, 1))
    wrong = learner.loss(logits[:1], torch.tensor([0]))
    assert [right, even, wrong.item()] == pytest.approx([0.3133, math.log(2), 1.3133], abs=1e-4)
    (slope,) = torch.autograd.grad(wrong, logits)
    assert slope.abs().max() < 1e-6


@BOTH
def test_the_paper_s_optimiser(model):
    (group,) = tiny(model).optimisers["classifier"].param_groups
    assert (group["lr"], group["betas"]) == (2e-4, (0.5, 0.999))


@pytest.mark.parametrize(("horizontal", "vertical"), [(True, True), (False, True), (False, False)])
def test_slices_are_mirrored_in_training_and_not_in_validation(samples, monkeypatch, horizontal, vertical):
    learner, seen = tiny(simple_cnn, horizontal=horizontal, vertical=vertical), []
    learner.network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    images = samples.take(np.arange(24))
    learner.step(batch_of(samples, np.arange(24)), 0)
    ways = {(): images}
    ways |= {(-1,): images.flip(-1)} if horizontal else {}
    ways |= {(-2,): images.flip(-2)} if vertical else {}
    ways |= {(-1, -2): images.flip(-1, -2)} if horizontal and vertical else {}
    found = [{axes for axes, way in ways.items() if torch.equal(way[n], seen[0][n])} for n in range(24)]
    assert all(len(each) == 1 for each in found), "each image is one of these to the last bit"
    assert set.union(*found) == set(ways)
    learner.batch = 24
    learner.validate(samples, 0)
    assert torch.equal(seen[1], images)


def test_x_rays_are_taken_as_they_are(samples):
    learner, seen = tiny(vgg), []
    learner.network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    learner.step(batch_of(samples, [3, 4, 5]), 0)
    assert torch.equal(seen[0], samples.take(np.arange(3, 6)))


@BOTH
def test_it_learns_and_keeps_the_best(model, samples, tmp_path):
    learner = tiny(model, lr=2e-3, dropout=0.0, loss="logits", steps=60)
    history, _ = training.fit(learner, samples, samples, seed=0, state=tmp_path / "state.pt", recipe="r")
    losses = history[history["name"] == "validation_cross_entropy"]["value"]
    kept = learner.networks["classifier"].eval()
    images, labels = samples.labelled(np.arange(24))
    with torch.no_grad():
        assert float(learner.loss(kept(images), labels)) == pytest.approx(losses.min(), rel=1e-4)
        assert (kept(images).argmax(1) == labels).float().mean() > 0.9


@BOTH
def test_the_rate_is_constant_and_training_takes_all_its_steps(model, samples, monkeypatch, tmp_path):
    learner = tiny(model, steps=30, validate_every=1)
    monkeypatch.setattr(learner, "losses", lambda logits, labels: logits.sum(1) * 0 + 1)  # no validation is better
    history, _ = training.fit(learner, samples, samples, seed=0, state=tmp_path / "state.pt", recipe="r")
    assert history["step"].max() == 29
    assert learner.optimisers["classifier"].param_groups[0]["lr"] == 2e-4


# --- ImageNet weights -------------------------------------------------------------------------------------------------


@pytest.fixture
def imagenet(monkeypatch, tmp_path):
    """A file under torchvision's names, for three colours, of a network as small."""
    torch.manual_seed(9)
    donor = vgg.VGG(channels=3, **SMALL[vgg]).state_dict()
    state = {key: value for key, value in donor.items() if not key.startswith("head.")}
    path = tmp_path / "vgg16.safetensors"
    save_file({**state, "classifier.6.weight": torch.zeros(1000, 16), "classifier.6.bias": torch.zeros(1000)}, path)
    monkeypatch.setenv(vgg.WEIGHTS, str(path))
    return state


def test_imagenet_features_stay_and_the_dense_layers_start_from_theirs(samples, imagenet):
    learner = tiny(vgg, pretrained=True, dropout=0.0, lr=0.01)
    state = learner.network.state_dict()
    torch.testing.assert_close(state["features.0.weight"], imagenet["features.0.weight"].sum(1, keepdim=True))
    for name in ("features.28.weight", "classifier.0.weight", "classifier.3.bias"):
        assert torch.equal(state[name], imagenet[name])
    before = copy.deepcopy(state)
    for i in range(3):
        learner.step(batch_of(samples, np.arange(24)), i)
    moved = {name for name, value in learner.network.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {name for name in before if not name.startswith("features.")}


def test_without_them_the_features_learn_too(samples):
    learner = tiny(vgg, dropout=0.0, lr=0.01)
    before = copy.deepcopy(learner.network.state_dict())
    learner.step(batch_of(samples, np.arange(24)), 0)
    assert not torch.equal(learner.network.state_dict()["features.0.weight"], before["features.0.weight"])


def test_a_training_from_imagenet_weights_goes_on_where_it_was(samples, imagenet, tmp_path, monkeypatch):
    whole, first = tiny(vgg, pretrained=True, steps=6), tiny(vgg, pretrained=True, steps=6)
    training.fit(whole, samples, samples, seed=0, state=tmp_path / "whole.pt", recipe="r")
    monkeypatch.setenv("EVIDENCE_SAVE_SECONDS", "0")
    step = first.step

    def killed(batches, i):
        if i == 3:
            raise KeyboardInterrupt
        return step(batches, i)

    monkeypatch.setattr(first, "step", killed)
    with pytest.raises(KeyboardInterrupt):
        training.fit(first, samples, samples, seed=0, state=tmp_path / "state.pt", recipe="r")
    second = tiny(vgg, pretrained=True, steps=6)
    training.fit(second, samples, samples, seed=0, state=tmp_path / "state.pt", recipe="r")
    for key, value in whole.state_dict().items():
        assert torch.equal(value, second.state_dict()[key]), key
