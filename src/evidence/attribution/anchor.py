"""Anchors: segments that hold the classifier's decision, whatever else the image shows (Ribeiro et al., AAAI 2018),
with samples stitched together from other images or drawn by a generator (David et al., 2019, GANchors).

Maps: ``anchor`` is 1 on the first trial's anchor and 0 elsewhere, ``often`` the share of trials whose anchor has the
pixel. ``shown`` is a set of segments that depends on the image alone, so that all samplers can be looked at side by
side: ``one`` to ``four`` are samples that keep it, and ``one_whole`` to ``four_whole`` what they were made of.
"""

from collections.abc import Sequence
from typing import Literal
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn

from evidence import chains, sampling, segmenting, trials
from evidence.anchoring import Anchor, Search, Unreachable
from evidence.errors import BadInput
from evidence.generating import frozen
from evidence.networks.filters import grey
from evidence.networks.lean import folded
from evidence.sampling import Cost, Sampler, Spent, Subject
from evidence.seeds import stream
from evidence.shapes import Images, ManyMaps

MAPS = (
    "anchor",
    "often",
    "shown",
    "one",
    "two",
    "three",
    "four",
    "one_whole",
    "two_whole",
    "three_whole",
    "four_whole",
)
USES = {"stitching": (), "descent": ("generator", "encoder"), "chains": ("generator",)}  # networks of each sampler
UNFOLDED = ("generator",)  # some samplers want its batch normalisations
AT_ONCE = 1
SAMPLES = 4  # that are maps
# Of each generator, as images come one at a time: (how many, number) → bank.
BANKS: WeakKeyDictionary[nn.Module, dict[tuple[int, int], chains.Bank]] = WeakKeyDictionary()


def attribute(
    images: Images,
    donors: np.ndarray,
    classifier: nn.Module,
    streams: Sequence[int],
    generator: nn.Module | None = None,
    encoder: nn.Module | None = None,
    *,
    sampler: Literal["stitching", "descent", "chains"] = "descent",
    norm: Literal["batch", "running"] = "batch",
    lr: float = 0.1,
    threshold: float = 0.05,
    thresholds: Literal["constant", "drawn"] = "drawn",
    at_once: int = 64,
    restart: int = 1_000,
    limit: int = 5_000,
    bank: int = 16_384,
    least: int = 16,
    walkers: int = 16,
    thin: int = 3,
    keep: float = 0.2,
    segmentation: Literal["quickshift", "slic"] = "quickshift",
    segments: int = 15,
    compactness: float = 20.0,
    precision: float = 0.95,
    delta: float = 0.1,
    gap: float = 0.15,
    slack: float = 0.05,
    batch: int = 100,
    beam: int = 1,
    coverage: int = 100,
    largest: int = 3,
    repeats: int = 3,
    fresh: int = 1000,
    most: int = 0,
    show: Literal["bright", "middle"] = "bright",
    shown: int = 2,
    low: float = -1.0,
    high: float = 1.0,
) -> tuple[ManyMaps, dict[str, Tensor]]:
    """An anchor of each image, sought anew in each of several trials.

    Columns, a number a trial: ``precision`` as the search found it, ``fresh`` from new samples of the final anchor,
    ``coverage``, ``size`` in segments, ``area`` as a share of the pixels, ``holds`` (1 for an anchor, 0 for the best of
    what was tried), ``samples`` that the search drew, sets that were set aside as out of reach (``unreached``);
    ``trial_seconds`` of wall clock, ``trial_cpu`` of processors, ``trial_bank``, seconds that the bank took which it
    shares with other images' searches, ``trial_images`` that the generator drew for it and ``trial_updates`` of
    latents; ``ended``: 1 where the search came to its end, 0 where it was cut off by ``most``, -1 where no latent
    agreed with the image on any segment. Of the latter two nothing is known but what they had cost. And ``segments``,
    how many the image was cut into.

    Args:
        sampler: ``stitching`` other images to the anchor, as the original anchors do; ``descent`` is Algorithm 3;
            ``chains``, ours, draws what the generator draws where it agrees with the image (``docs/anchors.md``).
        norm: the generator's batch normalisation while latents go down: with statistics of the ``batch`` of latents, or
            its ``running`` ones. Paper: batch, but for the row "Batch".
        lr: learning rate of the latents. Released: 0.1 with batch statistics and 0.01 with running ones.
        threshold: mean square difference to the image, on the anchor, up to which a latent is good. Paper: 0.05 for
            digits, 0.075 for faces.
        thresholds: each sample has one below that of its own (Algorithm 2), or all have the same. Released: drawn for
            the diverse encoder, constant elsewhere.
        at_once: latents that go down together.
        restart: steps after which these are given up.
        limit: steps for one batch of samples, after which the set counts as out of reach.
        bank: images that the generator draws once for all images, of the sampler ``chains``.
        least: of these have to agree with the image on a set of segments, for it to be within reach of this sampler;
            of the other bank that judges the anchor a quarter as many, or there is no ``fresh``: a thousand samples
            that descend from one or two say little.
        walkers: chains of a set that go on together, where the bank is used up.
        thin: steps between two samples of a chain.
        keep: chance of a segment outside the anchor to be kept, when stitching.
        segmentation: how the image is cut.
        segments: how many there are to be; quickshift's distance is sought so.
        compactness: of SLIC.
        precision: that an anchor is to have.
        delta: chance of being wrong about it.
        gap: by how much another set may be better than the best one, at most, when their comparison ends.
        slack: how far below ``precision`` the lower bound of an anchor may lie.
        batch: samples drawn at once for a set of segments.
        beam: sets of each size that are kept. Released: 1.
        coverage: rows of random segments from which coverage is estimated.
        largest: segments of an anchor at most; 0 for all. Released: 3, though the paper's Table 2 has a mean of 4.2.
        repeats: searches an image, each with random numbers of its own.
        fresh: samples that the precision of the final anchor is estimated from anew; 0 for none.
        most: images that the generator draws for one search at most; 0 for no limit. What is cut off is counted.
        show: the set of segments that samples are shown of: the ``bright`` ones, or those in the ``middle``.
        shown: how many these are.
        low: intensity of the darkest pixel.
        high: intensity of the brightest.
    """
    if "generator" in USES[sampler] and generator is None:
        raise BadInput(f"sampler: {sampler} draws with a generator; give one: needs: {{generator: <label of a dcgan>}}")
    for role, network in (("generator", generator), ("encoder", encoder)):
        if network is not None and role not in USES[sampler]:
            raise BadInput(f"sampler: {sampler} makes no use of a network for {role}; take needs.{role} away")
    if images.dim() != 4:
        raise BadInput(f"anchors are made of segments of a plane, and these images have {images.dim() - 2} axes")
    banks = BANKS.setdefault(generator, {}) if sampler == "chains" else {}
    search = Search(precision, delta, gap, slack, batch, beam, coverage, largest)
    if generator is not None:
        generator = frozen(generator, norm) if sampler == "descent" else folded(generator)

    def drawn_before(number: int) -> chains.Bank:
        """A bank for each trial, by which the trial before is judged; so there are two at least."""
        number %= max(2, repeats)
        if (bank, number) not in banks:
            random = torch.Generator().manual_seed(stream(number, "bank"))
            banks[bank, number] = chains.bank(generator, bank, random, images.device)
            print(f"a bank of {bank} images in {banks[bank, number].seconds:.1f} seconds", flush=True)
        return banks[bank, number]

    def of(subject: Subject, number: int, own: int, purpose: str) -> Sampler:
        """The sampler of a trial, which is bounded, or of what looks at it afterwards; random numbers are its own."""
        searches = purpose == "trial"
        (numbers, latents), cost = trials.own(own, purpose, number), Cost(most=most if searches else 0)
        if sampler == "stitching":
            return sampling.Stitching(subject, donors, numbers, keep, cost=cost)
        settings = {"threshold": threshold, "drawn": thresholds == "drawn", "cost": cost}
        if sampler == "chains":
            known = drawn_before(number if searches else number + 1)
            cost.bank = known.seconds
            fewest = {"trial": least, "fresh": -(-least // 4), "shown": 1}[purpose]
            walk = {"walkers": walkers, "thin": thin, "least": fewest}
            return chains.Chains(subject, generator, known, numbers, latents, **walk, **settings)
        begin = sampling.prior(generator, latents)
        if encoder is not None:
            begin = sampling.encoded(encoder, subject.image, low, high, latents)
        together = {"lr": lr, "at_once": at_once, "restart": restart, "limit": limit}
        return sampling.Descent(subject, generator, begin, numbers, **together, **settings)

    maps, counts, rows = [], [], []
    for image, own in zip(images.split(1), streams, strict=True):
        picture = ((image[0] - low) / (high - low)).clamp(0, 1).cpu().numpy()
        subject = Subject(image, segmenting.cut(picture, segments, kind=segmentation, compactness=compactness))
        if segmentation == "quickshift" and subject.segments.count != segments:
            tried = f"after {subject.segments.tries} tries"
            print(f"an image is cut into {subject.segments.count} segments {tried}, not {segments}", flush=True)
        if generator is not None:
            sampling.check(generator, subject)
        decision, made = trials.Decision(classifier, subject), []
        for n in range(repeats):
            made.append(trials.attempt(decision, of(subject, n, own, "trial"), search, own + n))
            trials.once_more(decision, of(subject, n, own, "fresh"), made[-1], fresh)
        counts.append(subject.segments.count)
        rows.append([each.numbers for each in made])
        chosen = segmenting.CHOICES[show](picture, subject.segments, shown)
        maps.append(pictures(subject, of(subject, 0, own, "shown"), [each.anchor for each in made], chosen))
    columns = {name: torch.tensor([[trial[name] for trial in row] for row in rows]) for name in rows[0][0]}
    return torch.stack(maps), {**columns, "segments": torch.tensor(counts)}


def pictures(subject: Subject, sampler: Sampler, anchors: Sequence[Anchor | None], shown: Anchor) -> Tensor:
    """The maps of an image, (map, height, width): anchors, and samples of a set that depends on the image alone."""
    nothing = torch.zeros_like(subject.image[0, 0])  # of a trial that was cut off
    masks = [nothing if anchor is None else subject.mask(anchor)[0, 0] for anchor in anchors]
    try:
        drawn = sampler.draw(shown, SAMPLES)
        samples = torch.cat([grey(drawn.images), grey(drawn.whole)])[:, 0]
    except (Unreachable, Spent):  # then there is nothing to be seen
        samples = torch.zeros(2 * SAMPLES, *subject.image.shape[2:], device=subject.image.device)
    known = torch.stack([masks[0], torch.stack(masks).mean(0), subject.mask(shown)[0, 0]])
    return torch.cat([known, samples])
