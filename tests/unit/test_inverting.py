from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy, mse_loss

from evidence.errors import BadInput
from evidence.inverting import Recipe, guesses, invert, starts
from evidence.networks.encoder import Encoder
from evidence.networks.filters import grey
from evidence.networks.latent import Generator, typical
from evidence.networks.unet import MapGenerator
from evidence.resuming import Keeper

ADAM = Recipe(optimiser="adam", initial="normal", lr=0.05, mse=4.0, bce=1.0, steps=120, patience=0, least=1e-4)


class Bright(nn.Module):
    def forward(self, images):
        z = 2 * images.flatten(1).mean(1, keepdim=True)
        return torch.cat([torch.zeros_like(z), z], 1)


@pytest.fixture
def generator():
    torch.manual_seed(0)
    return Generator(channels=1, z1=3, z2=2, base=8, widths=(8,)).eval().requires_grad_(False)


@pytest.fixture
def images(generator):
    return generator(torch.randn(3, 5, generator=torch.Generator().manual_seed(1)) * 3)


def slowly(image, generator, stream, recipe):
    """One image with torch's own optimiser."""
    latents = starts([stream], generator, recipe.initial, image.device).requires_grad_()
    if recipe.optimiser == "sgd":
        optimiser = torch.optim.SGD([latents], lr=recipe.lr)
    else:
        optimiser = torch.optim.Adam([latents], lr=recipe.lr, betas=(0.5, 0.999))
    target = Bright()(image).softmax(1)[:, 1]
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, recipe.steps)
    for _ in range(recipe.steps):
        drawn = generator(latents)
        p = Bright()(drawn).softmax(1)[:, 1]
        optimiser.zero_grad()
        prior = recipe.prior * (latents**2).sum() / 5
        opposite = Bright()(generator(latents * torch.tensor([1, 1, 1, 0, 0]))).softmax(1)[:, 0]
        away = prior - recipe.negative * opposite.log().sum()
        (recipe.mse * mse_loss(drawn, image) + recipe.bce * binary_cross_entropy(p, target) + away).backward()
        optimiser.step()
        if recipe.decay:
            schedule.step()
    return latents.detach()


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
@pytest.mark.parametrize("initial", ["normal", "zeros"])
@pytest.mark.parametrize(("prior", "decay", "negative"), [(0.0, False, 0.0), (0.3, True, 0.0), (0.0, True, 0.7)])
def test_many_at_once_are_what_each_alone_is_with_the_optimisers_of_torch(
    generator, images, optimiser, initial, prior, decay, negative
):
    generator.layers[-2].weight *= 30  # images of contrast, whose gradients move latents
    images = generator(torch.randn(3, 5, generator=torch.Generator().manual_seed(1)) * 3)
    lr = 0.05 if optimiser == "adam" else 1.0
    recipe = Recipe(optimiser, initial, lr, 4.0, 1.0, 60, 0, 1e-4, prior, decay, negative)
    found = invert(images, generator, Bright(), [7, 8, 9], recipe, Keeper())
    began = starts([7, 8, 9], generator, initial, images.device)
    assert (found.latents - began).abs().amax(1).min() > 0.02, "a hundred times what may be off"
    for image, stream, latents in zip(images, (7, 8, 9), found.latents, strict=True):
        assert torch.allclose(latents, slowly(image[None], generator, stream, recipe)[0], atol=2e-4)
    assert found.iterations.tolist() == [60, 60, 60]


def encoder_for(images, z=5):
    torch.manual_seed(3)
    return Encoder(size=tuple(images.shape[2:]), widths=(4,), codes=1, z=z).eval().requires_grad_(False)


def test_a_descent_may_start_where_the_encoder_puts_an_image(generator, images):
    """z2 of an image that is decided for class 0 starts at zeros, as such images are drawn."""
    images = torch.cat([images.abs(), -images.abs()]).clamp(-1, 1)
    encoder = encoder_for(images)
    decided = (images.flatten(1).mean(1) >= 0).long()
    assert decided.tolist() == [1, 1, 1, 0, 0, 0]
    recipe = Recipe("adam", "encoder", 1e-6, 4.0, 1.0, 1, 0, 1e-4)
    found = invert(images, generator, Bright(), range(6), recipe, Keeper(), encoder)
    expected = typical(encoder((images + 1) / 2)[:, 0], decided, (3, 2))
    assert torch.allclose(found.latents, expected, atol=1e-5)
    assert (guesses(images, decided, generator, encoder)[3:, 3:] == 0).all()
    again = invert(images, generator, Bright(), range(10, 16), recipe, Keeper(), encoder)
    assert torch.equal(found.latents, again.latents), "nothing is drawn"


@pytest.mark.parametrize(
    ("initial", "z", "message"),
    [("encoder", None, "go together"), ("normal", 5, "go together"), ("encoder", 4, "does not find one latent of 5")],
)
def test_an_encoder_that_is_missing_or_of_no_use_is_refused(generator, images, initial, z, message):
    recipe = Recipe("adam", initial, 0.1, 4.0, 1.0, 1, 0, 1e-4)
    encoder = z and encoder_for(images, z)
    with pytest.raises(BadInput, match=message):
        invert(images, generator, Bright(), [1, 2, 3], recipe, Keeper(), encoder)


@pytest.mark.parametrize("name", ["mse", "bce", "prior", "negative"])
def test_weights_below_nothing_are_refused(generator, images, name):
    with pytest.raises(BadInput, match=rf"{name} is a weight, 0 for none, not -0\.1"):
        invert(images, generator, Bright(), [1, 2, 3], replace(ADAM, **{name: -0.1}), Keeper())


def test_it_finds_an_image_that_the_generator_draws(generator, images):
    found = invert(
        images, generator, Bright(), [1, 2, 3], Recipe("adam", "normal", 0.05, 4.0, 1.0, 1500, 0, 0.0), Keeper()
    )
    assert (found.mse < 0.05 * images.var()).all()


def test_an_image_ends_by_itself_and_the_others_go_on(generator, images):
    first = starts([7], generator, "normal", images.device)
    given = torch.cat([generator(first), images[1:]])  # the first is found before it is sought
    recipe = Recipe("adam", "normal", 2e-3, 4.0, 0.0, 400, 100, 1e-9)
    found = invert(given, generator, Bright(), [7, 8, 9], recipe, Keeper())
    assert found.iterations[0] == 150  # the first look after a hundred iterations without a fall
    assert (found.iterations[1:] > 150).all()
    alone = invert(given[1:], generator, Bright(), [8, 9], recipe, Keeper())
    assert torch.allclose(found.latents[1:], alone.latents, atol=1e-5)


def test_stopped_and_gone_on_with_it_ends_in_the_same_bits(generator, images, tmp_path):
    whole = invert(images, generator, Bright(), [7, 8, 9], ADAM, Keeper())
    stopped = [15]
    with pytest.raises(SystemExit, match="goes on from"):
        invert(images, generator, Bright(), [7, 8, 9], ADAM, Keeper(tmp_path / "k.npz", "r", stopped))
    again = Keeper(tmp_path / "k.npz", "r")
    assert int(again.load()["iteration"]) == 50
    found = invert(images, generator, Bright(), [7, 8, 9], ADAM, again)
    assert torch.equal(found.latents, whole.latents)
    other = Keeper(tmp_path / "k.npz", "another")
    assert other.load() == {}
    again.forget()
    assert not (tmp_path / "k.npz").exists()


def test_starts_share_z2_whichever_way_z1_begins(generator):
    normal, zeros = (starts([5, 6], generator, initial, torch.device("cpu")) for initial in ("normal", "zeros"))
    assert torch.equal(normal[:, 3:], zeros[:, 3:])
    assert (zeros[:, :3] == 0).all()
    assert not torch.equal(normal[0], normal[1])


def test_grey_is_luma_and_equal_channels_stay_what_they_are():
    one = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 1, 4, 6)).astype(np.float32))
    assert torch.allclose(grey(one.repeat(1, 3, 1, 1)), one, atol=1e-6)
    assert torch.equal(grey(one), one)


def test_what_cannot_be_inverted_is_refused(generator, images):
    with pytest.raises(BadInput, match="a MapGenerator draws nothing from latents"):
        invert(images, MapGenerator(width=2), Bright(), [1], ADAM, Keeper())
    with pytest.raises(BadInput, match="draws other images than these"):
        invert(torch.zeros(1, 1, 32, 32), generator, Bright(), [1], ADAM, Keeper())
    with pytest.raises(BadInput, match="1 step or more"):
        invert(images, generator, Bright(), [1, 2, 3], Recipe("adam", "normal", 0.1, 1.0, 1.0, 0, 0, 0.0), Keeper())
