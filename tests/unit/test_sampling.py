"""Samplers against the paper's own words: what is kept, what is drawn anew, and how near it has to come."""

import numpy as np
import pytest
import torch
from torch import nn

from evidence import sampling
from evidence.anchoring import Unreachable
from evidence.errors import BadInput
from evidence.sampling import Cost, Descent, Spent, Stitching, Subject, losses, thresholds
from evidence.segmenting import Segments


class Smooth(nn.Module):
    """Eight numbers to an image of 6×7, smoothly."""

    z = 8

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.Tanh(), nn.Linear(16, 42), nn.Tanh())

    def forward(self, latents):
        return self.layers(latents).unflatten(1, (1, 6, 7))


@pytest.fixture
def generator():
    return Smooth().eval().requires_grad_(False)


@pytest.fixture
def subject(generator):
    """An image that the generator can draw, in six strips."""
    with torch.no_grad():
        image = generator(torch.randn(1, 8, generator=torch.Generator().manual_seed(5)))
    return Subject(image, Segments(np.arange(6)[:, None] * np.ones((1, 7), np.int32), 6))


def test_thresholds_are_half_a_normal_distribution_below_the_threshold():
    """Mean and quantiles of the law for 0.05."""
    found = thresholds(200_000, 0.05, np.random.default_rng(0))
    assert found.max() <= 0.05
    assert found.min() > 0
    assert found.mean() == pytest.approx(0.0434, abs=1e-4)
    assert found.std() == pytest.approx(0.0050, abs=1e-4)
    assert np.quantile(found, [0.01, 0.05, 0.5, 0.95]) == pytest.approx([0.0285, 0.0337, 0.0444, 0.0495], abs=3e-4)
    assert np.quantile(found, 0.001) == pytest.approx(0.0226, abs=9e-4)


class Crafted(np.random.Generator):
    """Random numbers that are known."""

    def __init__(self, *draws):
        super().__init__(np.random.PCG64(0))
        self.draws = list(draws)

    def normal(self, mean, deviation, count):
        return np.array([self.draws.pop(0) for _ in range(count)])


def test_a_threshold_out_of_range_is_drawn_again_and_one_above_is_reflected():
    found = thresholds(3, 0.05, Crafted(-0.01, 0.06, 0.03, 0.1, 0.02))
    assert found == pytest.approx([0.02, 0.04, 0.03])


def test_a_stitched_sample_is_the_image_on_what_it_kept_and_one_donor_elsewhere(subject):
    donors = np.random.default_rng(1).uniform(-1, 1, (5, 1, 6, 7)).astype(np.float32)
    drawn = Stitching(subject, donors, np.random.default_rng(0)).draw((1, 4), 400)
    assert drawn.kept[:, [1, 4]].all()
    others = drawn.kept[:, [0, 2, 3, 5]].mean()
    assert abs(others - 0.2) < 0.03
    images, image = drawn.images.numpy(), subject.image[0].numpy()
    sources = set()
    for sample, whole, kept in zip(images, drawn.whole.numpy(), drawn.kept, strict=True):
        (source,) = [n for n, donor in enumerate(donors) if (donor == whole).all()]
        sources.add(source)
        for strip in range(6):
            assert (sample[:, strip] == (image if kept[strip] else whole)[:, strip]).all()
    assert sources == set(range(5))
    five = Stitching(subject, donors, np.random.default_rng(0)).draw((0, 1, 2, 3, 4), 200)
    assert not five.kept[:, 5].any(), "of five segments or more nothing else is kept"
    nothing = Stitching(subject, donors, np.random.default_rng(0), keep=0.0).draw((), 50)
    assert torch.equal(nothing.images, nothing.whole)


def test_the_loss_is_a_mean_over_the_anchor_alone(subject):
    others = torch.zeros(3, 1, 6, 7)
    others[1] = subject.image[0]
    others[2] = subject.image[0] + 0.5
    others[2, :, 3:] = 9.0
    found = losses(others, subject, subject.mask((0, 2)))
    assert found == pytest.approx([subject.image[0, 0, [0, 2]].square().mean().item(), 0.0, 0.25], abs=1e-6)
    assert (losses(others, subject, subject.mask(())) == 0).all(), "nothing to agree on"


def twin(subject, generator, begin, random, *, lr, threshold, drawn, count, at_once, restart):
    """Algorithm 3 as the released code has it, with torch's own Adam."""
    mask = subject.mask((1, 2))
    if drawn:
        reach = sorted(thresholds(count, threshold, random).tolist(), reverse=True) + [0.0] * (at_once - count)
    else:
        reach = [threshold] * at_once
    z = begin(mask, at_once).clone().requires_grad_()
    adam, kept, steps = torch.optim.Adam([z], lr=lr), [], 0
    while True:
        if steps > restart:
            z = begin(mask, at_once).clone().requires_grad_()
            adam, steps = torch.optim.Adam([z], lr=lr), 0
        steps += 1
        images = generator(z)
        each = [((mask * (image - subject.image)) ** 2).sum() / (mask.sum() + 1e-9) for image in images]
        order = sorted(range(at_once), key=lambda n: each[n].item())
        reach = sorted(reach, reverse=True)
        done = [rank for rank, n in enumerate(order) if each[n].item() <= reach[rank]]
        rest = [each[n] for rank, n in enumerate(order) if rank not in done]
        if rest:
            adam.zero_grad()
            torch.stack(rest).mean().backward()
            adam.step()
        if done:
            chosen = sorted(order[rank] for rank in done)
            kept += [images[n].detach() for n in chosen]
            if len(kept) >= count:
                return torch.stack(kept[:count])
            reach = [(1e-9 if drawn else threshold) if rank in done else old for rank, old in enumerate(reach)]
            z = z.detach().clone()
            z[chosen] = begin(mask, len(chosen))
            z.requires_grad_()
            adam = torch.optim.Adam([z], lr=lr)


@pytest.mark.parametrize("drawn", [False, True])
@pytest.mark.parametrize("mode", ["batch", "running"])
@pytest.mark.parametrize("restart", [1000, 7])
def test_descent_is_algorithm_3(subject, generator, drawn, mode, restart):
    """Image by image what the paper's steps give, one latent after the other and with torch's optimiser."""
    if mode == "batch":
        generator.train()
        generator.layers[1].momentum = 0.0
    settings = {"lr": 0.1, "threshold": 0.03, "drawn": drawn, "at_once": 12, "restart": restart}
    begin = sampling.prior(generator, torch.Generator().manual_seed(1))
    expected = twin(subject, generator, begin, np.random.default_rng(2), count=9, **settings)
    begin = sampling.prior(generator, torch.Generator().manual_seed(1))
    found = Descent(subject, generator, begin, np.random.default_rng(2), **settings).draw((1, 2), 9)
    assert torch.allclose(found.whole, expected, atol=1e-5)
    mask = subject.mask((1, 2))
    assert torch.equal(found.images * mask, (subject.image * mask).expand_as(found.images))
    assert torch.equal(found.images * (1 - mask), found.whole * (1 - mask))
    assert (losses(found.whole, subject, mask) <= 0.03).all()
    assert (found.kept == [False, True, True, False, False, False]).all()


def test_a_request_is_met_a_batch_at_a_time_and_its_cost_is_known(subject, generator):
    begin = sampling.prior(generator, torch.Generator().manual_seed(1))
    sampler = Descent(subject, generator, begin, np.random.default_rng(2), threshold=0.02, at_once=8)
    assert len(sampler.draw((0, 3), 20).images) == 20
    assert sampler.cost.images == 8 * sampler.cost.updates
    before = sampler.cost.images
    assert len(sampler.draw((), 20).images) == 20
    assert sampler.cost.images - before == 3 * 8, "nothing to agree on: all starts are good"


def test_what_no_latent_reaches_ends(subject, generator):
    begin = sampling.prior(generator, torch.Generator().manual_seed(1))
    far = Subject(torch.full_like(subject.image, 5.0), subject.segments)
    settings = {"at_once": 4, "restart": 10, "limit": 25}
    with pytest.raises(Unreachable):
        Descent(far, generator, begin, np.random.default_rng(2), **settings).draw((0,), 2)
    with pytest.raises(Spent):
        Descent(far, generator, begin, np.random.default_rng(2), cost=Cost(most=50), **settings).draw((0,), 2)


class Codes(nn.Module):
    """Two codes, far apart, that say where the mask was."""

    def forward(self, masked):
        return torch.stack([masked.flatten(1)[:, :8], masked.flatten(1)[:, :8] + 100], 1)


def test_an_encoder_says_where_latents_start(subject):
    begin = sampling.encoded(Codes(), subject.image, -1.0, 1.0, torch.Generator().manual_seed(0))
    mask = subject.mask((0,))
    found = begin(mask, 2000)
    expected = (mask * (subject.image + 1) / 2).flatten()[:8]
    near = found.mean(1) < 50
    assert 0.4 < near.float().mean() < 0.6
    assert torch.allclose(found[near].mean(0), expected, atol=0.15)
    assert torch.allclose(found[~near].mean(0), expected + 100, atol=0.15)
    assert torch.allclose(found[near].std(0), torch.ones(8), atol=0.15)


def test_what_does_not_fit_is_refused(subject, generator):
    with pytest.raises(
        BadInput, match=r"donors of the shape \(1, 5, 7\) cannot be stitched to an image of \(1, 6, 7\)"
    ):
        Stitching(subject, np.zeros((3, 1, 5, 7), np.float32), np.random.default_rng(0))
    with pytest.raises(BadInput, match=r"keep: 1\.5 is no chance"):
        Stitching(subject, np.zeros((3, 1, 6, 7), np.float32), np.random.default_rng(0), keep=1.5)
    other = Subject(torch.zeros(1, 1, 6, 8), subject.segments)
    with pytest.raises(BadInput, match=r"draws images of \(1, 6, 7\), but those to explain are of \(1, 6, 8\)"):
        sampling.check(generator, other)
