"""What reruns what. Each promise of the design is a dry run over a checkout in which everything has been made."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from evidence.sources import has_code
from evidence.workflow import Plan
from tests.workflow.conftest import snakemake

SYNTHETIC, COHORT = "synthetic", "cohort"
PAPER = "papers/baumgartner2018"


def maps(method: str, dataset: str = SYNTHETIC, seed: int = 0) -> str:
    return f"{dataset}/maps/{method}/seed{seed}/maps.npy"


def scores(name: str, dataset: str = SYNTHETIC, seed: int = 0) -> str:
    return f"{dataset}/scores/{name}/seed{seed}.parquet"


def weights(model: str, dataset: str = SYNTHETIC, seed: int = 0) -> str:
    return f"{dataset}/models/{model}/seed{seed}/weights.safetensors"


def table(name: str) -> str:
    return f"{PAPER}/{name}.csv"


def figure(name: str) -> str:
    return f"{PAPER}/{name}.pdf"


PAGE = f"{PAPER}/page.md"
CLAIMS = f"{PAPER}/claims.csv"
COHORT_PAGE = "papers/cohort/page.md"


def test_a_second_run_does_nothing(dry):
    assert dry().nothing


def test_new_times_on_all_sources_do_nothing(made, dry):
    """As after a git checkout, a clone or rsync without times: content decides."""
    for part in ("scripts", "src", "papers", "scales", "rules", "config.yaml", "Snakefile"):
        for path in [made / part, *(made / part).rglob("*")]:
            os.utime(path)
    assert dry().nothing


def test_a_moved_checkout_does_nothing(made, dry, tmp_path):
    """Results, their times and Snakemake's records go along; no absolute path is remembered."""
    moved = tmp_path / "elsewhere"
    shutil.copytree(made, moved, symlinks=True)
    assert dry(folder=moved).nothing


def test_an_edited_method_makes_its_maps_its_scores_and_what_shows_them(dry, edit):
    edit("src/evidence/attribution/cam.py", new="\nUNUSED = 1\n")
    assert dry().outputs == {
        maps("cam"),
        maps("cam", COHORT),
        *(scores(f"{metric}/cam") for metric in ("ncc", "weaker", "relevance_mass")),
        table("table1"),
        CLAIMS,
        figure("figure4"),
        "papers/cohort/gallery.pdf",
        PAGE,
        COHORT_PAGE,
    }


def test_an_edited_model_trains_it_and_what_needs_it(dry, edit):
    edit("src/evidence/models/vagan.py", new="\nUNUSED = 1\n")
    found = dry().outputs
    assert {
        weights("vagan"),
        weights("vagan", COHORT),
        maps("vagan"),
        scores("ncc/vagan"),
    } <= found
    assert not {path for path in found if "classifier" in path or "/data/" in path or "random" in path}


def test_an_edited_network_trains_what_is_made_of_it(dry, edit):
    edit("src/evidence/networks/unet.py", new="\nUNUSED = 1\n")
    found = dry().outputs
    assert weights("vagan") in found
    assert weights("classifier") not in found


def test_an_edited_metric_scores_again_and_draws_no_map(dry, edit):
    edit("src/evidence/metrics/auc.py", new="\nUNUSED = 1\n")
    expected = {scores("auc"), scores("auc_cam"), scores("auc", COHORT), scores("auc_cam", COHORT)}
    assert dry().outputs == expected | {table("networks"), "papers/cohort/networks.csv", PAGE, COHORT_PAGE}


def test_an_edited_figure_is_drawn_again(dry, edit):
    edit("src/evidence/figures/examples.py", new="\nUNUSED = 1\n")
    assert dry().outputs == {figure("figure3"), PAGE}


def test_a_hyperparameter_of_a_method_concerns_that_method(dry, edit):
    edit("scales/smoke.yaml", "integrated_gradients: {steps: 4}", "integrated_gradients: {steps: 5}")
    assert dry().outputs == {
        maps("integrated_gradients"),
        maps("integrated_gradients", COHORT),
        *(scores(f"{metric}/integrated_gradients") for metric in ("ncc", "central", "edge", "relevance_mass")),
        table("table1"),
        CLAIMS,
        figure("figure4"),
        "papers/cohort/gallery.pdf",
        PAGE,
        COHORT_PAGE,
    }


def test_the_steps_of_a_classifier_concern_it_and_what_needs_it(dry, edit):
    edit("scales/smoke.yaml", "  classifier: {steps: 4", "  classifier: {steps: 5")
    found = dry().outputs
    assert {weights("classifier"), maps("gradient"), scores("ncc/gradient"), scores("auc")} <= found
    assert not found & {weights("cam_classifier"), weights("vagan"), maps("cam"), maps("random"), scores("auc_cam")}


def test_a_setting_of_one_dataset_leaves_the_other_alone(dry, edit):
    edit("scales/smoke.yaml", "count: 80, size: 32, explain: 3, parts: 2", "count: 84, size: 32, explain: 3, parts: 2")
    found = dry().outputs
    assert f"{SYNTHETIC}/simulated/manifest.csv" in found
    assert weights("classifier") in found
    assert not {path for path in found if path.startswith(COHORT)}


def test_how_many_are_explained_trains_nothing(dry, edit):
    edit("scales/smoke.yaml", "size: 32, explain: 3, parts: 2", "size: 32, explain: 4, parts: 2")
    found = dry().outputs
    assert {f"{SYNTHETIC}/data/explained.parquet", maps("vagan"), scores("ncc/vagan"), table("table1")} <= found
    assert not {path for path in found if "/models/" in path or path.endswith((".npz", "images.npy", "manifest.csv"))}
    assert not found & {scores("auc"), scores("accuracy")}, "networks are scored on the whole test split"


def test_the_order_of_keys_means_nothing(dry, edit):
    edit("scales/smoke.yaml", "{steps: 4, width: 2, hidden: 4", "{hidden: 4, width: 2, steps: 4")
    assert dry().nothing


def test_threads_memory_run_time_and_log_folder_mean_nothing(dry, edit):
    assert dry("--set-threads", "train=1").nothing
    assert dry("--set-resources", "train:mem_mb=123", "train:runtime=5").nothing
    edit("Snakefile", 'logs=f"logs/', 'logs=f"other/')
    assert dry().nothing


def test_the_environment_means_nothing(dry):
    assert dry(
        EVIDENCE_DEVICE="cpu", EVIDENCE_PRECISION="bfloat16", EVIDENCE_SAVE_SECONDS="5", OMP_NUM_THREADS="1"
    ).nothing


def test_a_new_seed_makes_that_seed(dry, edit):
    edit("config.yaml", "seeds: [0]", "seeds: [0, 1]")
    found = dry().outputs
    assert {weights("vagan", seed=1), maps("vagan", seed=1), scores("ncc/vagan", seed=1), table("table1")} <= found
    assert not {path for path in found if "seed0" in path or "/data/" in path}


def test_an_entry_of_fewer_seeds_is_left_out_of_a_new_one(dry, edit):
    edit("scales/smoke.yaml", "cam_classifier: {", "cam_classifier: {seeds: [0], ")
    assert dry().nothing, "the seeds of an entry are no hyperparameter"
    edit("config.yaml", "seeds: [0]", "seeds: [0, 1]")
    found = dry().outputs
    assert {weights("classifier", seed=1), maps("gradient", seed=1), table("table1"), CLAIMS} <= found
    assert not {path for path in found if "cam" in path and "seed" in path}


def test_a_claim_concerns_the_claims_and_the_page(dry, edit):
    edit("papers/baumgartner2018.yaml", 'says: "VA-GAN finds both boxes."', 'says: "VA-GAN sees both boxes."')
    assert dry().outputs == {CLAIMS, PAGE}


def test_a_claim_on_a_new_score_makes_that_score(dry, edit):
    edit(
        "papers/baumgartner2018.yaml",
        "    of: {CAM: {method: cam}}\n",
        "    of: {CAM: {method: cam}, Noise: {method: random}}\n",
    )
    assert dry().outputs == {scores("weaker/random"), CLAIMS, PAGE}


def test_a_new_row_makes_that_method_and_that_table(dry, edit):
    edit(
        "config.yaml",
        "  intensity: {}",
        "  intensity: {}\n  vagan_raw: {kind: vagan, map: raw, needs: {generator: vagan}}",
    )
    assert dry().nothing, "an entry that no page asks for is not made"
    edit(
        "papers/baumgartner2018.yaml",
        "        Gradient: gradient\n",
        "        Gradient: gradient\n        Raw: vagan_raw\n",
    )
    assert dry().outputs == {maps("vagan_raw"), scores("ncc/vagan_raw"), table("table1"), PAGE}


def test_a_published_number_or_a_caption_concerns_its_own_table(dry, edit):
    edit("papers/baumgartner2018.yaml", "VA-GAN: {NCC: 0.94 ± 0.07}", "VA-GAN: {NCC: 0.93 ± 0.07}")
    assert dry().outputs == {table("table1"), PAGE}


def test_a_comment_in_a_papers_file_does_nothing(dry, edit):
    edit("papers/baumgartner2018.yaml", new="# a comment\n")
    assert dry().nothing


def test_a_new_file_in_a_folder_does_nothing(dry, edit):
    for folder in ("attribution", "models", "metrics", "datasets", "figures"):
        edit(f"src/evidence/{folder}/newcomer.py", new='"""A newcomer."""\n')
    assert dry().nothing


def test_a_cosmetic_edit_is_shown_and_can_be_accepted(made, dry, edit, tmp_path):
    moved = tmp_path / "accepted"
    shutil.copytree(made, moved, symlinks=True)
    path = moved / "src/evidence/networks/unet.py"
    path.write_text(path.read_text() + "\n# a remark\n")
    text = dry(folder=moved).text
    assert "unet.py" in text.partition("reason:")[2]
    assert snakemake(moved, "--configfile", "scales/smoke.yaml", "--touch", "--quiet").returncode == 0
    assert dry(folder=moved).nothing


PROGRAM = """
import runpy, sys
sys.argv = {argv!r}
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit:
    pass
for name, module in sys.modules.items():
    if name.split(".")[0] == "evidence":
        print(getattr(module, "__file__", None))
"""


@pytest.mark.parametrize(
    ("name", "folder", "kind"),
    [
        ("train", "models", "vagan"),
        ("attribute", "attribution", "cam"),
        ("evaluate", "metrics", "ncc"),
        ("draw", "figures", "gallery"),
        ("prepare", "datasets", "folder"),
        ("tabulate", "", ""),
        ("judge", "", ""),
        ("pack", "", ""),
        ("choose", "", ""),
        ("compose", "", ""),
    ],
)
def test_a_job_depends_on_all_that_it_imports(root, name, folder, kind):
    """What a script really loads is among its job's sources; only the networks in weights are found at run time."""
    plan = Plan(yaml.safe_load((root / "config.yaml").read_text()), root)
    program = PROGRAM.format(argv=[f"scripts/{name}.py", *([kind] if kind else []), "--help"])
    environment = {**os.environ, "PYTHONPATH": str(root / "src")}
    run = subprocess.run([sys.executable, "-c", program], cwd=root, env=environment, capture_output=True, text=True)
    lines = [line for line in run.stdout.splitlines() if line.endswith(".py") and "/src/evidence/" in line]
    loaded = {Path(line).relative_to(root).as_posix() for line in lines if has_code(Path(line))}
    assert loaded, run.stderr
    assert loaded <= set(plan.code(name, folder, kind))
