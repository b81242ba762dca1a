"""ReLU as whole numbers against torch's: values, gradients and gradients of gradients, bit by bit."""

import pytest
import torch
from torch import nn

from evidence.networks.relu import ReLU, gated

LAYOUTS = [torch.contiguous_format, torch.channels_last]


def numbers(*shape, seed=0, dtype=torch.bfloat16, layout=torch.contiguous_format):
    drawn = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return drawn.to(dtype).contiguous(memory_format=layout)


def every_bfloat16() -> torch.Tensor:
    """All 65,536 of them."""
    return torch.arange(-(2**15), 2**15).to(torch.int16).view(torch.bfloat16)


def test_all_numbers_of_bfloat16_become_what_torch_makes_of_them():
    numbers = every_bfloat16()
    ours, theirs = ReLU()(numbers.clone()), torch.relu(numbers)
    negative = numbers.isnan() & (numbers.view(torch.int16) < 0)
    assert torch.equal(ours[~numbers.isnan()], theirs[~numbers.isnan()])
    assert ours[numbers.isnan() & ~negative].isnan().all()
    assert (ours[negative] == 0).all()  # as the module says


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_gate_is_that_of_torch_for_all_numbers(dtype):
    images = every_bfloat16().to(dtype)
    images = images[~images.isnan()]
    gradient = numbers(len(images), dtype=dtype)
    assert torch.equal(gated(gradient, images), torch.ops.aten.threshold_backward(gradient, images, 0))


@pytest.mark.parametrize("layout", LAYOUTS, ids=["contiguous", "channels last"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_it_is_in_place_and_twice_differentiated_as_torch_does(dtype, layout):
    weights = numbers(3, 3, 3, 3, seed=1, dtype=dtype, layout=layout)
    found = []
    for relu in (ReLU(), nn.ReLU()):
        images = numbers(2, 3, 6, 6, dtype=dtype, layout=layout).requires_grad_(True)
        before = nn.functional.conv2d(images, weights, padding=1)
        place = before.data_ptr()
        after = relu(before)
        assert (after.data_ptr() == place) == isinstance(relu, ReLU)
        (gradient,) = torch.autograd.grad((after**3).sum(), images, create_graph=True)
        (second,) = torch.autograd.grad(gradient.square().sum(), images)
        found.append((after, gradient, second))
    for ours, theirs in zip(*found, strict=True):
        assert torch.equal(ours, theirs)
        assert ours.stride() == theirs.stride()


def test_what_it_overwrites_cannot_be_differentiated_by_mistake():
    before = numbers(4).requires_grad_(True) * 1
    squared = before.square()
    ReLU()(before)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        squared.sum().backward()
