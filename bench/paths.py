"""Charachon et al. (2021): a way's gradients beside captum's, AOPC beside Quantus', on the classifier of the paper."""

import contextlib
import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from bench.workers import Calls, as_textbook, calibrated, explained, noise, seconds
from evidence import machine
from evidence.attribution import counterfactual
from evidence.metrics import aopc
from evidence.networks.resnet import ResNet


@dataclass(frozen=True)
class Ways:
    """How much is measured, on a residual network without training."""

    size: tuple[int, ...]
    layers: tuple[int, ...]
    width: int
    steps: int  # gradients on the way of an image to its adversary
    explained: int  # images whose way is gone at once
    region: int  # side in pixels
    regions: int  # replaced, one after the other
    scored: int  # images whose AOPC is measured at once


class Mirror(nn.Module):
    """Stands for a trained generator, whose own time is next to nothing beside fifty gradients of the classifier."""

    def path(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        return images, images.flip(-1)

    def translate(self, images: Tensor, labels: Tensor) -> Tensor:
        return images.flip(-1)


def classifier(ways: Ways) -> nn.Module:
    torch.manual_seed(0)
    network = ResNet(layers=ways.layers, width=ways.width)
    return calibrated(network, noise(8, ways.size))


def images(ways: Ways, count: int) -> np.ndarray:
    return ((noise(count, ways.size) + 1) / 2).numpy()


def ours(ways: Ways) -> Calls:
    """Seconds an image of all maps of a way, and of AOPC, as the pipeline's jobs take them."""
    machine.prepare()
    network = classifier(ways)

    def path() -> None:
        networks, kinds = {"generator": Mirror(), "classifier": network}, len(counterfactual.MAPS)
        explained(counterfactual.attribute, images(ways, ways.explained), networks, {"steps": ways.steps}, kinds)

    def area() -> None:
        given = images(ways, ways.scored)
        maps = noise(len(given), ways.size, seed=1).numpy()
        labels = np.arange(len(given)) % 2
        aopc.score(maps, given, labels, network, Mirror(), region=ways.region, regions=ways.regions, every=1)

    return {
        "path": partial(an_image, path, ways.explained),
        "aopc": partial(an_image, area, ways.scored),
    }


def captums(ways: Ways) -> Calls:
    """Seconds an image of integrated gradients on the same way, at the best ``internal_batch_size``."""
    import captum.attr

    device = as_textbook()
    attribute = captum.attr.IntegratedGradients(classifier(ways).to(device)).attribute

    def path(chunk: int, steps: int = ways.steps) -> None:
        given = torch.from_numpy(images(ways, ways.explained)).to(device)
        options = {"n_steps": steps, "method": "riemann_middle", "internal_batch_size": chunk}
        attribute(given.flip(-1), baselines=given, target=1, **options).cpu()

    few = min(10, ways.steps)
    best = fastest({chunk: partial(path, chunk, few) for chunk in (4, 8, 10, 16, 25)})
    return {"path": partial(an_image, partial(path, best), ways.explained)}


def quantus(ways: Ways) -> Calls:
    """Seconds an image of Quantus' RegionPerturbation, given the same replacement, at the best ``batch_size``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from quantus import RegionPerturbation

    device = as_textbook()
    network = classifier(ways).to(device)

    def area(batch: int, regions: int = ways.regions) -> None:
        given, maps = images(ways, ways.scored), noise(ways.scored, ways.size, seed=1).numpy()
        for part in (slice(start, start + batch) for start in range(0, ways.scored, batch)):
            measure = RegionPerturbation(
                patch_size=ways.region,
                regions_evaluation=regions,
                perturb_func=replacing(given[part, ..., ::-1]),
                abs=False,
                normalise=False,
                return_aggregate=False,
                disable_warnings=True,
            )
            asked = {"x_batch": given[part], "y_batch": np.ones(batch, int), "a_batch": maps[part]}
            measure(network, **asked, softmax=True, device=str(device), batch_size=batch)

    few = min(10, ways.regions)
    sizes = [size for size in (1, 2, 4, 8) if ways.scored % size == 0]
    best = fastest({size: partial(area, size, few) for size in sizes})
    return {"aopc": partial(an_image, partial(area, best), ways.scored)}


def replacing(others: np.ndarray) -> Callable[..., np.ndarray]:
    """What Quantus asks for to replace pixels, here by those of other images, a batch of them."""
    others = np.ascontiguousarray(others).reshape(len(others), -1)

    def replaced(arr: np.ndarray, indices: np.ndarray, **_) -> np.ndarray:
        rows, arr = np.arange(len(arr))[:, None], arr.copy()
        arr[rows, indices] = others[rows, indices]
        return arr

    return replaced


def fastest(calls: dict[int, Callable[[], None]]) -> int:
    """Which of some settings is the quickest, after a call that does not count."""
    next(iter(calls.values()))()
    return min(calls, key=lambda setting: min(seconds(calls[setting]) for _ in range(2)))


def an_image(call: Callable[[], None], count: int) -> float:
    """Seconds an image; what libraries say while they compute is not shown."""
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        return seconds(call) / count
