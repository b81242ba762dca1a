"""What learners of a generator share: the kernel distance, the variation, what a discriminator sees, and the rate."""

import numpy as np
import torch

from evidence.generating import coarse, fade, kernel_distance, seen, spread, variation


def test_the_kernel_distance_is_nothing_between_halves_of_one_sample_and_much_between_others():
    rows = torch.randn(400, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert abs(kernel_distance(rows[:200], rows[200:])) < 0.05
    assert kernel_distance(rows[:200], rows[200:] + 1) > 1
    slow = sum((1 + a @ b / 6) ** 3 for i, a in enumerate(rows[:5]) for j, b in enumerate(rows[:5]) if i != j) / 20
    other = sum((1 + a @ b / 6) ** 3 for i, a in enumerate(rows[5:9]) for j, b in enumerate(rows[5:9]) if i != j) / 12
    across = sum((1 + a @ b / 6) ** 3 for a in rows[:5] for b in rows[5:9]) / 20
    assert torch.allclose(kernel_distance(rows[:5], rows[5:9]), slow + other - 2 * across)


def test_the_variation_is_that_of_a_pixel_over_images():
    images = torch.tensor([[0.0, 4.0], [2.0, 4.0]]).view(2, 1, 1, 2)
    assert torch.isclose(variation(images), torch.tensor(1.0))  # variances 2 and 0
    assert variation(images[:1].expand(5, -1, -1, -1)) == 0


def test_coarse_pixels_are_means():
    images = torch.arange(2 * 16 * 24.0).view(2, 1, 16, 24)
    assert torch.equal(coarse(images), images.view(2, 8, 2, 8, 3).mean((2, 4)).flatten(1))
    assert coarse(torch.zeros(3, 1, 8, 12, 16)).shape == (3, 64)


def test_rows_are_spread_evenly():
    rows = np.arange(10, 20)
    assert spread(rows, 4).tolist() == [10, 13, 16, 19]
    assert spread(rows, 40).tolist() == rows.tolist()


def test_a_discriminator_sees_images_as_they_are_unless_they_are_to_be_moved():
    images = torch.full((5, 1, 8, 12), 0.25)
    assert seen(images, 0.0, 0.0, -1.0) is images
    moved = seen(images, 0.5, 0.5, -1.0)
    assert all(torch.isclose(each.max() - each.min(), torch.tensor(1.25)) for each in moved)
    assert len({each.max().item() for each in moved}) == 5


def test_the_rate_falls_evenly_over_the_last_steps():
    optimiser, rates = torch.optim.Adam([torch.zeros(1, requires_grad=True)], lr=1.0), []
    for i in range(10):
        fade([optimiser], 0.1, i, 10, 0.4)
        rates.append(optimiser.param_groups[0]["lr"])
    assert np.allclose(rates, [0.1] * 7 + [0.075, 0.05, 0.025])
