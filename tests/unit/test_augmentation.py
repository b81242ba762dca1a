"""Moved images against those moved by hand."""

import itertools

import pytest
import torch
from torch.nn.functional import affine_grid, grid_sample, pad

from evidence.augmentation import Augmentation, brightened, mirrored, shifted, stretched


def blocks(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        yield


@pytest.mark.parametrize("shape", [(3, 1, 8, 12), (2, 2, 4, 8, 6)])
def test_nothing_asked_for_is_nothing_done(shape):
    images = stretched(blocks(*shape))
    torch.testing.assert_close(Augmentation()(images), images, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(40, 1, 8, 12), (40, 1, 4, 8, 12)])
def test_mirrors_are_drawn_image_by_image_along_the_last_two_axes(shape):
    images = stretched(blocks(*shape))
    found = Augmentation(horizontal=True, vertical=True)(images)
    seen = set()
    for before, after in zip(images, found, strict=True):
        for name, axes in {"as it was": (), "horizontal": (-1,), "vertical": (-2,), "both": (-1, -2)}.items():
            if torch.allclose(before.flip(axes), after, atol=1e-5):
                seen.add(name)
                break
        else:
            raise AssertionError("no mirror image")
    assert len(seen) == 4


@pytest.mark.parametrize(("horizontal", "vertical"), [(True, True), (True, False), (False, True), (False, False)])
@pytest.mark.parametrize("shape", [(200, 2, 4, 6), (200, 1, 3, 4, 6)])
def test_plain_mirrors_leave_every_number_as_it_is(shape, horizontal, vertical):
    """Half of the images along each axis that is asked for, independently, and none along another."""
    images = blocks(*shape)
    found = mirrored(images, horizontal=horizontal, vertical=vertical)
    counts = {}
    for before, after in zip(images, found, strict=True):
        ways = {axes for axes in ((), (-1,), (-2,), (-1, -2)) if torch.equal(before.flip(axes), after)}
        (axes,) = ways
        counts[axes] = counts.get(axes, 0) + 1
    asked = {(), *[(-1,)] * horizontal, *[(-2,)] * vertical, *[(-1, -2)] * (horizontal and vertical)}
    assert set(counts) == asked
    assert all(abs(count - 200 / len(asked)) < 35 for count in counts.values())  # more than four deviations


@pytest.mark.parametrize("shape", [(300, 2, 8, 12), (300, 1, 4, 4, 8)])
def test_shifts_are_by_whole_pixels_and_image_by_image(shape):
    """Each is a window of its framed image; all windows occur; and gradients go back to the pixels that are in it."""
    images = blocks(*shape).requires_grad_()
    found = shifted(images, 0.25, -1.0)
    assert found.shape == images.shape
    gradients = torch.autograd.grad((found * 3).sum(), images)[0]
    most = [side // 4 for side in shape[2:]]
    framed = pad(images.detach(), [side for side in reversed(most) for _ in range(2)], value=-1.0)
    starts = list(itertools.product(*[range(2 * side + 1) for side in most]))
    occurred = set()
    for image, frame, gradient in zip(found.detach(), framed, gradients, strict=True):
        windows = {
            start: [slice(first, first + side) for first, side in zip(start, shape[2:], strict=True)]
            for start in starts
        }
        (start,) = [start for start, window in windows.items() if torch.equal(frame[:, *window], image)]
        inside = torch.zeros_like(frame)
        inside[:, *windows[start]] = 3
        middle = [slice(side, side + extent) for side, extent in zip(most, shape[2:], strict=True)]
        torch.testing.assert_close(gradient, inside[:, *middle])
        occurred.add(start)
    assert len(occurred) == len(starts)


def test_brightness_is_one_number_an_image():
    images = blocks(500, 2, 3, 4)
    added = brightened(images, 0.3) - images
    torch.testing.assert_close(added, added[:, :1, :1, :1].expand_as(added))
    numbers = added[:, 0, 0, 0]
    assert numbers.abs().max() <= 0.3
    assert numbers.std() == pytest.approx(0.3 / 3**0.5, rel=0.1)


def test_a_turn_keeps_angles_on_images_that_are_no_squares():
    """A disc stays a disc of its size, wherever it is turned to."""
    rows, columns = torch.meshgrid(torch.arange(40.0) - 19.5, torch.arange(80.0) - 39.5, indexing="ij")
    disc = ((rows**2 + columns**2).sqrt() < 12).to(torch.float64).expand(6, 1, -1, -1)
    found = Augmentation(rotation=90.0)(disc)
    assert (found - disc).abs().mean() < 0.01
    bar = ((rows.abs() < 3) & (columns.abs() < 15)).to(torch.float64).expand(20, 1, -1, -1)
    found = Augmentation(rotation=90.0)(bar)
    areas = found.sum((1, 2, 3)) / bar.sum((1, 2, 3))
    assert (areas - 1).abs().max() < 0.05
    assert (found - bar).abs().mean((1, 2, 3)).max() > 0.03


def test_shifts_and_zooms_keep_within_what_was_asked():
    rows, columns = torch.meshgrid(torch.arange(60.0), torch.arange(60.0), indexing="ij")
    disc = (((rows - 29.5) ** 2 + (columns - 29.5) ** 2).sqrt() < 10).to(torch.float64).expand(200, 1, -1, -1)
    moved = Augmentation(shift=0.1)(disc)
    for places in (rows, columns):
        centre = (moved * places).sum((1, 2, 3)) / moved.sum((1, 2, 3)) - 29.5
        assert centre.abs().max() <= 6.1
        assert centre.std() == pytest.approx(6 / 3**0.5, rel=0.15)
    factors = (Augmentation(zoom=0.2)(disc).sum((1, 2, 3)) / disc.sum((1, 2, 3))).sqrt()
    assert factors.min() >= 0.78
    assert factors.max() <= 1.22
    assert factors.mean() == pytest.approx(1.0, abs=0.03)


def test_the_edge_is_repeated_and_the_range_restored():
    images = torch.ones(5, 1, 10, 12) * torch.linspace(0.2, 0.7, 10).view(1, 1, -1, 1)
    found = Augmentation(shift=0.3, low=-1.0)(images)
    assert (found.amin((1, 2, 3)) == -1).all()
    assert (found.amax((1, 2, 3)) == 1).all()
    assert (found.diff(dim=2) >= -1e-5).all(), "no zeros come in"
    assert torch.equal(stretched(torch.full((2, 1, 3, 3), 0.4)), torch.zeros(2, 1, 3, 3))


def test_images_are_moved_as_exactly_in_bfloat16():
    images, moving = torch.rand(3, 1, 40, 50), Augmentation.usual(1.0)
    torch.manual_seed(0)
    expected = moving(images)
    torch.manual_seed(0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = moving(images)
    assert torch.equal(found, expected)


def test_one_image_by_hand():
    augmentation = Augmentation(rotation=30.0, shift=0.1, zoom=0.2)
    images = blocks(1, 1, 9, 9)
    torch.manual_seed(5)
    matrix = augmentation.matrices(images).double()
    torch.manual_seed(5)
    expected = grid_sample(
        images, affine_grid(matrix, [1, 1, 9, 9], align_corners=False), padding_mode="border", align_corners=False
    )
    torch.testing.assert_close(augmentation(images), stretched(expected), rtol=1e-4, atol=1e-5)
    turn = matrix[0, :, :2]
    assert torch.linalg.det(turn) > 0
