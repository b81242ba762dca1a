"""What is read off the sources is what Python says of the modules themselves."""

import importlib
import inspect
import subprocess
import sys

import pytest

from evidence import signatures
from evidence.errors import BadInput

MODULES = [(folder, name) for folder in signatures.FUNCTIONS for name in signatures.names(folder)]


@pytest.mark.parametrize(("folder", "name"), MODULES)
def test_a_signature_is_that_of_the_module(folder, name):
    module = importlib.import_module(f"evidence.{folder}.{name}")
    for function in signatures.FUNCTIONS[folder]:
        read = signatures.signature(folder, name, function)
        parameters = inspect.signature(getattr(module, function)).parameters.values()
        assert list(read.positional) == [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        assert read.options == {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
        assert len(parameters) == len(read.positional) + len(read.options)
        assert read.summary == module.__doc__.splitlines()[0]


def test_the_folders_are_the_registry():
    for folder in signatures.FUNCTIONS:
        package = importlib.import_module(f"evidence.{folder}")
        assert signatures.PACKAGE / folder / "__init__.py" == signatures.Path(package.__file__)
        assert list(signatures.names(folder)) == sorted(signatures.names(folder))
        assert "__init__" not in signatures.names(folder)
    assert {"vagan", "classifier"} <= set(signatures.names("models"))


def test_what_is_no_data_is_a_network_by_its_role():
    assert signatures.signature("attribution", "cam").roles == ("classifier",)
    assert signatures.signature("attribution", "vagan").roles == ("generator",)
    assert signatures.signature("attribution", "random").roles == ()
    assert signatures.signature("metrics", "accuracy").positional == ("classifier", "images", "labels")
    assert signatures.signature("models", "vagan").roles == ()


def test_a_name_that_is_not_there_is_refused_with_the_near_miss():
    with pytest.raises(BadInput, match="there is no 'guided_backprob' in attribution; did you mean 'guided_backprop'"):
        signatures.signature("attribution", "guided_backprob")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of one module."""
    monkeypatch.setattr(signatures, "PACKAGE", tmp_path)
    signatures.signature.cache_clear()
    (tmp_path / "metrics").mkdir()
    yield lambda text: (tmp_path / "metrics" / "new.py").write_text(text)
    signatures.signature.cache_clear()


def test_a_module_without_its_function_is_refused(folder):
    folder('"""New."""\n\ndef scores(maps): ...\n')
    with pytest.raises(BadInput, match=r"new.py lacks score\(\), which every module in its folder has"):
        signatures.signature("metrics", "new")


def test_a_default_that_is_no_literal_is_not_known_and_nothing_is_executed(folder):
    folder(
        "import nothing_there\n\ndef score(maps, oracle, *, a, b=-2.5, c=(1, 'x'), d=nothing_there.x, e=1_000): 1 / 0\n"
    )
    read = signatures.signature("metrics", "new")
    assert read.positional == ("maps", "oracle")
    assert read.roles == ("oracle",)
    assert read.options == {"a": None, "b": -2.5, "c": (1, "x"), "d": None, "e": 1000}
    assert read.summary == ""


def test_reading_imports_nothing_of_what_it_reads():
    """So that a dry run is quick and one broken dependency breaks one method."""
    program = (
        "import sys; sys.path = sys.argv[1:]; from evidence.signatures import FUNCTIONS, names, signature\n"
        "found = [signature(f, n, g) for f, gs in FUNCTIONS.items() for n in names(f) for g in gs]\n"
        "print(len(found), *[name for name in ('torch', 'numpy', 'yaml', 'evidence.models') if name in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", program, *sys.path], capture_output=True, text=True, check=True
    ).stdout
    assert found.split() == [str(sum(len(signatures.FUNCTIONS[folder]) for folder, _ in MODULES))]
