"""The cases, and the processes they run in: each has its own environment, answers when asked, and waits otherwise."""

import contextlib
import ctypes
import io
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from bench import textbook
from evidence import explaining, machine
from evidence.errors import BadInput
from evidence.models.vagan import Learner
from evidence.networks.blocks import NORMALISATION
from evidence.networks.c3d import Classifier
from evidence.networks.lean import Dropout
from evidence.networks.unet import MapGenerator

Calls = dict[str, Callable[[], float]]  # what a worker can be asked for; most answer with seconds
GIB = 2**30
ROOT = Path(__file__).resolve().parents[1]
LEAST = 0.1  # seconds a measurement takes at least: what is shorter is repeated
PENALTY = "sample"  # the textbook's; the released code's norm of columns costs the same


# --- processes --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """What one worker does: a function that makes its calls, and the environment it starts in.

    Where ``interpreter`` names one of another environment, ``make`` is a module that it runs, with the arguments as
    JSON; it speaks in lines of JSON.
    """

    make: Callable[..., Calls] | str
    arguments: Mapping[str, Any]
    environment: Mapping[str, str | None]  # None takes a variable away
    interpreter: str = ""


def untuned() -> dict[str, None]:
    """The environment of textbook code: nothing that tunes memory or threads, but their number."""
    tuning = ("GOMP_", "KMP_", "OMP_WAIT_", "OMP_PROC_", "MALLOC_", "GLIBC_")
    return {name: None for name in os.environ if name.startswith(tuning)}


def tuned(precision: str = "float32") -> dict[str, str | None]:
    """The environment of this project's jobs; their threads do not wait awake, as the rules have it."""
    spin = os.environ.get("GOMP_SPINCOUNT", "1000")
    return {"EVIDENCE_PRECISION": precision, "EVIDENCE_LAYOUT": None, "GOMP_SPINCOUNT": spin}


class Worker:
    """A process of its own for a case. It has the case's environment before torch is loaded, which reads it once."""

    def __init__(self, name: str, case: Case):
        self.name = name
        with _environment(case.environment):
            if case.interpreter:
                self.pipe = self.process = Foreign(case)
                return
            context = multiprocessing.get_context("spawn")
            self.pipe, theirs = context.Pipe()
            self.process = context.Process(target=_serve, args=(theirs, case.make, case.arguments), daemon=True)
            self.process.start()
            theirs.close()

    def answer(self) -> Any:
        """What it says next: first what it can be asked for."""
        try:
            answer = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            code = self.process.exitcode
            why = "it was killed, perhaps for want of memory" if code == -9 else "what it said stands above"
            raise BadInput(f"the worker of {self.name!r} ended with exit status {code}; {why}") from None
        if isinstance(answer, BadInput):
            raise answer
        return answer

    def ask(self, call: str) -> float:
        with contextlib.suppress(OSError):  # it is gone, and ``answer`` says why
            self.pipe.send(call)
        return self.answer()

    def leave(self) -> float:
        """End it; returns the most memory it ever had, in GiB."""
        peak = self.ask("")
        self.process.join()
        return peak


class Foreign:
    """A process of another interpreter, and the pipe to it: what ``multiprocessing`` has for our own."""

    def __init__(self, case: Case):
        command = [case.interpreter, "-m", case.make, json.dumps(case.arguments)]
        paths = os.pathsep.join([str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")])
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": paths}
        )

    def send(self, call: str) -> None:
        self._process.stdin.write(json.dumps(call) + "\n")
        self._process.stdin.flush()

    def recv(self) -> Any:
        if not (line := self._process.stdout.readline()):
            raise EOFError
        return json.loads(line)

    def kill(self) -> None:
        self._process.kill()

    def join(self) -> None:
        self._process.communicate()

    @property
    def exitcode(self) -> int | None:
        return self._process.returncode


@contextmanager
def working(cases: Mapping[str, Case]) -> Iterator[tuple[dict[str, Worker], dict[str, list[str]]]]:
    """Workers by name, and what each can be asked for; none outlives the block."""
    workers: dict[str, Worker] = {}
    try:
        for name, case in cases.items():
            workers[name] = Worker(name, case)
        yield workers, {name: worker.answer() for name, worker in workers.items()}
    finally:
        for worker in workers.values():
            worker.process.kill()
            worker.process.join()


@contextmanager
def _environment(changes: Mapping[str, str | None]) -> Iterator[None]:
    before = dict(os.environ)
    try:
        for name, value in changes.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _serve(pipe, make: Callable[..., Calls], arguments: Mapping[str, Any]) -> None:
    """A worker's life: make the calls, answer by name, say at the end how much memory it took."""
    with contextlib.suppress(EOFError, OSError):  # nobody listens any more
        try:
            calls = make(**arguments)
            pipe.send(list(calls))
            while call := pipe.recv():
                pipe.send(calls[call]())
            pipe.send(_peak())
        except BadInput as error:
            pipe.send(error)


def _peak() -> float:
    """GiB of memory at most: of tensors on a GPU, of the process elsewhere."""
    if machine.device().type == "cuda":
        return torch.cuda.max_memory_allocated() / GIB
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / GIB


# --- clocks -----------------------------------------------------------------------------------------------------------


def _once(call: Callable[[], Any]) -> float:
    """Seconds of wall clock that a call takes, its work on a GPU included."""
    began = time.perf_counter()
    call()
    if machine.device().type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def seconds(call: Callable[[], Any]) -> float:
    """The same, the mean of several calls where one is short."""
    taken = [_once(call)]
    while sum(taken) < LEAST:
        taken.append(_once(call))
    return sum(taken) / len(taken)


def _rested(call: Callable[[], Any]) -> float:
    """The same for a call that has been made twice before; afterwards its memory goes to those whose turn is next."""
    call()
    call()
    taken = seconds(call)
    torch.cuda.empty_cache()
    with contextlib.suppress(OSError, AttributeError):  # another C library keeps less in the first place
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    return taken


def noise(count: int, size: tuple[int, ...], seed: int = 0) -> Tensor:
    return torch.rand(count, 1, *size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def as_textbook() -> torch.device:
    """Threads and device as asked for, and all else as torch has it."""
    if threads := os.environ.get("EVIDENCE_THREADS"):
        torch.set_num_threads(int(threads))
    return machine.device()


# --- the roof ---------------------------------------------------------------------------------------------------------


def as_torch_has_it(network: nn.Module) -> nn.Module:
    """A network of one sequence with torch's own layers in place of ours that are faster, in torch's own layout."""
    for place, layer in enumerate(network.layers):
        if isinstance(layer, Dropout):
            network.layers[place] = nn.Dropout(layer.share)
        if isinstance(layer, nn.ConvTranspose2d):
            sizes = layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding
            plain = nn.ConvTranspose2d(*sizes, bias=layer.bias is not None)
            plain.load_state_dict(layer.state_dict())
            network.layers[place] = plain.to(layer.weight.device)
    return network


def roof(channels: int, size: int, batch: int) -> Calls:
    """FLOP/s of the best of many 3×3 convolutions, channels last, in each arithmetic that counts on this device."""
    machine.prepare()
    layer = machine.place(nn.Conv2d(channels, channels, 3, padding=1)).requires_grad_(False)
    images = machine.to_device(torch.randn(batch, channels, size, size))
    work = counted(lambda: layer(images))

    def best(precision: str) -> float:
        reduced = torch.bfloat16 if precision == "bfloat16" else torch.float32
        given, convolve = images.to(reduced), layer.to(reduced)
        torch.backends.cudnn.conv.fp32_precision = "tf32" if precision == "tf32" else "ieee"
        return work / min(_once(lambda: convolve(given)) for _ in range(20))

    return {precision: partial(best, precision) for precision in arithmetics()}


def arithmetics() -> list[str]:
    """Those with a roof of their own. On a CPU the yardstick is float32, in which all of it can compute."""
    return ["float32", "tf32", "bfloat16"] if machine.device().type == "cuda" else ["float32"]


# --- updates of VA-GAN ------------------------------------------------------------------------------------------------


def textbook_updates(size: tuple[int, ...], batch: int, width: int, names: Sequence[str]) -> Calls:
    """The textbook's updates of the networks that are named, in torch's default layout and settings."""
    device = as_textbook()
    learner = Learner((1, *size), width=width, norm=PENALTY)
    critic = textbook.like(textbook.Critic(len(size), width), learner.critic)
    generator = textbook.like(textbook.UNet(len(size), width), learner.generator)
    trainer = textbook.Trainer(critic.to(device), generator.to(device))
    pair = noise(batch, size, 1).to(device), noise(batch, size, 2).to(device)
    return {name: partial(_rested, partial(trainer.update, name, *pair)) for name in names}


def our_updates(size: tuple[int, ...], batch: int, width: int, names: Sequence[str]) -> Calls:
    """Ours, as a step of the training makes them."""
    machine.prepare()
    learner = Learner((1, *size), width=width, norm=PENALTY)
    machine.place(learner)
    pair = machine.to_device(noise(batch, size, 1)), machine.to_device(noise(batch, size, 2))

    def call(name: str) -> None:
        with machine.training((1, *size)):
            _update(learner, name, *pair)

    return {name: partial(_rested, partial(call, name)) for name in names}


def _update(learner: Learner, name: str, baseline: Tensor, interest: Tensor) -> None:
    learner.critic.requires_grad_(name == "critic")
    learner.update(name, getattr(learner, f"{name}_terms"), iter([(baseline, interest)]))


def flops(size: tuple[int, ...], batch: int, width: int, name: str) -> dict[str, int]:
    """FLOPs of an update, counted on tensors without numbers, where counting costs nothing.

    ``needed`` is the yardstick that all are held against: for the critic's update the textbook's critic passes alone,
    the generated images being given; for the generator's the U-Net, and a critic whose weights need no gradients.
    """
    with torch.device("meta"):
        learner = Learner((1, *size), width=width, norm=PENALTY)
        trainer = textbook.Trainer(textbook.Critic(len(size), width), textbook.UNet(len(size), width))
        images = torch.empty(batch, 1, *size)

    def needed() -> None:
        trainer.critic.requires_grad_(name == "critic")
        healed = images if name == "critic" else trainer.generator.heal(images)
        terms = textbook.critic_terms if name == "critic" else textbook.generator_terms
        sum(terms(trainer.critic, images, healed).values()).backward()

    return {
        "textbook": counted(lambda: trainer.update(name, images, images)),  # before ``needed`` freezes its critic
        "needed": counted(needed),
        "ours": counted(lambda: _update(learner, name, images, images)),
    }


def counted(call: Callable[[], Any]) -> int:
    """FLOPs of a call, by torch's formulas for convolutions and products of matrices."""
    counter = FlopCounterMode(display=False)
    counter.mod_tracker = _Untracked()
    with counter:
        call()
    return counter.get_total_flops()


class _Untracked(contextlib.nullcontext):
    """Instead of the counter's own account of modules, which cannot follow ``autograd.grad`` to a leaf."""

    parents = ("Global",)


# --- maps -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Maps:
    """How maps are measured: classifiers of the paper's kind without its training, and so many images a method."""

    size: tuple[int, ...]
    width: int  # of the classifiers; the generator has half of it
    hidden: int
    batch: int  # images explained at once
    few: int  # the same for the methods that take a hundred gradients and more a map, where there is no GPU
    steps: int  # gradients of a map of integrated gradients
    iterations: int  # of additive perturbation that are measured

    def count(self, method: str) -> int:
        slow = method in ("integrated_gradients", "additive_perturbation") and machine.device().type == "cpu"
        return self.few if slow else self.batch

    def images(self, method: str) -> Tensor:
        return noise(self.count(method), self.size)


def calibrated(network: nn.Module, images: Tensor) -> nn.Module:
    """The network with running statistics that fit these images, so that no layer sees wild numbers."""
    for layer in network.modules():
        if isinstance(layer, (nn.BatchNorm1d, *NORMALISATION.values())):
            layer.momentum = None  # a plain average, here of one batch
    with torch.no_grad():
        network.train()(images)
    return network.eval()


def _classifier(maps: Maps, head: str) -> Classifier:
    torch.manual_seed(0)
    network = Classifier(size=maps.size, head=head, width=maps.width, hidden=maps.hidden)
    return calibrated(network, noise(8, maps.size))


def explained(attribute: Callable, images: np.ndarray, networks: Mapping, options: Mapping, kinds: int = 1) -> Any:
    """The table of what the loop around the methods says of these images, explained at once and in silence."""
    with TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        _, table = explaining.explain(
            attribute,
            images,
            np.arange(len(images)),
            networks,
            options,
            seed=0,
            state=Path(folder) / "state.npz",
            recipe="",
            batch=len(images),
            kinds=kinds,
        )
    return table


def our_maps(maps: Maps) -> Calls:
    """Seconds a map of each method, as the loop around the methods tells them."""
    from evidence.attribution import (
        additive_perturbation,
        cam,
        gradient,
        guided_backprop,
        integrated_gradients,
        vagan,
    )

    machine.prepare()
    dense, generator = {"classifier": _classifier(maps, "dense")}, MapGenerator(width=max(1, maps.width // 2))
    cases = {
        "gradient": (gradient, dense, {}),
        "guided_backprop": (guided_backprop, dense, {}),
        "integrated_gradients": (integrated_gradients, dense, {"steps": maps.steps}),
        "cam": (cam, {"classifier": _classifier(maps, "cam")}, {}),
        "additive_perturbation": (additive_perturbation, dense, {"iterations": maps.iterations}),
        "vagan": (vagan, {"generator": calibrated(generator, noise(8, maps.size))}, {}),
    }

    def call(method: str) -> float:
        module, networks, options = cases[method]
        table = explained(module.attribute, maps.images(method).numpy(), networks, options)
        return float(table["seconds"].mean())

    return {method: partial(call, method) for method in cases}


def captum_maps(maps: Maps) -> Calls:
    """Seconds a map of captum's methods, called plainly on the textbook's classifier, for the logit of class 1."""
    import captum.attr

    device = as_textbook()
    network = textbook.like(textbook.classifier(maps.size, maps.width, maps.hidden), _classifier(maps, "dense"))
    network.eval().to(device)

    def call(method: str, attribution: str, **options) -> float:
        attribute = getattr(captum.attr, attribution)(network).attribute
        images = maps.images(method).to(device).requires_grad_()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Setting backward hooks")
            return seconds(lambda: attribute(images, target=1, **options).cpu()) / len(images)

    def path(batches: int, steps: int = maps.steps) -> float:
        name, label = "integrated_gradients", "IntegratedGradients"
        return call(name, label, n_steps=steps, internal_batch_size=batches * maps.count(name))

    few = min(10, maps.steps)
    path(1, few)  # a warm-up
    best = min((1, 2, 5), key=lambda batches: path(batches, few))  # captum's default, all at once, takes twice as long
    return {
        "gradient": partial(call, "gradient", "Saliency"),
        "guided_backprop": partial(call, "guided_backprop", "GuidedBackprop"),
        "integrated_gradients": partial(path, best),
    }
