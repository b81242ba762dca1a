"""VA-GAN's map: the change of the image, or the generator's output."""

import pytest
import torch

from evidence import machine
from evidence.attribution.vagan import attribute
from evidence.networks.unet import MapGenerator


@pytest.mark.parametrize("tanh", [True, False])
@pytest.mark.parametrize("size", [(16, 24), (8, 16, 24)])
def test_effective_is_what_changed_and_raw_is_the_output_turned(size, tanh):
    torch.manual_seed(0)
    generator = MapGenerator(channels=2, width=2, spatial_dims=len(size), tanh=tanh)
    images = torch.rand(3, 2, *size) * 2 - 1
    with machine.evaluation(generator):
        change = generator(images)
        healed = torch.tanh(images + change) if tanh else images + change
        effective, raw = attribute(images, generator), attribute(images, generator, map="raw")
    assert effective.shape == (3, 1, *size)
    torch.testing.assert_close(effective, (images - healed).mean(1, keepdim=True))
    torch.testing.assert_close(raw, -change.mean(1, keepdim=True))
    if not tanh:
        torch.testing.assert_close(effective, raw, atol=1e-6, rtol=1e-5)


def test_a_bright_effect_that_is_taken_away_is_positive():
    generator = MapGenerator(width=2, tanh=False, zero=True)
    with torch.no_grad():
        generator.last.bias.fill_(-0.4)
    with machine.evaluation(generator):
        assert torch.allclose(attribute(torch.zeros(1, 1, 8, 16), generator), torch.tensor(0.4))
