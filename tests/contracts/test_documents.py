"""What documents point at is there."""

import re

import pytest

DOCUMENTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/*.md", "docs/measured/*.md")
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to the headings of a document."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(text)}


@pytest.mark.parametrize("pattern", DOCUMENTS)
def test_links_lead_somewhere(root, pattern):
    for document in root.glob(pattern):
        for path, anchor in LINK.findall(document.read_text(encoding="utf-8")):
            target = document.parent / path if path else document
            assert target.exists(), f"{document.name} points at {path}, which is not there"
            if anchor:
                assert anchor in anchors(target.read_text(encoding="utf-8")), f"{document.name}: {path}#{anchor}"


def test_anchors_are_those_of_github():
    assert anchors("# A title\n\n## CyCE, *and* v2·k?\n") == {"a-title", "cyce-and-v2k"}


def test_pictures_and_tables_of_records_are_shown_somewhere(root):
    """A record is its page and files of the same name; what has lost its page is left over."""
    pages = [page.stem for page in (root / "docs/measured").glob("*.md")]
    for file in (root / "docs/measured").iterdir():
        if file.suffix in (".png", ".csv"):
            assert any(f"{file.stem}-".startswith(f"{page}-") for page in pages), f"{file.name} has no page"
