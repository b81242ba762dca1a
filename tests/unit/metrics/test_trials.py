"""Scores of searches for anchors, and of what a classifier makes of generated images."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from evidence.errors import BadInput
from evidence.metrics import certainty, trials


def test_scores_are_of_each_trial_and_those_that_did_not_end_have_a_cost_alone():
    nan = np.nan
    table = pd.DataFrame(
        {
            "precision": [[0.9, 1.0], [nan, 0.97]],
            "fresh": [[0.8, 0.99], [nan, 0.96]],
            "coverage": [[0.5, 0.4], [nan, 0.3]],
            "size": [[2, 0], [nan, 3]],
            "area": [[0.2, 0.0], [nan, 0.4]],
            "holds": [[0.0, 1.0], [nan, 1.0]],
            "samples": [[300, 20], [nan, 500]],
            "unreached": [[2, 0], [nan, 1]],
            "trial_seconds": [[60.0, 6.0], [600.0, 30.0]],
            "trial_cpu": [[90.0, 9.0], [900.0, 45.0]],
            "trial_bank": [[0.0, 120.0], [0.0, 0.0]],
            "trial_images": [[1000, 64], [9000, 2000]],
            "trial_updates": [[16, 1], [140, 30]],
            "ended": [[1, 1], [0, -1]],
        }
    )
    found = trials.score(table)
    assert found["minutes"] == pytest.approx(np.array([[1.0, 0.1], [10.0, 0.5]]))
    assert found["cpu"] == pytest.approx(np.array([[1.5, 0.15], [15.0, 0.75]]))
    assert found["bank"].tolist() == [[0, 2], [0, 0]]
    assert found["images"].tolist() == [[1000, 64], [9000, 2000]]
    assert found["ended"].tolist() == [[1, 1], [0, 0]]
    assert found["precision"] == pytest.approx(np.array([[0.9, 1.0], [nan, 0.97]]), nan_ok=True)
    assert found["size"] == pytest.approx(np.array([[2, 0], [nan, 3]]), nan_ok=True)
    assert found["size_held"] == pytest.approx(np.array([[nan, 0], [nan, 3]]), nan_ok=True)
    assert found["fresh_held"] == pytest.approx(np.array([[nan, 0.99], [nan, 0.96]]), nan_ok=True)


class Threes(nn.Module):
    """Draws the first number of a latent."""

    z = 3

    def forward(self, latents):
        return latents[:, :1, None, None].expand(-1, 1, 4, 4)


class Thirds(nn.Module):
    """Certain of one of three classes by how bright an image is; of none in between."""

    def forward(self, images):
        bright = images.flatten(1).mean(1)
        return 20 * torch.stack([-bright - 0.43, torch.full_like(bright, 0.0), bright - 0.43], 1)


BRIGHT = np.array([-1.0, -0.4, 0.0, 0.1, 0.4, 2.0], np.float32)[:, None, None, None].repeat(4, 2).repeat(4, 3)


def test_certainty_counts_probable_classes_and_how_evenly_they_come():
    """Half of a standard normal within 0.43 and a quarter of it on either side, less what lies near to 0.43."""
    found = certainty.score(Threes(), Thirds(), BRIGHT, draws=4000, repeats=3)
    assert found["certain"].shape == (3,)
    gap = np.log(9) / 20  # a class has 0.9 from there on, the third one being far
    normal = torch.distributions.Normal(0.0, 1.0)
    inside = 2 * (normal.cdf(torch.tensor(0.43 - gap)) - 0.5) + 2 * (1 - normal.cdf(torch.tensor(0.43 + gap)))
    assert found["certain"].mean() == pytest.approx(inside.item(), abs=0.02)
    third = np.array([1 / 3, 1 / 3, 1 / 3])
    assert found["even"].mean() == pytest.approx(-(third * np.log(third)).sum() / np.log(3), abs=0.01)
    assert (found["likely"] > found["certain"]).all()
    assert found["real"] == pytest.approx([4 / 6]), "all but the two that are next to a limit"
    assert len(set(found["certain"])) == 3, "other latents each time"
    assert certainty.score(Threes(), Thirds(), BRIGHT, draws=100, repeats=1, least=0.3)["certain"] == 1


def test_certainty_needs_a_generator_of_one_latent():
    with pytest.raises(BadInput, match="draws nothing from one latent; give the generator of a dcgan"):
        certainty.score(nn.Identity(), Thirds(), BRIGHT)
