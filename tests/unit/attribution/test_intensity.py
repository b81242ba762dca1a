"""The image as its own map."""

import torch

from evidence.attribution.intensity import attribute


def test_one_channel_is_the_image_itself(images_of):
    images = images_of("slice")
    assert torch.equal(attribute(images), images)


def test_channels_are_averaged(images_of):
    images = images_of("volume")
    assert torch.equal(attribute(images), (images[:, :1] + images[:, 1:]) / 2)


def test_a_map_is_no_view_that_writes_into_the_image(images):
    kept = images.clone()
    attribute(images).zero_()
    assert torch.equal(images, kept)
