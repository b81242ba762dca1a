"""Mask generator (Dabkowski & Gal, 2017): learns to draw the region whose replacement changes a decision.

Charachon et al. (2021) compare with it in Tables 1 and 2. They give the encoder (the classifier itself, frozen) and the
size of the mask; the rest is that of the first authors' public code, its hinges put for one number and two classes.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from evidence import machine
from evidence.deciding import Interpreter
from evidence.errors import BadInput
from evidence.networks.blocks import Network
from evidence.networks.filters import gaussian
from evidence.networks.mask import MaskGenerator
from evidence.shapes import Images, Labels, Maps
from evidence.training import Losses, Samples, in_order

NETWORKS = ("generator",)
MARGIN = {"destroy": 2.0, "preserve": 1.0}  # of the decided class's log-odds


class Learner(Interpreter):
    """A small, smooth mask whose region decides: replaced, it takes the decision along; alone, it keeps it.

    Saved network: ``generator``, a decoder that needs the classifier's features.

    Args:
        shape: channels and size of an image.
        classifier: encoder, and what is to be explained; it does not learn.
        area: weight of the mean of (m + 0.0005)^0.3.
        smooth: weight of the sum of squared differences between neighbours, and of 0.3 times the squares at the border.
        destroy: weight of the hinge on the decision where the mask's region is replaced.
        preserve: weight of the hinge on the decision where all else is.
        lr: learning rate of Adam, a tenth after every ``drop_every`` steps.
        drop_every: see ``lr``.
        decay: weight decay.
        batch: images in a batch.
        low: intensity of an image's darkest pixel.
        high: intensity of its brightest; noise and blur are in proportion to the range, and to the image's size.
        most: training images, drawn at random; 0 for all.
        steps: updates.
        validate_every: steps between validations.
        validate_most: validation images, drawn at random; 0 for all.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        classifier: nn.Module,
        *,
        area: float = 8.0,
        smooth: float = 0.005,
        destroy: float = 1.0,
        preserve: float = 0.3,
        lr: float = 1e-3,
        drop_every: int = 4_000,
        decay: float = 1e-4,
        batch: int = 32,
        low: float = 0.0,
        high: float = 1.0,
        most: int = 10_000,
        steps: int = 5_000,
        validate_every: int = 500,
        validate_most: int = 1_000,
    ):
        if not hasattr(classifier, "pyramid"):
            raise BadInput(f"a {type(classifier).__name__} has no pyramid of features for a mask generator")
        super().__init__(classifier, most, validate_most)
        with torch.no_grad():
            features = self.decisions.classifier.pyramid(machine.to_device(torch.zeros(1, *shape)))
        channels = tuple(each.shape[1] for each in features)
        self.generator = MaskGenerator(features=channels, spatial_dims=len(shape) - 1)
        self.optimisers = {"generator": torch.optim.Adam(self.generator.parameters(), lr=lr, weight_decay=decay)}
        self.area, self.smooth, self.destroy, self.preserve = area, smooth, destroy, preserve
        self.lr, self.drop_every, self.range = lr, drop_every, high - low
        self.low, self.high, self.batch = low, high, batch
        self.steps, self.validate_every = steps, validate_every

    @property
    def networks(self) -> dict[str, Network]:
        return {"generator": self.generator}

    def step(self, batches: Iterator[tuple[Tensor, Tensor]], i: int) -> Losses:
        self.optimisers["generator"].param_groups[0]["lr"] = self.lr * 0.1 ** (i // self.drop_every)
        self.generator.train()
        return self.descend("generator", self.terms(*next(batches)))

    def masks(self, images: Images, labels: Labels) -> Maps:
        with machine.autocast():
            with torch.no_grad():
                features = self.decisions.classifier.pyramid(images)
            return self.generator(features, labels, images.shape[2:]).to(images.dtype)

    def terms(self, images: Images, labels: Labels) -> Losses:
        """The weighted terms of the loss on noisy images; labels are the classifier's decisions."""
        images = images + 0.015 * self.range * torch.randn_like(images)
        others, masks = self.replacement(images), self.masks(images, labels)
        sign = labels.to(images.dtype) * 2 - 1
        destroyed = sign * self.decisions.log_odds(torch.lerp(images, others, masks))
        preserved = sign * self.decisions.log_odds(torch.lerp(others, images, masks))
        return {
            "area": self.area * (masks + 0.0005).pow(0.3).mean(),
            "smooth": self.smooth * roughness(masks),
            "destroy": self.destroy * torch.relu(destroyed + MARGIN["destroy"]).mean(),
            "preserve": self.preserve * torch.relu(MARGIN["preserve"] - preserved).mean(),
        }

    def replacement(self, images: Images) -> Images:
        """What stands in for what is taken away: the image blurred, or a colour of its own for each with noise."""
        if torch.rand(()) < 0.5:
            scale = images.shape[-1] / 224
            return gaussian(images, 11.0 * scale, taps=2 * round(27 * scale) + 1, border="edge")
        shape = (len(images), images.shape[1], *(1,) * (images.dim() - 2))
        colour = (torch.rand(shape, device=images.device, dtype=images.dtype) * 2 - 1) * 0.33
        noise = 0.11 * torch.randn_like(images)
        return (self.low + self.high) / 2 + (colour + noise) * self.range / 2

    @torch.no_grad()
    @machine.exactly()
    def validate(self, samples: Samples, i: int) -> dict[str, float]:
        """``destroyed`` and ``preserved``: shares of images whose decision changes where the mask's region is blurred,
        and whose decision stays where all else is; ``mask``: its mean."""
        self.generator.eval()
        pool = self.validated(samples)
        totals = {"destroyed": 0.0, "preserved": 0.0, "mask": 0.0}
        for images, labels in in_order(pool, self.batch):
            blurred = gaussian(images, 11.0 * images.shape[-1] / 224, border="edge")
            masks = self.masks(images, labels)
            totals["destroyed"] += float((self.decisions.of(torch.lerp(images, blurred, masks)) != labels).sum())
            totals["preserved"] += float((self.decisions.of(torch.lerp(blurred, images, masks)) == labels).sum())
            totals["mask"] += float(masks.flatten(1).mean(1).sum())
        return {key: value / len(pool) for key, value in totals.items()}


def roughness(masks: Maps) -> Tensor:
    """Half the sum of squared differences between neighbours and of 0.3 times the squares at the border, an image."""
    total = masks.new_zeros(())
    for axis in range(2, masks.dim()):
        total = total + masks.diff(dim=axis).square().sum()
        for end in (0, masks.shape[axis] - 1):
            total = total + 0.3 * masks.select(axis, end).square().sum()
    return total / (2 * len(masks))
