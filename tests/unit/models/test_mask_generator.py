"""The mask generator: its network on features of several sizes, its loss against a slow twin, what it learns."""

import numpy as np
import pytest
import torch
from torch import nn

from evidence.errors import BadInput
from evidence.models.mask_generator import Learner, roughness
from evidence.networks.c3d import Classifier
from evidence.networks.mask import MaskGenerator, shuffled
from evidence.training import Samples


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_the_shuffle_is_torchs(dims):
    images = torch.rand(2, 3 * 2**dims, *(3, 4, 5)[:dims])
    if dims == 2:
        assert torch.equal(shuffled(images), nn.functional.pixel_shuffle(images, 2))
    found = shuffled(images)
    assert found.shape == (2, 3, *(2 * size for size in images.shape[2:]))
    assert torch.equal(found[(..., *(slice(None, None, 2),) * dims)], images[:, :: 2**dims])


@pytest.mark.parametrize("size", [(32, 48), (30, 44), (16, 32, 24)])
@pytest.mark.parametrize("head", ["dense", "cam"])
def test_masks_have_the_size_of_the_image_and_lie_between_0_and_1(size, head):
    torch.manual_seed(0)
    classifier = Classifier(size=size, width=2, hidden=4, head=head).eval()
    images = torch.rand(3, 1, *size)
    features = classifier.pyramid(images)
    sizes = [tuple(-(-s // 2**level) for s in size) for level in range(1, len(features) + 1)]
    assert [tuple(each.shape[2:]) for each in features] == sizes
    torch.testing.assert_close(classifier.head(features[-1]), classifier(images), msg="the last is the trunk's end")
    network = MaskGenerator(features=tuple(each.shape[1] for each in features), spatial_dims=len(size)).eval()
    one, other = (network(features, torch.full((3,), label), size) for label in (0, 1))
    assert one.shape == images.shape
    assert one.min() >= 0
    assert one.max() <= 1
    assert not torch.equal(one, other), "the class matters"


class Middle(nn.Module):
    """Decides for class 1 where the middle is bright; its features are the image pooled."""

    def forward(self, images):
        z = 10 * (images[:, :, 4:8, 6:10].mean((1, 2, 3)) - 0.3)
        return torch.stack([-z / 2, z / 2], 1)

    def pyramid(self, images):
        pool = nn.functional.avg_pool2d
        return [pool(images, 2).repeat(1, 3, 1, 1), pool(images, 4).repeat(1, 4, 1, 1)]


def drawn(count=40):
    random = np.random.default_rng(0)
    images = random.uniform(0, 0.2, (count, 1, 12, 16)).astype(np.float32)
    images[::2, :, 4:8, 6:10] += 0.6
    return Samples(images, np.zeros(count, int))


@pytest.mark.parametrize("coin", [0.2, 0.8])
def test_the_loss_is_that_of_the_twin(coin, monkeypatch):
    torch.manual_seed(0)
    learner = Learner((1, 12, 16), Middle(), batch=4)
    learner.generator.eval()
    images = torch.from_numpy(drawn(4).images)
    labels = torch.tensor([1, 0, 1, 0])
    plain = torch.rand
    monkeypatch.setattr(
        torch, "rand", lambda shape, **options: torch.tensor(coin) if shape == () else plain(shape, **options)
    )
    torch.manual_seed(3)
    found = {key: value.item() for key, value in learner.terms(images, labels).items()}
    torch.manual_seed(3)
    noisy = images + 0.015 * torch.randn_like(images)
    others = learner.replacement(noisy)
    masks = learner.masks(noisy, labels).detach()
    expected = dict.fromkeys(found, 0.0)
    for x, y, m, c in zip(noisy, others, masks, labels, strict=True):
        s = [
            10 * (each[:, 4:8, 6:10].mean().item() - 0.3) * (1 if c else -1)
            for each in (x * (1 - m) + y * m, x * m + y * (1 - m))
        ]
        expected["destroy"] += max(0, s[0] + 2) / 4
        expected["preserve"] += 0.3 * max(0, 1 - s[1]) / 4
        expected["area"] += 8 * ((m + 0.0005) ** 0.3).mean().item() / 4
        square = (m[0, 1:] - m[0, :-1]).square().sum() + (m[0, :, 1:] - m[0, :, :-1]).square().sum()
        rim = sum(edge.square().sum() for edge in (m[0, 0], m[0, -1], m[0, :, 0], m[0, :, -1]))
        expected["smooth"] += 0.005 * (square + 0.3 * rim).item() / 8
    assert found == pytest.approx(expected, rel=1e-4)


def test_a_constant_mask_is_rough_at_the_border_alone():
    assert roughness(torch.ones(2, 1, 3, 5)).item() == pytest.approx(0.3 * (3 + 3 + 5 + 5) / 2)


def test_replacements_are_in_the_range_of_the_images():
    torch.manual_seed(0)
    for low, high in ((0.0, 1.0), (-1.0, 1.0)):
        learner = Learner((1, 12, 16), Middle(), low=low, high=high)
        images = torch.rand(200, 1, 12, 16) * (high - low) + low
        for _ in range(6):
            found = learner.replacement(images)
            assert abs(found.mean() - (low + high) / 2) < 0.03 * (high - low)


def test_it_learns_where_the_decision_is(tmp_path):
    from evidence import training

    torch.manual_seed(0)
    samples = drawn(40)
    learner = Learner((1, 12, 16), Middle(), batch=20, steps=200, validate_every=200, lr=3e-3, smooth=0.0005, area=4.0)
    history, _ = training.fit(learner, samples, samples, seed=0, state=tmp_path / "state.pt", recipe="r")
    learner.generator.eval()
    images, labels = learner.pool(samples).labelled(np.arange(40))
    masks = learner.masks(images, labels).detach()[labels == 1]
    assert masks[:, :, 4:8, 6:10].mean() > 2 * masks.mean()
    last = history[history["step"] == 199].set_index("name")["value"]
    assert last["validation_preserved"] > 0.9


def test_the_rate_falls_to_a_tenth():
    learner = Learner((1, 12, 16), Middle(), drop_every=2, steps=9)
    rates = []
    for i in range(5):
        learner.step(iter([drawn(8).labelled(np.arange(8))]), i)
        rates.append(learner.optimisers["generator"].param_groups[0]["lr"])
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4, 1e-5])


def test_a_classifier_without_features_is_refused():
    with pytest.raises(BadInput, match="a Flatten has no pyramid"):
        Learner((1, 12, 16), nn.Flatten())
