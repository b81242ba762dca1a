"""What documents point at is there."""

import re
import tomllib

import pytest
import yaml

DOCUMENTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/*.md", "docs/measured/*.md")
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to the headings of a document."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(text)}


@pytest.mark.parametrize("pattern", DOCUMENTS)
def test_links_lead_somewhere(root, pattern):
    documents = list(root.glob(pattern))
    assert documents
    for document in documents:
        for path, anchor in LINK.findall(document.read_text(encoding="utf-8")):
            target = document.parent / path if path else document
            assert target.exists(), f"{document.name} points at {path}, which is not there"
            if anchor:
                assert anchor in anchors(target.read_text(encoding="utf-8")), f"{document.name}: {path}#{anchor}"


def test_anchors_are_those_of_github():
    assert anchors("# A title\n\n## CyCE, *and* v2·k?\n") == {"a-title", "cyce-and-v2k"}


def left_over(files: set[str], pages: dict[str, str]) -> set[str]:
    """Of the files beside some pages the pictures that none shows, and the tables that belong to none."""
    shown = "".join(pages.values())
    pictures = {name for name in files if name.endswith(".png") and f"]({name})" not in shown}
    tables = {name for name in files if name.endswith(".csv")}
    return pictures | {name for name in tables if re.sub(r"(-(claims|curves|seeds))?\.csv$", "", name) not in pages}


def test_records_are_whole(root):
    folder = root / "docs/measured"
    pages = {page.stem: page.read_text(encoding="utf-8") for page in folder.glob("*.md")}
    assert not left_over({file.name for file in folder.iterdir()}, pages)
    found = left_over({"a.csv", "a-curves.csv", "b-seeds.csv", "a-1.png", "a-2.png"}, {"a": "![one](a-1.png)"})
    assert found == {"b-seeds.csv", "a-2.png"}


def test_documents_that_files_name_are_there(root):
    """In the configuration, and in what modules say of themselves."""
    files = [root / "config.yaml", *root.glob("scales/*"), *root.glob("papers/*"), *root.glob("src/evidence/**/*.py")]
    named = {name for file in files for name in re.findall(r"docs/[\w/-]+\.md", file.read_text(encoding="utf-8"))}
    assert named
    assert not [name for name in named if not (root / name).exists()]


def test_the_citation_is_of_this_version_and_names_the_papers(root):
    citation = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert [citation[key] for key in ("title", "version", "license")] == [
        project[key] for key in ("name", "version", "license")
    ]
    readme = (root / "README.md").read_text(encoding="utf-8")
    assert {paper["url"] for paper in citation["references"]} == set(
        re.findall(r"https://arxiv\.org/abs/[\d.]+", readme)
    )
