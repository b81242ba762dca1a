"""CyCE, SyCE and SAGen: their losses against slow twins, and what each update may touch."""

import copy
import inspect
import math

import numpy as np
import pytest
import torch
from torch import nn

from evidence.deciding import Decisions, outcome
from evidence.errors import BadInput
from evidence.models import cyce, sagen, syce
from evidence.plateau import Plateau
from evidence.training import Samples
from evidence.translating import distance

SHAPE = (1, 8, 12)
SMALL = {"widths": (2, 3), "judge_widths": (2, 3), "augment": 0.0, "horizontal": False, "vertical": False}


class Bright(nn.Module):
    """Decides for class 1 where the mean is above a half; surer the farther it is."""

    def forward(self, images):
        z = 20 * (images.flatten(1).mean(1) - 0.5)
        return torch.stack([torch.zeros_like(z), z], 1)


def images_of(count=3, seed=0):
    """Of class 0, and of class 1."""
    drawn = torch.rand(2, count, *SHAPE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return drawn[0] * 0.8, drawn[1] * 0.8 + 0.2


@pytest.fixture
def made():
    def make(model, **options):
        torch.manual_seed(1)
        takes = inspect.signature(model.Learner).parameters
        learner = model.Learner(SHAPE, Bright(), **{k: v for k, v in {**SMALL, **options}.items() if k in takes})
        for network in (learner.last, getattr(learner, "discriminators", nn.Module())):
            for p in network.parameters():
                p.data += 0.1 * torch.randn(p.shape)
        for layer in learner.last.modules():  # outputs within the range, where they have gradients
            if isinstance(layer, nn.Conv2d) and layer.out_channels == 1:
                nn.init.constant_(layer.bias, 0.5)
                layer.weight.data *= 0.3
        if getattr(learner, "average", None) is not None:
            learner.average.load_state_dict(learner.last.state_dict())
        learner.last.double()
        if hasattr(learner, "discriminators"):
            learner.discriminators.double()
        return learner

    return make


def log_loss(target, p):
    return -(target * math.log(p) + (1 - target) * math.log(1 - p))


def l12(one, other):
    return float(((one - other) ** 2).mean() + (one - other).abs().mean())


def probability(image):
    return float(Bright()(image[None]).softmax(1)[0, 1])


def sigmoid(value):
    return 1 / (1 + math.exp(-value))


@pytest.mark.parametrize("model", [cyce, syce])
@pytest.mark.parametrize("c", [0, 1])
def test_the_generators_loss_is_that_of_the_twin(made, model, c):
    learner, images = made(model, proximity=3.0), images_of()[c]
    w, (there, back) = learner.weights, (learner.last.generators[c], learner.last.generators[1 - c])
    keys = ("adversary", "gan", "cycle", "cycle_class", "proximity", "symmetric", "symmetric_class")
    expected = dict.fromkeys(keys, 0.0)
    with torch.no_grad():
        for x in images:
            decided = float(probability(x) >= 0.5)
            adversary = there(x[None])[0].clamp(0, 1)
            cycled, stable = (g(adversary[None])[0].clamp(0, 1) for g in (back, there))
            real = sigmoid(float(learner.discriminators[1 - c](adversary[None])))
            for key, weight, value in (
                ("adversary", w.adversary, log_loss(1 - decided, probability(adversary))),
                ("gan", w.gan, log_loss(1, real)),
                ("cycle", w.cycle, l12(x, cycled)),
                ("cycle_class", w.cycle_class, log_loss(decided, probability(cycled))),
                ("proximity", w.proximity, float((x - adversary).abs().mean())),
                ("symmetric", w.symmetric, l12(x, stable)),
                ("symmetric_class", w.symmetric_class, log_loss(decided, probability(stable))),
            ):
                expected[key] += weight * value / len(images)
    terms = learner.generator_terms(learner.last, images, c, w)
    found = {key: float(value.detach()) for key, value in terms.items()}
    kept = [key for key in expected if model is syce or "symmetric" not in key]
    assert list(found) == kept
    assert found == pytest.approx({key: expected[key] for key in kept}, rel=1e-6)


@pytest.mark.parametrize("c", [0, 1])
def test_the_discriminators_loss_is_that_of_the_twin(made, c):
    learner, (real, generated) = made(syce), images_of()
    torch.manual_seed(4)
    found = learner.discriminator_terms(real, generated, c)
    torch.manual_seed(4)
    where = torch.rand(3, 1, 1, 1, dtype=torch.float64)
    network, judged, penalty = learner.discriminators[c].requires_grad_(True), 0.0, 0.0
    for x, y, u in zip(real, generated, where, strict=True):
        judged += sum(log_loss(t, sigmoid(network(z[None]).item())) for t, z in ((1, x), (0, y))) / 3
        mixed = (x + u * (y - x)).requires_grad_()
        (slope,) = torch.autograd.grad(network(mixed[None]).sum(), mixed)
        penalty += float((slope.norm() - 1) ** 2) / 3
    assert float(found["discriminator"].detach()) == pytest.approx(judged, rel=1e-6)
    assert float(found["penalty"].detach()) == pytest.approx(penalty, rel=1e-6)
    found["penalty"].backward()
    assert any(p.grad.any() for p in network.parameters())


def test_sagens_loss_is_that_of_the_twin(made):
    learner, images = made(sagen), torch.cat(images_of())
    found = {key: float(value.detach()) for key, value in learner.terms(images).items()}
    expected = dict.fromkeys(found, 0.0)
    with torch.no_grad():
        for x in images:
            decided = float(probability(x) >= 0.5)
            stable, adversary = (each[0] for each in learner.last(x[None]))
            for key, value in (
                ("adversary", 0.2 * log_loss(1 - decided, probability(adversary))),
                ("stable", 0.2 * log_loss(decided, probability(stable))),
                ("likeness", 10 * l12(x, stable)),
                ("change", 2 * l12(stable, adversary)),
            ):
                expected[key] += value / len(images)
    assert found == pytest.approx(expected, rel=1e-6)


def moved(before, after):
    return any(not torch.equal(a, b) for a, b in zip(before.parameters(), after.parameters(), strict=True))


@pytest.mark.parametrize(("model", "updates"), [(cyce, 1), (syce, 2)])
def test_a_step_updates_generators_together_or_in_turn_and_then_each_discriminator(made, model, updates, monkeypatch):
    learner = made(model, augment=0.0)
    learner.augmentation = lambda images: images
    done, plain = [], learner.descend

    def descend(name, *terms):
        before = copy.deepcopy(learner)
        losses = plain(name, *terms)
        done.append((name, len(terms)))
        assert moved(before.last, learner.last) == (name == "generators")
        touched = [moved(*pair) for pair in zip(before.discriminators, learner.discriminators, strict=True)]
        place = sum(n == "discriminators" for n, _ in done) - 1
        assert touched == [name == "discriminators" and place == c for c in (0, 1)]
        if name == "generators":
            assert all(moved(*pair) for pair in zip(before.last.generators, learner.last.generators, strict=True))
        return losses

    monkeypatch.setattr(learner, "descend", descend)
    losses = learner.step(iter([images_of()]), 0)
    generators = [("generators", 2 // updates)] * updates
    assert done == [*generators, ("discriminators", 1), ("discriminators", 1)]
    assert all(torch.isfinite(value) for value in losses.values())
    assert not any(p.grad is not None and p.grad.any() for p in learner.decisions.classifier.parameters())


def test_each_discriminator_sees_its_class_and_what_the_better_generators_make_of_the_other(made, monkeypatch):
    learner, pair, seen = made(syce), images_of(), []
    learner.augmentation = lambda images: images
    plain = learner.discriminator_terms
    monkeypatch.setattr(
        learner,
        "discriminator_terms",
        lambda r, g, c: seen.append((r, g, copy.deepcopy(learner.last), c)) or plain(r, g, c),
    )
    learner.step(iter([pair]), 0)
    for (real, generated, network, c), expected in zip(seen, (0, 1), strict=True):
        assert c == expected
        assert torch.equal(real, pair[c])
        torch.testing.assert_close(generated, network.across(pair[1 - c], 1 - c))
        assert not generated.requires_grad


@pytest.mark.parametrize("model", [cyce, syce])
def test_adversaries_are_asked_to_be_near_and_then_stable_images_to_be_there(made, model, monkeypatch, samples):
    learner = made(model, proximity=3.0, near_by=0.4, stable_from=0.5, stable_by=0.8, steps=10).float()
    plain, seen = learner.generator_terms, []

    def terms(pair, images, c, w):
        seen.append((w, found := plain(pair, images, c, w)))
        return found

    monkeypatch.setattr(learner, "generator_terms", terms)
    for i in range(10):
        learner.step(iter([tuple(each.float() for each in images_of())]), i)
    weights, found = zip(*seen[::2], strict=True)
    whole = learner.weights
    near = [0.1, 0.325, 0.55, 0.775] + [1.0] * 6
    stable = [0.0] * 6 + [1 / 3, 2 / 3, 1.0, 1.0]
    assert [w.proximity for w in weights] == pytest.approx([3 * share for share in near])
    assert [w.symmetric for w in weights] == pytest.approx([whole.symmetric * share for share in stable])
    assert [w.symmetric_class for w in weights] == pytest.approx([whole.symmetric_class * share for share in stable])
    assert {(w.adversary, w.cycle, w.gan) for w in weights} == {(whole.adversary, whole.cycle, whole.gan)}
    asked = [model is syce and share > 0 for share in stable]
    assert ["symmetric" in each for each in found] == asked, "what weighs nothing costs nothing"
    seen.clear()
    learner.validate(samples, 9)
    assert {w for w, _ in seen} == {whole}, "validations compare, so theirs are whole"


def test_without_a_schedule_all_weights_are_whole_from_the_first_step_on(made):
    learner = made(syce, proximity=3.0)
    assert learner.weights.at(0.0) == learner.weights


@pytest.mark.parametrize("model", [cyce, syce])
def test_where_an_average_is_asked_for_it_is_validated_and_kept(made, model, samples):
    learner = made(model, average=0.9).float()
    expected = copy.deepcopy(learner.last)
    assert learner.networks["last"] is learner.average
    for i in range(3):
        learner.step(iter([tuple(each.float() for each in images_of())]), i)
        decay = min(0.9, (i + 1) / (i + 10))  # the first steps are not remembered long
        for old, new in zip(expected.parameters(), learner.last.parameters(), strict=True):
            old.data = decay * old.data + (1 - decay) * new.data
    for one, other in zip(expected.parameters(), learner.average.parameters(), strict=True):
        torch.testing.assert_close(one, other)
    assert moved(learner.average, learner.last)
    assert not any(p.requires_grad for p in learner.average.parameters())
    learner.validate(samples, 2)
    assert not moved(learner.best, learner.average)


@pytest.fixture
def samples():
    """Labels are wrong on purpose: what counts is what the classifier decides."""
    dark, bright = (each.float().numpy() for each in images_of(7, seed=2))
    return Samples(np.concatenate([dark, bright[:5]]), np.ones(12, int))


def test_log_odds_are_float32_whatever_images_are():
    """They are rounded no further than the classifier does."""
    images = torch.rand(3, 1, 4, 4).bfloat16()
    assert Decisions(Bright()).log_odds(images).dtype is torch.float32
    assert Decisions(Bright().double()).log_odds(images.double()).dtype is torch.float64


def test_batches_are_of_what_the_classifier_decides(samples):
    pool = Decisions(Bright()).sorted(samples, 0)
    assert pool.labels.tolist() == [0] * 7 + [1] * 5
    few = Decisions(Bright()).sorted(samples, 8)
    assert len(few) == 8
    assert (Bright()(few.take(np.arange(8))).argmax(1).numpy() == few.labels).all()
    assert few.rows.tolist() == Decisions(Bright()).sorted(samples, 8).rows.tolist(), "the same every time"


def test_a_classifier_that_decides_for_one_class_alone_is_refused(samples):
    class Never(nn.Module):
        def forward(self, images):
            return torch.tensor([1.0, 0.0]).expand(len(images), 2)

    with pytest.raises(BadInput, match="decides for class 0 on all 12 images"):
        Decisions(Never()).sorted(samples, 0)


@pytest.mark.parametrize("model", [cyce, syce, sagen])
def test_a_validation_is_the_mean_over_images_and_keeps_the_best(made, model, samples):
    learner = made(model)
    learner.last.float()
    if model is not sagen:
        learner.discriminators.float()
    found = learner.validate(samples, 0)
    pool = learner.decisions.sorted(samples, 0)
    images, labels = pool.take(np.arange(12)), torch.from_numpy(pool.labels)
    with torch.no_grad():
        start, adversary = learner.last.path(images, labels)
        if model is sagen:
            loss = float(sum(learner.terms(images).values()))
        else:
            loss = sum(
                float(sum(learner.generator_terms(learner.last, images[labels == c], c, learner.weights).values()))
                for c in (0, 1)
            )
    assert found["loss"] == pytest.approx(loss, rel=1e-5)
    for key, values in outcome(learner.decisions, images, start, adversary).items():
        assert found[key] == pytest.approx(float(values.mean()), abs=1e-6)
    assert found["flip"] == np.mean((Bright()(adversary).argmax(1) != labels).numpy())
    assert not moved(learner.best, learner.last), "the first is the best so far"
    with torch.no_grad():
        for p in learner.last.parameters():
            p.add_(1.0)
    learner.plateau.best.fill_(-1.0)
    learner.validate(samples, 1)
    assert moved(learner.best, learner.last)


def test_the_terms_compare_over_all_pixels():
    one, other = images_of()
    assert float(distance(one, other)) == pytest.approx(l12(one, other))


# --- the schedule -----------------------------------------------------------------------------------------------------


def rates(losses, patience=2, lr=1e-3):
    optimiser = torch.optim.Adam([nn.Parameter(torch.zeros(1))], lr=lr)
    plateau, found = Plateau(patience), []
    for loss in losses:
        better = plateau.improved(loss, [optimiser])
        found.append((better, round(optimiser.param_groups[0]["lr"], 9), bool(plateau.finished)))
    return found


def test_the_rate_falls_where_the_loss_does_not():
    found = rates([5.0, 4.0, 4.0, 4.5, 3.0, 3.0, 3.0, 3.0, 3.0])
    assert [better for better, _, _ in found] == [True, True, False, False, True, False, False, False, False]
    assert [lr for _, lr, _ in found] == [1e-3, 1e-3, 1e-3, 3e-4, 3e-4, 3e-4, 9e-5, 9e-5, 2.7e-5]
    assert not any(finished for _, _, finished in found)


def test_training_ends_at_the_plateau_after_the_floor():
    found = rates([1.0] * 20)
    lrs = [lr for _, lr, _ in found]
    assert min(lrs) == 1e-5
    first = [finished for _, _, finished in found].index(True)
    assert lrs[first - 2 :: -1][0] == 1e-5, "two validations at the floor"
    assert not any(finished for _, _, finished in rates([1.0] * 50, patience=0))


def test_a_rate_below_the_floor_stays():
    assert {lr for _, lr, _ in rates([1.0] * 9, lr=1e-6)} == {1e-6}


def test_the_defaults_are_those_of_the_release():
    defaults = {
        model: {name: p.default for name, p in inspect.signature(model.Learner).parameters.items()}
        for model in (cyce, syce)
    }
    for model, cycle, together in ((cyce, 10.0, True), (syce, 2.0, False)):
        found = defaults[model]
        assert (found["adversary"], found["gan"], found["cycle"], found["cycle_class"]) == (0.2, 0.25, cycle, 0.005)
        assert (found["penalty"], found["lr"], found["patience"], found["together"]) == (1.0, 1e-4, 4, together)
        assert {found[name] for name in ("proximity", "near_by", "average")} == {0.0}, "ours, and not of the release"
    assert (defaults[syce]["symmetric"], defaults[syce]["symmetric_class"]) == (10.0, 0.01)
    assert (defaults[syce]["stable_from"], defaults[syce]["stable_by"]) == (0.0, 0.0), "ours too"
