"""What VA-GAN measures and keeps at a validation, against closed forms."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from evidence.errors import BadInput
from evidence.models.vagan import Learner, _correlated
from evidence.training import Samples


@pytest.fixture
def samples():
    random = np.random.default_rng(4)
    images = random.uniform(-1, 1, (14, 1, 16, 24)).astype(np.float32)
    return Samples(images, np.arange(14) % 2, images > 0.5)


def validated(learner, samples, i, loss, monkeypatch):
    """Validate at a given critic loss, the generator and its average marked by the step."""
    for network in (learner.generator, learner.average):
        if network is not None:
            nn.init.constant_(network.last.bias, i)
    terms = {"critic_real": torch.tensor(loss + 1), "critic_generated": torch.tensor(-1.0)}
    monkeypatch.setattr(learner, "critic_terms", lambda *pair: [terms])
    found = learner.validate(samples, i)
    assert found["critic_loss"] == pytest.approx(loss)
    return found


@pytest.mark.parametrize(
    ("losses", "best"),
    [
        ({9: -0.5, 19: -0.1, 49: -0.25, 59: -3.0}, 59),  # none before step 50
        ({59: -3.0, 69: -1.0, 79: -2.0, 89: -1.5}, 69),
        ({59: -3.0, 69: -1.0, 79: -1.0, 89: -1.25}, 79),  # the later of two
        ({49: 0.5, 50: 1.0, 51: -1.0}, 51),
    ],
)
def test_the_best_generator_is_that_of_the_highest_critic_loss_after_step_50(samples, losses, best, monkeypatch):
    learner = Learner((1, 16, 24), width=1, validate_batches=1)
    for i, loss in losses.items():
        validated(learner, samples, i, loss, monkeypatch)
    assert int(learner.best.last.bias) == best


def test_what_settled_is_the_average_at_the_highest_running_median_and_training_ends_when_it_stays(
    samples, monkeypatch
):
    learner = Learner((1, 16, 24), width=1, average=0.5, settle=3, patience=2, validate_batches=1)
    losses = [-9.0, -1.0, -7.0, -2.0, -3.0, -8.0, -3.0]  # medians from the third on: -7, -2, -3, -3, -3
    medians, marks, ends = [], [], []
    for i, loss in enumerate(losses):
        medians.append(validated(learner, samples, i, loss, monkeypatch).get("median_loss"))
        marks.append(int(learner.settled.last.bias) if "settled" in learner.networks else None)
        ends.append(learner.finished(i))
    assert medians == [None, None, -7, -2, -3, -3, -3]
    assert marks == [None, None, 2, 3, 3, 3, 3]
    assert ends == [False] * 5 + [True] * 2


def test_a_median_that_stays_is_no_better_one(samples, monkeypatch):
    """Ten equal medians, of a number that float32 does not have."""
    learner = Learner((1, 16, 24), width=1, average=0.5, settle=2, validate_batches=1)
    for i in range(10):
        validated(learner, samples, i, -0.1, monkeypatch)
    assert int(learner.settled.last.bias) == 1
    assert not learner.finished(9), "there is no patience to lose"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"settle": 5}, "give average too"),
        ({"settle": 5, "average": 0.5, "steps": 49}, "take 50 steps, more than all 49"),
        ({"patience": 5}, "give settle too"),
    ],
)
def test_settling_that_cannot_be_is_refused_before_training(options, says):
    with pytest.raises(BadInput, match=says):
        Learner((1, 16, 24), width=1, **options)


def test_a_validation_is_the_mean_of_its_batches_and_moves_nothing(samples, monkeypatch):
    learner = Learner((1, 16, 24), width=2, batch=3, validate_batches=4)
    before, met, plain = copy.deepcopy(learner.state_dict()), [], learner.critic_terms

    def met_terms(baseline, interest):
        assert not learner.generator.training
        met.append({name: term for part in plain(baseline, interest) for name, term in part.items()})
        return [met[-1]]

    monkeypatch.setattr(learner, "critic_terms", met_terms)
    found = learner.validate(samples, 0)
    assert len(met) == 4
    assert found["critic_loss"] == pytest.approx(np.mean([sum(terms.values()).item() for terms in met]))
    assert all(torch.equal(value, before[name]) for name, value in learner.state_dict().items())


def test_each_validation_draws_the_same_images(samples, monkeypatch):
    learner, drawn = Learner((1, 16, 24), width=1, batch=3, validate_batches=3), []
    monkeypatch.setattr(
        learner, "critic_terms", lambda *pair: drawn.append(torch.stack(pair)) or [{"": torch.zeros(())}]
    )
    for i in (0, 9):
        learner.validate(samples, i)
    assert torch.equal(torch.stack(drawn[:3]), torch.stack(drawn[3:]))
    baseline = {image.tobytes() for image in samples.images[::2]}
    assert all(
        (image.numpy().tobytes() in baseline) == (which == 0) for b in drawn for which in (0, 1) for image in b[which]
    )


def test_agreement_is_measured_on_the_images_of_the_class_of_interest(samples, monkeypatch):
    """A generator that takes the truth away agrees with it, one that adds it disagrees."""
    learner = Learner((1, 16, 24), width=1, average=0.5, validate_batches=1)
    monkeypatch.setattr(learner, "critic_terms", lambda *pair: [{"": torch.zeros(())}])
    seen = []
    learner.generator.heal = lambda images: seen.append(images) or images - 1.0 * (images > 0.5)
    learner.average.heal = lambda images: images + 1.0 * (images > 0.5)
    found = learner.validate(samples, 0)
    assert found["ncc"] == pytest.approx(1, abs=1e-5)
    assert found["ncc_average"] == pytest.approx(-1, abs=1e-5)
    np.testing.assert_array_equal(torch.cat(seen), samples.images[1::2])
    assert found["change"] == pytest.approx(float((samples.images[1::2] > 0.5).mean()), abs=1e-5)


@pytest.mark.parametrize(("healed", "expected"), [(lambda x: 2 * x + 1, 1), (lambda x: 0.3 - x, -1)])
def test_contrast_tells_a_generator_that_turns_it_round(samples, monkeypatch, healed, expected):
    learner = Learner((1, 16, 24), width=1, validate_batches=1)
    monkeypatch.setattr(learner, "critic_terms", lambda *pair: [{"": torch.zeros(())}])
    learner.generator.heal = healed
    assert learner.validate(samples, 0)["contrast"] == pytest.approx(expected, abs=1e-5)


def test_correlations_are_of_means_over_channels_and_of_what_has_one(recwarn):
    first, second = torch.rand(2, 2, 3, 4, 5)
    slow = [np.corrcoef(a.mean(0).flatten(), b.mean(0).flatten())[0, 1] for a, b in zip(first, second, strict=True)]
    assert _correlated(first, second.numpy()) == pytest.approx(np.mean(slow), abs=1e-6)
    first[1] = 0.5
    assert _correlated(first, second) == pytest.approx(slow[0], abs=1e-6)
    assert np.isnan(_correlated(torch.zeros(2, 1, 4, 5), second[:, :1]))
    assert not recwarn.list


def test_some_images_are_from_all_over_the_class_of_interest(monkeypatch):
    """What comes first may be of one subtype, which a curve must not be of alone."""
    learner = Learner((1, 16, 24), width=1)
    images = np.repeat(np.arange(240, dtype=np.float32) / 300, 16 * 24).reshape(-1, 1, 16, 24)
    many = Samples(images, np.repeat([1, 1, 0], 80), np.random.default_rng(0).random(images.shape) > 0.5)
    seen = []
    learner.generator.heal = lambda images: seen.append(images[:, 0, 0, 0]) or images * torch.linspace(0.5, 1, 24)
    monkeypatch.setattr(learner, "critic_terms", lambda *pair: [{"": torch.zeros(())}])
    learner.validate(many, 0)
    assert max(map(len, seen)) == learner.batch, "volumes fit in no memory all at once"
    places = (torch.cat(seen) * 300).round().int()
    assert len(places.unique()) == len(places) == 100
    assert [int((places < 80).sum()), int((places < 160).sum())] == [50, 100]
    assert (places[0], places[-1]) == (0, 159)


def test_without_a_truth_nothing_is_said_of_agreement(samples):
    learner = Learner((1, 16, 24), width=1, validate_batches=1)
    assert set(learner.validate(Samples(samples.images, samples.labels), 0)) == {"critic_loss", "change", "contrast"}
