"""Command lines: what is asked for comes apart into options, roles and files, and what is wrong is said in flags."""

import subprocess
import sys

import pytest
import torch

from evidence import cli, cohort, signatures
from evidence.errors import BadInput

FLAGS = {"--out": "where it goes", "--seed": {"type": int, "default": 0, "help": "of the noise"}}


def parse(line, folder="attribution", flags=FLAGS, **more):
    return cli.parse(line.split(), folder, flags=flags, description="Draw maps.", **more)


def leaves(capsys, status, call, *a, **k):
    """The call ends the program with a status; what it printed."""
    with pytest.raises(SystemExit) as leaving:
        call(*a, **k)
    assert leaving.value.code == status
    out, err = capsys.readouterr()
    return out if status == 0 else err


# --- what is asked for ------------------------------------------------------------------------------------------------


def test_options_roles_and_files_come_apart():
    call = parse("cam --classifier w.safetensors#best --label 0 --border edge --out maps.npy --seed 3")
    assert call.name == "cam"
    assert call.module.__name__ == "evidence.attribution.cam"
    assert call.options == {"label": 0, "border": "edge"}
    assert call.networks == {"classifier": "w.safetensors#best"}
    assert vars(call.files) == {"out": "maps.npy", "seed": 3}


def test_what_is_not_said_has_the_default_of_the_paper():
    call = parse("additive_perturbation --classifier w --out m")
    assert call.options == signatures.signature("attribution", "additive_perturbation").options
    assert call.files.seed == 0


def test_numbers_and_truth_values_are_read_as_what_they_are():
    call = parse("vagan --lam 1e2 --tanh false --batch 4 --average=0.5 --out w", "models")
    assert {name: call.options[name] for name in ("lam", "tanh", "batch", "average")} == {
        "lam": 100.0, "tanh": False, "batch": 4, "average": 0.5,
    }  # fmt: skip
    assert isinstance(call.options["lam"], float)


def test_lists_are_json():
    call = cli.parse(["curves", "--names", '["critic loss", "l1"]'], "figures", flags={}, description="")
    assert call.options == {"names": ("critic loss", "l1")}
    call = cli.parse(["folder", "--percentiles", "[1, 99.5]"], "datasets", flags={}, description="", function="prepare")
    assert call.options["percentiles"] == (1.0, 99.5)


def test_a_folder_may_have_several_functions():
    call = parse("synthetic --count 8 --size 32", "datasets", flags={}, function="simulate")
    assert call.options == {**signatures.signature("datasets", "synthetic", "simulate").options, "count": 8, "size": 32}


def test_a_script_without_modules_takes_flags_and_the_settings_of_a_function():
    flags = {"--parts": {"nargs": "+", "required": True}, "--out": "where", "paper": "its file"}
    args = cli.plain(
        "--parts a b --test 0.5 --out o p.yaml".split(), flags=flags, description="", function=cohort.settings
    )
    expected = {"split_seed": 42, "test": 0.5, "validation": 0.2, "classes": 2}
    assert vars(args) == {**expected, "parts": ["a", "b"], "out": "o", "paper": "p.yaml"}


def test_the_words_are_those_of_the_process_if_none_are_given(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["attribute.py", "random", "--out", "m"])
    assert cli.parse(None, "attribution", flags=FLAGS, description="").files.out == "m"


def test_pairs_of_label_and_path():
    assert cli.pairs(["CAM=a/b.npy", "λ = 10=c/d.npy"]) == {"CAM": "a/b.npy", "λ = 10": "c/d.npy"}
    assert cli.pairs(None) == {}
    with pytest.raises(BadInput, match="'a/b.npy' has to be LABEL=PATH"):
        cli.pairs(["a/b.npy"])


# --- help -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", ["", "--help", "-h"])
@pytest.mark.parametrize("folder", signatures.FUNCTIONS)
def test_help_lists_the_folder(capsys, folder, line):
    text = leaves(capsys, 0, parse, line, folder)
    for name in signatures.names(folder):
        assert f"  {name} " in text
        assert signatures.signature(folder, name).summary in text
    assert "Draw maps." in text


def test_help_of_a_module_explains_its_settings(capsys):
    text = " ".join(leaves(capsys, 0, parse, "cam --help").split())
    for words in (
        "Draw maps.",
        "Class activation mapping (Zhou et al., 2016",
        "--label LABEL class whose evidence is sought. (type: int, default: 1)",
        "--classifier CLASSIFIER weights of the classifier: a file, or file#network (required)",
        "--out OUT where it goes (required)",
        "--seed SEED of the noise (type: int, default: 0)",
    ):
        assert words in text


# --- what is wrong ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("cam --classifier w --out m --labels 1", "--labels"),
        ("cam --classifier w --out m 7", "7"),
        ("cam --classifier w --out m --label one", "label"),
        ("cam --classifier w --out m --border wide", "border"),
        ("cam --classifier w --out m --seed 1.5", "seed"),
        ("cam --out m", "classifier"),
        ("cam --classifier w", "out"),
        ("--labels 1", "--labels"),
    ],
)
def test_what_cannot_be_parsed_exits_with_2_and_the_usage(capsys, line, word):
    text = leaves(capsys, 2, parse, line)
    assert text.lower().startswith("usage")
    assert word in text.partition("error:")[2]


def test_an_unknown_module_is_refused_with_the_near_miss():
    with pytest.raises(BadInput, match="there is no 'gradiant' in attribution; did you mean 'gradient'"):
        parse("gradiant --out m")


def test_only_the_module_that_is_named_is_imported():
    program = (
        "import sys; sys.path = sys.argv[1:]; from evidence import cli\n"
        "cli.parse(['ncc', '--out', 'x'], 'metrics', flags={'--out': ''}, description='')\n"
        "print(*[name for name in sys.modules if name.startswith('evidence.metrics.')], 'torch' in sys.modules)"
    )
    found = subprocess.run(
        [sys.executable, "-c", program, *sys.path], capture_output=True, text=True, check=True
    ).stdout
    assert found.split() == ["evidence.metrics.ncc", "False"]


def test_what_a_person_can_mend_is_one_line_and_exit_status_1():
    program = (
        "import sys; sys.path = sys.argv[1:]; from evidence import cli, errors\n"
        "def main(): raise errors.BadInput('a.npy is broken\\n  (line 2): make it again')\n"
        "cli.run(main)"
    )
    found = subprocess.run([sys.executable, "-c", program, *sys.path], capture_output=True, text=True)
    assert (found.returncode, found.stdout, found.stderr) == (1, "", "error: a.npy is broken (line 2): make it again\n")


def test_a_full_gpu_is_said_with_what_to_do():
    def main():
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    with pytest.raises(SystemExit, match=r"the GPU is full \(CUDA out of memory\): run fewer jobs .*EVIDENCE_BATCH"):
        cli.run(main)
    with pytest.raises(RuntimeError, match="another"):
        cli.run(lambda: (_ for _ in ()).throw(RuntimeError("another")))


def test_what_nobody_foresaw_keeps_its_traceback():
    def main():
        raise ValueError("unforeseen")

    with pytest.raises(ValueError, match="unforeseen"):
        cli.run(main)


def test_the_folder_of_scripts_hides_no_library(monkeypatch, tmp_path):
    """It is first on the path of a script, where our tabulate.py would be taken for the library of that name."""
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "train.py")])
    monkeypatch.setattr(sys, "path", [str(tmp_path), "other"])
    seen = []
    cli.run(lambda: seen.extend(sys.path))
    assert seen == ["other"]
    monkeypatch.setattr(sys, "argv", ["elsewhere/train.py"])
    cli.run(lambda: seen.extend(sys.path))
    assert seen == ["other", "other"], "any other folder stays"
