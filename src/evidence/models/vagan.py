"""VA-GAN: a map generator against a critic (Baumgartner et al., CVPR 2018, section 3).

The generator draws an additive map M(x) that turns an image x of the class of interest into one, y, that the critic
cannot tell from the baseline class. Where y differs from x lies the evidence.
"""

import copy
import math
from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from evidence import machine, training
from evidence.errors import BadInput
from evidence.networks.blocks import Network
from evidence.networks.c3d import Critic
from evidence.networks.unet import MapGenerator
from evidence.penalty import from_one
from evidence.statistics import correlation

NETWORKS = ("generator", "critic", "best", "average", "settled")
ON_REQUEST = {"average": "average", "settled": "settle"}
Terms = Iterator[dict[str, Tensor]]  # loss terms by name; those of one dict share a graph, differentiated together
AFTER = 50  # the last step, counted from 0, of which the authors' code keeps no best generator


class Learner(training.Learner):
    """Map generator and critic; the defaults are those of the authors' released code for the synthetic experiment.

    Class 0 is the baseline, class 1 the class of interest. Saved networks: ``generator`` and ``critic`` after the last
    step, ``best`` (the generator at the highest validation critic loss after step 50, as the authors' code keeps it;
    that draws new batches for each validation, ours the same ones, to compare like with like) and, where they are asked
    for, ``average`` and ``settled``.

    Args:
        shape: channels and size of an image.
        lr: learning rate of both Adam optimisers. Released: 1e-4; paper: 1e-3.
        batch: images of each class in a batch.
        accumulate: batches whose gradients are averaged in one update. Paper: 6 in 3D.
        lam: weight λ of the L1 term, a mean over pixels (section 3.3: 100). It acts on a pixel with λ divided by the
            number of pixels, so it has to follow the size of the image.
        penalty: weight of the gradient penalty.
        norm: what has unit norm in the penalty: the gradient of a ``sample``, as in WGAN-GP, or of each ``column`` of
            it, as in the released code.
        mixing: whether the penalty's interpolation draws its ε for each ``sample`` or once for the ``batch``.
        tanh: squash the generated image, y = tanh(x + M(x)), as in the released code; else y = x + M(x), the paper's.
        critic_steps: critic updates before a generator update.
        burst: critic updates instead, where the step is below ``burst_first`` or a multiple of ``burst_every``.
        burst_first: see ``burst``.
        burst_every: see ``burst``; 0 for never.
        initial: whether the generator starts from a ``random`` map or from the one that is ``zero`` everywhere.
        average: decay a step of a moving average of the generator; 0 for none. Not in the paper.
        settle: keep as ``settled`` the moving average where the median of so many last validation critic losses is the
            highest: where the critic, with its chance swings left out, is least able to tell healed images from those
            of the baseline. 0 for none. Not in the paper; needs no truth.
        patience: end training after so many validations without a higher median; 0 for never. The authors stop by eye.
        width: channels of the first layer of both networks.
        steps: generator updates. The authors advise about 1,000 for the synthetic data, which are 8,230 critic updates.
        validate_every: generator updates between validations.
        validate_batches: batches in a validation.
    """

    by_class = True

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        lr: float = 1e-4,
        batch: int = 32,
        accumulate: int = 1,
        lam: float = 100.0,
        penalty: float = 10.0,
        norm: Literal["column", "sample"] = "column",
        mixing: Literal["sample", "batch"] = "sample",
        tanh: bool = True,
        critic_steps: int = 5,
        burst: int = 100,
        burst_first: int = 25,
        burst_every: int = 100,
        initial: Literal["random", "zero"] = "random",
        average: float = 0.0,
        settle: int = 0,
        patience: int = 0,
        width: int = 16,
        steps: int = 1_000,
        validate_every: int = 10,
        validate_batches: int = 20,
    ):
        if min(critic_steps, burst, accumulate) < 1:
            raise BadInput(f"critic_steps, burst and accumulate start at 1, not {critic_steps}, {burst}, {accumulate}")
        if settle and not average:
            raise BadInput("settle keeps a moving average of the generator: give average too, say 0.98")
        if settle * validate_every > steps:
            raise BadInput(f"settle: {settle} validations take {settle * validate_every} steps, more than all {steps}")
        if patience and not settle:
            raise BadInput("patience waits for a better settled generator: give settle too, say 20")
        super().__init__()
        channels, dims = shape[0], len(shape) - 1
        sizes = {"channels": channels, "width": width, "spatial_dims": dims}
        self.generator = MapGenerator(**sizes, tanh=tanh, zero=initial == "zero")
        self.critic = Critic(**sizes)
        self.best = copy.deepcopy(self.generator)
        self.average = copy.deepcopy(self.generator) if average else None
        self.settled = copy.deepcopy(self.generator) if settle else None
        self.register_buffer("best_loss", torch.tensor(float("-inf")))
        self.register_buffer("settled_loss", torch.tensor(float("-inf"), dtype=torch.float64))
        self.register_buffer("recent_losses", torch.full((settle,), torch.nan, dtype=torch.float64))
        self.register_buffer("waited", torch.tensor(0))  # validations since the last better median
        self.optimisers = {
            name: torch.optim.Adam(network.parameters(), lr=lr, betas=(0.0, 0.9), eps=1e-8)
            for name, network in (("generator", self.generator), ("critic", self.critic))
        }
        self.batch, self.accumulate = batch, accumulate
        self.lam, self.penalty, self.norm, self.mixing = lam, penalty, norm, mixing
        self.critic_steps, self.burst = critic_steps, burst
        self.burst_first, self.burst_every = burst_first, burst_every
        self.decay, self.patience = average, patience
        self.steps, self.validate_every, self.validate_batches = steps, validate_every, validate_batches

    @property
    def networks(self) -> dict[str, Network]:
        best = {"best": self.best} if self.best_loss > float("-inf") else {}  # none in a training too short for one
        average = {"average": self.average} if self.average is not None else {}
        settled = {"settled": self.settled} if self.settled_loss > float("-inf") else {}
        return {"generator": self.generator, "critic": self.critic, **best, **average, **settled}

    def critic_updates(self, i: int) -> int:
        """Critic updates before generator update i: many at first and now and then, to keep it near its optimum."""
        often = i < self.burst_first or (self.burst_every and i % self.burst_every == 0)
        return self.burst if often else self.critic_steps

    def draws(self, i: int) -> int:
        return (self.critic_updates(i) + 1) * self.accumulate

    def step(self, batches: Iterator[tuple[Tensor, Tensor]], i: int) -> dict[str, Tensor]:
        self.generator.train()
        self.critic.requires_grad_(True)
        for _ in range(self.critic_updates(i)):
            critic_terms = self.update("critic", self.critic_terms, batches)
        self.critic.requires_grad_(False)
        generator_terms = self.update("generator", self.generator_terms, batches)
        if self.average is not None:
            training.move_average(self.average, self.generator, self.decay)
        return {**critic_terms, **generator_terms}

    def update(self, name: str, terms, batches: Iterator[tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
        """One Adam update of one network on the mean of ``accumulate`` batches; returns the mean of each term."""
        self.optimisers[name].zero_grad(set_to_none=True)
        means: dict[str, Tensor] = {}
        for _ in range(self.accumulate):
            for losses in terms(*next(batches)):
                (sum(losses.values()) / self.accumulate).backward()
                for key, value in losses.items():
                    means[key] = means.get(key, 0) + value.detach() / self.accumulate
        self.optimisers[name].step()
        return means

    def heal(self, generator: MapGenerator, images: Tensor) -> Tensor:
        with machine.autocast():
            return generator.heal(images)

    def judge(self, images: Tensor) -> Tensor:
        with machine.autocast():
            features = self.critic.features(images)
        return self.critic.score(features.to(images.dtype))  # bfloat16 has steps of 2 at 300, and differences count

    def critic_terms(self, baseline: Tensor, interest: Tensor) -> Terms:
        """Real low, generated high (the released sign), and the gradient penalty: three graphs, one after another."""
        with torch.no_grad():  # in training mode: its running statistics move in critic updates too, as in the release
            healed = self.heal(self.generator, interest)
        yield {"critic_real": self.judge(baseline).mean()}
        yield {"critic_generated": -self.judge(healed).mean()}
        yield {"weighted_penalty": self.penalty * self.gradient_penalty(baseline, healed)}

    def gradient_penalty(self, real: Tensor, generated: Tensor) -> Tensor:
        """Mean of (‖∇D‖ − 1)² between real and generated images (Gulrajani et al., 2017), per sample or column."""
        shape = (len(real) if self.mixing == "sample" else 1,) + (1,) * (real.dim() - 1)
        epsilon = torch.rand(shape, device=real.device, dtype=real.dtype)
        mixed = machine.laid_out(torch.lerp(generated, real, epsilon))
        with machine.autocast():
            slope = self.critic.slope(mixed).to(real.dtype)  # what is squared and summed is float32 in any case
        return from_one(slope, 2 if self.norm == "column" else tuple(range(1, real.dim())))

    def generator_terms(self, baseline: Tensor, interest: Tensor) -> Terms:
        """Look like the baseline class, change little. The baseline batch is drawn but unused, as in the release."""
        healed = self.heal(self.generator, interest)
        yield {"adversarial": self.judge(healed).mean(), "weighted_l1": self.lam * (healed - interest).abs().mean()}

    def validate(self, samples: training.Samples, i: int) -> dict[str, float]:
        """Mean critic loss with its penalty, running statistics in place; keeps the generator where it is the highest.

        ``change`` is the size of the maps; on the synthetic data of the paper the boxes alone are 0.026. ``contrast``
        is the mean correlation of an image with what it is healed to: near 1 where little but an effect goes, below 0
        where the generator turns the contrast round, as it does from some first weights, and stays there.
        Where the truth is known, ``ncc`` is the mean correlation of the maps with it: a curve to look at, no criterion.
        Maps are float32; critic losses, most of the work, are means over many images in training's arithmetic.
        """
        self.generator.eval()
        pairs = training.Batches(samples, self.batch, seed=0, by_class=True).starting(0)
        with torch.no_grad():
            losses = [
                float(sum(sum(part.values()) for part in self.critic_terms(*next(pairs))))
                for _ in range(self.validate_batches)
            ]
        found = {"critic_loss": float(np.mean(losses))}
        if i > AFTER and found["critic_loss"] >= self.best_loss:
            self.best.load_state_dict(self.generator.state_dict())
            self.best_loss.fill_(found["critic_loss"])
        if self.settled is not None:
            found.update(self.settling(found["critic_loss"]))
        rows = _some(samples)
        images = samples.take(rows)
        maps = self.maps(self.generator, images)
        found["change"] = float(maps.abs().mean())
        found["contrast"] = _correlated(images - maps, images)
        if samples.truth is not None:
            found["ncc"] = _correlated(maps, samples.truth[rows])
            if self.average is not None:
                maps = self.maps(self.average.eval(), images)
                found["ncc_average"] = _correlated(maps, samples.truth[rows])
        return found

    def settling(self, loss: float) -> dict[str, float]:
        """Keep the average where the median of the last critic losses is the highest, once there are enough of them."""
        self.recent_losses.copy_(self.recent_losses.roll(-1))
        self.recent_losses[-1] = loss
        if self.recent_losses.isnan().any():
            return {}
        median = float(self.recent_losses.quantile(0.5))
        self.waited += 1
        if median > self.settled_loss:
            self.settled.load_state_dict(self.average.state_dict())
            self.settled_loss.fill_(median)
            self.waited.zero_()
        return {"median_loss": median}

    def finished(self, i: int) -> bool:
        return bool(self.patience) and int(self.waited) >= self.patience

    @torch.no_grad()
    @machine.exactly()
    def maps(self, generator: MapGenerator, images: Tensor) -> Tensor:
        """x − y of each image, in pieces of a batch: a hundred volumes at once fit nowhere."""
        return torch.cat([part - self.heal(generator, part) for part in images.split(self.batch)])


def _some(samples: training.Samples, most: int = 100) -> np.ndarray:
    """Rows of the class of interest, so many at most, from all over the set: what comes first may be of one subtype."""
    rows = np.flatnonzero(samples.labels == 1)
    return rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int)]


def _correlated(images: Tensor, others: Tensor | np.ndarray) -> float:
    """Mean correlation of images with others over pixels, of several channels that of their mean; NaN of constants."""
    held = (each.cpu().numpy() if isinstance(each, Tensor) else each for each in (images, others))
    found = correlation(*(each.mean(1, keepdims=True) for each in held))
    return float(np.nanmean(found)) if np.isfinite(found).any() else math.nan
