"""Each scale is planned without touching anything; the smoke scale is made, and its pages say what they have to."""

import itertools
import re
import subprocess
import sys

import pandas as pd
import pytest
import yaml

from tests.workflow.conftest import copy_of, snakemake

TABLE = "table row column published published_spread ours ours_spread n seeds seeds_spread scale source".split()


RELEASED = {"--lam": "100", "--norm": "column", "--tanh": "true", "--initial": "random", "--lr": "0.0001"}
RELEASED |= {"--steps": "1000", "--batch": "32", "--burst": "100", "--burst_first": "25", "--burst_every": "100"}
VARIANTS = {  # documented runs of VA-GAN: released, of the paper's time, as written, with WGAN-GP's penalty
    "vagan": RELEASED,
    "vagan_b": {**RELEASED, "--mixing": "batch", "--lr": "0.001"},
    "vagan_c": {**RELEASED, "--norm": "sample", "--tanh": "false", "--lr": "0.001"},
    "vagan_d100": {**RELEASED, "--norm": "sample"},
    "vagan_d10": {**RELEASED, "--norm": "sample", "--lam": "10"},
    "classifier_first": {"--lr": "0.0001"},
    "cam_short": {"--head": "cam", "--last_block": "false"},
}


@pytest.fixture(scope="module")
def fresh(root, tmp_path_factory):
    """A checkout in which nothing was made."""
    return copy_of(root, tmp_path_factory.mktemp("fresh") / "evidence")


def jobs(run):
    """Rule → number of jobs, from the summary of a dry run."""
    text = run.stdout + run.stderr
    assert run.returncode == 0, text
    summary = text.partition("Job stats:")[2].partition("\n\n")[0]
    return {name: int(count) for name, count in re.findall(r"^(\w+)\s+(\d+)$", summary, re.M)}


LOOKS = """
import atexit, collections, os, sys
looks = collections.Counter()
def look(event, arguments):
    if event in ("open", "os.scandir") and "/src/evidence/" in (path := os.path.abspath(str(arguments[0]))):
        looks[path] += not path.endswith(".pyc")
sys.addaudithook(look)
atexit.register(lambda: print("most looks:", *looks.most_common(1)[0]))
from snakemake.cli import main
main(["-n"])
"""


def test_the_quick_scale_is_planned_without_looking_again_and_again(fresh):
    """A plan of hundreds of jobs asks thousands of times what there is. No clock: what it looks at is counted."""
    run = subprocess.run([sys.executable, "-c", LOOKS], cwd=fresh, capture_output=True, text=True)
    planned = jobs(run)
    assert planned["train"] == 3 + 2 * 6 + 2 * 2 + 2 * 3 + 1, (
        "three networks of VA-GAN's paper; six on brains and on X-rays; a classifier and medXGAN on either; "
        "classifier, generator and encoder of digits and of faces, and a second classifier of digits"
    )
    assert planned["page"] == 4
    assert not (fresh / "results").exists()
    path, count = run.stdout.rpartition("most looks:")[2].split()
    assert int(count) <= 4, (
        f"{path} was looked at {count} times: for its signatures, its imports and its digest at most"
    )


def test_the_papers_scale_plans_runs_a_to_d_and_three_seeds_of_what_is_compared(fresh):
    run = snakemake(fresh, "-n", "--configfile", "scales/paper.yaml")
    planned, text = jobs(run), run.stdout + run.stderr
    assert planned["train"] == 3 * 2 + 4 + 3 * 3 + 3 + 2 + 2 * 6 + 2 * 3 + 2 + 2 * 3 + 1, (
        "three seeds of two classifiers, one of four variants of them; "
        "three seeds of VA-GAN as A, as D with its λ of 10, and as ours; "
        "one of B, C and D with the paper's λ; one of ours to the end of the budget, and one without jitter; "
        "six networks on brains and on X-rays; three seeds of medXGAN and its classifier on brains, one on X-rays; "
        "three networks on digits and on faces, and a second classifier of digits"
    )
    assert planned["claims"] == 4
    assert planned["fetch"] == 2 + 2 + 2, "brains, X-rays, digits and faces are real"
    for words in (
        "dcgan --average 0.999 --judge_widths '[64, 128, 256]' --lr 0.0002 --steps 93800",
        "anchor --at_once 64 --batch 100 --fresh 1000 --gap 0.15 --limit 5000 --lr 0.01 --most 0 --norm running",
        "--class_loss probabilities --class_weight 2.0",
        "--class_loss probabilities --class_weight 1.0",
        "--steps 65000 --validate_every 1000 --widths '[384, 256, 192]' --z1 1000 --z2 100",
        "--steps 95000 --validate_every 1000 --widths '[384, 256, 192, 64]' --z1 100 --z2 10",
        "inversion --decay false --lr 0.01 --negative 0 --prior 0 --steps 10000",
        "restarts --decay false --lr 0.01 --negative 0 --prior 0 --steps 10000",
        "resnet --augment 1.0 --batch 32",
        "--layers '[3, 4, 6, 3]'",
        "--size 224",
        "--widths '[16, 32, 64, 128, 256]'",
    ):
        assert words in text
    assert "--count 10000 --seed 42 --size 112" in text or "--count 10000 --size 112" in text
    seeds = {"vagan": 3, "vagan_d10": 3, "vagan_steady": 3, "vagan_b": 1, "vagan_c": 1, "vagan_d100": 1}
    for variant, count in seeds.items():
        for seed in range(3):
            assert (f"synthetic/models/{variant}/seed{seed}/weights.safetensors" in text) == (seed < count)
    assert "synthetic_fixed/models/vagan_steady/seed0/weights.safetensors" in text
    assert "synthetic_fixed/models/vagan_steady/seed1" not in text
    assert (
        "synthetic_fixed/scores/ncc/vagan_steady/seed0.parquet" in text.partition("rule claims")[2].partition("rule")[0]
    )
    for variant, settings in VARIANTS.items():
        (train,) = {
            line.partition("  --seed")[0]
            for line in text.splitlines()
            if line.startswith("Shell command: python scripts/train.py")
            and f"/synthetic/models/{variant}/seed0/" in line
        }
        words = train.replace("'", "").split()
        given = {name: value for name, value in itertools.pairwise(words) if name.startswith("--")}
        assert settings.items() <= given.items(), variant
    assert not (fresh / "results").exists()


def test_real_images_are_planned_from_a_path_on_the_command_line_or_in_the_environment(fresh, tmp_path):
    by_config = snakemake(fresh, "-n", "--configfile", "scales/real.yaml", "--config", f"raw={tmp_path}")
    by_environment = snakemake(fresh, "-n", "--configfile", "scales/real.yaml", EVIDENCE_RAW_COHORT=str(tmp_path))
    assert jobs(by_config) == jobs(by_environment)
    assert jobs(by_config)["fetch"] == 1
    for run in (by_config, by_environment):
        commands = re.findall(r"Shell command: (.*)", run.stdout + run.stderr)
        assert commands
        assert not [command for command in commands if str(tmp_path) in command], "a path is no reason to run again"


def test_a_dataset_of_ones_own_needs_two_lines(fresh, tmp_path):
    (fresh / "mine.yaml").write_text("scale: mine\ndatasets: {cohort: {kind: folder, baseline: healthy}}\n")
    run = snakemake(fresh, "-n", "--configfile", "scales/real.yaml", "mine.yaml", EVIDENCE_RAW_COHORT=str(tmp_path))
    assert jobs(run)["fetch"] == 1
    assert "scripts/prepare.py folder --baseline healthy --size 64" in run.stdout + run.stderr


def test_the_workflow_has_nothing_to_lint(fresh):
    run = snakemake(fresh, "--lint")
    assert run.returncode == 0, run.stdout + run.stderr


def test_tables_have_the_columns_that_all_tables_have(made):
    found = sorted((made / "results" / "smoke" / "papers").rglob("*.csv"))
    tables = [path for path in found if path.name != "claims.csv"]
    assert (len(tables), len(found)) == (3, 4)
    for path in tables:
        table = pd.read_csv(path)
        assert list(table.columns) == TABLE
        assert (table["scale"] == "smoke").all()
        assert set(table["source"]) <= {"generated", "phantom"}
        assert table["n"].gt(0).all()


def test_table_1_has_the_published_numbers_beside_ours_and_the_floors(made):
    table = pd.read_csv(made / "results/smoke/papers/baumgartner2018/table1.csv").set_index("row")
    published = table["published"].dropna().to_dict()
    assert published == {
        "Guided backpropagation": 0.14,
        "Integrated gradients": 0.36,
        "CAM": 0.48,
        "Additive perturbation": 0.06,
        "VA-GAN": 0.94,
    }
    assert {"The image itself", "Noise"} <= set(table.index)
    assert table["ours"].between(-1, 1).all()


def test_a_page_says_scale_data_commit_machine_and_what_departs(made):
    for paper, data in (("baumgartner2018", "generated by the paper's own recipe"), ("cohort", "phantoms")):
        page = (made / "results" / "smoke" / "papers" / paper / "page.md").read_text()
        head = page.partition("## ")[0]
        for fact in ("**Scale**: smoke", data, "**Commit**", "**Machine**"):
            assert fact in head, fact
        assert "steps 4" in page.partition("## Settings that depart")[2]
        pictures = re.findall(r"!\[\w+\]\(([^)]+)\)", page)
        assert pictures
        for picture in pictures:
            file = made / "results" / "smoke" / "papers" / paper / picture
            assert file.read_bytes().startswith(b"\x89PNG")
            assert file.with_suffix(".pdf").read_bytes().startswith(b"%PDF")


def test_the_report_holds_all_pages(made):
    report = (made / "results" / "smoke" / "report.html").read_text()
    for paper in ("baumgartner2018", "cohort"):
        page = (made / "results" / "smoke" / "papers" / paper / "page.md").read_text()
        assert re.findall(r"^# (.*)$", page, re.M)[0] in report
    assert report.count("data:image/png;base64,") == sum(
        len(re.findall(r"!\[\w+\]", path.read_text())) for path in (made / "results/smoke/papers").glob("*/page.md")
    )


def test_every_claim_is_judged_and_shown(made):
    folder = made / "results" / "smoke" / "papers" / "baumgartner2018"
    claims = yaml.safe_load((made / "papers" / "baumgartner2018.yaml").read_text())["claims"]
    asked = {name for name, claim in claims.items() if not claim.get("optional")}
    table = pd.read_csv(folder / "claims.csv")
    assert set(table["claim"]) == asked
    assert table["holds"].isin([True, False]).all()
    shown = (folder / "page.md").read_text().partition("## Claims")[2].partition("## Notes")[0]
    for name in asked:
        assert claims[name]["says"].strip() in shown
    assert shown.count("### ") == len(asked) == len(re.findall(r"\*\*(holds|does not hold|holds for some)\*\*", shown))
    assert "## Claims" not in (folder.parent / "cohort" / "page.md").read_text()


def test_nothing_half_written_and_no_state_is_left(made):
    left = [
        path for path in (made / "results").rglob("*") if path.name.startswith((".", "state")) and path.name != ".lock"
    ]
    assert not left
    assert not list((made / "results").rglob("parts/*")), "parts are temporary"


def test_what_was_measured_can_be_kept(made, script, tmp_path):
    """Page, tables and pictures in one place, with the time it took, and no link back into results/."""
    status, text = script("record", made / "results/smoke/papers/baumgartner2018", "--out", tmp_path)
    assert status == 0, text
    page = (tmp_path / "baumgartner2018-smoke.md").read_text()
    assert re.search(
        r"\*\*Time of the whole scale\*\*: models \d+\.\d minutes .* in 6 jobs; maps \d+\.\d minutes .* in 14 jobs",
        page,
    )
    for picture in re.findall(r"!\[\w+\]\(([^)]+)\)", page):
        assert "/" not in picture
        assert (tmp_path / picture).read_bytes().startswith(b"\x89PNG")
    table = pd.read_csv(tmp_path / "baumgartner2018-smoke.csv")
    assert list(table.columns) == TABLE
    assert set(table["table"]) == {"table1", "networks"}
    assert "centre" in set(pd.read_csv(tmp_path / "baumgartner2018-smoke-claims.csv")["claim"])
    curves = pd.read_csv(tmp_path / "baumgartner2018-smoke-curves.csv")
    assert set(curves["model"]) == {"classifier", "cam_classifier", "vagan"}
    status, text = script("record", tmp_path / "results/none/papers/x", "--out", tmp_path)
    assert status == 1
    assert "page.md is missing" in text


def test_a_failed_job_says_why_at_the_end_of_the_run(root, tmp_path):
    """Jobs write to their logs; nobody should have to look for the one line that says what to do."""
    folder = copy_of(root, tmp_path / "evidence")
    config = (folder / "config.yaml").read_text()
    config = config.replace("size: 56", "size: 57").replace(
        "papers: [baumgartner2018, charachon2021, dravid2022, david2019]", "papers: [baumgartner2018]"
    )
    (folder / "config.yaml").write_text(config)
    for words in (("--quiet", "rules"), ()):
        run = snakemake(folder, *words)
        assert run.returncode != 0
        assert "error: count has to be a multiple of 4 and size one of 8, not 4000 and 57" in run.stdout + run.stderr
