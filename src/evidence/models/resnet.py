"""The classifier that Charachon et al. (2021, section 4.1) explain: a residual network, here from MONAI."""

import copy
import os
from collections.abc import Iterator

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import cross_entropy

from evidence import machine, training
from evidence.augmentation import Augmentation
from evidence.errors import BadInput
from evidence.networks.blocks import Network
from evidence.networks.resnet import ResNet
from evidence.plateau import Plateau

NETWORKS = ("classifier",)
WEIGHTS = "EVIDENCE_RESNET50"  # a file of ImageNet weights


class Learner(training.Learner):
    """Cross-entropy, both classes weighing alike, with Adam on augmented images; the network kept is the one with the
    lowest validation loss.

    Args:
        shape: channels and size of an image.
        layers: blocks in each of the four stages. Paper: ResNet-50.
        width: channels of the stem.
        hidden: units of the layer in front of the last.
        dropout: share of features that training leaves out in front of that.
        stride: of the stem. Paper: 2; at 64×64 the last stage would then have four places, with 1 it has sixteen.
        pretrained: start from ImageNet weights, a safetensors file under torchvision's names where the environment
            variable EVIDENCE_RESNET50 points. Paper: so.
        lr: learning rate of Adam; it falls to 0.3 of it after ``patience`` validations without a better loss, and
            training ends where it would fall below 1e-5.
        batch: images in a batch.
        augment: how far training images are turned, moved and scaled at random: times 10°, 5 % and 10 %.
        horizontal: mirror half of them left to right.
        vertical: mirror half of them upside down.
        low: intensity of an image's darkest pixel.
        high: intensity of its brightest.
        steps: updates at most. Thirty passes over the paper's brain slices are 44,000.
        validate_every: steps between validations. A pass is 1,466.
        patience: see ``lr``; 0 for a constant rate and all steps.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        layers: tuple[int, ...] = (3, 4, 6, 3),
        width: int = 64,
        hidden: int = 128,
        dropout: float = 0.3,
        stride: int = 2,
        pretrained: bool = False,
        lr: float = 1e-4,
        batch: int = 32,
        augment: float = 1.0,
        horizontal: bool = True,
        vertical: bool = True,
        low: float = 0.0,
        high: float = 1.0,
        steps: int = 44_000,
        validate_every: int = 1_466,
        patience: int = 3,
    ):
        if len(layers) != 4:
            raise BadInput(f"layers: a residual network has four stages, not {len(layers)}; ResNet-50 is [3, 4, 6, 3]")
        super().__init__()
        channels, *size = shape
        sizes = {"layers": tuple(layers), "width": width, "hidden": hidden, "dropout": dropout, "stride": stride}
        self.network = ResNet(channels=channels, spatial_dims=len(size), **sizes)
        if pretrained:
            adopt(self.network)
        self.best, self.plateau = copy.deepcopy(self.network), Plateau(patience)
        self.register_buffer("weights", torch.ones(2))
        self.augmentation = Augmentation.usual(augment, horizontal=horizontal, vertical=vertical, low=low, high=high)
        self.optimisers = {"classifier": torch.optim.Adam(self.network.parameters(), lr=lr)}
        self.steps, self.batch, self.validate_every = steps, batch, validate_every

    @property
    def networks(self) -> dict[str, Network]:
        return {"classifier": self.best}

    def pool(self, samples: training.Samples) -> training.Samples:
        """The samples as they are; how many there are of each class says how much one of it weighs, n / 2n_k."""
        counts = torch.bincount(torch.from_numpy(samples.labels), minlength=2)
        self.weights.copy_(counts.sum() / (2 * counts))
        return samples

    def step(self, batches: Iterator[tuple[Tensor, Tensor]], i: int) -> dict[str, Tensor]:
        self.network.train()
        images, labels = next(batches)
        with machine.autocast():
            logits = self.network(self.augmentation(images))
        loss = self.loss(logits, labels)
        return self.descend("classifier", {"cross_entropy": loss})

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Mean over the batch of each image's cross-entropy times its class's weight."""
        return (cross_entropy(logits.float(), labels, reduction="none") * self.weights[labels]).mean()

    @torch.no_grad()
    def validate(self, samples: training.Samples, i: int) -> dict[str, float]:
        """Mean weighted cross-entropy and accuracy over the validation set; keeps the network if it is the best."""
        self.network.eval()
        loss, correct = 0.0, 0.0
        for images, labels in training.in_order(samples, self.batch):
            logits = self.network(images)
            loss += float(self.loss(logits, labels)) * len(labels) / len(samples)
            correct += float((logits.argmax(1) == labels).sum()) / len(samples)
        if self.plateau.improved(loss, self.optimisers.values()):
            self.best.load_state_dict(self.network.state_dict())
        return {"cross_entropy": loss, "accuracy": correct}

    def finished(self, i: int) -> bool:
        return bool(self.plateau.finished)


def adopt(network: ResNet) -> None:
    """Give a network ImageNet weights, from the file that the environment names."""
    path = os.environ.get(WEIGHTS)
    if not path:
        raise BadInput(
            f"pretrained: set {WEIGHTS} to a safetensors file of ResNet-50's ImageNet weights under torchvision's "
            "names, or pretrained: false"
        )
    try:
        network.adopt(load_file(path))
    except FileNotFoundError:
        raise BadInput(f"{WEIGHTS} points to {path}, which is not there") from None
    except Exception as error:  # whatever the file is, the answer is the same
        reason = str(error).strip().splitlines()
        raise BadInput(f"{WEIGHTS}: {path} does not hold the weights of this network ({reason[-1].strip()})") from error
