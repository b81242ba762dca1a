"""The benchmark compares equal work, counts it right, and runs from end to end. No test looks at a time."""

import subprocess
import sys

import pytest
import torch

from bench import run, textbook, workers
from bench.workers import Case
from evidence.errors import BadInput
from evidence.models.vagan import Learner
from evidence.networks.c3d import Classifier

SIZES = {"slices": (16, 32), "volumes": (16, 32, 16)}
COUNTS = {"critic": 1_757_249, "generator": 462_305}


def parameters(network):
    return sum(p.numel() for p in network.parameters())


@pytest.fixture(params=SIZES)
def both(request):
    """Ours and the textbook's with the same weights in float64, and a batch; gradients have a size that matters."""
    size = SIZES[request.param]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        learner = Learner((1, *size), width=2, norm="sample").double()
        with torch.no_grad():
            learner.critic.layers[-1].weight *= 100
        critic = textbook.like(textbook.Critic(len(size), 2).double(), learner.critic)
        generator = textbook.like(textbook.UNet(len(size), 2).double(), learner.generator)
        yield (
            learner,
            textbook.Trainer(critic, generator),
            torch.randn(2, 3, 1, *size, dtype=torch.float64).clamp(-1, 1),
        )


@pytest.mark.parametrize("name", ["critic", "generator"])
def test_the_textbook_update_has_the_losses_and_gradients_of_ours(both, name):
    learner, trainer, pair = both
    torch.manual_seed(5)
    ours = learner.update(name, getattr(learner, f"{name}_terms"), iter([pair]))
    torch.manual_seed(5)
    theirs = trainer.update(name, *pair)
    assert theirs.keys() == ours.keys()
    for term in ours:
        torch.testing.assert_close(theirs[term], ours[term], rtol=1e-9, atol=1e-12, check_device=False)
        assert ours[term].abs() > 1e-3
    trained, peer = getattr(learner, name), getattr(trainer, name)
    for one, other in zip(peer.parameters(), trained.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-7, atol=1e-9)
    assert max(p.grad.abs().max() for p in trained.parameters()) > 0.1
    for one, other in zip(trainer.generator.buffers(), learner.generator.buffers(), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("dims", [2, 3])
def test_the_textbook_networks_have_the_parameters_of_ours(dims):
    with torch.device("meta"):
        learner = Learner((1, *[16] * dims))
        peers = {"critic": textbook.Critic(dims), "generator": textbook.UNet(dims)}
    for name, peer in peers.items():
        assert parameters(peer) == parameters(getattr(learner, name))
        assert dims == 3 or parameters(peer) == COUNTS[name]


def test_captum_explains_the_same_classifier():
    maps = workers.Maps((16, 32), width=2, hidden=8, batch=3, few=3, steps=4, iterations=2)
    network = workers._classifier(maps, "dense")
    assert isinstance(network, Classifier)
    plain = textbook.like(textbook.classifier(maps.size, maps.width, maps.hidden), network).eval()
    images = maps.images("gradient")
    torch.testing.assert_close(plain(images), network(images), rtol=1e-4, atol=1e-5)
    assert network(images).std(0).min() > 0


# --- counting ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "passes"), [("critic", 12), ("generator", 2)])
def test_the_yardstick_is_so_many_passes_of_the_networks(name, passes):
    with torch.device("meta"):
        critic, generator, images = textbook.Critic(2), textbook.UNet(2), torch.empty(32, 1, 112, 112)
    expected = passes * workers.counted(lambda: critic(images))
    if name == "generator":
        expected += 3 * workers.counted(lambda: generator(images))
    found = workers.flops((112, 112), 32, 16, name)
    assert found["needed"] == pytest.approx(expected, rel=0.01)  # no image needs a gradient, which saves a little
    assert found["needed"] == pytest.approx({"critic": 134e9, "generator": 100e9}[name], rel=0.01)
    assert found["textbook"] > found["ours"]


# --- running ----------------------------------------------------------------------------------------------------------


def failing(how: str) -> workers.Calls:
    """A case that goes wrong, in a worker."""
    return {"call": {"said": lambda: _raise(BadInput("unset it")), "gone": lambda: sys.exit(3)}[how]}


def _raise(error):
    raise error


@pytest.mark.parametrize(("how", "message"), [("said", "unset it"), ("gone", "'a case' ended with exit status 3")])
def test_what_goes_wrong_in_a_worker_is_said(how, message):
    cases = {"a case": Case(failing, {"how": how}, {})}
    with pytest.raises(BadInput, match=message):
        run.in_turn("failing", cases, 1)


STAND_IN = """
import numpy as np


class AnchorImage:
    def __init__(self, decide, shape, *, images_background, segmentation_fn, **others):
        self.decide, self.backgrounds, self.segments = decide, images_background, segmentation_fn(None)

    def explain(self, image, *, max_anchor_size, **others):
        own, *backgrounds = self.decide(np.stack([image, *self.backgrounds[1:]]))  # the first donor is the image
        assert own == 0 and min(backgrounds) > 0, "the decision is that of the image, and not of others"
        assert len(np.unique(self.segments)) == 6 and max_anchor_size == 3
"""


def test_a_peer_of_another_interpreter_is_asked_in_lines(tmp_path):
    (tmp_path / "alibi").mkdir()
    (tmp_path / "alibi" / "__init__.py").touch()
    (tmp_path / "alibi" / "explainers.py").write_text(STAND_IN)
    stitched = {"size": (28, 28), "classifier": (2, 2), "hidden": 4, "grid": (3, 2), "donors": 5, "searches": 2}
    case = Case("bench.alibis", stitched, {"PYTHONPATH": str(tmp_path)}, sys.executable)
    answers, memory = run.in_turn("stitching", {"peer": case}, 2)
    assert list(answers) == [("peer", "stitching")]
    assert all(0 < seconds < 60 for seconds in answers["peer", "stitching"])
    assert 0.05 < memory["peer"] < 4
    (tmp_path / "alibi" / "explainers.py").write_text("import sys; sys.exit(3)")
    with pytest.raises(BadInput, match="'peer' ended with exit status 3"):
        run.in_turn("stitching", {"peer": case}, 2)


def test_a_worker_starts_in_the_environment_of_its_case(monkeypatch):
    for name, value in {"MALLOC_ARENA_MAX": "2", "GOMP_SPINCOUNT": "7", "OMP_NUM_THREADS": "1"}.items():
        monkeypatch.setenv(name, value)
    assert {"MALLOC_ARENA_MAX", "GOMP_SPINCOUNT"} <= set(workers.untuned())
    with workers._environment({**workers.untuned(), **workers.tuned("bfloat16")}):
        seen = subprocess.run(["env"], capture_output=True, text=True, check=True).stdout.splitlines()
    assert {"EVIDENCE_PRECISION=bfloat16", "GOMP_SPINCOUNT=7", "OMP_NUM_THREADS=1"} <= set(seen)
    assert not [line for line in seen if line.startswith("MALLOC_")]


@pytest.mark.parametrize(
    ("words", "message"),
    [(["--only", "step2d"], "'step2d' is no part; did you mean 'steps2d'?"), (["--rounds", "0"], "starts at 1, not 0")],
)
def test_bad_words_are_refused(words, message):
    with pytest.raises(BadInput, match=message.replace("?", r"\?")):
        run.main(words)


def test_the_whole_benchmark_runs_and_writes_its_tables(root, tmp_path):
    words = [sys.executable, "bench/run.py", "--quick", "--out", str(tmp_path)]
    done = subprocess.run(words, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (page,) = tmp_path.glob("bench-*-quick.md")
    text = page.read_text()
    assert text in done.stdout
    for row in ("textbook", "ours, float32", "ours, bfloat16", "floor, float32"):
        assert text.count(f"\n| {row} |") == (4 if "floor" in row else 7), (
            "two updates in 2D and 3D, their sums, a step of medXGAN"
        )
    assert text.count("**step** of the released schedule: 8.23 critic updates") == 2
    for title in run.METHODS.values():
        assert f"\n| {title}" in text
    assert "nan" not in text
