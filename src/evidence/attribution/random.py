"""White noise: what a map is worth that knows neither the image nor a classifier.

VA-GAN has no such row. Its correlation with any truth is zero on average, and its spread says what zero looks like.
"""

import torch

from evidence.shapes import Images, Maps


def attribute(images: Images, streams: list[int]) -> Maps:
    """Standard normal noise, each image's from its own stream.

    Args:
        streams: a seed for each image.
    """
    noise = []
    for image, stream in zip(images, streams, strict=True):
        generator = torch.Generator().manual_seed(stream)  # on the CPU: a GPU would draw other numbers
        noise.append(torch.randn(1, *image.shape[1:], generator=generator))
    return torch.stack(noise).to(images.device)
