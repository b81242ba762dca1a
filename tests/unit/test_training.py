"""The training loop: step i is a pure function of weights, optimiser, seed and i, and nothing that is made is lost."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from evidence import io, resuming, sources, training
from evidence.errors import BadInput

SLOW = "--steps 30 --width 2 --batch 4 --critic_steps 2 --burst 2 --average 0.9 --validate_batches 1".split()


@pytest.fixture
def dataset(tmp_path):
    """A packed dataset on disk: 48 images of 16×24, both classes in all splits."""
    random = np.random.default_rng(0)
    images = random.uniform(-1, 1, (48, 1, 16, 24)).astype(np.float32)
    index = pd.DataFrame(
        {
            "sample": range(48),
            "label": np.arange(48) % 2,
            "split": np.repeat(["train", "validation", "test"], [32, 8, 8]),
            "has_truth": False,
        }
    )
    io.save_array(tmp_path / "images.npy", images)
    io.save_table(tmp_path / "index.parquet", index)
    return tmp_path


def train(folder, out, *words, model="vagan", **environment):
    """The command line of a training, and the environment for it."""
    command = [
        sys.executable, "scripts/train.py", model, *words, "--seed", "3",
        "--images", str(folder / "images.npy"), "--index", str(folder / "index.parquet"),
        "--weights", str(out / "weights.safetensors"), "--history", str(out / "history.parquet"),
    ]  # fmt: skip
    return {"args": command, "env": {**os.environ, "EVIDENCE_DEVICE": "cpu", **environment}, "text": True}


def outcome(out):
    weights = load_file(out / "weights.safetensors")
    return weights, io.load_table(out / "history.parquet")


def assert_same(one, other):
    """Bit for bit."""
    assert one[0].keys() == other[0].keys()
    assert all(torch.equal(one[0][key], other[0][key]) for key in one[0])
    pd.testing.assert_frame_equal(one[1], other[1], check_exact=True)


@pytest.fixture
def uninterrupted(dataset, root):
    out = dataset / "uninterrupted"
    subprocess.run(**train(dataset, out, *SLOW), cwd=root, check=True, capture_output=True)
    return outcome(out)


def interrupted(dataset, root, name, number):
    """Send a signal to a training that has saved a state, and say what it left."""
    out = dataset / name
    with subprocess.Popen(
        **train(dataset, out, *SLOW, EVIDENCE_SAVE_SECONDS="0"),
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        until = time.monotonic() + 120
        while not (out / "state.pt").exists() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.1)
        process.send_signal(number)
        text = process.communicate(timeout=60)[0]
    assert process.returncode != 0, "it was over before the signal came; make it slower"
    assert (out / "state.pt").exists()
    assert not (out / "weights.safetensors").exists()
    return out, text


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["kill -9", "SIGTERM"])
def test_a_stopped_training_goes_on_and_ends_in_the_same_bits(dataset, root, uninterrupted, number):
    out, text = interrupted(dataset, root, "stopped", number)
    if number == signal.SIGTERM:
        assert "the same command resumes" in text
    again = subprocess.run(**train(dataset, out, *SLOW), cwd=root, check=True, capture_output=True)
    assert "resuming from" in again.stdout
    assert_same(outcome(out), uninterrupted)
    assert not (out / "state.pt").exists()


def test_a_state_of_another_recipe_is_not_mixed_in(dataset, root, uninterrupted):
    out, _ = interrupted(dataset, root, "other", signal.SIGKILL)
    again = subprocess.run(**train(dataset, out, *SLOW, "--lam", "50"), cwd=root, check=True, capture_output=True)
    assert "another recipe" in again.stdout
    fresh = dataset / "fresh"
    subprocess.run(**train(dataset, fresh, *SLOW, "--lam", "50"), cwd=root, check=True, capture_output=True)
    assert_same(outcome(out), outcome(fresh))


class Line(training.Learner):
    """Fits one number to the mean of the images; small enough to follow by hand."""

    def __init__(self, steps=20, spoil=None):
        super().__init__()
        self.value = torch.nn.Parameter(torch.zeros(()))
        self.networks = {}
        self.optimisers = {"line": torch.optim.SGD(self.parameters(), lr=0.1)}
        self.batch, self.steps, self.validate_every, self.spoil = 4, steps, 5, spoil
        self.noise = []

    def step(self, batches, i):
        images, _ = next(batches)
        self.noise.append(float(torch.rand(())))
        loss = (self.value - images.mean()).square()
        if i == self.spoil:
            loss = loss * float("nan")
        self.optimisers["line"].zero_grad()
        loss.backward()
        self.optimisers["line"].step()
        return {"square": loss.detach(), "constant": torch.tensor(1.0)}

    def validate(self, samples, i):
        return {"distance": abs(float(self.value.detach()) - 0.5)}


@pytest.fixture
def samples():
    return training.Samples(np.full((10, 1, 8, 8), 0.5, np.float32), np.arange(10) % 2)


def fit(learner, samples, tmp_path, seed=0):
    return training.fit(learner, samples, samples, seed=seed, state=tmp_path / "state.pt", recipe="r")


def test_the_history_has_every_step_and_every_validation(samples, tmp_path):
    history, seconds = fit(Line(), samples, tmp_path)
    assert list(history.columns) == ["step", "name", "value"]
    assert (history["name"] == "square").sum() == 20
    assert history.loc[history["name"] == "validation_distance", "step"].tolist() == [4, 9, 14, 19]
    assert seconds > 0


@pytest.mark.parametrize("spoil", [0, 7])
def test_a_loss_that_is_not_finite_stops_with_step_term_and_last_good_state(samples, tmp_path, monkeypatch, spoil):
    monkeypatch.setenv("EVIDENCE_SAVE_SECONDS", "0")
    with pytest.raises(BadInput) as caught:
        fit(Line(spoil=spoil), samples, tmp_path)
    message = str(caught.value)
    assert f"step {spoil}" in message
    assert "'square'" in message
    assert (f"state.pt at step {spoil}" in message) if spoil else ("no state was saved" in message)
    if spoil:
        state = torch.load(tmp_path / "state.pt", weights_only=True)
        assert state["step"] == spoil
        assert torch.isfinite(state["learner"]["value"])


def test_a_weight_that_is_not_finite_never_replaces_a_good_state(samples, tmp_path, monkeypatch):
    monkeypatch.setenv("EVIDENCE_SAVE_SECONDS", "0")

    class Exploding(Line):
        def step(self, batches, i):
            losses = super().step(batches, i)
            if i == 3:
                self.value.data.fill_(float("inf"))
            return losses

    with pytest.raises(BadInput, match="a weight, or a running statistic, is not finite at step 3.*state.pt at step 3"):
        fit(Exploding(), samples, tmp_path)
    assert torch.isfinite(torch.load(tmp_path / "state.pt", weights_only=True)["learner"]["value"])


def test_what_breaks_in_the_last_step_is_not_kept_though_no_loss_shows_it(samples, tmp_path):
    """Nothing was saved meanwhile, and running statistics are in no loss of their own step."""

    class Exploding(Line):
        def __init__(self):
            super().__init__()
            self.norm = torch.nn.BatchNorm1d(1)

        def step(self, batches, i):
            losses = super().step(batches, i)
            if i + 1 == self.steps:
                self.norm.running_var.fill_(float("nan"))
            return losses

    with pytest.raises(BadInput, match="a running statistic, is not finite at step .* no state was saved before"):
        fit(Exploding(), samples, tmp_path)


def test_noise_of_a_step_depends_on_seed_and_step_alone(samples, tmp_path):
    short, long, other = Line(steps=5), Line(steps=9), Line(steps=5)
    fit(short, samples, tmp_path / "a")
    fit(long, samples, tmp_path / "b")
    fit(other, samples, tmp_path / "c", seed=1)
    assert long.noise[:5] == short.noise
    assert len(set(long.noise)) == 9
    assert not set(other.noise) & set(short.noise)


def test_a_pass_visits_every_image_once_and_discards_the_leftover(samples):
    for by_class, rows in ((False, 10), (True, 5)):
        batches = training.Batches(samples, 3, seed=0, by_class=by_class)
        size = rows // 3
        first = [batches.rows(0, k).tolist() for k in range(size)]
        assert len({row for rows in first for row in rows}) == 3 * size
        second = [batches.rows(0, k).tolist() for k in range(size, 2 * size)]
        assert first != second
        assert [batches.rows(0, k).tolist() for k in range(size)] == first, "any pass can be visited again"


def test_batches_by_class_are_of_their_class(samples):
    batches = training.Batches(samples, 2, seed=0, by_class=True)
    for k in range(7):
        for label in (0, 1):
            assert (samples.labels[batches.rows(label, k)] == label).all()


@pytest.mark.parametrize("streamed", [False, True])
def test_batches_start_anywhere(samples, streamed):
    samples.resident = None if streamed else samples.resident
    batches = training.Batches(samples, 2, seed=4, by_class=False)
    from_start, from_three = batches.starting(0), batches.starting(3)
    for _ in range(3):
        next(from_start)
    for _ in range(9):
        (a, la), (b, lb) = next(from_start), next(from_three)
        assert torch.equal(a, b)
        assert torch.equal(la, lb)


def test_the_next_batch_is_read_ahead_where_images_are_on_disk(samples, monkeypatch):
    samples.resident = None
    batches, read = training.Batches(samples, 2, seed=4, by_class=True), []
    plain = batches.read
    monkeypatch.setattr(batches, "read", lambda k: read.append(k) or plain(k))
    for start in (0, 1, 2, 7):  # as steps of one batch ask for them, and as a resumed one does
        next(batches.starting(start))
    batches.ahead[1].result()
    assert read == [0, 1, 2, 3, 7, 8], "each once"


def test_a_class_without_an_image_is_named():
    samples = training.Samples(np.zeros((3, 1, 8, 8), np.float32), np.zeros(3, int))
    with pytest.raises(BadInput, match="no image of class 1"):
        training.Batches(samples, 2, seed=0, by_class=True)


def test_images_from_disk_and_from_memory_are_the_same_batches(samples, monkeypatch):
    random = np.random.default_rng(1)
    images = random.normal(size=(10, 1, 8, 12)).astype(np.float32)
    resident = training.Samples(images, np.arange(10) % 2)
    monkeypatch.setattr(training, "RESIDENT", 0)
    streamed = training.Samples(images, np.arange(10) % 2)
    assert streamed.resident is None
    rows = np.array([7, 2, 5])
    assert torch.equal(resident.take(rows), streamed.take(rows))
    assert torch.equal(resident.take(rows).cpu(), torch.from_numpy(images[rows]))


@pytest.mark.parametrize("resident", [0, 2**30])
def test_some_of_some_samples_are_the_right_ones(resident, monkeypatch):
    monkeypatch.setattr(training, "RESIDENT", resident)
    images = np.random.default_rng(1).normal(size=(10, 1, 8, 12)).astype(np.float32)
    samples = training.Samples(images, np.array([1, 0, 1, 0]), np.array([4, 5, 6, 7]), np.array([9, 2, 4, 7]))
    assert len(samples) == 4
    assert (samples.resident is None) == (resident == 0)
    found = samples.some(np.array([3, 1]), np.array([5, 6]))
    assert torch.equal(found.take(np.array([0, 1])).cpu(), torch.from_numpy(images[[7, 2]]))
    assert torch.equal(found.labelled(np.array([1]))[1].cpu(), torch.tensor([6]))
    assert found.truth.tolist() == [7, 5]
    assert torch.equal(samples.take(np.array([0])).cpu(), torch.from_numpy(images[[9]])), "the others are as they were"


def test_a_learner_may_sort_the_samples_anew(samples, tmp_path, monkeypatch):
    learner, seen = Line(), []
    monkeypatch.setattr(learner, "pool", lambda given: given.some(np.arange(4), np.full(4, 7)), raising=False)
    plain = learner.step
    monkeypatch.setattr(learner, "step", lambda batches, i: seen.append(next(batches)[1]) or plain(batches, i))
    fit(learner, samples, tmp_path)
    assert set(torch.cat(seen).tolist()) == {7}


def test_a_training_that_had_ended_early_ends_there_again(samples, tmp_path, monkeypatch):
    """Its last step may have saved a state, and the process been killed before the weights were written."""
    monkeypatch.setenv("EVIDENCE_SAVE_SECONDS", "0")

    class Short(Line):
        def finished(self, i):
            return float(self.value.detach()) > 0.3

    learner, again = Short(), Short()
    history, _ = fit(learner, samples, tmp_path)
    assert history["step"].max() < 19
    resumed, _ = fit(again, samples, tmp_path)
    assert again.noise == []
    assert torch.equal(again.value, learner.value)
    pd.testing.assert_frame_equal(resumed, history)


def test_a_batch_larger_than_its_class_is_what_there_is_and_that_is_said(samples, tmp_path, capsys):
    learner = Line()
    fit(learner, samples, tmp_path / "enough")
    assert "batches of" not in capsys.readouterr().out
    learner.batch, learner.by_class = 6, True
    fit(learner, samples, tmp_path / "short")
    assert "batches of 5 images of each class, not 6: that is all there are" in capsys.readouterr().out


def test_a_training_goes_on_in_another_layout(samples, tmp_path, monkeypatch, capsys):
    """Fused Adam goes by the place of a number in memory, moments and weights alike."""

    class Filter(Line):
        def __init__(self, layout, steps):
            super().__init__(steps)
            torch.manual_seed(0)
            self.filter = torch.nn.Conv2d(2, 3, 3).to(memory_format=layout)
            self.optimisers = {"filter": torch.optim.Adam(self.filter.parameters(), lr=0.1, fused=True)}

        def step(self, batches, i):
            noise = torch.randn(4, 2, 8, 8)
            return self.descend("filter", {"square": (self.filter(noise) - noise.mean()).square().mean()})

    first, last = torch.channels_last, torch.contiguous_format
    whole, half, rest = Filter(first, 20), Filter(first, 10), Filter(last, 20)
    fit(whole, samples, tmp_path / "whole")
    monkeypatch.setenv("EVIDENCE_SAVE_SECONDS", "0")
    fit(half, samples, tmp_path)
    assert half.filter.weight.stride() != rest.filter.weight.stride()
    fit(rest, samples, tmp_path)
    assert "at step 10" in capsys.readouterr().out
    torch.testing.assert_close(rest.filter.weight, whole.filter.weight.contiguous(), rtol=1e-3, atol=1e-4)


def test_a_torn_state_is_no_obstacle(samples, tmp_path, capsys):
    (tmp_path / "state.pt").write_bytes(b"PK torn")
    history, _ = fit(Line(), samples, tmp_path)
    assert "cannot be read" in capsys.readouterr().out
    assert history["step"].max() == 19


def test_a_folder_is_held_by_one_process(tmp_path, capsys):
    with resuming.only_one(tmp_path) as waited:
        assert not waited
        with pytest.raises(BadInput, match=f"process {os.getpid()} on"), resuming.only_one(tmp_path, patience=0.3):
            pass
    with resuming.only_one(tmp_path, patience=0.3) as waited:
        assert not waited


def test_ctrl_c_saves_like_sigterm(dataset, root):
    out, text = interrupted(dataset, root, "ctrl-c", signal.SIGINT)
    assert "the same command resumes" in text
    assert torch.load(out / "state.pt", weights_only=True)["step"] > 0


def test_the_recipe_sees_the_code_and_which_network_is_meant(tmp_path):
    """A state made by other code is not gone on from, and #average is another network than #best."""
    (tmp_path / "w").write_bytes(b"weights")
    average, best = (resuming.recipe(networks={"generator": f"{tmp_path / 'w'}#{n}"}) for n in ("average", "best"))
    assert average != best
    assert resuming.recipe("src/evidence/models/vagan.py") != resuming.recipe("src/evidence/models/classifier.py")
    package = tmp_path / "src" / "evidence"
    package.mkdir(parents=True)
    (package / "a.py").write_text("from evidence import b\n")
    (package / "b.py").write_text("x = 1\n")
    before = sources.digest("src/evidence/a.py", root=tmp_path)
    for cache in (sources.closure, sources.imports, sources.has_code):
        cache.cache_clear()
    (package / "b.py").write_text("x = 2\n")
    assert sources.digest("src/evidence/a.py", root=tmp_path) != before


def test_a_process_that_waited_takes_a_result_of_the_same_recipe_only(dataset, root):
    """The other process may have trained something else meanwhile."""
    out = dataset / "shared"
    for lam, taken in (("50", False), ("50", True), ("60", False)):
        with resuming.only_one(out):
            second = subprocess.Popen(
                **train(dataset, out, *SLOW, "--lam", lam), cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            for line in second.stdout:  # until it says that it waits
                if "waiting" in line:
                    break
        text = second.communicate(timeout=120)[0]
        assert ("by the same recipe" in text) == taken, text


def test_the_recipe_depends_on_every_part_and_on_no_order():
    one = resuming.recipe(model="m", options={"a": 1, "b": 2})
    assert one == resuming.recipe(options={"b": 2, "a": 1}, model="m")
    assert one != resuming.recipe(model="m", options={"a": 1, "b": 3})


def test_a_fingerprint_sees_images_and_index():
    images, index = np.zeros((100, 1, 4, 4), np.float32), pd.DataFrame({"label": np.zeros(100, int)})
    before = resuming.fingerprint(images, index)
    other = images.copy()
    other[99] = 1
    assert resuming.fingerprint(other, index) != before
    assert resuming.fingerprint(images, index.assign(label=1)) != before
    assert resuming.fingerprint(images.copy(), index.copy()) == before


@pytest.mark.parametrize("variable", ["EVIDENCE_SAVE_SECONDS", "EVIDENCE_BATCH"])
def test_a_number_of_the_environment_that_is_none_is_named(monkeypatch, variable):
    assert resuming.setting(variable, 7) == 7
    monkeypatch.setenv(variable, "2.5")
    assert resuming.setting(variable, 7) == 2.5
    monkeypatch.setenv(variable, "ten")
    with pytest.raises(BadInput, match=f"{variable}=ten is no number"):
        resuming.setting(variable, 7)
