import copy

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy

from evidence import training
from evidence.errors import BadInput
from evidence.models.dcgan import Learner


def tiny(**options):
    settings = {"z": 4, "widths": (8, 4), "judge_widths": (6,), "batch": 8, "validate_count": 200}
    torch.manual_seed(0)
    return Learner((1, 8, 8), **settings | options)


def images(count, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).uniform(-1, 1, (count, 1, 8, 8)).astype(np.float32))


def batch(count):
    return iter([(images(count), torch.zeros(count, dtype=torch.int64))])


def test_the_published_recipe():
    with torch.device("meta"):
        learner = Learner((1, 28, 28))
    assert (learner.batch, learner.steps) == (64, 93_800)
    for optimiser in learner.optimisers.values():
        (group,) = optimiser.param_groups
        assert (group["lr"], group["betas"]) == (2e-4, (0.5, 0.999))


def test_a_step_is_that_of_the_paper_written_slowly():
    """Two cross-entropies with hard labels; the generator asks for 1 of what the discriminator, updated, says."""
    learner, real = tiny(lr=1e-2), images(8)
    generator, judge = copy.deepcopy(learner.generator), copy.deepcopy(learner.judge)
    torch.manual_seed(3)
    found = learner.step(batch(8), 0)
    torch.manual_seed(3)
    fake = generator(torch.randn(8, 4))
    adam = torch.optim.Adam(judge.parameters(), lr=1e-2, betas=(0.5, 0.999))
    expected = {
        "judge_real": binary_cross_entropy(judge(real).sigmoid(), torch.ones(8)),
        "judge_generated": binary_cross_entropy(judge(fake.detach()).sigmoid(), torch.zeros(8)),
    }
    sum(expected.values()).backward()
    adam.step()
    adam = torch.optim.Adam(generator.parameters(), lr=1e-2, betas=(0.5, 0.999))
    expected["adversarial"] = binary_cross_entropy(judge(fake).sigmoid(), torch.ones(8))
    expected["adversarial"].backward()
    adam.step()
    assert set(found) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value.detach(), rtol=1e-4, atol=1e-6)
    for ours, theirs in ((learner.generator, generator), (learner.judge, judge)):
        for name, value in theirs.state_dict().items():
            torch.testing.assert_close(ours.state_dict()[name], value, rtol=1e-3, atol=1e-4, msg=name)


def test_each_update_leaves_the_other_network_alone():
    learner = tiny()
    generator = {k: v.clone() for k, v in learner.generator.named_parameters()}
    learner.descend("judge", learner.judge_terms(images(8), learner.generated(8).detach()))
    assert all(torch.equal(generator[k], v) and v.grad is None for k, v in learner.generator.named_parameters())
    learner.optimisers["judge"].zero_grad()
    judge = {k: v.clone() for k, v in learner.judge.named_parameters()}
    learner.judge.requires_grad_(False)
    learner.descend("generator", learner.generator_terms(learner.generated(8)))
    assert all(torch.equal(judge[k], v) and v.grad is None for k, v in learner.judge.named_parameters())
    assert any(not torch.equal(generator[k], v) for k, v in learner.generator.named_parameters())
    learner.judge.requires_grad_(True)
    learner.step(batch(8), 0)
    assert any(not torch.equal(judge[k], v) for k, v in learner.judge.named_parameters())
    assert all(p.requires_grad for p in learner.judge.parameters())


def test_the_average_follows_weights_and_running_statistics():
    learner = tiny(average=0.75)
    before = {k: v.clone() for k, v in learner.average.state_dict().items()}
    learner.step(batch(8), 0)
    now = learner.generator.state_dict()
    assert any("running_mean" in name for name in now)
    for name, value in learner.average.state_dict().items():
        expected = 0.75 * before[name] + 0.25 * now[name] if value.is_floating_point() else now[name]
        torch.testing.assert_close(value, expected, msg=name)


def test_the_learning_rate_fades_over_the_last_steps():
    learner, rates = tiny(steps=10, fading=0.4, lr=0.1), []
    for i in range(10):
        learner.step(batch(8), i)
        rates.append([optimiser.param_groups[0]["lr"] for optimiser in learner.optimisers.values()])
    assert np.allclose(np.transpose(rates), [0.1] * 7 + [0.075, 0.05, 0.025])
    with pytest.raises(BadInput, match=r"fading is a share, from 0 to 1, not 1\.5"):
        tiny(fading=1.5)


def test_the_discriminator_sees_images_moved_and_brightened_if_it_is_asked_to():
    learner, seen = tiny(shift=0.25, brightness=0.5), []
    learner.judge.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    learner.judge_terms(torch.full((8, 1, 8, 8), 0.25), learner.generated(8))
    assert len({given.max().item() for given in seen[0]}) == 8
    assert tiny().seen(seen[0]) is seen[0]


def test_it_learns_to_draw_what_the_images_show(tmp_path):
    """A bright square on a dark ground, and a little noise."""
    pixels = np.full((64, 1, 8, 8), -0.5) + np.random.default_rng(0).normal(0, 0.1, (64, 1, 8, 8))
    pixels[:, :, 2:6, 3:7] += 1
    samples = training.Samples(pixels.astype(np.float32), np.zeros(64, int))
    options = {"widths": (16, 8), "judge_widths": (16,), "batch": 16, "lr": 1e-3, "average": 0.98}
    learner = tiny(**options, steps=400, validate_every=400)
    before = learner.validate(samples, 0)
    history, _ = training.fit(learner, samples, samples, seed=0, state=tmp_path / "state.pt", recipe="r")
    last = history[history["step"] == 399].set_index("name")["value"]
    assert last["validation_distance_average"] < 0.1 * before["distance_average"]
    assert 0.7 < last["validation_variation_average"] < 1.6
    with torch.no_grad():
        drawn = learner.networks["average"].eval()(torch.randn(300, 4))
    assert np.abs(drawn.mean(0).numpy() - pixels.mean(0)).mean() < 0.1


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(BadInput, match="4 of them draw sides of 64, or of 32 less an even frame, .* of 29×28"):
        Learner((1, 29, 28), widths=(4, 4, 4, 4), judge_widths=(2, 2, 2))
