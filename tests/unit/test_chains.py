"""Walks through latents against distributions that are known, and against images that agree by chance."""

import numpy as np
import pytest
import torch
from scipy.stats import kstest, truncnorm
from torch import nn

from bench.samples import probability
from evidence import chains
from evidence.anchoring import Unreachable
from evidence.chains import Chains
from evidence.sampling import Cost, Spent, Subject, losses, thresholds
from evidence.segmenting import Segments

NEAR = 0.03  # a threshold that some images are below by chance
STRIPS = np.arange(3, dtype=np.int32)[:, None].repeat(4, 1)


class Same(nn.Module):
    """Twelve numbers are the pixels of an image."""

    z = 12

    def __init__(self, scale=1.0):
        super().__init__()
        self.scale = scale

    def forward(self, latents):
        return self.scale * latents.unflatten(1, (1, 3, 4))


class Bent(nn.Module):
    """Twelve numbers to an image of which each pixel depends on all of them."""

    z = 12

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(12, 24), nn.Tanh(), nn.Linear(24, 12), nn.Tanh())

    def forward(self, latents):
        return self.layers(latents).unflatten(1, (1, 3, 4))


def made(generator, image, labels=STRIPS, *, seed=0, bank=64, **settings):
    subject = Subject(image, Segments(labels, int(labels.max()) + 1))
    known = chains.bank(generator, bank, torch.Generator().manual_seed(seed), image.device)
    numbers, latents = np.random.default_rng(seed), torch.Generator().manual_seed(seed + 1)
    return Chains(subject, generator, known, numbers, latents, **settings)


@pytest.fixture
def bent():
    return Bent().eval().requires_grad_(False)


@pytest.fixture
def image(bent):
    return bent(torch.randn(1, 12, generator=torch.Generator().manual_seed(3)))


def test_one_pixel_that_is_a_latent_has_a_cut_normal_distribution():
    """N(0, 1) between 1.2 - 0.5 and 1.2 + 0.5 on the anchor, N(0, 1) elsewhere."""
    labels = np.arange(12, dtype=np.int32).reshape(3, 4)
    sampler = made(Same(), torch.full((1, 1, 3, 4), 1.2), labels, threshold=0.25, drawn=False, thin=8)
    found = sampler.draw((5,), 3000).whole.flatten(1).double().numpy()
    assert sampler.cost.images > 3000, "most of them are walked to"
    assert kstest(found[::4, 5], truncnorm(0.7, 1.7).cdf).pvalue > 0.01
    assert kstest(found[::4, 0], "norm").pvalue > 0.01
    assert kstest(found[::4, 11], "norm").pvalue > 0.01
    assert abs(np.corrcoef(found.T)[5, [0, 4, 6, 11]]).max() < 0.06


def rejected(generator, subject, anchor, count, threshold):
    """The slow way: images that agree by chance."""
    random, numbers, found = torch.Generator().manual_seed(99), np.random.default_rng(99), []
    while sum(map(len, found)) < count:
        images = generator(torch.randn(20_000, 12, generator=random))
        reach = torch.from_numpy(thresholds(len(images), threshold, numbers))
        found.append(images[losses(images, subject, subject.mask(anchor)) <= reach])
    return torch.cat(found)[:count]


@pytest.mark.parametrize("bank", [8, 4096])
@pytest.mark.parametrize("anchor", [(1,), (0, 2)])
def test_walks_draw_what_agrees_by_chance(bent, image, bank, anchor):
    """From many images of a bank that agree, and from where hardly one does."""
    sampler = made(bent, image, bank=bank, threshold=NEAR, thin=12, settle=200)
    sampler.draw(anchor, max(1, len(sampler._opened(anchor).agreeing)))
    walked = sampler.draw(anchor, 256).whole
    chance = rejected(bent, sampler.subject, anchor, 512, NEAR)
    assert probability(chance[:256], chance[256:]) > 0.01
    assert probability(chance[:256], walked) > 0.01


def test_the_test_of_two_samples_tells_others_apart(bent, image):
    """The anchor put into any image, which agrees with nothing around it, is no such sample."""
    anything = made(bent, image, bank=4096, threshold=99.0).draw((1,), 256).whole
    assert probability(rejected(bent, made(bent, image).subject, (1,), 256, NEAR), anything) < 0.01


def test_samples_agree_as_nearly_as_was_asked_and_keep_the_anchor(bent, image):
    sampler = made(bent, image, threshold=0.05)
    for anchor in ((), (2,), (0, 1)):
        drawn, mask = sampler.draw(anchor, 90), sampler.subject.mask(anchor)
        assert len(drawn.images) == 90
        assert (losses(drawn.whole, sampler.subject, mask) <= 0.05).all()
        assert torch.equal(drawn.images * mask, (image * mask).expand_as(drawn.images))
        assert torch.equal(drawn.images * (1 - mask), drawn.whole * (1 - mask))
        assert (drawn.kept == np.isin(np.arange(3), anchor)).all()


def test_what_agrees_in_the_bank_is_given_first_once_and_for_nothing(bent, image):
    sampler = made(bent, image, bank=2000, threshold=0.2, drawn=False)
    loss = losses(sampler.bank.images, sampler.subject, sampler.subject.mask((1,)))
    assert torch.allclose(sampler._losses((1,)), loss, atol=1e-5)
    agreeing = sampler.bank.images[loss <= 0.2]
    assert len(agreeing) > 50
    parts = [sampler.draw((1,), 20).whole, sampler.draw((1,), len(agreeing) - 20).whole]
    assert sampler.cost.images == 0
    assert {tuple(row) for row in torch.cat(parts).flatten(1).tolist()} == {
        tuple(row) for row in agreeing.flatten(1).tolist()
    }
    sampler.draw((1,), 1)
    assert sampler.cost.images > 0


def test_a_step_along_the_gradient_leads_to_what_is_aimed_at():
    """The root of the loss of a pixel that is a latent falls evenly."""
    generator = Same()
    sampler = made(generator, torch.full((1, 1, 3, 4), 1.2), np.arange(12, dtype=np.int32).reshape(3, 4), aim=0.64)
    z = torch.zeros(1, 12).requires_grad_()
    loss = losses(generator(z), sampler.subject, sampler.subject.mask((7,)))
    (gradient,) = torch.autograd.grad(loss.sum(), z)
    moved = z - sampler._newton(loss.detach(), torch.tensor([0.25]), gradient)
    assert moved[0, 7].item() == pytest.approx(1.2 - 0.5 * 0.8, abs=1e-5)
    assert moved[0, :7].abs().max() == 0


def test_walkers_take_the_share_of_steps_that_is_wanted(bent, image):
    sampler = made(bent, image, bank=4000, threshold=0.05, walkers=64, thin=1, rounds=1000)
    sampler.draw((0, 1), len(sampler._opened((0, 1)).agreeing) + 64 * 60)
    walk, kept = sampler.walks[0, 1], []
    for _ in range(40):
        before = walk.walkers.latents.clone()
        sampler._step([walk])
        kept.append((walk.walkers.latents == before).all(1).float().mean().item())
    assert np.mean(kept) == pytest.approx(1 - chains.WANTED, abs=0.06)


def test_directions_are_those_of_the_gradients_and_walks_along_and_across_them_draw_the_same(bent, image):
    """Of gradients in a plane, the plane; and the law of a pixel that is a latent, walked to in two kinds of steps."""
    random = torch.Generator().manual_seed(0)
    plane = torch.linalg.qr(torch.randn(12, 2, generator=random))[0]
    found = chains.steepest(torch.randn(120, 2, generator=random) @ plane.T)
    assert found.shape == (12, 2)
    assert torch.allclose(found @ found.T, plane @ plane.T, atol=1e-5)
    labels = np.arange(12, dtype=np.int32).reshape(3, 4)
    sampler = made(Same(), torch.full((1, 1, 3, 4), 1.2), labels, threshold=0.25, drawn=False, thin=24, rounds=1000)
    sampler.draw((5,), len(sampler._opened((5,)).agreeing) + 1)
    sampler.walks[5,].inner = torch.eye(12)[:, 5:6]
    walked = sampler.draw((5,), 1600).whole.flatten(1).double().numpy()
    assert kstest(walked[::2, 5], truncnorm(0.7, 1.7).cdf).pvalue > 0.01
    assert kstest(walked[::2, 2], "norm").pvalue > 0.01
    assert sampler.walks[5,].strides["outer"] > 0.9, "nothing holds it back across"


def test_what_was_found_for_a_part_is_a_start_for_the_whole(bent, image):
    """The bank has nothing near, the part's walkers are."""
    alone, after = (made(bent, image, bank=8, threshold=0.02) for _ in range(2))
    after.draw((0, 1), 17)
    before = after.cost.updates
    alone.draw((0, 1, 2), 1)
    after.draw((0, 1, 2), 1)
    assert after.cost.updates - before <= alone.cost.updates
    far = torch.cat([after.walks[0, 1].walkers.latents, after.bank.latents])
    start = after._nearest(after.walks[0, 1, 2], (0, 1, 2))
    assert {tuple(row) for row in start.latents.tolist()} <= {tuple(row) for row in far.tolist()}
    assert start.losses.min() < alone._nearest(alone.walks[0, 1, 2], (0, 1, 2)).losses.min()


def test_what_no_latent_reaches_ends_soon(image):
    """A generator that draws nothing as bright as the image."""
    sampler = made(Same(0.001), torch.full((1, 1, 3, 4), 5.0), limit=20, halving=5)
    with pytest.raises(Unreachable):
        sampler.draw((0,), 2)
    assert sampler.cost.updates == 20
    assert sampler.cost.images == 16 * 5 + 8 * 5 + 4 * 10
    with pytest.raises(Unreachable):
        made(Same(0.001), torch.full((1, 1, 3, 4), 5.0), limit=20, tries=3, cost=sampler.cost).draw((0,), 2)
    assert sampler.cost.updates == 4 * 20
    with pytest.raises(Spent):
        made(Same(0.001), torch.full((1, 1, 3, 4), 5.0), cost=Cost(most=50)).draw((0,), 2)


def test_the_same_random_numbers_give_the_same_samples(bent, image):
    first, again, other = (made(bent, image, seed=seed).draw((0, 2), 100).images for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
