"""What a machine computes with, and that networks lent out come back as they were."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import nn

from evidence import machine
from evidence.errors import BadInput


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    """No wishes, no GPU."""
    for name in ("DEVICE", "PRECISION", "LAYOUT", "THREADS"):
        monkeypatch.delenv(f"EVIDENCE_{name}", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def network():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Dropout(0.5), nn.Flatten(), nn.LazyLinear(2))


# --- choices ----------------------------------------------------------------------------------------------------------


def test_without_a_gpu_it_is_the_cpu_in_float32():
    assert machine.device() == torch.device("cpu")
    assert machine.precision() == "float32"
    with machine.autocast():
        assert not torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize(("fast", "name"), [(True, "bfloat16"), (False, "float32")])
def test_with_a_gpu_it_is_that_in_what_it_is_fast_at(monkeypatch, fast, name):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: fast and not including_emulation)
    assert machine.device() == torch.device("cuda")
    assert machine.precision() == name
    monkeypatch.setenv("EVIDENCE_DEVICE", "cpu")
    assert machine.device() == torch.device("cpu")
    assert machine.precision() == "float32"
    monkeypatch.setenv("EVIDENCE_DEVICE", "cuda:1")
    assert machine.device() == torch.device("cuda:1")


@pytest.mark.parametrize("side", [64, 65])
def test_batches_are_pinned_and_whole_datasets_are_not(monkeypatch, side):
    monkeypatch.setattr(machine, "PINNED", 4 * 64 * 65)
    monkeypatch.setattr(machine, "device", lambda: torch.device("cuda"))
    pinned, moved = [], []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda images: pinned.append(images.nbytes) or images)
    monkeypatch.setattr(torch.Tensor, "to", lambda images, *_, **__: moved.append(images.nbytes) or images)
    machine.to_device(torch.zeros(1, 1, 64, side))
    assert moved
    assert bool(pinned) == (side == 64)


def test_precision_can_be_asked_for(monkeypatch):
    monkeypatch.setenv("EVIDENCE_PRECISION", "bfloat16")
    layer, images = nn.Conv2d(1, 1, 1), torch.zeros(1, 1, 4, 5)
    with machine.autocast():
        assert layer(images).dtype is torch.bfloat16
    monkeypatch.setenv("EVIDENCE_PRECISION", "float32")
    with machine.autocast():
        assert layer(images).dtype is torch.float32


@pytest.mark.parametrize(
    ("name", "value", "call", "message"),
    [
        ("DEVICE", "gpu", machine.device, "EVIDENCE_DEVICE=gpu is not a choice; use cpu, cuda or cuda:N, or unset it"),
        ("DEVICE", "cuda:0", machine.device, "torch finds no GPU here; unset it to compute on the CPU"),
        ("PRECISION", "half", machine.precision, "=half is not a choice; use one of float32, tf32, bfloat16"),
        ("PRECISION", "tf32", machine.precision, "tf32 is arithmetic of GPUs, and none is in use"),
        ("LAYOUT", "nhwc", lambda: machine.memory_format(2), "use one of channels_last, contiguous, or unset it"),
    ],
)
def test_a_wish_that_cannot_be_met_is_refused_in_words(monkeypatch, name, value, call, message):
    monkeypatch.setenv(f"EVIDENCE_{name}", value)
    with pytest.raises(BadInput) as refusal:
        call()
    assert message in str(refusal.value)


def test_a_gpu_rounds_to_tf32_in_training_alone_and_not_what_is_measured(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("EVIDENCE_PRECISION", "tf32")
    monkeypatch.setattr(torch, "autocast", lambda *args, **kind: nullcontext())
    rounding = torch.backends.cudnn.conv
    machine.prepare.__wrapped__()
    assert rounding.fp32_precision == "ieee"
    with machine.training((1, 8, 8)):
        assert rounding.fp32_precision == "tf32"
        with machine.exactly():
            assert rounding.fp32_precision == "ieee"
        assert rounding.fp32_precision == "tf32"
    assert rounding.fp32_precision == "ieee"


@pytest.mark.parametrize(("slices", "fine"), [(32, False), (33, True)])
def test_few_slices_in_bfloat16_are_refused_on_a_cpu(monkeypatch, slices, fine):
    """There, gradients of the weights of layers that see two slices depend on what was in memory before."""
    with machine.training((1, slices, 64, 64)):
        pass
    monkeypatch.setenv("EVIDENCE_PRECISION", "bfloat16")
    refusal = nullcontext() if fine else pytest.raises(BadInput, match=f"volumes of {slices} slices")
    with refusal, machine.training((1, slices, 64, 64)):
        pass
    with machine.training((1, slices, 64)):
        pass


def test_an_empty_wish_is_none(monkeypatch):
    for name in ("DEVICE", "PRECISION", "LAYOUT"):
        monkeypatch.setenv(f"EVIDENCE_{name}", "")
    assert machine.device() == torch.device("cpu")
    assert machine.precision() == "float32"
    assert machine.memory_format(2) is torch.channels_last


def test_preparing_sets_threads_and_determinism(monkeypatch):
    called = {}
    monkeypatch.setattr(torch, "set_num_threads", lambda n: called.update(threads=n))
    monkeypatch.setattr(torch, "use_deterministic_algorithms", lambda on, warn_only: called.update(exact=on))
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    machine.prepare.__wrapped__()
    assert called == {"exact": True}, "threads are those of the environment"
    assert not torch.backends.cudnn.benchmark
    monkeypatch.setenv("EVIDENCE_THREADS", "3")
    machine.prepare.__wrapped__()
    assert called == {"exact": True, "threads": 3}


def test_it_says_in_one_line_what_computes():
    line = machine.describe()
    assert "\n" not in line
    assert line.endswith(f"{torch.get_num_threads()} threads, float32")


# --- images and networks in memory ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "layout"), [((4, 5), torch.channels_last), ((4, 5, 6), torch.channels_last_3d)])
def test_images_and_weights_lie_channels_last(monkeypatch, size, layout):
    images = torch.randn(2, 3, *size)
    kind = {2: nn.Conv2d, 3: nn.Conv3d}[len(size)]
    layer = kind(3, 4, 3)
    before = layer.weight.detach().clone()
    assert machine.to_device(images).is_contiguous(memory_format=layout)
    assert machine.place(layer) is layer
    assert layer.weight.is_contiguous(memory_format=layout)
    assert torch.equal(machine.to_device(images), images)
    assert torch.equal(layer.weight, before)
    monkeypatch.setenv("EVIDENCE_LAYOUT", "contiguous")
    assert machine.to_device(images).is_contiguous()
    assert machine.place(layer).weight.is_contiguous()


# --- evaluation -------------------------------------------------------------------------------------------------------


def condition(network):
    return [m.training for m in network.modules()], [p.requires_grad for p in network.parameters()]


@pytest.mark.parametrize("fail", [False, True])
def test_networks_are_frozen_inside_and_as_they_were_behind_also_after_an_error(network, fail):
    other = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
    network(torch.zeros(2, 2, 5, 6))
    network[1].eval()
    network[0].bias.requires_grad_(False)
    before = condition(network), condition(other)
    try:
        with machine.evaluation(network, other):
            for modes, gradients in (condition(network), condition(other)):
                assert not any(modes)
                assert not any(gradients)
            if fail:
                raise RuntimeError("on purpose")
    except RuntimeError:
        assert fail
    assert (condition(network), condition(other)) == before


@pytest.mark.parametrize("count", [1, 7, 8])
def test_predictions_do_not_depend_on_the_batch_and_leave_the_network_alone(network, count):
    images = np.random.default_rng(0).normal(size=(count, 2, 5, 6)).astype(np.float32)
    network(torch.from_numpy(images).repeat(2, 1, 1, 1))
    before, running = condition(network), network[1].running_mean.clone()
    whole = machine.predict(network, images)
    assert whole.shape == (count, 2)
    assert whole.dtype == np.float64
    for batch in (1, 3, count):
        np.testing.assert_allclose(machine.predict(network, images, batch), whole, rtol=1e-5, atol=1e-6)
    assert condition(network) == before
    assert torch.equal(network[1].running_mean, running)
    with machine.evaluation(network):
        np.testing.assert_allclose(network(torch.from_numpy(images)).numpy(), whole, rtol=1e-5, atol=1e-6)


def test_predictions_are_float32_whatever_training_is(network, monkeypatch):
    images = np.random.default_rng(0).normal(size=(3, 2, 5, 6)).astype(np.float16)
    network(torch.from_numpy(images.astype(np.float32)))
    expected = machine.predict(network, images)
    monkeypatch.setenv("EVIDENCE_PRECISION", "bfloat16")
    np.testing.assert_array_equal(machine.predict(network, images), expected)
