"""What this machine computes with. Chosen by the machine, overridden by the environment, never by the configuration.

``EVIDENCE_DEVICE``      ``cuda``, ``cuda:1``, ``cpu``         default: a GPU where there is one
``EVIDENCE_PRECISION``   ``float32``, ``tf32``, ``bfloat16``   default: bfloat16 on a GPU that has it, else float32
``EVIDENCE_LAYOUT``      ``channels_last``, ``contiguous``     default: channels_last
``EVIDENCE_THREADS``     a number                              default: what Snakemake or OMP_NUM_THREADS says

They are no rerun triggers: a result is not made again because another machine would make it faster. Precision concerns
training, and the search for latents that agree with an anchor; all other attribution is float32 everywhere, because
bfloat16 visibly changes maps.
"""

import ctypes
import functools
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
import torch
from torch import nn

from evidence.errors import BadInput

PRECISIONS = ("float32", "tf32", "bfloat16")
LAYOUTS = ("channels_last", "contiguous")
PINNED = 2**28  # bytes below which images on their way to a GPU are pinned: batches; nothing waits on a whole dataset
_exact: ContextVar[bool] = ContextVar("exact", default=False)


def _choice(name: str, allowed: tuple[str, ...]) -> str | None:
    value = os.environ.get(name)
    if value and value not in allowed:
        raise BadInput(f"{name}={value} is not a choice; use one of {', '.join(allowed)}, or unset it")
    return value or None


def device() -> torch.device:
    """The device to compute on."""
    wanted = os.environ.get("EVIDENCE_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")
    if wanted.split(":")[0] not in ("cpu", "cuda"):
        raise BadInput(f"EVIDENCE_DEVICE={wanted} is not a choice; use cpu, cuda or cuda:N, or unset it")
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise BadInput(f"EVIDENCE_DEVICE={wanted}, but torch finds no GPU here; unset it to compute on the CPU")
    return torch.device(wanted)


def precision() -> str:
    """The arithmetic of convolutions while training."""
    wanted = _choice("EVIDENCE_PRECISION", PRECISIONS)
    on_gpu = device().type == "cuda"
    if wanted == "tf32" and not on_gpu:
        raise BadInput("EVIDENCE_PRECISION=tf32 is arithmetic of GPUs, and none is in use; use bfloat16, or unset it")
    return wanted or ("bfloat16" if on_gpu and torch.cuda.is_bf16_supported(including_emulation=False) else "float32")


def autocast() -> torch.autocast:
    """The context of a training step's forward passes: bfloat16 where that was chosen, but within ``exactly``."""
    reduced = precision() == "bfloat16" and not _exact.get()
    return torch.autocast(device().type, dtype=torch.bfloat16, enabled=reduced)


@contextmanager
def training(shape: tuple[int, ...]) -> Iterator[None]:
    """The arithmetic of a training on images of this shape (channels, *space), its backward passes included."""
    if precision() == "bfloat16" and device().type == "cpu" and len(shape) == 4 and shape[1] <= 32:
        # Where a 3×3×3 convolution meets two slices, oneDNN (of torch 2.13) adds to memory that it never wrote.
        raise BadInput(
            f"volumes of {shape[1]} slices, 32 or fewer, are pooled to two, where CPUs get bfloat16 gradients wrong; "
            "set EVIDENCE_PRECISION=float32, or put a longer axis first"
        )
    with _convolutions("tf32" if precision() == "tf32" else "ieee"):
        yield


@contextmanager
def exactly() -> Iterator[None]:
    """Float32 inside the block, whatever was chosen: for all that is measured."""
    token = _exact.set(True)
    try:
        with torch.autocast(device().type, enabled=False), _convolutions("ieee"):
            yield
    finally:
        _exact.reset(token)


@contextmanager
def _convolutions(rounding: str) -> Iterator[None]:
    """How a GPU rounds the float32 numbers that it convolves: not at all (ieee), or to 10 bits of mantissa (tf32)."""
    before = torch.backends.cudnn.conv.fp32_precision
    torch.backends.cudnn.conv.fp32_precision = rounding
    try:
        yield
    finally:
        torch.backends.cudnn.conv.fp32_precision = before


def memory_format(dims: int) -> torch.memory_format:
    """How images with so many spatial axes lie in memory; these networks are 1.2 to 1.4 times faster channels last."""
    if (_choice("EVIDENCE_LAYOUT", LAYOUTS) or "channels_last") == "contiguous":
        return torch.contiguous_format
    return torch.channels_last_3d if dims == 3 else torch.channels_last


def laid_out(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor in the layout of this machine, its strides included.

    With a single channel both layouts are the same memory, and ``contiguous`` would leave the strides of the other one:
    torch goes by them, and would convert the next layer's output back and forth.
    """
    layout = memory_format(tensor.dim() - 2)
    if tensor.stride() == torch.empty(tensor.shape, device="meta", memory_format=layout).stride():
        return tensor
    return torch.empty_like(tensor, memory_format=layout).copy_(tensor)


def to_device(images: torch.Tensor) -> torch.Tensor:
    """Images on the device, in its layout."""
    if device().type == "cuda" and not images.is_cuda and images.nbytes < PINNED:
        images = images.pin_memory()  # so that the copy does not wait for what the GPU is at
    return laid_out(images.to(device(), non_blocking=True))


def place(network: nn.Module) -> nn.Module:
    """The network on the device, its convolutions' weights in the layout of the images."""
    network.to(device())
    for parameter in network.parameters():
        if parameter.dim() in (4, 5):
            parameter.data = laid_out(parameter.data)
    return network


@functools.cache
def prepare() -> None:
    """Set threads and determinism once a process; every script that computes calls it first."""
    if threads := os.environ.get("EVIDENCE_THREADS"):
        if not threads.isdigit() or not int(threads):
            raise BadInput(f"EVIDENCE_THREADS={threads} is no number of threads; correct it, or unset it")
        torch.set_num_threads(int(threads))
    keep_freed_memory()
    torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # we read none, and filling costs a twentieth of a step
    torch.backends.cudnn.conv.fp32_precision = "ieee"  # attribution is float32; training has its own precision


def keep_freed_memory() -> None:
    """Tell glibc to keep what is freed: giving large tensors back to the kernel each time costs a fifth of a step."""
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # another C library, which knows no such thing
        return
    M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
    for option, value in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, 2**31 - 1), (M_TOP_PAD, 64 * 2**20)):
        mallopt(option, value)


@contextmanager
def running_statistics(*networks: nn.Module) -> Iterator[None]:
    """Evaluation mode inside the block: running statistics, no dropout. Modes are put back as they were found, also
    after an error; the weights may learn."""
    modes = [(module, module.training) for network in networks for module in network.modules()]
    try:
        for network in networks:
            network.eval()
        yield
    finally:
        for module, mode in modes:
            module.training = mode


@contextmanager
def evaluation(*networks: nn.Module) -> Iterator[None]:
    """Evaluation mode and frozen weights inside the block; both put back as they were found, also after an error."""
    grads = [(parameter, parameter.requires_grad) for network in networks for parameter in network.parameters()]
    try:
        with running_statistics(*networks):
            for network in networks:
                network.requires_grad_(False)
            yield
    finally:
        for parameter, flag in grads:
            parameter.requires_grad_(flag)


def predict(network: nn.Module, images: np.ndarray, batch: int = 100) -> np.ndarray:
    """The network's outputs for many images, float64, in evaluation mode and float32 arithmetic."""
    place(network)
    with evaluation(network), torch.no_grad():
        pieces = np.array_split(np.arange(len(images)), max(1, -(-len(images) // batch)))
        found = [network(to_device(torch.from_numpy(np.array(images[rows], np.float32)))).cpu() for rows in pieces]
    return torch.cat(found).double().numpy()


def describe() -> str:
    """One line that says what computes here, for the heads of pages and logs."""
    where = device()
    if where.type == "cuda":
        return f"{torch.cuda.get_device_name(where)}, {precision()}"
    return f"{_processor()}, {torch.get_num_threads()} threads, {precision()}"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
