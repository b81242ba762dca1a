"""The search for an anchor: few segments of an image that hold a classifier's decision, whatever else is there (Ribeiro
et al., AAAI 2018; David et al., 2019, section 2.1).

The precision of a set of segments is the chance that the decision stays when everything but these is drawn anew. It is
known from samples alone, so sets are compared as arms of a bandit (KL-LUCB; Kaufmann and Kalyanakrishnan, 2013), and
grow by one segment at a time, the best of each size (a beam). How samples are drawn is the sampler's business.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool

from evidence.errors import BadInput

Anchor = tuple[int, ...]  # segments, ascending
Samples = tuple[np.ndarray, np.ndarray]  # which segments each keeps, (sample, segment); whether it is decided alike
Draw = Callable[[Sequence[Anchor], int], Sequence[Samples | None]]
BISECTIONS = 16
SMALLEST, LARGEST = 1e-7, 1 - 1e-16  # probabilities whose logarithms are taken


class Unreachable(Exception):  # noqa: N818
    """A sampler has nothing that keeps a set of segments."""


@dataclass(frozen=True)
class Search:
    """How an anchor is sought. Defaults are what GANchors used of the released library.

    Args:
        precision: that an anchor is to have, τ.
        delta: chance of being wrong about it.
        gap: how much better than the best one an arm may be, at most, when comparing ends (ε).
        slack: how far below ``precision`` the lower bound of an anchor may lie.
        batch: samples drawn at once for an arm.
        beam: sets of each size that are kept.
        coverage: rows of random segments from which coverage is estimated.
        largest: segments of an anchor, at most; 0 for all. GANchors: 3, though its table has a mean of 4.2.
    """

    precision: float = 0.95
    delta: float = 0.1
    gap: float = 0.15
    slack: float = 0.05
    batch: int = 100
    beam: int = 1
    coverage: int = 100
    largest: int = 3

    def __post_init__(self):
        for name in ("precision", "delta", "gap"):
            if not 0 < getattr(self, name) < 1:
                raise BadInput(f"{name}: {getattr(self, name)} has to lie between 0 and 1")
        for name, least in (("batch", 1), ("beam", 1), ("coverage", 1), ("largest", 0)):
            if getattr(self, name) < least:
                raise BadInput(f"{name}: {getattr(self, name)} has to be {least} or more")


@dataclass
class Arm:
    """A set of segments, and what was drawn for it: how many samples, and how many of them were decided alike. Out of
    ``reach`` is one that no sample keeps."""

    anchor: Anchor
    coverage: float
    drawn: int = 0
    alike: int = 0
    reach: bool = True

    @property
    def mean(self) -> float:
        """The share that was decided alike; 0 where nothing was drawn."""
        return self.alike / self.drawn if self.drawn else 0.0


@dataclass
class Found:
    """What a search ends with. ``holds``: whether it is an anchor; else it is the best of what was tried."""

    anchor: Anchor
    precision: float
    coverage: float
    drawn: int
    holds: bool
    samples: int  # that the whole search drew
    unreached: int  # sets that were set aside, because no sample keeps them


@dataclass
class Drawn:
    """All samples so far, and for which set each was drawn.

    A sample drawn for a set counts for larger ones too whose further segments it kept by chance. It does not for sets
    that lack one of those it was drawn for: these it kept by design. The original library counts less for a larger set:
    of the samples drawn for its parts only those of the part that it was grown from.
    """

    segments: int
    draw: Draw
    anchors: list[Anchor] = field(default_factory=list)
    kept: list[np.ndarray] = field(default_factory=list)  # (sample, segment)
    alike: list[np.ndarray] = field(default_factory=list)
    unreached: int = 0

    def pull(self, arms: Sequence[Arm], count: int) -> None:
        """Draw so many for each of these arms, or find that it is out of reach."""
        if not arms:
            return
        for arm, found in zip(arms, self.draw([arm.anchor for arm in arms], count), strict=True):
            if found is None:
                arm.reach = False
                self.unreached += 1
                continue
            kept, alike = (np.asarray(each, bool) for each in found)
            if kept.shape != (count, self.segments) or alike.shape != (count,):
                raise BadInput(
                    f"the sampler was asked for {count} samples of {self.segments} segments, and gave arrays of "
                    f"{kept.shape} and {alike.shape}"
                )
            self.anchors.append(arm.anchor)
            self.kept.append(kept)
            self.alike.append(alike)
            arm.drawn += count
            arm.alike += int(alike.sum())

    def arm(self, anchor: Anchor, coverage: float) -> Arm:
        """A new arm, with the samples that count for it already."""
        arm, wanted = Arm(anchor, coverage), list(anchor)
        for drawn_for, kept, alike in zip(self.anchors, self.kept, self.alike, strict=True):
            if set(drawn_for) <= set(anchor):
                rows = kept[:, wanted].all(1)
                arm.drawn += int(rows.sum())
                arm.alike += int(alike[rows].sum())
        return arm

    @property
    def count(self) -> int:
        return sum(map(len, self.alike))


# --- bounds -----------------------------------------------------------------------------------------------------------


def divergence(p: float, q: float) -> float:
    """Kullback-Leibler divergence of two coins."""
    p, q = (min(LARGEST, max(SMALLEST, each)) for each in (p, q))
    return p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))


def upper(mean: float, level: float) -> float:
    """The largest probability from which a mean diverges by no more than ``level``, from above within 16 bisections."""
    low, high = mean, min(1.0, mean + math.sqrt(level / 2))
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if divergence(mean, middle) > level else (middle, high)
    return high


def lower(mean: float, level: float) -> float:
    """The smallest one, from below."""
    low, high = max(0.0, mean - math.sqrt(level / 2)), mean
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if divergence(mean, middle) > level else (low, middle)
    return low


def exploration(turn: int, arms: int, delta: float) -> float:
    """KL-LUCB's β: the level of its bounds, times the samples of an arm."""
    a = math.log(405.5 * arms * turn**1.1 / delta)
    return a + math.log(a)


# --- the search -------------------------------------------------------------------------------------------------------


def best(arms: Sequence[Arm], count: int, samples: Drawn, search: Search) -> list[Arm]:
    """The ``count`` arms of the highest means, drawn for until no other can be better by more than the gap. Arms out of
    reach are set aside, so fewer may be left."""
    samples.pull([arm for arm in arms if arm.drawn == 0], 1)
    turn = 1
    while True:
        arms = [arm for arm in arms if arm.reach]
        if count >= len(arms):
            return arms
        order = np.argsort([arm.mean for arm in arms], kind="stable")
        others, leading = ([arms[i] for i in rows] for rows in (order[:-count], order[-count:]))
        beta = exploration(turn, len(arms), search.delta)
        rival = max(others, key=lambda arm: upper(arm.mean, beta / arm.drawn))
        weakest = min(leading, key=lambda arm: lower(arm.mean, beta / arm.drawn))
        if upper(rival.mean, beta / rival.drawn) - lower(weakest.mean, beta / weakest.drawn) <= search.gap:
            return leading
        samples.pull([rival, weakest], search.batch)
        turn += 1


def find(segments: int, draw: Draw, search: Search, random: np.random.Generator) -> Found:
    """An anchor among so many segments.

    Args:
        segments: of the image.
        draw: for sets of segments and a number of samples of each: which segments each sample kept, (sample, segment),
            those of its set among them, and whether it is decided as the image is, (sample,); for a set that no sample
            keeps None, which sets it aside.
        random: for the rows from which coverage is estimated.

    Raises:
        Unreachable: if not one set of a single segment can be drawn.
    """
    if segments < 1:
        raise BadInput(f"an anchor is made of segments, and there are {segments}")
    rows = random.integers(0, 2, (search.coverage, segments)).astype(bool)
    samples = Drawn(segments, draw)
    level = math.log((1 + (search.beam - 1) * segments) / search.delta)
    nothing = Arm((), 1.0)
    if _sure(nothing, samples, search, math.log(1 / search.delta)):
        return _found(nothing, True, samples)
    beam, chosen, leaders = [nothing], None, []
    for _ in range(min(search.largest or segments, segments)):
        arms = [
            samples.arm(anchor, covered)
            for anchor in _extended(beam, segments)
            if (covered := _covered(rows, anchor)) > (chosen.coverage if chosen else -1.0)
        ]
        beam = best(arms, search.beam, samples, search)
        if not beam:
            break
        leaders += beam
        for arm in beam:
            bound = _settled(arm, samples, search, level)
            holds = arm.reach and arm.mean >= search.precision and bound > search.precision - search.slack
            if holds and (chosen is None or arm.coverage > chosen.coverage):
                chosen = arm
        if chosen and chosen.coverage == 1:
            break
    if chosen:
        return _found(chosen, True, samples)
    if leaders := best(leaders, 1, samples, search):
        return _found(leaders[0], False, samples)
    raise Unreachable


def _sure(nothing: Arm, samples: Drawn, search: Search, level: float) -> bool:
    """Whether nothing at all has to be kept: the decision is the same for nearly all samples.

    Of fewer than ``enough`` no number of samples decided alike could show it. The released code asks for 100 at once,
    which is always enough.
    """
    enough = level / -math.log(search.precision)
    samples.pull([nothing], 1)
    while (
        nothing.reach
        and nothing.mean > search.precision
        and (nothing.drawn < enough or lower(nothing.mean, level / nothing.drawn) < search.precision - search.gap)
    ):
        samples.pull([nothing], search.batch)
    return nothing.reach and lower(nothing.mean, level / nothing.drawn) > search.precision


def _settled(arm: Arm, samples: Drawn, search: Search, level: float) -> float:
    """Draw until an arm is an anchor or none, but for the slack. Returns the lower bound of its precision."""
    while True:
        if not arm.reach:
            return 0.0
        low, high = lower(arm.mean, level / arm.drawn), upper(arm.mean, level / arm.drawn)
        reached = arm.mean >= search.precision
        if not (low < search.precision - search.slack if reached else high >= search.precision + search.slack):
            return low
        samples.pull([arm], search.batch)


def _extended(beam: Sequence[Arm], segments: int) -> list[Anchor]:
    """Each set of the beam and one segment more, every result once, in order."""
    grown = {tuple(sorted({*arm.anchor, one})) for arm in beam for one in range(segments) if one not in arm.anchor}
    return sorted(grown)


def _covered(rows: Bool[np.ndarray, "row segment"], anchor: Anchor) -> float:
    """The share of random rows that have all segments of a set."""
    return float(rows[:, list(anchor)].all(1).mean())


def _found(arm: Arm, holds: bool, samples: Drawn) -> Found:
    return Found(arm.anchor, arm.mean, arm.coverage, arm.drawn, holds, samples.count, samples.unreached)
