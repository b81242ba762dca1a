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
from evidence.errors import BadInput
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
    return Chains(subject, generator, known, numbers, latents, **{"least": 4, **settings})


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


@pytest.mark.parametrize("bank", [600, 4096])
@pytest.mark.parametrize("anchor", [(1,), (0, 2)])
def test_walks_draw_what_agrees_by_chance(bent, image, bank, anchor):
    """From many chains, and from few."""
    sampler = made(bent, image, bank=bank, threshold=NEAR, thin=40)
    sampler.draw(anchor, len(sampler._agreeing(anchor)))
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


def test_chains_take_the_share_of_steps_that_is_wanted(bent, image):
    sampler = made(bent, image, bank=4000, threshold=0.05, walkers=64, thin=1)
    sampler.draw((0, 1), len(sampler._agreeing((0, 1))) + 64 * 60)
    walk, moved = sampler.walks[0, 1], []
    for _ in range(40):
        rows = sampler._some(len(walk.chains))
        states = walk.chains[rows]
        before = states.latents.clone()
        sampler._step([walk], [states])
        moved.append((states.latents != before).any(1).float().mean().item())
    assert np.mean(moved) == pytest.approx(chains.WANTED, abs=0.06)


def test_chains_start_at_samples_and_never_leave_what_agrees(bent, image):
    sampler = made(bent, image, bank=400, threshold=0.1)
    agreeing = sampler._agreeing((1,))
    assert 16 < len(agreeing) < chains.CHAINS
    sampler.draw((1,), len(agreeing) + 1)
    walk, mask = sampler.walks[1,], sampler.subject.mask((1,))
    started = {tuple(row) for row in sampler.bank.latents[agreeing].tolist()}
    assert len(walk.chains) == len(agreeing)
    assert sum(tuple(row) in started for row in walk.chains.latents.tolist()) >= len(agreeing) - sampler.walkers
    for _ in range(20):
        sampler.draw((1,), 16)
        assert (losses(walk.chains.images, sampler.subject, mask) <= walk.chains.reach).all()
        moved = torch.tensor([tuple(row) not in started for row in walk.chains.latents.tolist()])
        drawn = bent(walk.chains.latents)
        assert torch.allclose(drawn[moved], walk.chains.images[moved], atol=1e-5)
        assert torch.allclose(drawn, walk.chains.images, atol=1e-3), "the bank's are half precise"
    assert moved.any()


def test_what_next_to_nothing_of_the_bank_agrees_with_is_out_of_reach_at_once(bent, image):
    """One image fewer than is asked for, and as many."""
    count = len(made(bent, image, bank=200, threshold=0.1)._agreeing((0,)))
    assert count > 1
    with pytest.raises(Unreachable):
        made(bent, image, bank=200, threshold=0.1, least=count + 1).draw((0,), 1)
    assert len(made(bent, image, bank=200, threshold=0.1, least=count).draw((0,), 2 * count).images) == 2 * count
    bright = made(Same(0.001), torch.full((1, 1, 3, 4), 5.0))
    with pytest.raises(Unreachable):
        bright.draw((0,), 2)
    assert bright.cost.images == 0


@pytest.mark.parametrize("name", ["walkers", "thin", "least"])
def test_what_would_never_draw_is_refused(bent, image, name):
    with pytest.raises(BadInput, match=f"{name}: 0 has to be 1 or more"):
        made(bent, image, **{name: 0})


def test_chains_that_cost_too_much_are_cut_off(bent, image):
    with pytest.raises(Spent):
        made(bent, image, bank=200, threshold=0.1, cost=Cost(most=50)).draw((0,), 500)


def test_anchors_that_are_asked_for_together_cost_as_much_as_one_after_the_other(bent, image):
    together, apart = (made(bent, image, bank=200, threshold=0.1) for _ in range(2))
    together.prepare([(0,), (1,), (2,)], 250)
    for anchor in ((0,), (1,), (2,)):
        apart.draw(anchor, 250)
    assert together.cost.images == apart.cost.images > 0
    for anchor in ((0,), (1,), (2,)):
        assert len(together.draw(anchor, 250).images) == 250
    assert together.cost.images == apart.cost.images


def test_the_same_random_numbers_give_the_same_samples(bent, image):
    first, again, other = (made(bent, image, seed=seed).draw((0, 2), 100).images for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
