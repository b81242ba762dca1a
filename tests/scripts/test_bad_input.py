"""What a person can get wrong: one clear line, exit status 1, nothing half-written."""

import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from evidence import io
from evidence.datasets import tumour
from tests.workflow.conftest import copy_of, snakemake


def picture(path, size=(20, 24), mode="L"):
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(len(path.name))
    shape = (*size, 3) if mode == "RGB" else size
    Image.fromarray(random.integers(0, 255, shape, dtype=np.uint8), mode).save(path)


@pytest.fixture
def raw(tmp_path):
    folder = tmp_path / "mine"
    for label in ("healthy", "diseased"):
        for number in range(6):
            picture(folder / label / f"{number}.png")
    return folder


def assert_refused(answer, *words):
    """One line of error that has these words."""
    status, text = answer
    assert status == 1
    errors = [line for line in text.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, text
    assert "Traceback" not in text
    for word in words:
        assert str(word) in errors[0]


def files(folder):
    """All files below a folder but locks, which hold nothing."""
    return {path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


def fetch(script, raw, out):
    return script("fetch", "folder", "--baseline", "healthy", "--raw", raw, "--manifest", out / "manifest.csv")


def test_an_empty_class_folder(script, raw, tmp_path):
    shutil.rmtree(raw / "diseased")
    (raw / "diseased").mkdir()
    assert_refused(fetch(script, raw, tmp_path / "out"), "diseased")
    assert not files(tmp_path / "out")


def test_a_baseline_that_is_not_there(script, raw, tmp_path):
    answer = script(
        "fetch", "folder", "--baseline", "helthy", "--raw", raw, "--manifest", tmp_path / "out/manifest.csv"
    )
    assert_refused(answer, "helthy", "did you mean 'healthy'?")


def test_raw_files_that_nobody_said_where_they_are(script, tmp_path, monkeypatch):
    monkeypatch.delenv("EVIDENCE_RAW_COHORT", raising=False)
    answer = script("fetch", "folder", "--label", "cohort", "--manifest", tmp_path / "out/manifest.csv")
    assert_refused(answer, "EVIDENCE_RAW_COHORT", "--raw")
    answer = script("fetch", "folder", "--label", "cohort", "--raw", tmp_path / "no", "--manifest", tmp_path / "m.csv")
    assert_refused(answer, tmp_path / "no", "not a folder")


def test_raw_files_that_were_found_before_are_looked_for_there_again(script, raw, tmp_path, monkeypatch):
    """A new version of the code makes the list again, perhaps in a shell where nobody said where they are."""
    monkeypatch.delenv("EVIDENCE_RAW_FOLDER", raising=False)
    assert fetch(script, raw, tmp_path / "out")[0] == 0
    first = (tmp_path / "out" / "manifest.csv").read_text()
    words = ("fetch", "folder", "--baseline", "healthy", "--manifest", tmp_path / "out" / "manifest.csv")
    status, said = script(*words)
    assert status == 0, said
    assert f"{raw} is looked through again" in said
    assert (tmp_path / "out" / "manifest.csv").read_text() == first
    assert (tmp_path / "out" / "raw").resolve() == raw


def test_raw_files_that_can_be_downloaded_are(script, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EVIDENCE_RAW_BRAINS", raising=False)
    asked = []

    def obtain(wanted, home):
        asked.append([each.path for each in wanted])
        tumour.simulate(home / tumour.TASK, subjects=1, native=(20, 20, 13))

    monkeypatch.setattr("evidence.downloads.obtain", obtain)
    status, text = script("fetch", "tumour", "--label", "brains", "--manifest", tmp_path / "out/manifest.csv")
    assert status == 0, text
    assert asked == [[tumour.TASK, f"{tumour.TASK}/{tumour.SPLIT}", f"{tumour.TASK}/{tumour.EXPLAINED}"]]
    assert (tmp_path / "out" / "raw").resolve() == tmp_path / "data" / "brains"


def test_raw_files_that_need_an_account_say_where(script, tmp_path, monkeypatch):
    monkeypatch.delenv("EVIDENCE_RAW_PNEUMONIA", raising=False)
    answer = script("fetch", "pneumonia", "--manifest", tmp_path / "out/manifest.csv")
    assert_refused(answer, "EVIDENCE_RAW_PNEUMONIA", "account", "kaggle.com")


def test_mixed_channel_counts(script, raw, tmp_path):
    picture(raw / "diseased" / "colour.png", mode="RGB")
    assert_refused(fetch(script, raw, tmp_path / "out"), "colour.png", "channels")
    assert not files(tmp_path / "out")


@pytest.fixture
def prepare(script, raw, tmp_path):
    """Fetch, let the test spoil something, prepare."""
    out = tmp_path / "out"
    assert fetch(script, raw, out)[0] == 0

    def run():
        words = ("--baseline", "healthy", "--size", "16", "--manifest", out / "manifest.csv", "--out", out / "part.npz")
        return script("prepare", "folder", *words)

    return run


def test_an_image_that_does_not_decode(prepare, script, raw, tmp_path):
    (raw / "diseased" / "3.png").write_bytes((raw / "diseased" / "3.png").read_bytes()[:100])
    fetched = fetch(script, raw, tmp_path / "out")
    if fetched[0] == 0:
        assert_refused(prepare(), "diseased/3.png")
    else:
        assert_refused(fetched, "diseased/3.png")
    assert not (tmp_path / "out" / "part.npz").exists()


def test_a_file_that_is_not_the_one_of_the_manifest(prepare, raw, tmp_path):
    picture(raw / "diseased" / "3.png", size=(21, 24))
    assert_refused(prepare(), "diseased/3.png", "sha256", "fetch")
    assert not (tmp_path / "out" / "part.npz").exists()


def test_a_file_of_the_manifest_that_is_gone(prepare, raw):
    (raw / "diseased" / "3.png").unlink()
    assert_refused(prepare(), "diseased/3.png", "not on disk")


def test_an_image_with_nan(script, tmp_path):
    raw = tmp_path / "mine"
    for label in ("healthy", "diseased"):
        (raw / label).mkdir(parents=True)
        for number in range(6):
            np.save(
                raw / label / f"{number}.npy", np.random.default_rng(number).uniform(size=(20, 24)).astype(np.float32)
            )
    broken = np.zeros((20, 24), np.float32)
    broken[3, 4] = np.nan
    np.save(raw / "diseased" / "9.npy", broken)
    fetched = fetch(script, raw, tmp_path / "out")
    if fetched[0] == 0:
        words = ("--manifest", tmp_path / "out/manifest.csv", "--out", tmp_path / "out/part.npz")
        fetched = script("prepare", "folder", "--baseline", "healthy", *words)
    assert_refused(fetched, "diseased/9.npy", "NaN")
    assert not (tmp_path / "out" / "part.npz").exists()


def attribute(script, dataset, out, method, **networks):
    words = [word for role, path in networks.items() for word in (f"--{role}", path)]
    data = ("--images", dataset / "images.npy", "--index", dataset / "index.parquet")
    return script("attribute", method, *words, *data, "--maps", out / "maps.npy", "--samples", out / "samples.parquet")


def test_a_truncated_array(script, dataset, networks, tmp_path):
    whole = (dataset / "images.npy").read_bytes()
    (dataset / "images.npy").write_bytes(whole[: len(whole) // 2])
    answer = attribute(script, dataset, tmp_path / "out", "gradient", classifier=networks["classifier"])
    assert_refused(answer, "images.npy", "not a whole .npy")
    assert not files(tmp_path / "out")


def test_weights_of_another_architecture(script, dataset, networks, tmp_path):
    answer = attribute(script, dataset, tmp_path / "out", "cam", classifier=networks["classifier"])
    assert_refused(answer, "head='cam'")
    assert not files(tmp_path / "out")


def test_weights_that_hold_another_network(script, dataset, networks, tmp_path):
    answer = attribute(script, dataset, tmp_path / "out", "vagan", generator=f"{networks['vagan']}#averag")
    assert_refused(answer, "vagan.safetensors", "did you mean 'average'?")
    answer = attribute(script, dataset, tmp_path / "out", "vagan", generator=networks["classifier"])
    assert_refused(answer, "classifier.safetensors")
    assert not files(tmp_path / "out")


def test_weights_that_are_missing_or_torn(script, dataset, networks, tmp_path):
    answer = attribute(script, dataset, tmp_path / "out", "gradient", classifier=tmp_path / "no.safetensors")
    assert_refused(answer, "no.safetensors", "missing")
    whole = networks["classifier"].read_bytes()
    networks["classifier"].write_bytes(whole[: len(whole) // 2])
    answer = attribute(script, dataset, tmp_path / "out", "gradient", classifier=networks["classifier"])
    assert_refused(answer, "classifier.safetensors", "not a whole safetensors")


def test_maps_of_another_number_of_images(script, dataset, tmp_path):
    io.save_array(tmp_path / "maps.npy", np.zeros((5, 1, 16, 24), np.float32))
    io.save_table(tmp_path / "samples.parquet", pd.DataFrame({"sample": [0, 1]}))
    data = ("--images", dataset / "images.npy", "--index", dataset / "index.parquet", "--truth", dataset / "truth.npy")
    answer = script(
        "evaluate", "ncc", *data, "--maps", tmp_path / "maps.npy", "--scores", tmp_path / "out/scores.parquet"
    )
    assert_refused(answer, "maps.npy", "5 maps for the 2 samples")
    assert not files(tmp_path / "out")


def test_a_label_that_is_missing(script, dataset, tmp_path):
    index = io.load_table(dataset / "index.parquet")
    io.save_table(dataset / "index.parquet", index.assign(label=0))
    out = tmp_path / "out"
    words = ("--weights", out / "weights.safetensors", "--history", out / "history.parquet")
    data = ("--images", dataset / "images.npy", "--index", dataset / "index.parquet")
    answer = script("train", "vagan", "--steps", "1", "--width", "2", *data, *words)
    assert_refused(answer, "no image of class 1")
    assert not files(out)


def test_a_module_that_is_not_there(script):
    assert_refused(script("attribute", "gradcamm"), "gradcamm")
    assert_refused(script("train", "vagn"), "did you mean 'vagan'?")


def test_a_hyperparameter_that_is_not_there_is_refused_by_the_script_too(script, capsys):
    status, text = script("train", "vagan", "--stepz", "3")
    assert status == 2
    assert "--stepz" in text


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("    steps: 160", "    stepz: 160", ["models.vagan", "'stepz'", "did you mean 'steps'?"]),
        ("papers: [", "paperz: [x]\npapers: [", ["'paperz'", "did you mean 'papers'?"]),
        ("{needs: {classifier: cam_classifier}}", "{needs: {classifier: cam}}", ["cam", "models"]),
    ],
)
def test_a_misspelt_configuration_ends_before_the_first_job(root, tmp_path, old, new, words):
    folder = copy_of(root, tmp_path / "checkout")
    config = (folder / "config.yaml").read_text()
    assert old in config
    (folder / "config.yaml").write_text(config.replace(old, new, 1))
    run = snakemake(folder)
    assert run.returncode != 0
    for word in words:
        assert word in run.stdout + run.stderr
    assert "Traceback" not in run.stdout + run.stderr
    assert not (folder / "results").exists()
