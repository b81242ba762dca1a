"""Jobs through Slurm: the profile is one that Snakemake takes and, where there is a Slurm, the smoke scale is made."""

import os
import shutil

import pytest
import yaml

from tests.workflow.conftest import copy_of, snakemake


@pytest.fixture
def checkout(root, tmp_path):
    return copy_of(root, tmp_path / "evidence")


def profile(folder, name):
    return yaml.safe_load((folder / "profiles" / name / "config.yaml").read_text())


def test_the_profile_is_taken_and_every_job_says_what_it_needs(checkout):
    run = snakemake(checkout, "--workflow-profile", "profiles/slurm", "--configfile", "scales/paper.yaml", "-n")
    text = run.stdout + run.stderr
    assert run.returncode == 0, text
    wants = {"train": ["gpu=1", "runtime=720", "mem_mb=8000"], "attribute": ["gpu=1", "runtime=720", "mem_mb=8000"]}
    wants |= {"prepare": ["runtime=720", "mem_mb=4000"], "simulate": ["runtime=720"]}
    for rule, words in wants.items():
        job = text.partition(f"\nrule {rule}:")[2].partition("\n\n")[0]
        resources = job.partition("resources: ")[2].partition("\n")[0].split(", ")
        assert set(words) <= set(resources), (rule, resources)
    measured = [job for job in text.split("\nrule ") if job.startswith("evaluate_maps:")]
    scored = [job for job in measured if "metric=aopc" in job]
    assert scored
    assert all("gpu=1, runtime=720, mem_mb=8000" in job for job in scored), (
        "what runs a network wants a GPU and its memory"
    )
    compared = [job for job in measured if "metric=ncc" in job]
    assert compared
    assert all("gpu=0, runtime=720, mem_mb=4000" in job for job in compared), "what compares arrays does not"


def test_it_sees_no_other_changes_than_the_default_profile(checkout):
    slurm, default = profile(checkout, "slurm"), profile(checkout, "default")
    assert slurm["max-checksum-file-size"] == default["max-checksum-file-size"]
    assert "resources" not in slurm, "a bound on gpu would be one for the whole cluster"


@pytest.mark.skipif(not (shutil.which("sbatch") and os.environ.get("SLURM_CONF")), reason="SLURM_CONF names no Slurm")
def test_the_smoke_scale_is_made_through_slurm(checkout):
    words = (
        "--workflow-profile profiles/slurm --slurm-status-command squeue --slurm-init-seconds-before-status-checks 5"
    )
    scale = "--configfile scales/smoke.yaml --config papers=[baumgartner2018] --quiet rules"
    run = snakemake(checkout, *words.split(), *scale.split())
    assert run.returncode == 0, run.stdout + run.stderr
    assert (checkout / "results" / "smoke" / "papers" / "baumgartner2018" / "page.md").is_file()
    assert list((checkout / ".snakemake" / "slurm_logs").rglob("*.log"))
