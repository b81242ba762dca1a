"""White noise: its distribution, and what it depends on."""

import numpy as np
import pytest
import torch

from evidence.attribution.random import attribute


def test_noise_is_standard_normal():
    maps = attribute(torch.zeros(4, 1, 100, 120), [1, 2, 3, 4])
    spread = maps.numel() ** -0.5
    assert abs(maps.mean()) < 4 * spread
    assert abs(maps.var() - 1) < 4 * 2**0.5 * spread
    assert abs((maps.abs() < 1).float().mean() - 0.6827) < 4 * spread


def test_noise_is_white_and_images_are_independent():
    maps = attribute(torch.zeros(2, 1, 100, 120), [1, 2])
    pairs = [(maps[0], maps[1]), (maps[:, :, 1:], maps[:, :, :-1]), (maps[..., 1:], maps[..., :-1])]
    for one, other in pairs:
        assert abs((one * other).mean()) < 4 * one.numel() ** -0.5


def test_shape_follows_the_image_not_its_channels(kind, images):
    maps = attribute(images, [1, 2, 3])
    assert maps.shape == (3, 1, *images.shape[2:])
    assert maps.dtype == torch.float32


def test_each_image_has_its_own_stream_whatever_the_batch_and_the_intensities(images):
    maps = attribute(images, [5, 6, 2**62 + 7])
    alone = attribute(-images[2:], [2**62 + 7])
    assert torch.equal(maps[2:], alone)
    assert torch.equal(attribute(images.flip(0), [2**62 + 7, 6, 5]), maps.flip(0))


def test_different_streams_are_different_noise():
    """A thousand of them, so that a seed cut short would be found out."""
    maps = attribute(torch.zeros(1000, 1, 4, 5), list(range(0, 7_000_000, 7000)))
    assert len(torch.unique(maps.flatten(1), dim=0)) == 1000


def test_every_bit_of_a_stream_counts():
    """Streams have 63 bits. Torch's own generator would take 32 of them."""
    streams = [5, *(5 ^ 1 << bit for bit in range(63))]
    maps = attribute(torch.zeros(64, 1, 4, 5), streams)
    assert len(torch.unique(maps.flatten(1), dim=0)) == 64


def test_the_ambient_generators_are_left_alone(images):
    state, numbers = torch.get_rng_state(), np.random.get_state()[1].copy()
    attribute(images, [1, 2, 3])
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(np.random.get_state()[1], numbers)


def test_there_has_to_be_a_stream_for_each_image(images):
    with pytest.raises(ValueError, match="zip"):
        attribute(images, [1, 2])
