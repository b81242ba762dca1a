"""The diverse encoder's training: equation 12 by hand, anchors of whole segments, a generator that stays as it is."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from evidence import segmenting, training
from evidence.errors import BadInput
from evidence.models import diverse_encoder
from evidence.models.diverse_encoder import Learner, anchors, by_elements, by_norm, reconstruction
from evidence.networks.dcgan import Generator
from evidence.training import Samples


class Levels(nn.Module):
    """An image of two halves, as bright as the first two numbers of a latent say."""

    z = 3

    def forward(self, latents):
        return latents[:, :2].tanh().repeat_interleave(4, 1)[:, None, None].expand(-1, 1, 8, 8)


def generator(seed=0):
    torch.manual_seed(seed)
    network = Generator(size=(8, 8), z=3, widths=(6, 4))
    network(torch.randn(50, 3))  # running statistics that are no identity
    return network


def tiny(network=None, **options):
    network = network or generator()
    torch.manual_seed(0)
    settings = {"codes": 3, "widths": (4, 4), "t": 2.0, "batch": 4, "segmentation": "slic", "segments": 4}
    return Learner((1, 8, 8), network, **settings | options)


@pytest.fixture
def samples():
    """Two halves of any brightness."""
    levels = np.random.default_rng(3).uniform(-0.9, 0.9, (24, 2)).astype(np.float32)
    return Samples(np.repeat(levels, 4, 1)[:, None, None].repeat(8, 2), np.arange(24) % 10)


def test_the_released_recipe():
    learner = Learner((1, 28, 28), Generator(size=(28, 28), widths=(4, 4, 4, 4)))
    (group,) = learner.optimisers["encoder"].param_groups
    assert (group["lr"], group["betas"], learner.batch, learner.steps) == (1e-3, (0.9, 0.999), 32, 1_875)
    assert learner.encoder.sizes == (8, 100)
    assert (learner.t, learner.lam, learner.diversity, learner.penalty) == (10, 1, "norm", 0)
    assert (learner.segmentation, learner.segments, learner.keep) == ("quickshift", 8, 0.5)


@pytest.mark.parametrize("penalty", [0.0, 0.5])
@pytest.mark.parametrize("lam", [1.0, 0.25])
def test_the_terms_are_those_of_the_paper_written_slowly(penalty, lam):
    """Equation 12: each code's image beside the masked one, per pixel of the anchor, and all pairs of codes."""
    learner = tiny(lam=lam, penalty=penalty, norm="running")
    random = torch.Generator().manual_seed(1)
    images = torch.rand(4, 1, 8, 8, generator=random) * 2 - 1
    masks = (torch.rand(4, 1, 8, 8, generator=random) < 0.4).float()
    masks[2] = 0
    found = {name: value.item() for name, value in learner.terms(images, masks).items()}
    network = generator().eval()
    with torch.no_grad():
        codes = learner.encoder(masks * (images + 1) / 2)
        off, apart, norms = [], [], []
        for image, mask, several in zip(images, masks, codes, strict=True):
            for code in several:
                norms.append(sum(float(number) ** 2 for number in code) ** 0.5)
                drawn, pixels = network(code[None])[0, 0], torch.nonzero(mask[0]).tolist()
                if pixels:
                    off.append(sum(float(drawn[y, x] - image[0, y, x]) ** 2 for y, x in pixels) / len(pixels))
            for one, other in itertools.combinations(several, 2):
                apart.append(((float((one - other).square().sum()) ** 0.5 - 2) / 2) ** 2)
    assert len(off) == 9
    assert len(apart) == 12
    assert found["reconstruction"] == pytest.approx(np.mean(off), rel=1e-4)
    assert found["diversity"] == pytest.approx(lam * np.mean(apart), rel=1e-4)
    assert set(found) == {"reconstruction", "diversity"} | ({"norm"} if penalty else set())
    if penalty:
        assert found["norm"] == pytest.approx(penalty * np.mean(norms), rel=1e-4)


def test_eight_codes_have_twenty_eight_pairs():
    codes = torch.randn(5, 8, 100, generator=torch.Generator().manual_seed(0))
    assert diverse_encoder.distances(codes).shape == (5, 28)
    pairs = [codes[:, i] - codes[:, j] for i in range(8) for j in range(i + 1, 8)]
    elements = torch.stack([(difference.square() - 2).square().mean() for difference in pairs]).mean()
    torch.testing.assert_close(by_elements(codes, 10.0), elements)
    norms = torch.stack([((difference.norm(dim=1) - 10) / 10).square().mean() for difference in pairs]).mean()
    torch.testing.assert_close(by_norm(codes, 10.0), norms)


def test_colours_are_averaged():
    images, drawn = torch.zeros(2, 3, 4, 5), torch.ones(2, 2, 3, 4, 5)
    drawn[:, :, 0] = 3
    masks = torch.zeros(2, 1, 4, 5)
    masks[0, 0, 1, 2:4] = 1
    assert reconstruction(drawn, images, masks) == pytest.approx((9 + 1 + 1) / 3)
    assert reconstruction(drawn, images, 0 * masks) == 0


def test_anchors_are_whole_segments_each_kept_by_chance():
    torch.manual_seed(0)
    cuts = torch.tensor([[[0, 0, 1], [2, 1, 1]], [[0, 1, 2], [3, 4, 5]]], dtype=torch.int16).repeat(500, 1, 1)
    masks = anchors(cuts, 0.3)
    assert masks.shape == (1000, 1, 2, 3)
    for mask, cut in zip(masks[:20, 0], cuts, strict=False):
        assert all(mask[cut == label].unique().numel() == 1 for label in cut.unique())
    for row, labels in ((0, 3), (1, 6)):
        kept = [masks[row::2, 0][:, cuts[row] == label][:, 0] for label in range(labels)]
        assert all(abs(each.mean() - 0.3) < 0.07 for each in kept), "the last label too"
        assert abs(np.corrcoef(torch.stack(kept))[np.triu_indices(labels, 1)]).max() < 0.15


def test_images_of_the_pool_are_labelled_by_their_place_and_cut_once(samples, monkeypatch):
    learner, pictures = tiny(masks=10, segments=2, segmentation="quickshift"), []
    plain = segmenting.cut

    def cut(picture, count, **options):
        pictures.append(picture)
        assert (count, options["kind"]) == (2, "quickshift")
        return plain(picture, count, **options)

    monkeypatch.setattr(segmenting, "cut", cut)
    pool = learner.pool(samples)
    assert len(pool) == len(pictures) == 10
    images, places = pool.labelled(np.arange(10))
    assert places.tolist() == list(range(10))
    assert len({image.numpy().tobytes() for image in images}) == 10
    for image, picture, cut in zip(images, pictures, learner.cuts, strict=True):
        assert np.allclose((image.numpy() + 1) / 2, picture)
        assert torch.equal(cut.int(), torch.from_numpy(plain(picture, 2).labels))
    monkeypatch.setattr(segmenting, "cut", plain)
    again = tiny(masks=10, segments=2)
    assert np.array_equal(again.pool(samples).rows, pool.rows)
    assert len(tiny(masks=0).pool(samples)) == 24


@pytest.mark.parametrize("norm", ["batch", "running"])
def test_the_generator_normalises_as_asked_and_stays_as_it_is(samples, norm):
    network = generator()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    learner = tiny(network, norm=norm)
    frozen = {name: value.clone() for name, value in learner.drawing.generator.state_dict().items()}
    encoder = {name: value.clone() for name, value in learner.encoder.named_parameters()}
    pool = learner.pool(samples)
    learner.step(iter([pool.labelled(np.arange(4))]), 0)
    assert all(not torch.equal(encoder[name], value) for name, value in learner.encoder.named_parameters())
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    for name, value in learner.drawing.generator.state_dict().items():
        assert torch.equal(frozen[name], value) or "num_batches" in name
    assert all(p.grad is None for p in (*network.parameters(), *learner.drawing.generator.parameters()))
    assert not any(name.startswith("drawing") for name in learner.state_dict())
    codes = torch.randn(5, 3, 3)
    network.train(norm == "batch")
    torch.testing.assert_close(learner.drawing(codes), network(codes.flatten(0, 1)).unflatten(0, (5, 3)))


def test_it_learns_codes_that_agree_on_the_anchor_and_differ(samples, tmp_path):
    learner = tiny(Levels(), widths=(8, 8), codes=2, lr=5e-3, batch=12, steps=400, validate_every=400)
    before = learner.validate(samples, 0)
    history, _ = training.fit(learner, samples, samples, seed=0, state=tmp_path / "state.pt", recipe="r")
    last = history[history["step"] == 399].set_index("name")["value"]
    assert last["validation_reconstruction"] < 0.15 * before["reconstruction"]
    assert abs(last["validation_apart"] - 2) < 0.4


def test_what_does_not_fit_is_refused():
    with pytest.raises(BadInput, match=r"draws images of \(1, 8, 8\), but these are of \(1, 16, 16\)"):
        Learner((1, 16, 16), generator())
    with pytest.raises(BadInput, match="a Linear draws nothing from one latent; give that of a dcgan"):
        Learner((1, 8, 8), nn.Linear(3, 3))
    with pytest.raises(BadInput, match="codes: two or more are far from each other, not 1"):
        tiny(codes=1)
    with pytest.raises(BadInput, match="keep is a chance, above 0 and up to 1, not 0"):
        tiny(keep=0.0)
    with pytest.raises(BadInput, match="have 3 axes"):
        Learner((1, 8, 8, 8), generator())
