"""SyCE: adversaries beside stable images, made alike (Charachon et al., 2021, section 3, and arXiv 2106.10947)."""

from torch import nn

from evidence import translating
from evidence.augmentation import Augmentation

NETWORKS = ("generator", "last")


class Learner(translating.Translation):
    """CyCE with a second way to the image: the same generator twice. The map compares that stable image with the
    adversary, so that what a generator cannot draw is in neither.

    Saved networks: ``generator``, the pair at the lowest validation loss, and ``last``. Weights are those of the
    released configuration for digits, widths those that fit 224×224.

    Args:
        shape: channels and size of an image.
        classifier: what decides for a class; it does not learn.
        adversary: weight of the cross-entropy of the adversary, which is to be decided otherwise.
        gan: weight of the discriminator's judgement of the adversary.
        cycle: weight of the way back, mean square plus mean absolute difference to the image.
        cycle_class: weight of the cross-entropy of what came back, which is to be decided alike.
        symmetric: weight of the stable image, mean square plus mean absolute difference to the image.
        symmetric_class: weight of the cross-entropy of the stable image, which is to be decided alike.
        penalty: weight of the discriminators' gradient penalty.
        proximity: weight of the mean absolute difference between image and adversary. Paper: no such term; without it
            the adversaries of a short training change all of an image.
        near_by: share of the steps after which proximity weighs all it does; it grows from a tenth. With all of it from
            the first step on, no adversaries are found.
        stable_from: share of the steps before which the stable image is not asked for.
        stable_by: share after which its two terms are whole; in between they grow.
        together: update once on both directions' losses, or after each.
        lr: learning rate of both Adam optimisers; it falls to 0.3 of it after ``patience`` validations without a better
            loss, and training ends where it would fall below 1e-5.
        batch: images of each decision in a batch. Released: 64, of 28×28.
        widths: channels of the generators' levels. Released: 16, 32, 64.
        judge_widths: channels of the discriminators' levels. Released: 32, 64, 96.
        residual: draw the change of the image, from none on, not the image. Released: no; yes is learnt sooner.
        average: decay a step of a moving average of the generators, which is validated and kept in their place; 0 for
            none, as in the paper. Single steps swing, the more the shorter a training.
        low: intensity of an image's darkest pixel.
        high: intensity of its brightest.
        augment: how far training images are turned, moved and scaled at random: times 10°, 5 % and 10 %.
        horizontal: mirror half of them left to right.
        vertical: mirror half of them upside down.
        most: training images, drawn at random. Paper: 10,000 slices; 0 for all.
        steps: updates of the generators at most. Sixty passes over the rarer decision are 9,400 on brains.
        validate_every: steps between validations. A pass over the rarer decision is 156 on brains.
        validate_most: validation images, drawn at random. Paper: 5,000 slices; 0 for all.
        patience: see ``lr``; 0 for a constant rate and all steps.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        classifier: nn.Module,
        *,
        adversary: float = 0.2,
        gan: float = 0.25,
        cycle: float = 2.0,
        cycle_class: float = 0.005,
        symmetric: float = 10.0,
        symmetric_class: float = 0.01,
        penalty: float = 1.0,
        proximity: float = 0.0,
        near_by: float = 0.0,
        stable_from: float = 0.0,
        stable_by: float = 0.0,
        together: bool = False,
        lr: float = 1e-4,
        batch: int = 16,
        widths: tuple[int, ...] = (16, 32, 64, 128, 256),
        judge_widths: tuple[int, ...] = (32, 64, 128, 256, 256),
        residual: bool = False,
        average: float = 0.0,
        low: float = 0.0,
        high: float = 1.0,
        augment: float = 1.0,
        horizontal: bool = True,
        vertical: bool = True,
        most: int = 10_000,
        steps: int = 9_400,
        validate_every: int = 156,
        validate_most: int = 5_000,
        patience: int = 4,
    ):
        super().__init__(
            shape,
            classifier,
            symmetric=True,
            together=together,
            weights=translating.Weights(
                adversary=adversary,
                gan=gan,
                cycle=cycle,
                cycle_class=cycle_class,
                penalty=penalty,
                proximity=proximity,
                near_by=near_by,
                symmetric=symmetric,
                symmetric_class=symmetric_class,
                stable_from=stable_from,
                stable_by=stable_by,
            ),
            augmentation=Augmentation.usual(augment, horizontal=horizontal, vertical=vertical, low=low, high=high),
            widths=widths,
            residual=residual,
            judge_widths=judge_widths,
            lr=lr,
            average=average,
            batch=batch,
            patience=patience,
            most=most,
            steps=steps,
            validate_every=validate_every,
            validate_most=validate_most,
        )
