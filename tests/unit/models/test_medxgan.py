import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy, cross_entropy

from evidence import training
from evidence.errors import BadInput
from evidence.models import medxgan
from evidence.models.medxgan import Learner, class_term


class Bright(nn.Module):
    """The logits of an image: 0 and twice its mean."""

    def forward(self, images):
        z = 2 * images.flatten(1).mean(1, keepdim=True)
        return torch.cat([torch.zeros_like(z), z], 1)


def tiny(**options):
    settings = {"z1": 3, "z2": 2, "base": 4, "widths": (4, 4), "judge_widths": (4, 4), "batch": 4, "validate_count": 8}
    torch.manual_seed(0)
    return Learner((1, 32, 32), Bright(), **settings | options)


def images(count, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).uniform(-1, 1, (count, 1, 32, 32)).astype(np.float32))


@pytest.mark.parametrize(("p", "expected"), [(1.0, 0.3133), (0.0, 1.3133), (0.5, 0.6931)])
def test_the_released_class_term_has_the_measured_range(p, expected):
    log_odds = torch.tensor([100.0 if p == 1 else -100.0 if p == 0 else 0.0])
    assert math.isclose(class_term(log_odds, torch.ones(1), "probabilities").item(), expected, abs_tol=1e-4)


def test_the_class_terms_are_cross_entropies_of_probabilities_and_of_logits():
    log_odds, labels = torch.randn(20, dtype=torch.float64) * 3, torch.arange(20) % 2
    logits = torch.stack([torch.zeros_like(log_odds), log_odds], 1)
    twice = cross_entropy(logits.softmax(1), labels)
    asked = labels.double()
    assert torch.allclose(class_term(log_odds, asked, "probabilities"), twice)
    assert torch.allclose(class_term(log_odds, asked, "logits"), cross_entropy(logits, labels))
    asked = torch.rand(20, dtype=torch.float64)
    expected = cross_entropy(logits, torch.stack([1 - asked, asked], 1))
    assert torch.allclose(class_term(log_odds, asked, "logits"), expected)


def test_graded_images_have_the_share_of_z2_that_is_asked_of_the_classifier():
    learner, given = tiny(graded=0.5, class_loss="logits"), []
    learner.generator.register_forward_pre_hook(lambda _, latents: given.append(latents[0]))
    labels = torch.arange(400) % 2
    asked = learner.asked(labels)
    assert (asked[labels == 0] == 0).all()
    between = asked[labels == 1] < 1
    assert 0.35 < between.float().mean() < 0.65
    shares = asked[labels == 1][between]
    assert abs(shares.mean() - 0.5) < 0.1
    assert abs(shares.std() - 12**-0.5) < 0.05
    learner.asked = lambda labels: torch.tensor([0.0, 0.25, 1.0, 0.5])
    learner.generator.eval()
    torch.manual_seed(4)
    found = learner.generator_terms(torch.tensor([0, 1, 1, 1]))
    torch.manual_seed(4)
    latents = torch.randn(4, 5)
    latents[:, 3:] *= torch.tensor([[0.0], [0.25], [1.0], [0.5]])
    assert torch.equal(given[-1], latents)
    p = Bright()(learner.generator(latents)).softmax(1)[:, 1]
    assert torch.allclose(found["class"], 2 * binary_cross_entropy(p, learner.asked(labels)), atol=1e-6)


def test_the_learning_rate_fades_over_the_last_steps():
    learner, rates = tiny(steps=10, fading=0.4, lr=0.1), []
    for i in range(10):
        learner.step(iter([(images(2), images(2, 1))]), i)
        rates.append(learner.optimisers["judge"].param_groups[0]["lr"])
    assert np.allclose(rates, [0.1] * 7 + [0.075, 0.05, 0.025])
    with pytest.raises(BadInput, match=r"fading is a share, from 0 to 1, not 1\.5"):
        tiny(fading=1.5)


def test_the_terms_are_those_of_the_paper_written_slowly():
    learner = tiny(dropout=0.0)
    learner.generator.eval()
    learner.judge.eval()
    real = images(4)
    torch.manual_seed(3)
    found = learner.judge_terms(real)
    torch.manual_seed(3)
    classes = torch.randint(2, (4,))
    latents = torch.randn(4, 5)
    latents[classes == 0, 3:] = 0
    fake = learner.generator(latents)
    assert torch.allclose(found["judge_real"], binary_cross_entropy(learner.judge(real).sigmoid(), torch.ones(4)))
    assert torch.allclose(found["judge_generated"], binary_cross_entropy(learner.judge(fake).sigmoid(), torch.zeros(4)))
    labels = torch.tensor([0, 0, 1, 1])
    torch.manual_seed(4)
    found = learner.generator_terms(labels)
    torch.manual_seed(4)
    latents = torch.randn(4, 5)
    latents[:2, 3:] = 0
    fake = learner.generator(latents)
    assert torch.allclose(found["adversarial"], binary_cross_entropy(learner.judge(fake).sigmoid(), torch.ones(4)))
    expected = 2 * cross_entropy(Bright()(fake).softmax(1), labels)
    assert torch.allclose(found["class"], expected, atol=1e-6)


def found_by(learner, real, labels):
    """What the encoder finds for these images, one by one."""
    latents = []
    for image, label in zip(real, labels, strict=True):
        z1, z2 = learner.encoder((image[None] + 1) / 2)[0, 0].split([3, 2])
        z1, z2 = z1 / z1.norm() * 3**0.5, z2 / z2.norm() * 2**0.5
        latents.append(torch.cat([z1, z2 * label]))
    return torch.stack(latents)


def test_likeness_is_how_well_images_come_back_from_the_latents_that_the_encoder_finds():
    """By running statistics, which stay as they are, in networks that go on learning."""
    learner = tiny(likeness=3.0, encoder_widths=(4, 4))
    learner.generator_terms(torch.tensor([0, 0, 1, 1]))  # statistics of a batch
    before = {name: value.clone() for name, value in learner.generator.named_buffers()}
    real, labels = images(4), torch.tensor([0, 0, 1, 1])
    latents = found_by(learner, real, labels)
    assert torch.allclose(learner.generator.guessed(learner.encoder, real, labels), latents, atol=1e-6)
    found = learner.likeness_terms(real, latents)["likeness"]
    found.backward()
    assert all(p.grad.abs().sum() > 0 for n in (learner.generator, learner.encoder) for p in n.parameters())
    assert all(torch.equal(before[name], value) for name, value in learner.generator.named_buffers())
    assert learner.generator.training
    learner.generator.eval()
    apart = [(learner.generator(z[None])[0] - x).square().mean() for z, x in zip(latents, real, strict=True)]
    assert torch.allclose(found, 3 * torch.stack(apart).mean(), rtol=1e-5)


@pytest.mark.parametrize("slope", [0.0, 0.5])
@pytest.mark.parametrize("encoding", [False, True])
def test_rising_is_by_how_much_log_odds_fall_short_of_the_slope_between_two_places_of_a_way(encoding, slope):
    learner = tiny(likeness=3.0 * encoding, rising=2.0, slope=slope, encoder_widths=(4, 4))
    labels, found = torch.arange(16) // 8, None
    if encoding:
        found = found_by(learner, images(16), labels)
    torch.manual_seed(5)
    term = learner.rising_terms(labels, found)["rising"]
    torch.manual_seed(5)
    latents, shares = torch.randn(16, 5), torch.rand(2, 8)
    learner.generator.eval()
    falls = []
    for number, (one, other) in enumerate(shares.T):
        z = found[8 + number] if encoding and number % 2 == 0 else latents[8 + number]
        ways = [torch.cat([z[:3], share * z[3:]]) for share in sorted((one, other))]
        less, more = (Bright()(learner.generator(way[None])).diff() for way in ways)
        falls.append(max(0, (less - more).item() + slope * abs(one - other).item()))
    assert slope or 0 < sum(f == 0 for f in falls) < 8
    assert term.item() == pytest.approx(2 * np.mean(falls), rel=1e-4)
    term.backward()
    assert learner.encoder is None or all(p.grad is None for p in learner.encoder.parameters())


def test_ways_are_judged_in_float32_whatever_training_is_in(monkeypatch):
    """Differences count, and in bfloat16 log-odds of 8 and more are a sixteenth apart."""
    monkeypatch.setenv("EVIDENCE_PRECISION", "bfloat16")
    learner, judged = tiny(rising=1.0), []
    judge = learner.decisions.log_odds
    monkeypatch.setattr(
        learner.decisions,
        "log_odds",
        lambda images: judged.append((images.dtype, torch.is_autocast_enabled("cpu"), judge(images))) or judged[-1][2],
    )
    learner.rising_terms(torch.arange(8) // 4, None)
    (dtype, reduced, log_odds), *others = judged
    assert not others
    assert (dtype, reduced, log_odds.dtype) == (torch.float32, False, torch.float32)


def test_a_step_asks_for_rising_ways_to_what_the_encoder_finds(monkeypatch):
    learner, given = tiny(rising=1.0, likeness=1.0, encoder_widths=(4, 4)), []
    terms = learner.rising_terms
    monkeypatch.setattr(learner, "rising_terms", lambda *asked: given.append(asked) or terms(*asked))
    assert {"rising", "likeness"} <= set(learner.step(iter([(images(2), images(2, 1))]), 0))
    labels, found = given[0]
    assert labels.tolist() == [0, 0, 1, 1]
    assert found.shape == (4, 5)
    assert "rising" not in tiny().step(iter([(images(2), images(2, 1))]), 0)


def test_validation_says_how_far_images_are_from_what_comes_back_of_them():
    samples = training.Samples(images(16).numpy(), np.arange(16) % 2)
    learner = tiny(likeness=3.0, encoder_widths=(4, 4))
    apart = learner.validate(samples, 0)["apart_average"]
    learner.average.eval()
    rows = np.concatenate([np.arange(0, 16, 2), np.arange(1, 16, 2)])
    real, labels = samples.labelled(rows)
    back = learner.average(learner.average.guessed(learner.encoder, real, labels))
    assert apart == pytest.approx((back - real).square().mean().item(), rel=1e-4)
    assert "apart" not in tiny().validate(samples, 0)


def test_generator_and_encoder_learn_to_make_the_images_again(tmp_path):
    """What they make says more of an image than the mean of all, which is their variance away."""
    greys = np.linspace(-0.9, 0.9, 16, dtype=np.float32)
    samples = training.Samples(np.tile(greys[:, None, None, None], (1, 1, 32, 32)), np.arange(16) % 2)
    learner = tiny(steps=200, validate_every=200, batch=16, likeness=20.0, encoder_widths=(8, 8), lr=3e-3)
    before = [p.clone() for p in learner.encoder.parameters()]
    history, _ = training.fit(learner, samples, samples, seed=0, state=tmp_path / "state.pt", recipe="r")
    likeness = history[history["name"] == "likeness"]["value"]
    assert likeness.iloc[-20:].mean() < 0.5 * 20 * greys.var()
    assert all(not torch.equal(old, new) for old, new in zip(before, learner.encoder.parameters(), strict=True))
    assert set(learner.networks) >= {"generator", "average", "encoder"}
    assert "encoder" not in tiny().networks


def test_the_discriminator_sees_images_moved_and_brightened_if_it_is_asked_to():
    """Real and generated ones alike, each by itself; the classifier sees them as they are."""
    learner, seen = tiny(shift=0.25, brightness=0.5), []
    learner.judge.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    real = torch.full((4, 1, 32, 32), 0.25)
    learner.judge_terms(real)
    terms = learner.generator_terms(torch.tensor([0, 0, 1, 1]))
    assert [len(given) for given in seen] == [4, 4, 4]
    for image in seen[0]:
        dark, bright = image.unique()
        assert torch.isclose(bright - dark, torch.tensor(1.25)), "the frame is as dark as an image can be"
    assert len({given.max().item() for given in seen[0]}) == 4
    assert all(abs(given.max().item() - 0.25) <= 0.5 for given in seen[0])
    terms["class"].backward()
    assert learner.generator.first.weight.grad.abs().sum() > 0
    plain = tiny()
    assert plain.seen(real) is real


def test_each_update_leaves_the_other_network_and_the_classifier_alone():
    learner = tiny()
    generator = {k: v.clone() for k, v in learner.generator.named_parameters()}
    losses = learner.descend("judge", learner.judge_terms(images(4)))
    assert set(losses) == {"judge_real", "judge_generated"}
    assert all(torch.equal(generator[k], v) and v.grad is None for k, v in learner.generator.named_parameters())
    judge = {k: v.clone() for k, v in learner.judge.named_parameters()}
    learner.step(iter([(images(2), images(2, 1))]), 0)
    assert any(not torch.equal(generator[k], v) for k, v in learner.generator.named_parameters())
    assert any(not torch.equal(judge[k], v) for k, v in learner.judge.named_parameters())
    assert all(p.requires_grad for p in learner.judge.parameters())
    assert not list(learner.decisions.classifier.parameters())


def test_the_generator_learns_which_latents_make_an_image_of_class_1(tmp_path):
    dark, bright = images(16) * 0.2 - 0.6, images(16, 1) * 0.2 + 0.6
    samples = training.Samples(torch.cat([dark, bright]).numpy(), np.repeat([0, 1], 16))
    learner = tiny(steps=500, validate_every=500, batch=16, lr=2e-3, class_weight=4.0)
    history, _ = training.fit(learner, samples, samples, seed=0, state=tmp_path / "state.pt", recipe="r")
    agreement = history[history["name"] == "validation_agreement"]["value"].iloc[-1]
    assert agreement >= 0.9


def test_the_best_generator_is_the_nearest_of_those_that_the_classifier_agrees_with(monkeypatch):
    learner, labels = tiny(), np.arange(16) % 2
    samples = training.Samples(images(16).numpy(), labels)
    assert "best" not in learner.networks
    for mark, distance, agreed in ((1, 0.3, True), (2, 0.1, True), (3, 0.01, False), (4, 0.2, True)):
        nn.init.constant_(learner.average.first.bias, mark)
        found = torch.from_numpy(labels if agreed else 0 * labels)
        monkeypatch.setattr(medxgan, "kernel_distance", lambda one, other, d=distance: d)
        monkeypatch.setattr(learner.decisions, "of", lambda some, found=found: found[: len(some)])
        assert learner.validate(samples, 0)["distance_average"] == pytest.approx(distance)
    assert (learner.networks["best"].first.bias == 2).all()


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(BadInput, match="2 of them draw images of 32×32, but these are of 64×64"):
        Learner((1, 64, 64), Bright(), widths=(4, 4))
    with pytest.raises(BadInput, match="even number, not 3"):
        tiny(batch=3)
    with pytest.raises(BadInput, match=r"likeness is a weight, or 0 for no encoder, not -1\.0"):
        tiny(likeness=-1.0)
    with pytest.raises(BadInput, match=r"rising is a weight, or 0 for none, not -1\.0"):
        tiny(rising=-1.0)
    with pytest.raises(BadInput, match=r"slope is how many log-odds a whole way has to rise, or 0 for any, not -1\.0"):
        tiny(slope=-1.0)
    with pytest.raises(BadInput, match="slope says how steep ways have to rise, but rising, its weight, is 0"):
        tiny(slope=1.0)
    with pytest.raises(BadInput, match="encoder_widths: images of 32 cannot be halved 6 times"):
        tiny(likeness=1.0, encoder_widths=(2,) * 6)
