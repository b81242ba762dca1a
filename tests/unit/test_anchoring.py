"""Bounds against published constants and root finding; the search against sets that are anchors by construction."""

import math
from functools import partial

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import entropy

from evidence.anchoring import Arm, Drawn, Search, Unreachable, best, exploration, find, lower, upper
from evidence.errors import BadInput


def test_bounds_are_those_of_the_saved_runs():
    """The level of a saved run is log 10 over the number of samples; GANchors' notebooks print the bounds."""
    assert lower(1.0, 2.3026 / 101) == pytest.approx(0.97745954, abs=2e-7)
    assert lower(0.95012469, 2.3026 / 401) == pytest.approx(0.92330824, abs=2e-7)
    assert upper(0.95012469, 2.3026 / 401) == pytest.approx(0.97008669, abs=2e-7)
    assert lower(1.0, 2.3026 / 401) == pytest.approx(0.99427353, abs=2e-7)
    beta = exploration(7, 15, 0.1)
    assert beta == pytest.approx(15.7332, abs=1e-4)
    assert lower(0.92079208, beta / 101) == pytest.approx(0.6917, abs=1e-4)


@pytest.mark.parametrize("mean", [0.05, 0.5, 0.93])
@pytest.mark.parametrize("level", [1e-3, 0.05, 0.4])
def test_bounds_are_roots_of_the_divergence(mean, level):
    def excess(q):
        return entropy([mean, 1 - mean], [q, 1 - q]) - level

    exact = brentq(excess, mean, 1 - 1e-12)
    assert exact <= upper(mean, level) <= exact + math.sqrt(level / 2) * 2**-15
    exact = brentq(excess, 1e-12, mean)
    assert exact - math.sqrt(level / 2) * 2**-15 <= lower(mean, level) <= exact


def test_where_everything_or_nothing_was_alike_one_bound_is_the_mean():
    assert upper(1.0, 0.1) == 1
    assert lower(0.0, 0.1) == 0
    assert lower(1.0, 0.1) == pytest.approx(math.exp(-0.1), abs=1e-4)  # KL(1, q) = -log q
    assert upper(0.0, 0.1) == pytest.approx(1 - math.exp(-0.1), abs=1e-4)


class Rule:
    """Samples keep each further segment with a chance of a half; whether they are decided alike, a rule says."""

    def __init__(self, segments, chance, seed=0, keep=0.5):
        self.segments, self.chance, self.keep = segments, chance, keep
        self.random, self.asked = np.random.default_rng(seed), []

    def __call__(self, anchor, count):
        self.asked.append((anchor, count))
        kept = self.random.random((count, self.segments)) < self.keep
        kept[:, list(anchor)] = True
        return kept, self.random.random(count) < np.array([self.chance(set(np.flatnonzero(row))) for row in kept])


def each(rule):
    """What a search asks for, of a rule for one set: all sets together, None for one that is out of reach."""

    def draw(anchors, count):
        found = []
        for anchor in anchors:
            try:
                found.append(rule(anchor, count))
            except Unreachable:
                found.append(None)
        return found

    return draw


def both(kept):
    return 1.0 if {2, 5} <= kept else 0.3


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("beam", [1, 3])
def test_it_finds_the_segments_that_hold_the_decision(seed, beam):
    rule = Rule(8, both, seed)
    found = find(8, each(rule), Search(beam=beam), np.random.default_rng(seed))
    assert set(found.anchor) == {2, 5}
    assert found.holds
    assert found.precision == 1
    assert found.samples == sum(count for _, count in rule.asked)
    assert found.coverage == pytest.approx(0.25, abs=0.15)


@pytest.mark.parametrize("batch", [1, 16, 20, 44, 100])
def test_nothing_has_to_be_kept_where_the_decision_never_changes(batch):
    """However few samples are drawn at once: of fewer than 45 no number could show it."""
    rule = Rule(8, lambda kept: 1.0)
    found = find(8, each(rule), Search(batch=batch), np.random.default_rng(0))
    assert found.drawn < 45 + batch
    assert (found.anchor, found.holds, found.coverage) == ((), True, 1.0)
    assert {anchor for anchor, _ in rule.asked} == {()}
    assert lower(1.0, math.log(10) / found.drawn) > 0.95


def test_without_an_anchor_the_best_that_was_tried_says_that_it_is_none():
    rule = Rule(6, lambda kept: 0.8 if 4 in kept else 0.2, keep=0.0)
    found = find(6, each(rule), Search(), np.random.default_rng(0))
    assert not found.holds
    assert 4 in found.anchor
    assert found.precision < 0.95
    assert max(len(anchor) for anchor, _ in rule.asked) == 3


def test_the_largest_size_is_a_limit_that_can_be_lifted():
    rule = Rule(5, lambda kept: 1.0 if {0, 1, 2, 3} <= kept else 0.02 * len(kept), keep=0.2)
    assert not find(5, each(rule), Search(), np.random.default_rng(1)).holds
    found = find(5, each(rule), Search(largest=0, beam=5, coverage=1000), np.random.default_rng(1))
    assert found.holds
    assert set(found.anchor) == {0, 1, 2, 3}


def test_a_sample_counts_for_larger_sets_that_it_happens_to_keep_and_for_no_others():
    rows = {
        (): [[1, 0, 0], [1, 1, 0]],
        (0,): [[1, 0, 1], [1, 1, 1], [1, 1, 0]],
        (2,): [[1, 1, 1]],
    }
    samples = Drawn(
        3,
        each(lambda anchor, count: (np.array(rows[anchor], bool), np.array(rows[anchor], bool)[:, 2])),
    )
    for anchor in rows:
        samples.pull([Arm(anchor, 1.0)], len(rows[anchor]))
    for anchor, drawn, alike in (((0,), 5, 2), ((0, 1), 3, 1), ((1,), 1, 0), ((1, 2), 1, 1), ((0, 1, 2), 2, 2)):
        arm = samples.arm(anchor, 0.5)
        assert (arm.anchor, arm.drawn, arm.alike) == (anchor, drawn, alike), anchor


def test_the_best_arm_is_the_best_and_no_other_is_drawn_for_more_often():
    chances = [0.1, 0.2, 0.9, 0.15, 0.6]
    rule = Rule(5, lambda kept: chances[min(kept)], keep=0.0)
    samples = Drawn(5, each(rule))
    arms = [Arm((number,), 0.5) for number in range(5)]
    (leader,) = best(arms, 1, samples, Search())
    assert leader is arms[2]
    assert arms[2].drawn == max(arm.drawn for arm in arms)
    beta = exploration(1, 5, 0.1)
    others = max(upper(arm.mean, beta / arm.drawn) for arm in arms if arm is not leader)
    assert others - lower(leader.mean, beta / leader.drawn) <= 0.15
    assert {arm.anchor for arm in best(arms, 2, samples, Search())} == {(2,), (4,)}


class Short(Rule):
    """Sets with one of some segments cannot be drawn; of others, after so many samples."""

    def __init__(self, segments, chance, *, never=(), after=None):
        super().__init__(segments, chance, keep=0.0)
        self.never, self.after, self.given = set(never), after or {}, {}

    def __call__(self, anchor, count):
        self.given[anchor] = self.given.get(anchor, 0) + count
        if self.never & set(anchor) or self.given[anchor] > self.after.get(anchor, np.inf):
            raise Unreachable
        return super().__call__(anchor, count)


def test_sets_that_cannot_be_drawn_are_set_aside_and_counted():
    """The anchor would be 2 and 5, or 4 if not so sure; 5 is out of reach, and with it all that it is part of."""
    rule = Short(6, lambda kept: 1.0 if {2, 5} <= kept else 0.97 if 4 in kept else 0.3, never=[5])
    found = find(6, each(rule), Search(), np.random.default_rng(0))
    assert (found.anchor, found.holds) == ((4,), True)
    assert found.unreached == sum(5 in anchor for anchor in rule.given) > 0
    assert found.samples == sum(count for _, count in rule.asked)


def test_a_set_that_can_be_drawn_no_more_is_no_anchor():
    """The best of its size ends while it is compared, or while it is settled whether it holds."""
    for limit in (50, 150):
        rule = Short(5, lambda kept: 0.95 if 1 in kept else 0.5, after={(1,): limit})
        found = find(5, each(rule), Search(largest=1), np.random.default_rng(0))
        assert not found.holds
        assert found.anchor != (1,)
        assert found.unreached == 1


def test_where_not_even_whole_samples_can_be_drawn_segments_are_tried():
    class Never(Rule):
        def __call__(self, anchor, count):
            if not anchor:
                raise Unreachable
            return super().__call__(anchor, count)

    assert set(find(8, each(Never(8, both)), Search(beam=3), np.random.default_rng(0)).anchor) == {2, 5}


def test_where_no_segment_can_be_drawn_the_search_says_so():
    with pytest.raises(Unreachable):
        find(3, each(Short(3, lambda kept: 0.5, never=[0, 1, 2])), Search(), np.random.default_rng(0))


def test_what_cannot_be_searched_is_refused():
    with pytest.raises(BadInput, match="precision: 1.5"):
        Search(precision=1.5)
    with pytest.raises(BadInput, match="batch: 0"):
        Search(batch=0)
    with pytest.raises(BadInput, match="largest: -1 has to be 0 or more"):
        Search(largest=-1)
    with pytest.raises(BadInput, match="there are 0"):
        find(0, each(Rule(1, both)), Search(), np.random.default_rng(0))
    with pytest.raises(BadInput, match="asked for 1 samples of 4 segments"):
        find(4, each(lambda anchor, count: (np.zeros((2, 4)), np.zeros(2))), Search(), np.random.default_rng(0))


class Stream:
    """The n-th sample of a set is the same whoever asks for it, and keeps that set alone, as generated samples do."""

    def __init__(self, segments, chances, seed):
        self.segments, self.chances, self.seed, self.given = segments, chances, seed, {}

    def take(self, anchor, count):
        start = self.given.get(anchor, 0)
        self.given[anchor] = start + count
        draws = np.random.default_rng([self.seed, *anchor]).random(20_000)[start : start + count]
        kept = np.zeros((count, self.segments), int)
        kept[:, list(anchor)] = 1
        chance = 1 - np.prod([1 - self.chances[one] for one in anchor]) if anchor else self.chances.min() / 2
        return kept, (draws < chance).astype(int)

    def theirs(self, rows):
        """As anchor-exp asks: raw data, kept segments, labels."""

        def sample(present, count, compute_labels=True):
            if not compute_labels:
                return [], rows.astype(int), []
            kept, alike = self.take(tuple(sorted(int(one) for one in present)), count)
            return kept, kept, alike

        return sample


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("beam", [1, 2])
def test_it_agrees_with_anchor_exp_on_the_same_samples(seed, beam, monkeypatch):
    """The original library, in the version that bisects 16 times: the anchor, its precision, and how many samples of
    which set both have asked for."""
    library = pytest.importorskip("anchor.anchor_base", reason="anchor-exp is not installed; make install does")
    unordered = library.AnchorBaseBeam.make_tuples  # which of equal means comes first is chance there
    monkeypatch.setattr(np, "argsort", partial(np.argsort, kind="stable"))
    monkeypatch.setattr(library.AnchorBaseBeam, "make_tuples", staticmethod(lambda *given: sorted(unordered(*given))))
    chances = np.random.default_rng(seed).uniform(0.3, 0.93, 9)
    search = Search(beam=beam, largest=4)
    mine, its = Stream(9, chances, seed), Stream(9, chances, seed)
    rows = np.random.default_rng(seed).integers(0, 2, (search.coverage, 9)).astype(bool)
    ours = find(9, each(mine.take), search, np.random.default_rng(seed))
    theirs = library.AnchorBaseBeam.anchor_beam(
        its.theirs(rows),
        delta=search.delta,
        epsilon=search.gap,
        batch_size=search.batch,
        desired_confidence=search.precision,
        beam_size=search.beam,
        max_anchor_size=search.largest,
        coverage_samples=search.coverage,
    )
    assert ours.anchor == tuple(sorted(theirs["feature"]))
    assert ours.precision == pytest.approx(theirs["mean"][-1])
    assert ours.coverage == pytest.approx(theirs["coverage"][-1])
    assert mine.given == its.given
