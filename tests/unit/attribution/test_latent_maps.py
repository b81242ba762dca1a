from functools import partial

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from evidence import inverting
from evidence.attribution import latent, realisations, restarts, traversal
from evidence.errors import BadInput
from evidence.networks.latent import Generator
from evidence.resuming import Keeper
from evidence.seeds import stream


class Straight(nn.Module):
    """An image is a matrix times its latents: the way from negative to positive is straight."""

    def __init__(self):
        super().__init__()
        self.sizes = (3, 2)
        self.matrix = nn.Parameter(torch.randn(48, 5, generator=torch.Generator().manual_seed(0)) * 0.3)

    def forward(self, latents):
        return (latents @ self.matrix.T).view(-1, 1, 6, 8)

    def negative(self, latents):
        return torch.cat([latents[:, :3], torch.zeros_like(latents[:, 3:])], 1)


class Weighted(nn.Module):
    """The log-odds of class 1 is a sum of weighted pixels."""

    def __init__(self):
        super().__init__()
        self.weights = torch.randn(6, 8, generator=torch.Generator().manual_seed(1)) * 0.3

    def forward(self, images):
        z = (images * self.weights).flatten(1).sum(1, keepdim=True)
        return torch.cat([torch.zeros_like(z), z], 1)


@pytest.fixture
def latents():
    return torch.randn(4, 5, generator=torch.Generator().manual_seed(2))


def test_on_a_straight_way_both_integrals_are_the_slope_times_the_difference(latents):
    images = torch.zeros(4, 1, 6, 8)
    maps, columns = latent.attribute(images, Straight(), Weighted(), latents, steps=2001)
    difference, accumulated, lig, path = maps.split(1, 1)
    start, end = columns["negative"], columns["positive"]
    log_odds = [(p / (1 - p)).log() for p in (start, end)]
    mean_slope = ((end - start) / (log_odds[1] - log_odds[0])).view(-1, 1, 1, 1)  # of the sigmoid, times the weights
    expected = mean_slope * Weighted().weights * difference
    assert torch.allclose(lig, expected, atol=1e-3)
    assert torch.allclose(path, expected, atol=1e-4)
    assert torch.allclose(accumulated, difference.abs() * 2001 / 4000, atol=1e-3)
    assert columns["path_completeness"].abs().max() < 1e-4
    generator = Straight()
    assert torch.allclose(difference, generator(latents) - generator(generator.negative(latents)), atol=1e-6)


def test_on_a_bent_way_only_the_path_is_complete():
    torch.manual_seed(0)
    generator = Generator(channels=1, z1=3, z2=2, base=8, widths=(8, 8)).eval()
    with torch.no_grad():
        generator.layers[-2].weight.mul_(40)  # far into the tanh

    class Bright(nn.Module):
        def forward(self, images):
            z = 3 * (images * torch.linspace(-1, 1, 32)).flatten(1).sum(1, keepdim=True)
            return torch.cat([torch.zeros_like(z), z], 1)

    latents = torch.randn(6, 5) * 3
    images = torch.zeros(6, 1, 32, 32)
    coarse, fine = (latent.attribute(images, generator, Bright(), latents, steps=steps)[1] for steps in (21, 801))
    assert fine["path_completeness"].abs().max() < 0.01
    assert fine["path_completeness"].abs().mean() < coarse["path_completeness"].abs().mean()
    assert fine["completeness"].abs().mean() > 5 * fine["path_completeness"].abs().mean()


def test_the_gradient_of_the_decided_class_turns_round_where_the_way_crosses_a_half(latents):
    """Written as a loop over the way, as released: eleven images, the gradient of the greater probability."""
    generator, classifier = Straight(), Weighted()
    maps, columns = latent.attribute(
        torch.zeros(4, 1, 6, 8), generator, classifier, latents, steps=11, output="decided"
    )
    assert ((columns["negative"] >= 0.5) != (columns["positive"] >= 0.5)).any(), "a way that crosses"
    first, last = (generator(ends).detach() for ends in (generator.negative(latents), latents))
    total = torch.zeros_like(first)
    for k in range(11):
        scaled = torch.cat([latents[:, :3], latents[:, 3:] * k / 10], 1)
        pixels = generator(scaled).detach().requires_grad_()
        total += torch.autograd.grad(classifier(pixels).softmax(1).max(1).values.sum(), pixels)[0]
    torch.testing.assert_close(maps[:, 2:3], (last - first) * total / 11, rtol=1e-4, atol=1e-6)
    usual = latent.attribute(torch.zeros(4, 1, 6, 8), generator, classifier, latents, steps=11)
    assert torch.equal(usual[0][:, :2], maps[:, :2])
    assert torch.equal(usual[1]["positive"], columns["positive"])
    assert not torch.allclose(usual[0][:, 2], maps[:, 2])


def test_a_way_has_two_ends(latents):
    with pytest.raises(BadInput, match="starts at 2"):
        latent.attribute(torch.zeros(4, 1, 6, 8), Straight(), Weighted(), latents, steps=1)


def test_frames_lead_evenly_from_the_negative_to_the_reconstruction(latents):
    generator = Straight()
    frames, columns = traversal.attribute(torch.zeros(4, 1, 6, 8), generator, Weighted(), latents)
    assert frames.shape == (4, 11, 6, 8)
    assert torch.allclose(frames[:, 0], generator(generator.negative(latents))[:, 0])
    assert torch.allclose(frames[:, 10], generator(latents)[:, 0])
    assert torch.allclose(frames[:, 3], frames[:, 0] * 0.7 + frames[:, 10] * 0.3, atol=1e-6)
    expected = Weighted()(frames[:, 3:4]).softmax(1)[:, 1]
    assert torch.allclose(columns["p03"], expected, atol=1e-6)
    assert list(columns) == [f"p{n:02d}" for n in range(11)]


def test_realisations_share_z1_and_differ_in_z2():
    generator = Straight()
    with torch.no_grad():
        generator.matrix[24:, :3] = 0  # the lower half sees z2 alone
        generator.matrix[:24, 3:] = 0
    maps, columns = realisations.attribute(torch.zeros(2, 1, 6, 8), generator, Weighted(), [5, 6])
    upper, lower = maps.flatten(2).split(24, 2)
    assert torch.allclose(upper, upper[:, :1].expand_as(upper), atol=1e-6)
    assert (lower[:, 0] == 0).all()
    assert (lower[:, 1] - lower[:, 2]).abs().max() > 0.1
    assert not torch.allclose(upper[0], upper[1])
    assert set(columns) == {"p_negative", "p_first", "p_second", "p_third"}


def test_pairs_of_restarts():
    vectors = torch.tensor([[[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]]])
    assert torch.allclose(restarts.pairs(vectors), torch.tensor([1 / 3]))


def test_similarity_is_that_of_its_definition():
    """Wang et al. (2004), section III: means, variances and the covariance under a Gaussian window, written out."""
    a, b = np.random.default_rng(0).uniform(0, 2, (2, 24, 20))
    mean = partial(gaussian_filter, sigma=1.5, truncate=3.5)
    first, second = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    covariance = mean(a * b) - mean(a) * mean(b)
    variances = mean(a * a) - mean(a) ** 2 + mean(b * b) - mean(b) ** 2
    means = mean(a) ** 2 + mean(b) ** 2
    whole = (2 * mean(a) * mean(b) + first) * (2 * covariance + second) / ((means + first) * (variances + second))
    assert restarts.similarity(np.stack([a, b]), 2.0) == pytest.approx(whole[5:-5, 5:-5].mean())
    assert restarts.similarity(np.stack([a] * 3), 2.0) == pytest.approx(1)


def test_restarts_are_of_five_starts_and_compare_intensities_from_the_darkest_on():
    torch.manual_seed(0)
    generator = Generator(channels=1, z1=3, z2=2, base=8, widths=(8,)).eval().requires_grad_(False)
    generator.layers[-2].weight.mul_(30)  # images that differ
    images = generator(torch.randn(2, 5))
    settings = {"steps": 1, "lr": 1e-6}  # they stay where they start
    maps, columns = restarts.attribute(images, generator, Middle(), [4, 5], Keeper(), **settings)
    starts = [
        [inverting.starts([stream(own, "restart", n)], generator, "normal", images.device) for n in range(5)]
        for own in (4, 5)
    ]
    drawn = torch.stack([torch.cat([generator(start) for start in each])[:, 0] for each in starts])
    torch.testing.assert_close(maps, drawn, atol=1e-4, rtol=0)
    worst = (drawn - images).square().flatten(2).mean(2).amax(1)
    torch.testing.assert_close(columns["mse"], worst, atol=1e-4, rtol=0)
    expected = [restarts.similarity(each.numpy() + 1, 2.0) for each in drawn]
    assert columns["ssim"].tolist() == pytest.approx(expected, abs=1e-4)
    signed = [restarts.similarity(each.numpy(), 2.0) for each in drawn]
    assert np.abs(np.subtract(expected, signed)).min() > 0.01, "intensities around 0 would be compared otherwise"
    latents = torch.stack([torch.cat(each) for each in starts])
    weighed = latents @ generator.first.weight.T
    torch.testing.assert_close(columns["cosine_features"], restarts.pairs(weighed), atol=1e-4, rtol=0)
    agree = [
        [(Middle()(d[None, None]).diff() >= 0) == (Middle()(i[None]).diff() >= 0) for d in each]
        for each, i in zip(drawn, images, strict=True)
    ]
    assert columns["valid"].tolist() == [float(all(each)) for each in agree]


class Middle(nn.Module):
    def forward(self, images):
        z = 50 * images[..., 8:-8, 8:-8].flatten(1).mean(1, keepdim=True)
        return torch.cat([torch.zeros_like(z), z], 1)
