"""What is shown of an encoder: the part it sees, and the images of its codes."""

import numpy as np
import pytest
import torch
from torch import nn

from evidence.attribution.decodings import MAPS, attribute
from evidence.networks.dcgan import Generator
from evidence.networks.encoder import Encoder


class Plain(nn.Module):
    """Codes of what is shown: its mean, and that and one more."""

    def __init__(self, codes):
        super().__init__()
        self.codes = codes

    def forward(self, masked):
        mean = masked.flatten(1).mean(1)[:, None, None]
        return mean + torch.arange(self.codes)[:, None] + torch.zeros(len(masked), self.codes, 2)


class Grey(nn.Module):
    """An image as bright as the first number of its latent."""

    z = 2

    def forward(self, latents):
        return (latents[:, :1] / 10)[:, :, None, None].expand(-1, 1, 12, 18)


@pytest.fixture
def image():
    bands = np.repeat([-0.9, -0.1, 0.8], 6).astype(np.float32)
    return torch.from_numpy(np.broadcast_to(bands, (1, 1, 12, 18)).copy())


@pytest.mark.parametrize("codes", [2, 8])
def test_the_images_are_those_of_the_codes_of_what_is_shown(image, codes):
    maps, columns = attribute(image, Grey(), Plain(codes), segments=3, shown=1)
    assert maps.shape == (1, len(MAPS), 12, 18)
    shown = torch.full((12, 18), -1.0)
    shown[:, 12:] = image[0, 0, :, 12:]  # the brightest band
    assert torch.equal(maps[0, 0], shown)
    mean = ((shown + 1) / 2).mean()
    for number, drawn in enumerate(maps[0, 1:]):
        assert torch.allclose(drawn, (mean + number % codes) / 10, atol=1e-6)
    expected = torch.stack([((mean + n) / 10 - 0.8).square() for n in range(codes)]).mean()
    assert columns["reconstruction"].item() == pytest.approx(expected.item(), rel=1e-4)
    assert columns["distance"].item() == pytest.approx(np.sqrt(2) * (1 if codes == 2 else 3), rel=1e-4)


def test_a_real_encoder_and_generator_fit(image):
    torch.manual_seed(0)
    square = torch.rand(2, 1, 28, 28) * 2 - 1
    generator = Generator(size=(28, 28), z=5, widths=(4, 4, 4, 4))
    encoder = Encoder(size=(28, 28), widths=(2, 2, 2), codes=3, z=5)
    before = {key: value.clone() for key, value in generator.state_dict().items()}
    maps, columns = attribute(square, generator, encoder, segmentation="slic", segments=6, show="middle")
    assert maps.shape == (2, len(MAPS), 28, 28)
    assert torch.equal(maps[:, 1], maps[:, 4])
    assert columns["reconstruction"].shape == (2,)
    assert all(torch.equal(before[key], value) for key, value in generator.state_dict().items())
