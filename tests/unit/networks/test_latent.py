import pytest
import torch
from torch.nn.functional import cosine_similarity

from evidence.errors import BadInput
from evidence.networks.latent import Discriminator, Generator, draw, typical


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("options", "parameters", "side"),
    [({}, 11_943_296, 64), ({"z1": 100, "z2": 10, "widths": (384, 256, 192, 64)}, 11_465_728, 128)],
)
def test_the_released_generators(options, parameters, side):
    with torch.device("meta"):
        generator = Generator(**options)
        images = generator(torch.empty(2, sum(generator.sizes)))
    assert count(generator) == parameters
    assert images.shape == (2, 3, side, side)


@pytest.mark.parametrize(("side", "parameters"), [(64, 1_586_545), (128, 1_660_273)])
def test_the_released_discriminators(side, parameters):
    with torch.device("meta"):
        judge = Discriminator(size=(side, side))
        assert judge(torch.empty(2, 3, side, side)).shape == (2,)
    assert count(judge) == parameters


def test_volumes_are_drawn_and_judged():
    generator = Generator(channels=1, z1=3, z2=2, base=4, widths=(4, 4), spatial_dims=3)
    images = generator(torch.randn(2, 5))
    assert images.shape == (2, 1, 32, 32, 32)
    assert Discriminator(size=(32, 32, 32), channels=1, widths=(2, 2))(images).shape == (2,)


def test_images_lie_in_the_range_asked_for():
    torch.manual_seed(0)
    latents = torch.randn(50, 5) * 50
    wide = Generator(channels=1, z1=3, z2=2, base=4, widths=(4,), low=0.0, high=1.0)
    images = wide(latents)
    assert images.min() >= 0
    assert images.max() <= 1
    plain = Generator(channels=1, z1=3, z2=2, base=4, widths=(4,))
    plain.load_state_dict(wide.state_dict())
    assert torch.allclose((plain(latents) + 1) / 2, images, atol=1e-6)


def test_negatives_have_no_second_latent():
    labels = torch.tensor([0, 1, 0, 1])
    latents = draw(labels, (7, 3), torch.Generator().manual_seed(1))
    assert (latents[:, 7:] == 0).all(1).tolist() == [True, False, True, False]
    assert (latents[:, :7] != 0).all()
    negative = Generator(channels=1, z1=7, z2=3, base=2, widths=(2,)).negative(latents)
    assert torch.equal(negative[:, :7], latents[:, :7])
    assert (negative[:, 7:] == 0).all()


def test_latents_are_standard_normal():
    latents = draw(torch.ones(20_000, dtype=torch.int64), (3, 2), torch.Generator().manual_seed(0))
    assert torch.allclose(latents.mean(0), torch.zeros(5), atol=0.03)
    assert torch.allclose(latents.T.cov(), torch.eye(5), atol=0.05)


def test_typical_latents_have_the_length_that_drawn_ones_have_and_their_own_direction():
    found = 5 * torch.randn(4, 10, generator=torch.Generator().manual_seed(1)) + 2
    latents = typical(found, torch.tensor([0, 1, 0, 1]), (7, 3))
    assert torch.allclose(latents[:, :7].norm(dim=1), torch.full((4,), 7**0.5))
    assert torch.allclose(latents[:, 7:].norm(dim=1), torch.tensor([0.0, 3**0.5, 0.0, 3**0.5]))
    assert torch.allclose(cosine_similarity(latents[:, :7], found[:, :7]), torch.ones(4))
    assert torch.allclose(cosine_similarity(latents[1::2, 7:], found[1::2, 7:]), torch.ones(2))
    drawn = draw(torch.ones(2000, dtype=torch.int64), (1000, 100), torch.Generator().manual_seed(0))
    assert torch.allclose(drawn[:, :1000].norm(dim=1), torch.tensor(1000**0.5), rtol=0.1)
    assert typical(torch.zeros(1, 10), torch.ones(1, dtype=torch.int64), (7, 3)).isfinite().all()


def test_latents_of_another_size_are_refused():
    generator = Generator(channels=1, z1=3, z2=2, base=4, widths=(4,))
    with pytest.raises(BadInput, match=r"latents of 6 numbers do not fit a generator of 3 \+ 2"):
        generator(torch.zeros(1, 6))


def test_images_too_small_to_be_judged_are_refused():
    with pytest.raises(BadInput, match="16×16 are too small"):
        Discriminator(size=(16, 16))
