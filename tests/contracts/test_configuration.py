"""Every entry of every scale is read by the real command line of its module; and what is written twice agrees."""

import importlib.util
import re
import shlex
import subprocess
import sys

import pytest
import yaml

from evidence import cli, signatures
from evidence.checks import SECTIONS
from evidence.workflow import Plan
from tests.conftest import merged

SCALES = ("", "smoke", "paper", "real", "tumours", "medxgan", "ganchors", "smiles")
STEPS = "fetch simulate prepare pack choose train attribute evaluate tabulate draw judge compose report".split()
SCRIPTS = [*STEPS, "record", "pool", "apply"]


def plan_of(root, scale):
    config = yaml.safe_load((root / "config.yaml").read_text())
    if scale:
        config = merged(config, yaml.safe_load((root / "scales" / f"{scale}.yaml").read_text()))
    return Plan(config, root)


def read(folder, words, function=""):
    """Parse a command line as its script would; roles and files are not at stake here."""
    argv = shlex.split(words)
    for role in signatures.signature(folder, argv[0], function).roles:
        argv += [f"--{role}", "x"]
    return cli.parse(argv, folder, function=function, flags={}, description="")


@pytest.mark.parametrize("scale", SCALES)
def test_every_entry_of_every_scale_is_understood(root, scale):
    plan = plan_of(root, scale)
    for label in plan.labels("datasets"):
        for function in signatures.FUNCTIONS["datasets"]:
            read("datasets", plan.options("datasets", label, function=function), function)
    for section in ("models", "methods", "metrics"):
        for label in plan.labels(section):
            for dataset in plan.labels("datasets"):
                read(SECTIONS[section], plan.options(section, label, dataset=dataset if section == "models" else ""))
    for paper in plan.items:
        for figure in plan.figures(paper):
            words = re.split(" --(?:maps|scores|histories) ", plan.figure(paper, figure).flags())
            read("figures", words[0])


def test_a_value_of_the_wrong_type_is_refused(root, capsys):
    with pytest.raises(SystemExit):
        read("models", "vagan --norm row")
    assert "norm" in capsys.readouterr().err


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_helps(root, name):
    run = subprocess.run([sys.executable, f"scripts/{name}.py", "--help"], cwd=root, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert len(run.stdout.splitlines()) > 5


def test_every_script_is_listed_and_there(root):
    assert sorted(path.stem for path in (root / "scripts").glob("*.py")) == sorted(SCRIPTS)


def test_no_target_stands_behind_configfile_which_would_swallow_it(root):
    files = [root / "README.md", *(root / "scales").iterdir(), *(root / "profiles").rglob("*.yaml")]
    said = [words for file in files for words in re.findall(r"--configfile ([\w./ ]+)", file.read_text())]
    assert len(said) > 10
    for words in said:
        assert all(word.endswith(".yaml") for word in words.split()), words


def test_the_environments_are_those_of_the_pins(root):
    spec = importlib.util.spec_from_file_location("generate", root / "envs" / "generate.py")
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    for name, without in generate.FILES.items():
        assert (root / "envs" / name).read_text() == generate.environment(without), (
            f"run python envs/generate.py: {name}"
        )


LAYERS = [
    {"errors", "seeds", "shapes", "networks", "sources", "penalty", "plateau"},
    {
        "io",
        "statistics",
        "signatures",
        "provenance",
        "progress",
        "style",
        "machine",
        "images",
        "splits",
        "volumes",
        "erasing",
    },
    {"augmentation", "weights", "resuming", "pages", "cohort", "cli", "checks", "raw", "scores", "chests", "portraits"},
    {
        "training",
        "explaining",
        "classifying",
        "deciding",
        "translating",
        "perturbing",
        "generating",
        "inverting",
        "anchoring",
        "segmenting",
        "sampling",
        "chains",
        "trials",
        "drawing",
        "tables",
        "claims",
        "workflow",
    },
    {"datasets", "models", "attribution", "metrics", "figures"},
    {"parts", "downloads"},
]
HIGHER = {name: number for number, layer in enumerate(LAYERS) for name in layer}
NOUNS = LAYERS[4]


def test_modules_import_downwards_only(root):
    package = root / "src" / "evidence"
    for path in package.rglob("*.py"):
        home = path.relative_to(package).with_suffix("").parts[0]
        if home == "__init__":
            continue
        for name in re.findall(r"^\s*(?:from evidence\.|import evidence\.)(\w+)", path.read_text(), re.M) + [
            word.strip().partition(" ")[0]
            for line in re.findall(r"^\s*from evidence import (.+)$", path.read_text(), re.M)
            for word in line.split(",")
        ]:
            assert name in HIGHER, f"{path.name} imports {name}, which has no layer"
            assert HIGHER[name] <= HIGHER[home], f"{path.name} imports upwards: {name}"
            if home in NOUNS and name in NOUNS:
                assert home == name, f"{path.name} reaches into {name}"


def test_the_map_of_shared_modules_names_each_once(root):
    section = (root / "CONTRIBUTING.md").read_text().partition("## What the files share")[2].partition("\n## ")[0]
    named = re.findall(r"`(\w+)`", section)
    there = [path.stem for path in (root / "src" / "evidence").glob("*.py") if path.stem != "__init__"]
    assert sorted(named) == sorted(there)


def test_the_package_speaks_of_no_place_of_its_own(root):
    """No absolute path, no host of a registry."""
    for path in [
        *root.glob("*.*"),
        *(p for d in ("src", "scripts", "rules", "papers", "scales", "envs") for p in (root / d).rglob("*")),
    ]:
        if path.suffix in {".py", ".smk", ".yaml", ".md", ".toml", ".txt"}:
            text = path.read_text()
            assert not re.search(r"(?<![\w.])/(work|home|root|tmp)/", text), path
            assert "pypi.org" not in text, path


def test_what_a_long_training_waits_for_goes_first(root):
    """A dataset that is prepared last is trained on last, on one core, while the others have nothing to do."""
    text = "".join(file.read_text(encoding="utf-8") for file in (root / "rules").glob("*.smk"))
    rules = dict(re.findall(r"^rule (\w+):\n(.*?)(?=^rule|\Z)", text, re.M | re.S))
    found = {name: re.search(r"^    priority: (\d+)", body, re.M) for name, body in rules.items()}
    order = {name: int(match[1]) if match else 0 for name, match in found.items()}
    assert {order[name] for name in ("fetch", "simulate", "prepare", "pack", "choose")} == {3}
    assert order["train"] == 2
    assert order["attribute"] == 1
    assert order["evaluate_maps"] == 0
