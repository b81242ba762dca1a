"""VA-GAN as ports of it are usually written: torch's own layers, one loss, autograd for everything, torch's defaults.

It is what our code is compared with, so it has the same networks (parameters and function, constants of normalisation
included) and the same losses, and nothing that makes them cheap: a test holds both against each other in float64.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

CONVOLUTION = {2: nn.Conv2d, 3: nn.Conv3d}
UPCONVOLUTION = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
NORMALISATION = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
POOL = {2: nn.MaxPool2d, 3: nn.MaxPool3d}


class Critic(nn.Module):
    """Blocks of convolution and ReLU with pools between them; a number an image."""

    def __init__(self, dims: int, width: int = 16):
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 1
        for number, block in enumerate(([1], [2], [4, 4], [8, 8], [16, 16, 16])):
            if number:
                layers.append(POOL[dims](2))
            for factor in block:
                layers += [CONVOLUTION[dims](inputs, factor * width, 3, padding=1), nn.ReLU()]
                inputs = factor * width
        self.layers = nn.Sequential(*layers, CONVOLUTION[dims](inputs, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images).flatten(1).mean(1)


def normalised(dims: int, *channels: int) -> list[nn.Module]:
    """Convolution, batch normalisation and ReLU, from one number of channels to the next."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(channels):
        layers.append(CONVOLUTION[dims](inputs, outputs, 3, padding=1, bias=False))
        layers += [NORMALISATION[dims](outputs, eps=1e-3, momentum=0.01), nn.ReLU()]
    return layers


def upsampled(dims: int, inputs: int, outputs: int) -> list[nn.Module]:
    """The same with a transposed convolution, which doubles the size."""
    layer = UPCONVOLUTION[dims](inputs, outputs, 4, stride=2, padding=1, bias=False)
    return [layer, NORMALISATION[dims](outputs, eps=1e-3, momentum=0.01), nn.ReLU()]


class UNet(nn.Module):
    """The map generator: three pools, skips joined by ``torch.cat``; the healed image is tanh(x + M(x))."""

    def __init__(self, dims: int, width: int = 16):
        super().__init__()
        w = width
        down = [(1, w, w), (w, 2 * w, 2 * w), (2 * w, 4 * w, 4 * w), (4 * w, 8 * w, 8 * w)]
        join = [(5 * w, 4 * w, 4 * w), (3 * w, 2 * w, 2 * w), (2 * w, w)]
        self.down = nn.ModuleList(nn.Sequential(*normalised(dims, *channels)) for channels in down)
        self.up = nn.ModuleList(nn.Sequential(*upsampled(dims, inputs, w)) for inputs in (8 * w, 4 * w, 2 * w))
        self.join = nn.ModuleList(nn.Sequential(*normalised(dims, *channels)) for channels in join)
        self.last = CONVOLUTION[dims](w, 1, 3, padding=1)
        self.pool = POOL[dims](2)

    def forward(self, images: Tensor) -> Tensor:
        first = self.down[0](images)
        second = self.down[1](self.pool(first))
        third = self.down[2](self.pool(second))
        x = self.down[3](self.pool(third))
        for up, skip, join in zip(self.up, (third, second, first), self.join, strict=True):
            x = join(torch.cat([up(x), skip], dim=1))
        return self.last(x)

    def heal(self, images: Tensor) -> Tensor:
        return torch.tanh(images + self(images))


def classifier(size: tuple[int, ...], width: int, hidden: int) -> nn.Sequential:
    """The paper's classifier with its dense head."""
    dims, w = len(size), width
    layers: list[nn.Module] = []
    for channels in ((1, w), (w, 2 * w), (2 * w, 4 * w, 4 * w), (4 * w, 8 * w, 8 * w)):
        layers += [*normalised(dims, *channels), POOL[dims](2)]
    layers += [*normalised(dims, 8 * w, 16 * w, 16 * w, 16 * w), nn.Flatten()]
    features = 16 * w * torch.Size(s // 16 for s in size).numel()
    layers += [nn.Linear(features, hidden, bias=False), nn.BatchNorm1d(hidden, eps=1e-3, momentum=0.01), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(hidden, 2, bias=False), nn.BatchNorm1d(2, eps=1e-3, momentum=0.01))


def like(network: nn.Module, source: nn.Module) -> nn.Module:
    """The network with the weights of the source, which has the same layers in the same order under other names."""
    names, values = network.state_dict().keys(), source.state_dict().values()
    network.load_state_dict(dict(zip(names, values, strict=True)))
    return network


Terms = dict[str, Tensor]  # loss terms by name


def critic_terms(critic: nn.Module, real: Tensor, generated: Tensor, *, penalty: float = 10.0) -> Terms:
    """Real low, generated high, and WGAN-GP's penalty with an ε for each image: three passes of the critic."""
    epsilon = torch.rand(len(real), *[1] * (real.dim() - 1), dtype=real.dtype, device=real.device)
    mixed = (epsilon * real + (1 - epsilon) * generated).detach().requires_grad_()
    (slope,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
    norm = slope.flatten(1).norm(dim=1)
    return {
        "critic_real": critic(real).mean(),
        "critic_generated": -critic(generated).mean(),
        "weighted_penalty": penalty * ((norm - 1) ** 2).mean(),
    }


def generator_terms(critic: nn.Module, images: Tensor, healed: Tensor, *, lam: float = 100.0) -> Terms:
    """Look like the baseline class, change little."""
    return {"adversarial": critic(healed).mean(), "weighted_l1": lam * (healed - images).abs().mean()}


class Trainer:
    """Updates of both networks, none of them frozen or detached while the other is trained.

    So the critic's update goes back through the generator, and the generator's to the weights of the critic: gradients
    that nobody uses, and that are dropped before the next update of their network.
    """

    def __init__(self, critic: nn.Module, generator: UNet, lr: float = 1e-4):
        self.critic, self.generator = critic, generator
        self.optimisers = {
            name: torch.optim.Adam(network.parameters(), lr=lr, betas=(0.0, 0.9))
            for name, network in (("critic", critic), ("generator", generator))
        }

    def terms(self, name: str, baseline: Tensor, interest: Tensor) -> Terms:
        """What the update of one network makes small."""
        healed = self.generator.heal(interest)
        if name == "critic":
            return critic_terms(self.critic, baseline, healed)
        return generator_terms(self.critic, interest, healed)

    def update(self, name: str, baseline: Tensor, interest: Tensor) -> Terms:
        """One Adam update of one network; returns what it made smaller."""
        self.optimisers[name].zero_grad()
        terms = self.terms(name, baseline, interest)
        sum(terms.values()).backward()
        self.optimisers[name].step()
        return terms
