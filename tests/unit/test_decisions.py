"""Decisions about samples: of all sets that a search asks for together, and the same as one by one."""

import numpy as np
import pytest
import torch
from torch import nn

from evidence import sampling, trials
from evidence.anchoring import Search, Unreachable
from evidence.segmenting import Segments


class Bright(nn.Module):
    """Class 1 where the first pixel is bright. It remembers how many images it was asked about at once."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def forward(self, images):
        self.asked.append(len(images))
        first = images[:, 0, 0, 0]
        return torch.stack([torch.zeros_like(first), first], 1)


class Stubborn(sampling.Stitching):
    """Nothing keeps the second segment."""

    def draw(self, anchor, count):
        if 1 in anchor:
            raise Unreachable
        return super().draw(anchor, count)


@pytest.fixture
def subject():
    labels = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 2, 2], [2, 2, 2, 2]], np.int32)
    return sampling.Subject(torch.ones(1, 1, 4, 4), Segments(labels, 3))


@pytest.fixture
def donors():
    return np.random.default_rng(0).uniform(-1, 1, (50, 1, 4, 4)).astype(np.float32)


@pytest.mark.parametrize("sampler", [sampling.Stitching, Stubborn])
def test_all_sets_are_decided_about_together_as_they_would_be_one_by_one(subject, donors, sampler):
    judge = Bright()
    decision = trials.Decision(judge, subject)
    anchors = [(0,), (1,), (2,), (0, 2)]
    judge.asked.clear()
    together = decision.drawing(sampler(subject, donors, np.random.default_rng(1)))(anchors, 7)
    there = [anchor for anchor in anchors if sampler is sampling.Stitching or 1 not in anchor]
    assert judge.asked == [7 * len(there)]
    assert [anchor for anchor, found in zip(anchors, together, strict=True) if found] == there
    one_by_one = sampler(subject, donors, np.random.default_rng(1))
    for anchor, found in zip(anchors, together, strict=True):
        if found is None:
            continue
        drawn = one_by_one.draw(anchor, 7)
        np.testing.assert_array_equal(found[0], drawn.kept)
        np.testing.assert_array_equal(found[1], drawn.images[:, 0, 0, 0].numpy() > 0)
    kept = next(found for anchor, found in zip(anchors, together, strict=True) if anchor == (0,))
    assert kept[1].all(), "its first pixel is the image's"


def test_a_search_finds_what_holds_the_decision_whatever_is_out_of_reach(subject, donors):
    for sampler, unreached in ((sampling.Stitching, 0), (Stubborn, 1)):
        made = sampler(subject, donors, np.random.default_rng(2))
        found = trials.attempt(trials.Decision(Bright(), subject), made, Search(largest=1), 0)
        assert found.anchor == (0,)
        assert found.numbers["holds"] == 1
        assert found.numbers["unreached"] == unreached


def test_where_nothing_is_within_reach_no_image_is_judged(subject, donors):
    judge = Bright()
    decision = trials.Decision(judge, subject)
    judge.asked.clear()
    assert decision.drawing(Stubborn(subject, donors, np.random.default_rng(3)))([(1,), (0, 1)], 5) == [None, None]
    assert judge.asked == []
