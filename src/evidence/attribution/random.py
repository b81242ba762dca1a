"""White noise: what a map is worth that knows neither the image nor a classifier.

VA-GAN has no such row. Its correlation with any truth is zero on average, and its spread says what zero looks like.
"""

import numpy as np
import torch

from evidence.shapes import Images, Maps


def attribute(images: Images, streams: list[int]) -> Maps:
    """Standard normal noise, each image's from its own stream.

    Args:
        streams: a seed for each image.
    """
    noise = []
    for image, stream in zip(images, streams, strict=True):
        generator = np.random.default_rng(stream)  # takes all bits of the seed, where torch's takes 32
        noise.append(generator.standard_normal((1, *image.shape[1:]), np.float32))
    return torch.from_numpy(np.stack(noise)).to(images.device)
