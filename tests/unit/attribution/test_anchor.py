"""Anchors of images whose decision hangs on one band of theirs, with every sampler."""

import numpy as np
import pytest
import torch
from torch import nn

from evidence import chains
from evidence.attribution.anchor import MAPS, attribute, pictures
from evidence.errors import BadInput
from evidence.sampling import Stitching, Subject
from evidence.seeds import rng
from evidence.segmenting import Segments, quickshift

BANDS = np.repeat([-0.9, -0.1, 0.8], 6)  # columns of an image


class Third(nn.Module):
    """Decides by whether the third band is bright."""

    def forward(self, images):
        z = 20 * (images[..., 12:].mean((1, 2, 3)) - 0.3)[:, None]
        return torch.cat([torch.zeros_like(z), z], 1)


class Bands(nn.Module):
    """Three numbers to three bands."""

    z = 3

    def __init__(self):
        super().__init__()
        self.scale = nn.BatchNorm1d(3, affine=False)

    def forward(self, latents):
        return torch.tanh(self.scale(latents)).repeat_interleave(6, 1)[:, None, None].expand(-1, 1, 18, 18)


class Where(nn.Module):
    """Codes near what draws the bands that are shown."""

    def forward(self, masked):
        shown = (masked[:, 0, 0, ::6] * 2 - 1).clamp(-0.95, 0.95).atanh()
        return torch.stack([shown, shown + 0.1], 1)


@pytest.fixture
def image():
    return torch.from_numpy(np.broadcast_to(BANDS, (1, 1, 18, 18)).astype(np.float32).copy())


@pytest.fixture
def donors():
    return np.random.default_rng(0).uniform(-1, 1, (40, 1, 1, 3)).repeat(6, 3).repeat(18, 2).astype(np.float32)


SAMPLERS = {
    "stitching": {"sampler": "stitching"},
    "descent": {"sampler": "descent"},
    "running": {"sampler": "descent", "norm": "running", "thresholds": "constant", "lr": 0.05},
    "chains": {"sampler": "chains", "bank": 200},
}


def explained(image, donors, repeats=2, encoder=None, **options):
    settings = {"segments": 3, "repeats": repeats, "fresh": 200, "shown": 1} | options
    generator = None if options.get("sampler") == "stitching" else Bands()
    return attribute(image, donors, Third(), [7], generator, encoder, **settings)


def test_the_bank_that_judges_has_to_have_a_quarter_of_what_the_search_asks_for(image, donors, monkeypatch):
    asked, plain = [], chains.Chains
    monkeypatch.setattr(
        chains, "Chains", lambda *given, least, **how: asked.append(least) or plain(*given, least=least, **how)
    )
    explained(image, donors, repeats=1, sampler="chains", bank=200, least=9)
    assert asked == [9, 3, 1], "for the search, for what judges it, and for what is shown"
    _, columns = explained(image, donors, repeats=1, sampler="chains", bank=200, least=1)
    assert not columns["fresh"].isnan().any()


def test_the_bands_are_the_segments():
    assert quickshift((BANDS[None, None] * np.ones((1, 18, 1)) + 1) / 2, 3).count == 3


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_anchor_is_the_band_that_the_decision_hangs_on(image, donors, sampler):
    maps, columns = explained(image, donors, **SAMPLERS[sampler])
    maps = dict(zip(MAPS, maps[0], strict=True))
    third = torch.zeros(18, 18)
    third[:, 12:] = 1
    assert torch.equal(maps["anchor"], third)
    assert torch.equal(maps["often"], third)
    assert torch.equal(maps["shown"], third), "the brightest band"
    assert (columns["precision"] >= 0.95).all()
    assert (columns["fresh"] >= 0.95).all()
    assert (columns["size"] == 1).all()
    assert torch.allclose(columns["area"].double(), torch.tensor(1 / 3, dtype=torch.float64))
    assert (columns["holds"] == 1).all()
    assert (columns["ended"] == 1).all()
    assert columns["segments"].tolist() == [3]
    assert columns["samples"].shape == (1, 2)
    assert (columns["trial_seconds"] > 0).all()
    assert ((columns["trial_bank"] > 0) == (sampler == "chains")).all()
    for name in ("one", "four"):
        assert torch.equal(maps[name] * third, image[0, 0] * third), "samples keep what is shown"
        if sampler != "stitching":  # which keeps other segments too, by chance
            assert torch.equal(maps[name] * (1 - third), maps[f"{name}_whole"] * (1 - third))


def test_an_encoder_says_where_samples_start(image, donors):
    """From codes that are near already, latents take fewer updates."""
    _, from_anywhere = explained(image, donors, sampler="descent", norm="running")
    _, from_codes = explained(image, donors, encoder=Where(), sampler="descent", norm="running")
    assert from_codes["trial_updates"].float().mean() < from_anywhere["trial_updates"].float().mean()


def test_each_trial_and_each_image_has_random_numbers_of_its_own(image, donors):
    _, first = explained(image, donors, sampler="chains", bank=20, least=1, repeats=3)
    assert len(set(first["trial_images"][0].tolist())) > 1
    _, again = explained(image, donors, sampler="chains", bank=20, least=1, repeats=3)
    for name in ("samples", "trial_images", "precision"):
        assert torch.equal(first[name], again[name])


def test_banks_are_drawn_once_for_all_images(image, donors, capsys):
    """One for each trial and two at least, as none is judged by its own, whatever comes after."""
    for repeats, banks in ((1, 2), (2, 2), (3, 3)):
        generator = Bands()
        for _ in range(3):
            settings = {"bank": 50, "least": 1, "repeats": repeats, "segments": 3, "shown": 1}
            attribute(image, donors, Third(), [7], generator, sampler="chains", **settings)
        assert capsys.readouterr().out.count("a bank of 50 images") == banks


def test_a_search_that_costs_too_much_is_cut_off_and_counted(image, donors):
    maps, columns = explained(image, donors, sampler="descent", most=100)
    assert (columns["ended"] == 0).all()
    assert columns["size"].isnan().all()
    assert (columns["trial_images"] > 100).all()
    assert (maps[0, 0] == 0).all()


def test_a_trial_that_was_cut_off_has_an_empty_anchor_among_the_others(image):
    labels = np.repeat([0, 1, 2], 6) * np.ones((18, 1), int)
    subject = Subject(image, Segments(labels, 3))
    sampler = Stitching(subject, np.zeros((2, 1, 18, 18), np.float32), rng(0, "stitching"))
    maps = pictures(subject, sampler, [None, (1,), None], (0,))
    assert (maps[0] == 0).all(), "of the first trial"
    torch.testing.assert_close(maps[1], torch.from_numpy((labels == 1) / 3).float())


def test_an_image_that_no_latent_comes_near_to_is_reported(donors):
    """Every second pixel is bright: the generator draws bands."""
    rough = torch.from_numpy(np.indices((1, 1, 18, 18)).sum(0) % 2 * 2.0 - 1).float()
    for sampler in ("descent", "chains"):
        _, columns = explained(rough, donors, sampler=sampler, limit=60, segmentation="slic", segments=4, fresh=10)
        assert (columns["ended"] == -1).all()
        assert columns["precision"].isnan().all()
        assert columns["fresh"].isnan().all()


def test_networks_that_a_sampler_makes_no_use_of_are_refused(image, donors):
    for sampler, generator, encoder in (("stitching", Bands(), None), ("chains", Bands(), Where())):
        with pytest.raises(BadInput, match=f"sampler: {sampler} makes no use"):
            attribute(image, donors, Third(), [7], generator, encoder, sampler=sampler)


def test_segments_that_cannot_be_had_are_told(image, donors, capsys):
    _, columns = explained(image, donors, sampler="stitching", segments=17, fresh=0)
    assert columns["segments"].item() != 17
    assert f"cut into {columns['segments'].item()} segments" in capsys.readouterr().out
    assert columns["fresh"].isnan().all()


def test_what_does_not_fit_is_refused(image, donors):
    with pytest.raises(BadInput, match="chains draws with a generator; give one"):
        attribute(image, donors, Third(), [7], sampler="chains")
    with pytest.raises(BadInput, match="segments of a plane, and these images have 3 axes"):
        attribute(image[None], donors, Third(), [7], sampler="stitching")
    with pytest.raises(BadInput, match=r"draws images of \(1, 18, 18\), but those to explain are of \(1, 12, 12\)"):
        attribute(image[..., :12, :12], donors, Third(), [7], Bands().eval(), segments=2)
