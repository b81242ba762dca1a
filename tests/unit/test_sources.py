"""What a source file imports, against a reading of its syntax."""

import ast
from pathlib import Path

import pytest

from evidence import sources

FILES = sorted((sources.ROOT / "src").rglob("*.py")) + sorted((sources.ROOT / "scripts").glob("*.py"))


def by_syntax(path: Path) -> set[Path]:
    """The modules of ours that a file imports, from its tree."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    parts = [name.split(".") for name in names if name.partition(".")[0] == "evidence"]
    bases = [Path("src", *steps[:depth]) for steps in parts for depth in range(1, len(steps) + 1)]
    return {path for base in bases for path in (base.with_suffix(".py"), base / "__init__.py")}


def there(paths) -> set[Path]:
    return {path for path in paths if (sources.ROOT / path).is_file()}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(sources.ROOT)))
def test_every_import_of_ours_is_found(path):
    assert there(sources.imports(path, sources.ROOT)) == there(by_syntax(path))


@pytest.mark.parametrize(
    "text",
    [
        "from evidence import io\n",
        "import evidence.io\n",
        "import os, evidence.io\n",
        "def late():\n    from evidence.io import read  # only here\n",
        "from evidence.io import (\n    read,\n    write as put,\n)\n",
        '"""The table of evidence imports nothing.\n\nimport evidence that it is so.\n"""\nimport evidence.io\n',
    ],
)
def test_however_it_is_written(text, tmp_path):
    file = tmp_path / "module.py"
    file.write_text(text)
    assert Path("src/evidence/io.py") in sources.imports(file, sources.ROOT)


def test_what_is_of_others_or_a_name_alike_is_not_ours(tmp_path):
    file = tmp_path / "module.py"
    file.write_text("import io\nfrom evidences import io\nfrom os import path\nevidence = 1\n")
    assert sources.imports(file, sources.ROOT) == []


def test_a_folders_contract_that_is_only_text_is_no_reason_to_run_again(tmp_path):
    for name, text in {"__init__.py": '"""A contract."""\n', "tool.py": '"""Only text, but a module."""\n'}.items():
        (tmp_path / name).write_text(text)
    assert not sources.has_code(tmp_path / "__init__.py")
    assert sources.has_code(tmp_path / "tool.py")
