"""VA-GAN's mathematics against a slow twin, its schedule against closed forms, and what each update may touch."""

import inspect
import itertools
import math

import pytest
import torch
from torch import nn

from evidence.models.vagan import NETWORKS, Learner

SHAPES = {"slice": (1, 16, 24), "volume": (1, 16, 8, 24)}


@pytest.fixture(params=SHAPES)
def shape(request):
    return SHAPES[request.param]


def pair(shape, count=3):
    """Images of class 0 and of class 1."""
    generator = torch.Generator().manual_seed(3)
    return tuple(torch.randn(2, count, *shape, generator=generator, dtype=torch.float64).clamp(-1, 1).unbind())


@pytest.fixture
def learner_of():
    """A learner in float64 whose critic has gradients of a size that matters."""

    def make(shape, **options):
        learner = Learner(shape, **{"width": 2, **options}).double()
        with torch.no_grad():
            learner.critic.layers[-1].weight *= 100
        return learner

    return make


# --- the twin: section 3 of the paper as the released code has it, sample after sample and column after column --------


def healed_twin(learner, images):
    totals = [x + m for x, m in zip(images, learner.generator(images), strict=True)]  # it normalises by the whole batch
    return torch.stack([torch.tanh(total) if learner.generator.tanh else total for total in totals])


def norms_twin(gradient, norm):
    """The norms that should be one: of all pixels, or down the first spatial axis for each place of the others."""
    if norm == "sample":
        columns = [gradient.flatten()]
    else:
        places = itertools.product(*(range(s) for s in gradient.shape[2:]))
        columns = [channel[(slice(None), *place)] for place in places for channel in gradient]
    return [torch.sqrt(sum(v * v for v in column) + 1e-12) for column in columns]


def critic_twin(learner, baseline, interest, norm, mixing):
    critic = learner.critic
    healed = healed_twin(learner, interest).detach()
    epsilons = torch.rand(len(baseline) if mixing == "sample" else 1, dtype=baseline.dtype)
    real = generated = penalty = 0.0
    for j in range(len(baseline)):
        epsilon = epsilons[j % len(epsilons)]
        mixed = (epsilon * baseline[j] + (1 - epsilon) * healed[j]).requires_grad_(True)
        (gradient,) = torch.autograd.grad(critic(mixed[None])[0], mixed, create_graph=True)
        norms = norms_twin(gradient, norm)
        penalty = penalty + sum((n - 1) ** 2 for n in norms) / len(norms) / len(baseline)
        real = real + critic(baseline[j][None])[0] / len(baseline)
        generated = generated + critic(healed[j][None])[0] / len(baseline)
    return {"critic_real": real, "critic_generated": -generated, "weighted_penalty": 10 * penalty}


def generator_twin(learner, interest, lam):
    healed = healed_twin(learner, interest)
    adversarial = change = 0.0
    for x, y in zip(interest, healed, strict=True):
        adversarial = adversarial + learner.critic(y[None])[0] / len(interest)
        change = change + sum(abs(b - a) for a, b in zip(x.flatten(), y.flatten(), strict=True)) / interest.numel()
    return {"adversarial": adversarial, "weighted_l1": lam * change}


def merged(parts):
    return {name: value for part in parts for name, value in part.items()}


def gradients(terms, network):
    found = torch.autograd.grad(sum(terms.values()), list(network.parameters()), allow_unused=True)
    return torch.cat([g.flatten() for g in found if g is not None])  # the last bias moves no difference


def assert_equal_terms(found, expected):
    assert found.keys() == expected.keys()
    for name in found:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("norm", ["column", "sample"])
@pytest.mark.parametrize("mixing", ["sample", "batch"])
def test_the_critic_loss_and_its_gradient_are_those_of_the_twin(learner_of, shape, norm, mixing):
    learner = learner_of(shape, norm=norm, mixing=mixing)
    baseline, interest = pair(shape)
    torch.manual_seed(5)
    expected = critic_twin(learner, baseline, interest, norm, mixing)
    torch.manual_seed(5)
    found = merged(learner.critic_terms(baseline, interest))
    assert found["weighted_penalty"] > 0.1
    assert_equal_terms(found, expected)
    ours, theirs = gradients(found, learner.critic), gradients(expected, learner.critic)
    torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-10 * theirs.abs().max().item())
    assert theirs.abs().max() > 0.1


@pytest.mark.parametrize("tanh", [True, False])
def test_the_generator_loss_and_its_gradient_are_those_of_the_twin(learner_of, shape, tanh):
    learner = learner_of(shape, tanh=tanh, lam=7.0)
    _, interest = pair(shape, 2)
    expected = generator_twin(learner, interest, 7.0)
    found = merged(learner.generator_terms(interest * float("nan"), interest))  # the baseline half is drawn but unused
    assert_equal_terms(found, expected)
    ours, theirs = gradients(found, learner.generator), gradients(expected, learner.generator)
    torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-10 * theirs.abs().max().item())


# --- closed forms -----------------------------------------------------------------------------------------------------


class Plane(nn.Module):
    """A critic whose gradient is the same everywhere."""

    def __init__(self, slope):
        super().__init__()
        self.weight = nn.Parameter(slope)

    def forward(self, images):
        return (images * self.weight).flatten(1).sum(1)

    def slope(self, images):
        return self.weight.expand(images.shape)


@pytest.mark.parametrize("mixing", ["sample", "batch"])
def test_the_penalty_of_a_linear_critic(learner_of, shape, mixing):
    """All along a column the slope is a / √length, so a is its norm, and √Σa² that of the sample."""
    columns = torch.arange(1, math.prod(shape[2:]) + 1, dtype=torch.float64).reshape(shape[2:]) / 50
    slope = (columns / math.sqrt(shape[1])).expand(shape).clone()
    expected = {"column": (columns - 1).square().mean(), "sample": (columns.square().sum().sqrt() - 1).square()}
    for norm, value in expected.items():
        learner = learner_of(shape, norm=norm, mixing=mixing)
        learner.critic = Plane(slope)
        torch.testing.assert_close(learner.gradient_penalty(*pair(shape)), value)


@pytest.mark.parametrize("norm", ["column", "sample"])
def test_a_critic_that_sees_nothing_pays_one_and_its_gradient_is_finite(learner_of, shape, norm):
    learner = learner_of(shape, norm=norm)
    learner.critic = Plane(torch.zeros(shape, dtype=torch.float64))
    penalty = learner.gradient_penalty(*pair(shape))
    penalty.backward()
    assert penalty.item() == pytest.approx(1, abs=1e-5)
    assert learner.critic.weight.grad.isfinite().all()


def test_each_sample_mixes_by_itself_or_all_alike(learner_of, monkeypatch):
    """Between black and white, an image's grey is the ε it was given."""
    black, white = torch.zeros(5, 1, 16, 24).double(), torch.ones(5, 1, 16, 24).double()
    for mixing, distinct in (("sample", 5), ("batch", 1)):
        learner, met = learner_of((1, 16, 24), mixing=mixing), []
        monkeypatch.setattr(learner.critic, "slope", lambda images, met=met: met.append(images) or images)
        learner.gradient_penalty(black, white)
        greys = met[0].flatten(1)
        assert torch.equal(greys.amin(1), greys.amax(1))
        assert ((greys > 0) & (greys < 1)).all()
        assert len(greys[:, 0].unique()) == distinct


@pytest.mark.parametrize("size", [(8, 16), (24, 32), (8, 16, 24)])
def test_the_l1_term_is_a_mean_over_pixels(learner_of, size):
    """A map of 0.25 everywhere costs a quarter of λ, however large the image is."""
    learner = learner_of((1, *size), tanh=False, initial="zero", lam=60.0)
    nn.init.constant_(learner.generator.last.bias, -0.25)
    assert merged(learner.generator_terms(*pair((1, *size))))["weighted_l1"].item() == pytest.approx(15)


def test_from_the_zero_map_the_image_is_its_own_healed_one(learner_of, shape):
    _, interest = pair(shape)
    plain = learner_of(shape, tanh=False, initial="zero")
    assert torch.equal(plain.heal(plain.generator, interest), interest)
    assert merged(plain.generator_terms(interest, interest))["weighted_l1"] == 0
    squashed = learner_of(shape, initial="zero")
    assert torch.equal(squashed.heal(squashed.generator, interest), interest.tanh())
    assert merged(learner_of(shape, tanh=False).generator_terms(interest, interest))["weighted_l1"] > 0


def test_scores_in_bfloat16_are_not_rounded_to_its_steps(monkeypatch):
    """What counts are differences of scores, and these have an offset in common that nothing bounds."""
    monkeypatch.setenv("EVIDENCE_DEVICE", "cpu")
    learner, images = Learner((1, 32, 48), width=2), torch.rand(4, 1, 32, 48) * 2 - 1
    with torch.no_grad():
        learner.critic.layers[-1].weight *= 100
        learner.critic.layers[-1].bias.fill_(300)
        exact = learner.judge(images)
        monkeypatch.setenv("EVIDENCE_PRECISION", "bfloat16")
        reduced = learner.judge(images)
    assert not torch.equal(reduced, exact), "the other layers are in bfloat16"
    torch.testing.assert_close(reduced - 300, exact - 300, rtol=0.1, atol=0)


def test_the_defaults_are_those_of_the_release():
    options = inspect.signature(Learner.__init__).parameters
    released = {
        "lr": 1e-4, "batch": 32, "accumulate": 1, "lam": 100, "penalty": 10, "norm": "column", "mixing": "sample",
        "tanh": True, "critic_steps": 5, "burst": 100, "burst_first": 25, "burst_every": 100, "initial": "random",
        "average": 0, "width": 16, "validate_every": 10, "validate_batches": 20,
    }  # fmt: skip
    assert {name: options[name].default for name in released} == released
    for optimiser in Learner((1, 16, 24), width=2).optimisers.values():
        (group,) = optimiser.param_groups
        assert (group["betas"], group["eps"], group["weight_decay"]) == ((0, 0.9), 1e-8, 0)


# --- the schedule -----------------------------------------------------------------------------------------------------


def total(steps):
    """Critic updates of so many steps: 100 in the first 25 and in each hundredth, else 5."""
    often = sum(1 for i in range(steps) if i < 25 or i % 100 == 0)
    return 100 * often + 5 * (steps - often)


@pytest.mark.parametrize(("steps", "updates"), [(1_000, 8_230), (1_500, 11_205), (100_000, 597_280)])
def test_critic_updates_are_those_of_the_release(steps, updates):
    learner = Learner((1, 16, 24), width=1)
    assert sum(map(learner.critic_updates, range(steps))) == total(steps) == updates


def test_bursts_can_be_left_out():
    learner = Learner((1, 16, 24), width=1, burst=7, burst_first=2, burst_every=0, critic_steps=3)
    assert [learner.critic_updates(i) for i in range(200)] == [7, 7] + [3] * 198


class Counted:
    """The same pair of batches over and over; knows how often it was asked."""

    def __init__(self, *batches):
        self.batches, self.count = itertools.cycle([batches]), 0

    def __iter__(self):
        return self

    def __next__(self):
        self.count += 1
        return next(self.batches)


@pytest.mark.parametrize("accumulate", [1, 3])
def test_a_step_takes_as_many_batches_as_it_says(learner_of, accumulate):
    options = {"burst": 3, "burst_first": 1, "burst_every": 2, "critic_steps": 2, "accumulate": accumulate}
    learner = learner_of((1, 16, 24), **options)
    for i, updates in enumerate([3, 2, 3, 2]):
        batches = Counted(*pair((1, 16, 24), 2))
        learner.step(batches, i)
        assert batches.count == learner.draws(i) == (updates + 1) * accumulate


# --- what an update touches -------------------------------------------------------------------------------------------


def weights(network):
    return {name: p.detach().clone() for name, p in network.named_parameters()}


def statistics(network):
    return {name: b.clone() for name, b in network.named_buffers()}


def same(one, other):
    return [name for name in one if torch.equal(one[name], other[name])] == list(one)


def changed(one, other):
    return not any(torch.equal(one[name], other[name]) for name in one)


def test_a_critic_update_moves_the_critic_and_the_running_statistics_of_the_generator(learner_of, shape):
    learner = learner_of(shape)
    generator, critic, running = weights(learner.generator), weights(learner.critic), statistics(learner.generator)
    learner.update("critic", learner.critic_terms, iter([pair(shape)]))
    assert same(weights(learner.generator), generator)
    assert changed(statistics(learner.generator), running)
    moved = weights(learner.critic)
    last = "layers.22.bias"  # shifts real and generated alike
    assert changed({k: v for k, v in moved.items() if k != last}, critic)
    assert all(p.grad is None for p in learner.generator.parameters())
    assert all(p.grad is not None for name, p in learner.critic.named_parameters())


def test_a_generator_update_moves_the_generator_alone(learner_of, shape):
    learner = learner_of(shape)
    generator, critic, running = weights(learner.generator), weights(learner.critic), statistics(learner.generator)
    learner.critic.requires_grad_(False)
    learner.update("generator", learner.generator_terms, iter([pair(shape)]))
    assert same(weights(learner.critic), critic)
    assert changed(weights(learner.generator), generator)
    assert changed(statistics(learner.generator), running)
    assert all(p.grad is None for p in learner.critic.parameters())
    assert all(p.grad is not None for p in learner.generator.parameters())


def test_a_step_updates_the_critic_as_often_as_it_should_and_then_the_generator(learner_of, monkeypatch):
    learner = learner_of((1, 16, 24), burst=4, burst_first=1, critic_steps=2)
    updates, plain = [], learner.update

    def update(name, terms, batches):
        updates.append((name, learner.generator.training, all(p.requires_grad for p in learner.critic.parameters())))
        return plain(name, terms, batches)

    monkeypatch.setattr(learner, "update", update)
    learner.generator.eval()  # as a validation leaves it
    terms = learner.step(Counted(*pair((1, 16, 24))), 0)
    assert updates == [("critic", True, True)] * 4 + [("generator", True, False)]
    assert set(terms) == {"critic_real", "critic_generated", "weighted_penalty", "adversarial", "weighted_l1"}
    assert not any(value.requires_grad for value in terms.values())
    learner.step(Counted(*pair((1, 16, 24))), 1)
    assert updates[5:] == [("critic", True, True)] * 2 + [("generator", True, False)]


@pytest.mark.parametrize("norm", ["column", "sample"])
def test_two_accumulated_batches_are_one_of_double_size(learner_of, shape, norm, monkeypatch):
    """For the critic: all its terms are means over samples once healed images and ε are held fast."""
    monkeypatch.setattr(torch, "rand", lambda shape, **kind: torch.full(shape, 0.3, **kind))
    baseline, interest = pair(shape, 4)
    found = []
    for accumulate, size in ((2, 2), (1, 4)):
        torch.manual_seed(0)
        learner = learner_of(shape, norm=norm, accumulate=accumulate)
        monkeypatch.setattr(learner, "heal", lambda generator, images: images.clone())
        learner.update("critic", learner.critic_terms, zip(baseline.split(size), interest.split(size), strict=True))
        found.append(torch.cat([p.grad.flatten() for p in learner.critic.parameters()]))
    torch.testing.assert_close(*found, rtol=1e-9, atol=1e-9 * found[1].abs().max().item())


def test_each_update_forgets_the_gradients_of_the_last(learner_of):
    one, other = pair((1, 16, 24)), pair((1, 16, 24), 2)
    learner, fresh = learner_of((1, 16, 24), lr=0.0), learner_of((1, 16, 24), lr=0.0)
    fresh.load_state_dict(learner.state_dict())
    learner.update("generator", learner.generator_terms, iter([one]))
    learner.update("generator", learner.generator_terms, iter([other]))
    fresh.update("generator", fresh.generator_terms, iter([other]))
    for ours, theirs in zip(learner.generator.parameters(), fresh.generator.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-9, atol=1e-12)


# --- the average, and what is saved -----------------------------------------------------------------------------------


def test_the_moving_average_is_that_of_the_formula_running_statistics_included(learner_of):
    learner = learner_of((1, 16, 24), average=0.75, burst_first=0, burst_every=0, critic_steps=1, lr=0.01)
    average = {name: value.clone() for name, value in learner.generator.state_dict().items()}
    for i in range(3):
        learner.step(Counted(*pair((1, 16, 24))), i)
        for name, value in learner.generator.state_dict().items():
            whole = not value.is_floating_point()  # how many batches normalisation has seen
            average[name] = value.clone() if whole else 0.75 * average[name] + 0.25 * value
    found = learner.average.state_dict()
    for name, value in average.items():
        torch.testing.assert_close(found[name], value)
    assert changed(weights(learner.average), weights(learner.generator))


def test_networks_are_saved_under_the_names_of_the_paper():
    learner = Learner((1, 16, 24), width=1)
    assert list(learner.networks) == ["generator", "critic"], "nothing is the best before anything was compared"
    assert list(Learner((1, 16, 24), width=1, average=0.9).networks) == ["generator", "critic", "average"]
    learner.best_loss.fill_(-3.0)
    assert list(learner.networks) == ["generator", "critic", "best"]
    learner = Learner((1, 16, 24), width=1, average=0.9, settle=5)
    assert list(learner.networks) == ["generator", "critic", "average"], "nothing settled before there was a median"
    learner.best_loss.fill_(-3.0)
    learner.settled_loss.fill_(-3.0)
    assert tuple(learner.networks) == NETWORKS
    assert learner.networks["best"] is not learner.networks["generator"]
    options = {"channels": 3, "width": 2, "spatial_dims": 3}
    learner = Learner((3, 16, 8, 24), width=2, tanh=False, initial="zero", average=0.5)
    learner.best_loss.fill_(-3.0)
    volumes = learner.networks
    assert volumes["critic"].options == options
    for name in ("generator", "best", "average"):
        assert volumes[name].options == {**options, "tanh": False, "zero": True}
