"""Gaussian filters on tensors, axis by axis; and grey pictures of those in colour."""

import math
from typing import Literal

import torch
from torch.nn.functional import conv1d, pad

from evidence.shapes import Images, Maps

LUMA = (0.299, 0.587, 0.114)  # of ITU-R 601
BORDERS = {"zero": "constant", "edge": "replicate"}


def gaussian(images: Images, sigma: float, *, taps: int = 0, border: Literal["zero", "edge"] = "zero") -> Images:
    """Each channel of each image, filtered along every axis of space.

    Args:
        sigma: standard deviation in pixels; 0 for no filter.
        taps: length of the kernel, odd; 0 for four deviations to either side.
        border: what lies outside of the image. With ``zero``, mass is lost there and nowhere else.
    """
    if sigma <= 0:
        return images
    reach = taps // 2 if taps else math.ceil(4 * sigma)
    places = torch.arange(-reach, reach + 1, device=images.device, dtype=images.dtype)
    kernel = (-0.5 * (places / sigma).square()).exp()
    kernel = (kernel / kernel.sum()).view(1, 1, -1)
    for axis in range(2, images.dim()):
        rows = images.movedim(axis, -1)
        framed = pad(rows.reshape(-1, 1, rows.shape[-1]), (reach, reach), mode=BORDERS[border])
        images = conv1d(framed, kernel).view(rows.shape).movedim(-1, axis)
    return images


def grey(images: Images) -> Maps:
    """One channel of three, by luma; of one, the same."""
    if images.shape[1] == 1:
        return images
    luma = torch.tensor(LUMA, device=images.device, dtype=images.dtype).view(1, 3, *[1] * (images.dim() - 2))
    return (images * luma).sum(1, keepdim=True)
